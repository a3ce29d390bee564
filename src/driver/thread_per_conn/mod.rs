//! The thread-per-connection driver: blocking reads, blocking writes.
//!
//! Owns accepting, the list of connections, the sleep in which peers are watched from which no
//! thread reads, the end of readers that are too slow, the end of wake-ups that a handler puts off
//! for too long, and the shutdown. Leaves reading to `reader`, writing to `connection` and `writer`,
//! what a watch tells a connection to `watch`, and the number of threads to `permits`.
//!
//! A server serves no more connections than it may have threads; further connections wait in the
//! system's backlog. So held requests can exhaust the threads. This is the known weakness of a
//! thread pool, and it is here on purpose, to be measured.

mod connection;
mod end;
mod reader;
mod watch;
mod watched;
mod writer;

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};
use slab::Slab;

use super::Config;
use super::clock::CachedClock;
use super::listen::{Listener, Listening, accept, exhausted};
use super::overflows::Overflows;
use super::permits::{Permit, Permits};
use super::sleep::sleep;
use super::stop::Stop;
use super::tls::Acceptor;
use super::wakes::{Batch, Wakes};
use crate::proto::CloseReason;
use crate::session::{Context, Handler, Peer, RemoteSource, Stats, Surroundings};
use connection::SharedConnection;
use watch::Report;

/// How often a shutdown looks at its connections. A connection's threads do not look at the clock
/// for it, and its lock may be taken.
const SHUTDOWN_LOOK: Duration = Duration::from_millis(20);
/// How long threads may take to end after their connections were cut. Threads that are still in a
/// handler then are left behind.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// How often the server's thread tries again to tell a connection of its peer, while a thread holds
/// the connection's lock, and looks at a slow reader that takes its last word.
const BUSY_LOOK: Duration = Duration::from_millis(20);

/// How long a handler that goes on working may put off the wake-ups of writers to which it has
/// posted. It is a fraction of the time in which the readers get 16 messages one by one.
const PUT_OFF_MAX: Duration = Duration::from_millis(1);

/// The data that all connections of the driver share.
struct Shared {
    /// The registry that watches connections while no thread reads from them.
    registry: Registry,
    config: Arc<Config>,
    /// `None` if the server does not speak TLS.
    acceptor: Option<Acceptor>,
    stats: Arc<Stats>,
    app: Arc<dyn Handler>,
    stop: Arc<Stop>,
    overflows: Arc<Overflows>,
    wakes: Arc<Wakes>,
    permits: Arc<Permits>,
    connections: Mutex<Slab<Arc<SharedConnection>>>,
}

impl Shared {
    fn context<'a>(&'a self, clock: &'a CachedClock, remote: &'a dyn RemoteSource) -> Context<'a> {
        let surroundings = Surroundings { now: clock.now(), settings: &self.config.settings, stats: &self.stats, remote };
        Context { app: &*self.app, surroundings }
    }

    fn connections(&self) -> MutexGuard<'_, Slab<Arc<SharedConnection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread. The thread holds the permit as long as it runs.
    fn spawn(&self, permit: Permit, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let run = move || {
            let _permit = permit;
            run();
        };
        thread::Builder::new().stack_size(self.config.stack_bytes).spawn(run).map(drop)
    }
}

/// Serves until the server is stopped.
pub(crate) fn run(listening: Listening, app: Arc<dyn Handler>) -> io::Result<()> {
    let Listening { poll, listener, acceptor, config, stats, stop } = listening;
    log::info!(
        "at most {} threads (`max_threads`): one for each connection, and a second one for each of at most {} streams and WebSockets",
        config.max_threads,
        config.max_pushed_connections()
    );
    let permits = Permits::new(config.max_threads, Arc::clone(&stats), Arc::clone(&stop));
    let shared = Arc::new(Shared {
        registry: poll.registry().try_clone()?,
        config: Arc::new(config),
        acceptor,
        stats,
        app,
        stop: Arc::clone(&stop),
        overflows: Arc::new(Overflows::new(Arc::clone(&stop))),
        wakes: Arc::new(Wakes::new(Arc::clone(&stop))),
        permits,
        connections: Mutex::default(),
    });
    let mut watch = Watch {
        poll,
        events: Events::with_capacity(64),
        shared: Arc::clone(&shared),
        reports: Vec::new(),
        slow: Vec::new(),
        batches: Vec::new(),
        clock: CachedClock::new(),
    };
    let mut sleep = |timeout| watch.sleep(timeout);
    let mut accepting = Accepting { shared: &shared, listener, waiting: None, clock: CachedClock::new() };
    while !stop.is_asked() {
        // The listening socket is edge-triggered: all waiting connections must be accepted before
        // each sleep.
        match accepting.accept_all() {
            Ok(()) => sleep(None)?,
            Err(error) => {
                let until = Instant::now() + exhausted(&error, &shared.stats);
                // New connections wake this thread. The system still has no resources for them, so
                // the pause goes on.
                while !stop.is_asked() && Instant::now() < until {
                    sleep(Some(until.saturating_duration_since(Instant::now())))?;
                }
            }
        }
    }
    drop(accepting);
    shut_down(&shared, |timeout| sleep(Some(timeout)))
}

