//! The registration of a blocking socket with the server's thread.
//!
//! Owns what each system needs for it. Leaves the reasons for a watch to `watch`.

use std::io;
use std::net::TcpStream;

use mio::{Interest, Registry, Token};

/// A socket that the system watches. [`end`](Self::end) must be called: the system watches the open
/// socket, which the connection keeps open.
pub(super) struct Watched(platform::Source);

impl Watched {
    pub(super) fn begin(socket: &TcpStream, registry: &Registry, token: Token) -> io::Result<Self> {
        platform::register(socket, registry, token, Interest::READABLE).map(Self)
    }

    pub(super) fn end(self, registry: &Registry) {
        // An error means that the system has ended the watch.
        let _ = platform::deregister(self.0, registry);
    }
}

/// Unix watches the descriptor that the connection has.
#[cfg(unix)]
mod platform {
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::{AsRawFd, RawFd};

    use mio::event::Source as _;
    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};

    pub(super) type Source = RawFd;

    pub(super) fn register(socket: &TcpStream, registry: &Registry, token: Token, interest: Interest) -> io::Result<Source> {
        let descriptor = socket.as_raw_fd();
        SourceFd(&descriptor).register(registry, token, interest)?;
        Ok(descriptor)
    }

    pub(super) fn deregister(descriptor: Source, registry: &Registry) -> io::Result<()> {
        SourceFd(&descriptor).deregister(registry)
    }
}

/// Elsewhere, mio watches only sockets of its own, which are second descriptors.
#[cfg(not(unix))]
mod platform {
    use std::io;
    use std::net::TcpStream;

    use mio::{Interest, Registry, Token};

    pub(super) type Source = mio::net::TcpStream;

    pub(super) fn register(socket: &TcpStream, registry: &Registry, token: Token, interest: Interest) -> io::Result<Source> {
        let mut socket = mio::net::TcpStream::from_std(socket.try_clone()?);
        registry.register(&mut socket, token, interest)?;
        Ok(socket)
    }

    pub(super) fn deregister(mut socket: Source, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut socket)
    }
}
