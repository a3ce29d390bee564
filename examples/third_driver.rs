//! A third IO model, made of public items alone: a pool of threads behind a bounded accept queue,
//! as Tomcat's blocking connector has them. Try: `curl -i http://127.0.0.1:8080/hello`, and
//! `/topics`.
//!
//! A connection keeps its thread from its first byte to its last. Further connections wait in the
//! queue, and then in the system's backlog. No message can wake a thread that blocks in a read. So
//! once a connection has given out a handle, its reads end every 20 ms: a message is as late.

#[path = "common/small.rs"]
mod small;

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pushlab::driver::drive::{Done, Driven, Input, Rest, Side, Transport, drive};
use pushlab::proto::{Now, Outbox};
use pushlab::push::{Hub, HubConfig, Mounted};
use pushlab::session::{Address, Command, Context, Delivery, Io, Need, Next, Post, Ready, RemoteSource, Sent, Session, Surroundings};
use pushlab::{Handler, Reply, Request, Response, Settings, Stats};

const THREADS: usize = 200; // Tomcat's `maxThreads`
const ACCEPT_QUEUE: usize = 100; // Tomcat's `acceptCount`
const POSTS_MAX: usize = 1_000; // that wait for one connection; one more ends it
/// How long a read waits at most while another thread may post a message.
const LOOK: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let what = "A pool of 200 threads, each of which blocks in one connection: hello at /hello, and a hub at /topics.";
    small::run(&small::Program { what, takes_io: false }, |address, _| {
        let hub = Hub::new(HubConfig::default());
        let app = move |request: &Request<'_>, reply: Reply<'_>| match hub.handle(request, reply) {
            Mounted::Handled => {}
            Mounted::NotMine(reply) if request.path() == "/hello" => reply.send(Response::text("hello\n")),
            Mounted::NotMine(reply) => reply.send(Response::status(404)),
        };
        let listener = TcpListener::bind(address).map_err(|error| io::Error::other(format!("cannot listen on {address}: {error}")))?;
        small::say(&format!("listening on http://{}/hello", listener.local_addr()?))?;
        serve(&listener, THREADS, Pool { settings: Settings::default(), stats: Stats::default(), app: Box::new(app) })
    })
}

/// What all connections share.
pub(crate) struct Pool {
    pub(crate) settings: Settings,
    pub(crate) stats: Stats,
    pub(crate) app: Box<dyn Handler>,
}

/// Accepts connections for the threads of the pool, until the listening socket fails.
pub(crate) fn serve(listener: &TcpListener, threads: usize, pool: Pool) -> io::Result<()> {
    let (queue, accepted) = sync_channel(ACCEPT_QUEUE);
    let shared = Arc::new((pool, Mutex::new(accepted)));
    for _ in 0..threads {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let next = || shared.1.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(socket) = next() {
                // An error means that the client left before its first byte was read.
                let _ = serve_one(&shared.0, &socket);
            }
        });
    }
    // A full queue blocks this thread. Then the system's backlog fills.
    listener.incoming().try_for_each(|socket| queue.send(socket?).map_err(|_| ErrorKind::BrokenPipe.into()))
}

/// Serves one connection until it is over.
fn serve_one(pool: &Pool, socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(pool.settings.limits.write_timeout))?;
    let (queue, posted) = sync_channel(POSTS_MAX);
    let remote = Remote { poster: Arc::new(Poster { queue, refused: AtomicU64::new(0) }), issued: Cell::new(0) };
    let now = Now::new(Instant::now(), SystemTime::now());
    let driven = Driven::new(Session::new(socket.peer_addr()?, &pool.context(&now, &remote)));
    let mut connection = Connection { pool, posted, remote, now, driven, out: Outbox::new(), buffer: vec![0; 16 * 1024] };
    let reason = loop {
        match drive(&mut connection, &mut Socket(socket)) {
            Rest::Close(reason) => break reason,
            // The client has sent more than is read before its request is answered.
            Rest::Wait(_) | Rest::Again => thread::sleep(LOOK),
        }
    };
    let Connection { remote, now, mut driven, .. } = connection;
    driven.session.close(reason, &pool.context(&now, &remote));
    Ok(())
}

