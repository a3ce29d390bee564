//! The server: an address, a configuration, a handler, and one word for the IO model.
//!
//! Owns binding, running and stopping. Refuses signals: the application turns whatever it likes into [`Stopper::stop`].

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use mio::net::TcpListener;
use mio::{Interest, Poll, Token, Waker};

use super::{Config, event_loop, listen, thread_per_conn};
use crate::session::{Handler, Stats};

pub(super) const LISTENER: Token = Token(usize::MAX);
pub(super) const WAKER: Token = Token(usize::MAX - 1);

/// How connections meet the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoModel {
    /// One thread, non-blocking sockets, readiness from the system (epoll, kqueue).
    EventLoop,
    /// A thread for each connection, in blocking reads; a second one once the connection can be pushed to.
    ThreadPerConnection,
}

impl IoModel {
    /// Both models, for programs that compare them.
    pub const ALL: [Self; 2] = [Self::EventLoop, Self::ThreadPerConnection];
}

impl fmt::Display for IoModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::EventLoop => "event-loop",
            Self::ThreadPerConnection => "threads",
        })
    }
}

impl FromStr for IoModel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "event-loop" => Ok(Self::EventLoop),
            "threads" => Ok(Self::ThreadPerConnection),
            _ => Err("the IO model must be event-loop or threads"),
        }
    }
}

/// A server that listens but does not serve yet.
///
/// ```
/// use pushlab::{Config, IoModel, Reply, Request, Response, Server};
/// let server = Server::bind("127.0.0.1:0", Config::default())?;
/// let (address, stopper) = (server.local_addr(), server.stopper());
/// let running = std::thread::spawn(move || {
///     server.run(IoModel::EventLoop, |_: &Request<'_>, reply: Reply<'_>| reply.send(Response::text("hello\n")))
/// });
/// assert_ne!(address.port(), 0);
/// stopper.stop();
/// running.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Server {
    pub(super) poll: Poll,
    pub(super) listener: TcpListener,
    pub(super) config: Config,
    pub(super) stats: Arc<Stats>,
    pub(super) stop: Arc<Stop>,
    local_addr: SocketAddr,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens. Port 0 lets the system choose; [`local_addr`](Self::local_addr) tells which. Clients can connect from now on, and wait.
    ///
    /// # Errors
    /// When the address is taken, not this machine's, or not allowed; the message names it.
    pub fn bind(address: impl ToSocketAddrs, mut config: Config) -> io::Result<Self> {
        config.settings.limits = config.settings.limits.with_times_clamped();
        let mut listener = listen::listen(address)?;
        let local_addr = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let stop = Arc::new(Stop { asked: AtomicBool::new(false), now: AtomicBool::new(false), waker });
        Ok(Self { poll, listener, config, stats: Arc::default(), stop, local_addr })
    }

    /// The address that the server listens on, with its real port.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The server's counters.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// A handle that ends [`run`](Self::run) from any thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Serves until a [`Stopper`] ends it, on the calling thread: the event loop itself, or the accepting of threads.
    ///
    /// # Errors
    /// When the system refuses to wait for events; errors of single connections end those alone.
    pub fn run(self, model: IoModel, handler: impl Handler) -> io::Result<()> {
        match model {
            IoModel::EventLoop => event_loop::run(self, handler),
            IoModel::ThreadPerConnection => thread_per_conn::run(self, Arc::new(handler)),
        }
    }
}

/// The shared wish to stop.
pub(super) struct Stop {
    asked: AtomicBool,
    now: AtomicBool,
    pub(super) waker: Arc<Waker>,
}

impl Stop {
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(SeqCst)
    }

    pub(super) fn is_now(&self) -> bool {
        self.now.load(SeqCst)
    }

    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the server's thread cannot be woken: {error}");
        }
    }
}

/// Ends a running server from any thread.
#[derive(Clone)]
pub struct Stopper(Arc<Stop>);

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("asked", &self.0.is_asked()).finish_non_exhaustive()
    }
}

impl Stopper {
    /// Shuts down gracefully: no more connections; requests on their way are answered; held ones get 503 with `Retry-After`, event streams
    /// `retry:`, `WebSockets` close code 1001; what is left after [`Config::shutdown_grace`] is cut.
    pub fn stop(&self) {
        self.0.asked.store(true, SeqCst);
        self.0.wake();
    }

    /// Cuts every connection at once.
    pub fn stop_now(&self) {
        self.0.now.store(true, SeqCst);
        self.stop();
    }
}

/// A browser keeps to the `retry` that it was told at every attempt: with 0 it would try hundreds of times a second while the server is away.
const COME_BACK_MIN_MS: u64 = 1_000;

/// When the client of a connection should come back after a shutdown: spread over the window by slot, each apart from its neighbours
/// (Fibonacci hashing, Knuth vol. 3, section 6.4).
pub(super) fn come_back_ms(slot: u32, config: &Config) -> u64 {
    let window = config.comeback_window.as_millis() as u64;
    COME_BACK_MIN_MS + ((u64::from(slot.wrapping_mul(0x9E37_79B9)) * window) >> 32)
}