/// The sleep of the server's thread. These events wake it: a new connection, a permit that came
/// back, a request to stop, the end or the input of a peer from which no thread reads, a mailbox
/// that has overflowed, and a batch of wake-ups that has begun.
struct Watch {
    poll: Poll,
    events: Events,
    shared: Arc<Shared>,
    /// What connections must be told of their peers. The lock of some was taken.
    reports: Vec<(Arc<SharedConnection>, Report)>,
    /// Connections of readers that are too slow, and whether their end has begun.
    slow: Vec<(Arc<SharedConnection>, bool)>,
    /// Batches of wake-ups, and when each must be over.
    batches: Vec<(Arc<Batch>, Instant)>,
    clock: CachedClock,
}

impl Watch {
    fn sleep(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let most = (!self.reports.is_empty() || !self.slow.is_empty()).then_some(BUSY_LOOK);
        let batches = (!self.batches.is_empty()).then_some(PUT_OFF_MAX);
        sleep(&mut self.poll, &mut self.events, [timeout, most, batches].into_iter().flatten().min())?;
        // Only this thread gives out slots, and it gave out none since the system reported these
        // events. So each slot still belongs to the same connection, or to none.
        let connections = self.shared.connections();
        for event in &self.events {
            let Token(slot) = event.token();
            self.reports.extend(connections.get(slot).map(|connection| (Arc::clone(connection), Report::from(event))));
        }
        let overflowed = self.shared.overflows.take();
        self.slow.extend(overflowed.iter().filter_map(|slot| Some((Arc::clone(connections.get(*slot as usize)?), false))));
        drop(connections);
        let Self { reports, clock, .. } = self;
        reports.retain(|(connection, report)| !connection.try_report(*report, clock));
        self.end_late_batches();
        let Self { slow, clock, .. } = self;
        if !slow.is_empty() {
            clock.read();
            slow.retain_mut(|(connection, has_begun)| !connection.try_end_slow(has_begun, clock));
        }
        Ok(())
    }
}

impl Watch {
    /// Ends the batches of threads whose handlers take long, and forgets those that are over.
    fn end_late_batches(&mut self) {
        let begun = self.shared.wakes.take_begun();
        if begun.is_empty() && self.batches.is_empty() {
            return;
        }
        let now = Instant::now();
        self.batches.retain(|(batch, until)| {
            if *until <= now {
                batch.end();
            }
            !batch.is_over()
        });
        self.batches.extend(begun.into_iter().filter(|batch| !batch.is_over()).map(|batch| (batch, now + PUT_OFF_MAX)));
    }
}

struct Accepting<'a> {
    shared: &'a Arc<Shared>,
    listener: Listener,
    /// A connection that was accepted when there was no room for it.
    waiting: Option<(mio::net::TcpStream, Peer)>,
    clock: CachedClock,
}

impl Accepting<'_> {
    /// Accepts until no connection waits or there is no room.
    fn accept_all(&mut self) -> io::Result<()> {
        while !self.shared.stop.is_asked() {
            let next = if self.waiting.is_some() { self.waiting.take() } else { accept(&self.listener)? };
            let Some((socket, peer)) = next else { return Ok(()) };
            let has_room = || self.shared.connections().len() < self.shared.config.max_connections;
            let Some(permit) = self.shared.permits.take_or_be_woken(has_room) else {
                self.waiting = Some((socket, peer));
                return Ok(());
            };
            self.start(permit, socket.into(), peer)?;
        }
        Ok(())
    }

    /// Starts the thread of a connection.
    fn start(&mut self, permit: Permit, socket: TcpStream, peer: Peer) -> io::Result<()> {
        // Some systems let an accepted socket inherit this from the listening socket.
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(self.shared.config.settings.limits.write_timeout))?;
        self.clock.read();
        let connection = {
            let mut connections = self.shared.connections();
            let entry = connections.vacant_entry();
            let connection = SharedConnection::new(socket, peer, entry.key() as u32, self.shared, &self.clock);
            let connection = Arc::clone(entry.insert(Arc::new(connection)));
            if connections.len() == self.shared.config.max_connections {
                self.shared.stats.accept_pauses.add(1);
            }
            connection
        };
        let (of_thread, has_last_permit) = (Arc::clone(&connection), permit.is_last);
        let started = self.shared.spawn(permit, move || reader::run(&of_thread, has_last_permit));
        started.inspect_err(|_| connection.close(CloseReason::Transport, &self.clock))
    }
}

/// Ends every connection in the way of its session. Cuts those that are left after the grace time.
fn shut_down(shared: &Shared, mut sleep: impl FnMut(Duration) -> io::Result<()>) -> io::Result<()> {
    log::info!("shutting down: {} connections", shared.connections().len());
    let mut clock = CachedClock::new();
    let end = clock.now().instant() + shared.config.shutdown_grace;
    let mut cut_since = None;
    loop {
        let now = clock.read().instant();
        // The list is copied, so that connections can end and leave the list while the others are
        // told of the shutdown.
        let left: Vec<_> = shared.connections().iter().map(|(_, connection)| Arc::clone(connection)).collect();
        let threads = shared.permits.taken();
        if left.is_empty() && threads == 0 {
            return Ok(());
        }
        let is_over = end <= now || shared.stop.is_now();
        if is_over && *cut_since.get_or_insert(now) + CUT_GRACE <= now {
            shared.stats.cut.add(left.len() as u64);
            log::warn!("the server stops although {threads} threads have not ended {CUT_GRACE:?} after their connections were cut");
            return Ok(());
        }
        for connection in &left {
            if is_over { connection.cut_off() } else { connection.try_shut_down(&clock) }
        }
        drop(left);
        sleep(SHUTDOWN_LOOK)?;
    }
}
