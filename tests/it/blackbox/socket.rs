//! A client's socket, plain or with TLS above it, with the calls of a TCP socket.
//!
//! A test decides for a whole lab. So the bodies of the plain server's tests run over TLS, too.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

#[cfg(feature = "tls")]
use super::tls::client::TlsClient;
#[cfg(not(feature = "tls"))]
use never::TlsClient;

/// A socket of a client.
pub struct Socket {
    pub tcp: TcpStream,
    tls: Option<TlsClient>,
}

impl Socket {
    /// With TLS if the lab at the other end speaks it.
    pub fn around(tcp: TcpStream) -> Self {
        let tls = tcp.peer_addr().ok().and_then(TlsClient::of);
        Self { tcp, tls }
    }

    /// Without TLS, whatever the other end speaks.
    #[cfg(unix)]
    pub const fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { tcp: self.tcp.try_clone()?, tls: self.tls.clone() })
    }

    pub const fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Agrees on TLS now, and not with the first write.
    pub fn shake_hands(&self) -> io::Result<()> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.shake_hands(&self.tcp))
    }

    /// Waits for input, and takes none of it.
    pub fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.peek(bytes),
            Some(tls) => tls.peek(&self.tcp, bytes),
        }
    }

    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            tls.close(&self.tcp)?;
        }
        self.tcp.shutdown(how)
    }

    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.tcp.set_nonblocking(nonblocking)
    }

    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.tcp.set_nodelay(nodelay)
    }

    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.tcp.set_read_timeout(timeout)
    }

    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.tcp.set_write_timeout(timeout)
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.read(bytes),
            Some(tls) => tls.read(&self.tcp, bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.write(bytes),
            Some(tls) => tls.write(&self.tcp, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In a build without TLS.
#[cfg(not(feature = "tls"))]
mod never {
    use super::{SocketAddr, TcpStream, io};

    #[derive(Clone)]
    pub enum TlsClient {}

    impl TlsClient {
        pub fn of(_: SocketAddr) -> Option<Self> {
            None
        }

        pub fn shake_hands(&self, _: &TcpStream) -> io::Result<()> {
            match *self {}
        }

        pub fn peek(&self, _: &TcpStream, _: &mut [u8]) -> io::Result<usize> {
            match *self {}
        }

        pub fn close(&self, _: &TcpStream) -> io::Result<()> {
            match *self {}
        }

        pub fn read(&self, _: &TcpStream, _: &mut [u8]) -> io::Result<usize> {
            match *self {}
        }

        pub fn write(&self, _: &TcpStream, _: &[u8]) -> io::Result<usize> {
            match *self {}
        }
    }
}
