//! The listening socket.
//!
//! Owns its creation, its options, and the meaning of failures of accepting. Leaves the decision
//! when to accept to the drivers, which differ there.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll, Registry, Token};

use super::Config;
use super::stop::Stop;
use super::sync::Waker;
use super::tls::Acceptor;
use crate::session::{Peer, Stats};

/// The token of the listening socket's events.
pub(super) const LISTENER: Token = Token(usize::MAX);
/// The token of events by which another thread wakes the server's thread.
pub(super) const WAKER: Token = Token(usize::MAX - 1);

/// The pause after the system could not accept because it had too few descriptors, threads or
/// memory. Only the end of another connection or process helps, and accepting again at once would
/// be a busy loop.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A socket that listens, with everything that a driver needs to serve it.
pub(crate) struct Listening {
    pub(super) poll: Poll,
    pub(super) listener: Listener,
    /// `None` if the server does not speak TLS.
    pub(super) acceptor: Option<Acceptor>,
    pub(super) config: Config,
    pub(super) stats: Arc<Stats>,
    pub(super) stop: Arc<Stop>,
}

impl Listening {
    pub(super) fn new(mut listener: Listener, config: Config) -> io::Result<Self> {
        let acceptor = Acceptor::of(&config)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Arc::new(Stop::new(Waker::new(poll.registry(), WAKER)?));
        Ok(Self { poll, listener, acceptor, config, stats: Arc::default(), stop })
    }
}

/// A listening socket of either kind.
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(socket, address)| (socket, address.into())),
            #[cfg(unix)]
            Self::Unix(listener) => listener.accept().map(|(socket, _)| (as_stream(socket), Peer::Unix)),
        }
    }
}

/// A connected Unix socket in the type of a TCP socket. For the system, both are stream sockets,
/// and reads, writes, shutdowns and time-outs are the same calls. So the drivers have one type, and
/// no call asks which kind a socket is.
#[cfg(unix)]
fn as_stream(socket: mio::net::UnixStream) -> TcpStream {
    TcpStream::from(std::os::fd::OwnedFd::from(socket))
}

impl Source for Listener {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.register(registry, token, interests),
            #[cfg(unix)]
            Self::Unix(listener) => listener.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.reregister(registry, token, interests),
            #[cfg(unix)]
            Self::Unix(listener) => listener.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.deregister(registry),
            #[cfg(unix)]
            Self::Unix(listener) => listener.deregister(registry),
        }
    }
}

/// Listens on the first of the addresses that is available.
///
/// # Errors
/// The system's error for the last address, with the address in the message.
pub(super) fn bind(addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut last_error = io::Error::new(ErrorKind::InvalidInput, "the name has no address to listen on");
    for address in addresses.to_socket_addrs()? {
        match TcpListener::bind(address).and_then(prepare) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = explain(&error, address),
        }
    }
    Err(last_error)
}

/// Accepts the next connection. Returns `None` if no connection waits. A connection that ended
/// before it was accepted is skipped.
///
/// # Errors
/// When the system has no resources for one more connection.
pub(crate) fn accept(listener: &Listener) -> io::Result<Option<(TcpStream, Peer)>> {
    loop {
        match listener.accept() {
            Ok(accepted) => return Ok(Some(accepted)),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return Ok(None),
                ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
}

/// Counts a failure to accept, and returns for how long to pause.
pub(crate) fn exhausted(error: &io::Error, stats: &Stats) -> Duration {
    if let Some(count) = stats.accept_errors.add_and_report() {
        log::warn!("cannot accept a connection, and tries again in {ACCEPT_REST:?}: {error} (failure {count})");
    }
    ACCEPT_REST
}

fn explain(error: &io::Error, address: SocketAddr) -> io::Error {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => ": another program listens there; give another port, or 0 for any free one",
        ErrorKind::PermissionDenied => ": ports below 1024 need privileges",
        ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{hint}"))
}

/// Turns off Nagle's algorithm on the listening socket. On Linux, accepted sockets inherit the
/// option, which saves one system call for each. Sessions gather their output, so it gains nothing
/// if the kernel waits for more.
#[cfg(unix)]
pub(super) fn prepare(listener: TcpListener) -> io::Result<TcpListener> {
    use std::os::fd::OwnedFd;
    // The standard library offers the option for streams only. For the system, both are sockets.
    let socket = std::net::TcpStream::from(OwnedFd::from(listener));
    socket.set_nodelay(true)?;
    Ok(TcpListener::from(OwnedFd::from(socket)))
}

/// On these systems, the standard library cannot set the option on a listening socket.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "on other systems this can fail")]
pub(super) fn prepare(listener: TcpListener) -> io::Result<TcpListener> {
    Ok(listener)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn accepted_sockets_inherit_nodelay() {
        let listener = super::bind("127.0.0.1:0").expect("a port is free");
        let _client = std::net::TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let listener = super::Listener::Tcp(listener);
        // A loaded system may complete the handshake after the client's side has returned.
        let (accepted, _) = loop {
            match super::accept(&listener).expect("nothing lacks") {
                Some(accepted) => break accepted,
                None => std::thread::yield_now(),
            }
        };
        assert!(accepted.nodelay().expect("it is a TCP socket"));
    }
}
