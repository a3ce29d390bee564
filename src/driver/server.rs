//! The server: an address, a configuration, a handler, and the choice of the IO model.
//!
//! Owns the public API of a server, and the choice between the drivers. Leaves the listening socket
//! to `listen`, and serving to the drivers.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;

use super::listen::{self, Listener, Listening};
use super::{Config, Stopper, event_loop, thread_per_conn};
use crate::proto::ProtocolLimits;
use crate::session::{Handler, Stats, canonical};

/// How connections use the system.
///
/// ```
/// use pushlab::IoModel;
/// assert_eq!("threads".parse(), Ok(IoModel::ThreadPerConnection));
/// assert_eq!(IoModel::ALL.map(|model| model.to_string()), ["event-loop", "threads"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoModel {
    /// One thread with non-blocking sockets. The system tells which of them are ready (epoll,
    /// kqueue).
    EventLoop,
    /// One thread for each connection, which blocks in reads. A connection gets a second thread
    /// when messages can be pushed to it. A held request needs none.
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
    listening: Listening,
    local_addr: SocketAddr,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on an address. With port 0, the system chooses the port, and
    /// [`local_addr`](Self::local_addr) returns it. Clients can connect from now on; they wait
    /// until the server runs.
    ///
    /// # Errors
    /// When the address is in use, does not belong to this machine, or is not permitted. The
    /// message names the address.
    pub fn bind(address: impl ToSocketAddrs, config: Config) -> io::Result<Self> {
        let listener = listen::bind(address)?;
        let local_addr = canonical(listener.local_addr()?);
        Self::on(Listener::Tcp(listener), local_addr, config)
    }

    /// Serves on a socket that already listens. Use this for a socket that a supervisor hands over,
    /// or for options that the standard library cannot set. Two options are useful on a real
    /// network, and `socket2` sets both:
    ///
    /// - A backlog above the 128 connections of [`bind`](Self::bind). When many clients connect at
    ///   once, connections above the backlog wait for a second or longer.
    /// - On Linux, `TCP_USER_TIMEOUT`, which accepted connections inherit. It ends a quiet stream
    ///   whose client vanished without closing its connection as soon as a heartbeat was not
    ///   acknowledged for that time. Without it, this takes a quarter of an hour (tcp(7)).
    ///
    /// ```no_run
    /// use socket2::{Domain, Socket, Type};
    /// # use pushlab::{Config, Server};
    /// let (address, config) = (std::net::SocketAddr::from(([0, 0, 0, 0], 8080)), Config::default());
    /// let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    /// socket.set_reuse_address(true)?;
    /// # #[cfg(target_os = "linux")]
    /// socket.set_tcp_user_timeout(config.settings.limits.heartbeat)?;
    /// socket.bind(&address.into())?;
    /// socket.listen(4096)?;
    /// let server = Server::from_listener(socket.into(), config)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the socket does not accept the options that a driver needs.
    pub fn from_listener(listener: TcpListener, config: Config) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let local_addr = canonical(listener.local_addr()?);
        Self::on(Listener::Tcp(listen::prepare(mio::net::TcpListener::from_std(listener))?), local_addr, config)
    }

    /// Serves on a Unix domain socket that already listens, for a proxy or another process of the
    /// same machine. The permissions of the socket's file decide which processes may connect.
    /// [`Request::peer`](crate::Request::peer) is [`Peer::Unix`](crate::Peer::Unix).
    ///
    /// The caller creates the file and removes it: a file that is left from an earlier run must be
    /// removed before it can be bound again.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::{UnixListener, UnixStream};
    /// use pushlab::{Config, IoModel, Reply, Request, Response, Server};
    /// let path = std::env::temp_dir().join(format!("pushlab-doc-{}.sock", std::process::id()));
    /// let server = Server::from_unix_listener(UnixListener::bind(&path)?, Config::default())?;
    /// let stopper = server.stopper();
    /// let running = std::thread::spawn(move || {
    ///     server.run(IoModel::EventLoop, |request: &Request<'_>, reply: Reply<'_>| {
    ///         reply.send(Response::text(request.peer().to_string()));
    ///     })
    /// });
    /// let (mut client, mut answer) = (UnixStream::connect(&path)?, String::new());
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.ends_with("\r\n\r\na Unix socket"));
    /// stopper.stop();
    /// running.join().unwrap()?;
    /// std::fs::remove_file(path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    #[cfg(unix)]
    pub fn from_unix_listener(listener: std::os::unix::net::UnixListener, config: Config) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        Self::on(Listener::Unix(mio::net::UnixListener::from_std(listener)), unspecified, config)
    }

    fn on(listener: Listener, local_addr: SocketAddr, mut config: Config) -> io::Result<Self> {
        config.settings.limits = config.settings.limits.clamped();
        config.shutdown_grace = config.shutdown_grace.min(ProtocolLimits::TIMEOUT_MAX);
        Ok(Self { listening: Listening::new(listener, config)?, local_addr })
    }

    /// The address on which the server listens, with its real port. `[::ffff:127.0.0.1]` is
    /// returned as `127.0.0.1`, which clients use. A Unix domain socket has no such address, and
    /// this is `0.0.0.0:0`.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The server's counters.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.listening.stats)
    }

    /// A handle that stops [`run`](Self::run) from any thread.
    pub fn stopper(&self) -> Stopper {
        Stopper::new(Arc::clone(&self.listening.stop))
    }

    /// Serves until a [`Stopper`] ends it. The calling thread runs the event loop, or accepts
    /// connections for the other threads.
    ///
    /// # Errors
    /// When the system cannot wait for events. Errors of a connection end only that connection.
    pub fn run(self, model: IoModel, handler: impl Handler) -> io::Result<()> {
        match model {
            IoModel::EventLoop => event_loop::run(self.listening, handler),
            IoModel::ThreadPerConnection => thread_per_conn::run(self.listening, Arc::new(handler)),
        }
    }
}
