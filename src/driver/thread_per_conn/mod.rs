//! Thread per connection: blocking reads, blocking writes.
//!
//! Owns accepting, the count of threads and the shutdown. Refuses to serve more connections than it may have threads: the others wait in the
//! system's backlog. That is the classic exhaustion of a thread pool by held requests, on purpose, to be measured.

mod connection;
mod mailbox;
mod reader;
mod writer;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mio::Events;
use slab::Slab;

use super::Config;
use super::clock::Clock;
use super::server::{Server, Stop};
use crate::session::{Context, Handler, RemoteSource, Stats};
use connection::Connection;

/// Rest after the system could not accept for want of descriptors, memory or threads.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How often a shutdown looks after connections whose thread was busy.
const SHUTDOWN_LOOK: Duration = Duration::from_millis(20);

/// What all connections share.
struct Shared {
    config: Config,
    stats: Arc<Stats>,
    app: Arc<dyn Handler>,
    stop: Arc<Stop>,
    connections: Mutex<Slab<Option<Arc<Connection>>>>,
    threads: AtomicUsize,
    /// The accepting thread waits for a connection or a thread to end.
    is_full: AtomicBool,
}

impl Shared {
    fn context<'a>(&'a self, clock: &'a Clock, remote: &'a dyn RemoteSource) -> Context<'a> {
        Context { now: clock.now(), settings: &self.config.settings, stats: &self.stats, app: &*self.app, remote }
    }

    fn connections(&self) -> MutexGuard<'_, Slab<Option<Arc<Connection>>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self) -> bool {
        self.threads.load(SeqCst) < self.config.max_threads && self.connections().len() < self.config.max_connections
    }

    /// Something was given back.
    fn gave_back(&self) {
        if self.is_full.swap(false, SeqCst) || self.stop.is_asked() {
            self.stop.wake();
        }
    }
}

/// The right to one thread.
struct Permit(Arc<Shared>);

impl Permit {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let more = |threads| (threads < shared.config.max_threads).then_some(threads + 1);
        shared.threads.fetch_update(SeqCst, SeqCst, more).ok()?;
        shared.stats.threads.add(1);
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, SeqCst);
        self.0.stats.threads.subtract(1);
        self.0.gave_back();
    }
}

/// Serves until the server is stopped.
pub(crate) fn run(server: Server, app: Arc<dyn Handler>) -> io::Result<()> {
    let Server { mut poll, listener, config, stats, stop, .. } = server;
    let shared = Arc::new(Shared {
        config,
        stats,
        app,
        stop: Arc::clone(&stop),
        connections: Mutex::default(),
        threads: AtomicUsize::new(0),
        is_full: AtomicBool::new(false),
    });
    let mut events = Events::with_capacity(8);
    let mut clock = Clock::new();
    while !stop.is_asked() {
        // The listening socket is edge-triggered: it is emptied before each sleep.
        let rest = accept_all(&shared, &mut clock, || listener.accept());
        poll_once(&mut poll, &mut events, rest)?;
    }
    drop(listener);
    shut_down(&shared, &mut clock, |timeout| poll_once(&mut poll, &mut events, Some(timeout)))
}

fn poll_once(poll: &mut mio::Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// Accepts until nobody waits any more or there is no room. Returns for how long to rest, if not until the next event.
fn accept_all(
    shared: &Arc<Shared>,
    clock: &mut Clock,
    mut accept: impl FnMut() -> io::Result<(mio::net::TcpStream, SocketAddr)>,
) -> Option<Duration> {
    while !shared.stop.is_asked() {
        shared.is_full.store(true, SeqCst);
        if !shared.has_room() {
            return None;
        }
        shared.is_full.store(false, SeqCst);
        clock.read();
        if let Err(error) = accept().and_then(|(socket, peer)| start(shared, socket.into(), peer, clock)) {
            match error.kind() {
                ErrorKind::WouldBlock => return None,
                ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => {}
                _ => {
                    shared.stats.accept_errors.add(1);
                    log::warn!("cannot accept, and rests for {ACCEPT_REST:?}: {error}");
                    return Some(ACCEPT_REST);
                }
            }
        }
    }
    None
}

/// Starts a connection's thread.
fn start(shared: &Arc<Shared>, socket: TcpStream, peer: SocketAddr, clock: &Clock) -> io::Result<()> {
    socket.set_nonblocking(false)?;
    socket.set_write_timeout(Some(shared.config.settings.limits.write_timeout))?;
    let Some(permit) = Permit::take(shared) else { return Err(ErrorKind::OutOfMemory.into()) };
    let slot = shared.connections().insert(None);
    let connection = Connection::new(socket, peer, slot as u32, Arc::clone(shared), clock);
    shared.connections()[slot] = Some(Arc::clone(&connection));
    let (of_thread, of_connection) = (Arc::clone(shared), Arc::clone(&connection));
    let run = move || {
        reader::run(&of_connection);
        drop(of_connection);
        of_thread.connections().remove(slot);
        drop(permit);
    };
    if let Err(error) = thread::Builder::new().stack_size(shared.config.stack_bytes).spawn(run) {
        connection.close(crate::proto::CloseReason::Transport, clock);
        shared.connections().remove(slot);
        return Err(error);
    }
    Ok(())
}

/// Ends every connection in the way of its session, and after the grace time without asking.
fn shut_down(shared: &Shared, clock: &mut Clock, mut sleep: impl FnMut(Duration) -> io::Result<()>) -> io::Result<()> {
    log::info!("shutting down: {} connections", shared.connections().len());
    let end = Instant::now() + shared.config.shutdown_grace;
    loop {
        clock.read();
        let left: Vec<_> = shared.connections().iter().filter_map(|(_, connection)| connection.clone()).collect();
        if left.is_empty() && shared.threads.load(SeqCst) == 0 {
            return Ok(());
        }
        if shared.stop.is_now() || clock.now().instant() >= end {
            for connection in &left {
                connection.cut();
            }
            return Ok(());
        }
        for connection in &left {
            connection.try_shut_down(clock);
        }
        drop(left);
        sleep(SHUTDOWN_LOOK)?;
    }
}