impl Pool {
    fn context<'a>(&'a self, now: &'a Now, remote: &'a Remote) -> Context<'a> {
        Context { app: &*self.app, surroundings: Surroundings { now, settings: &self.settings, stats: &self.stats, remote } }
    }
}

/// One connection, which one thread owns.
struct Connection<'a> {
    pool: &'a Pool,
    posted: Receiver<(u64, Command)>,
    remote: Remote,
    now: Now,
    driven: Driven,
    out: Outbox,
    buffer: Vec<u8>,
}

impl Side for Connection<'_> {
    fn step(&mut self, done: Done, need: impl Fn() -> Need) -> Option<Next> {
        if self.now.set_instant(Instant::now()) {
            self.now.set_system(SystemTime::now());
        }
        let Self { pool, posted, remote, now, driven, out, buffer } = self;
        let cx = pool.context(now, remote);
        driven.report(done, buffer, out, &cx);
        for (serial, command) in posted.try_iter() {
            driven.deliver(serial, Delivery::Command(command), out, &cx);
        }
        driven.deliver(remote.poster.refused.swap(0, Relaxed), Delivery::Refused, out, &cx);
        while driven.resume(out, &cx) {}
        driven.keep_time(out, &cx);
        Some(driven.session.next(Io { need: need(), ..Io::BLOCKING }, out, &cx))
    }

    fn room(&mut self, most: usize) -> &mut [u8] {
        let len = most.min(self.buffer.len());
        &mut self.buffer[..len]
    }

    fn patience(&self) -> Option<Duration> {
        let deadline = self.driven.session.read_deadline().map(|deadline| deadline.saturating_duration_since(self.now.instant()));
        let look = self.driven.session.serial().map(|_| LOOK);
        deadline.into_iter().chain(look).min()
    }

    fn output(&mut self) -> &mut Outbox {
        &mut self.out
    }
}

/// A blocking socket.
struct Socket<'a>(&'a TcpStream);

impl Transport for Socket<'_> {
    fn read(&mut self, room: &mut [u8], patience: Option<Duration>) -> io::Result<Input> {
        self.0.set_read_timeout(patience.map(|time| time.max(Duration::from_millis(1))))?;
        let at_end = |error: io::Error| if error.kind() == ErrorKind::TimedOut { ErrorKind::WouldBlock.into() } else { error };
        Ok(match self.0.read(room).map_err(at_end)? {
            0 => Input::End,
            len => Input::Bytes(len, if len == room.len() { Ready::Perhaps } else { Ready::No }),
        })
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        let pieces: Vec<_> = out.chunks().take(64).map(IoSlice::new).collect();
        let at_end = |error: io::Error| if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error };
        let len = self.0.write_vectored(&pieces).map_err(at_end)?;
        out.advance(len);
        Ok((len, Ready::Perhaps))
    }

    fn end_sending(&mut self, _: Sent) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

/// Takes what other threads post to one connection. Posts to a connection that is over go nowhere.
struct Poster {
    queue: SyncSender<(u64, Command)>,
    /// The serial of a post that did not fit, because the thread is busy with a slow client.
    refused: AtomicU64,
}

impl Post for Poster {
    fn post(&self, Address { serial, .. }: Address, command: Command) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send((serial, command)) {
            self.refused.store(serial, Relaxed);
        }
    }
}

struct Remote {
    poster: Arc<Poster>,
    issued: Cell<u64>,
}

impl RemoteSource for Remote {
    fn post(&self) -> Arc<dyn Post> {
        Arc::clone(&self.poster) as Arc<dyn Post>
    }

    fn slot(&self) -> u32 {
        0
    }

    fn issue_serial(&self) -> u64 {
        self.issued.replace(self.issued.get() + 1) + 1
    }
}
