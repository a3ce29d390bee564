//! The listening socket.
//!
//! Owns its creation and its options. Refuses to accept: that is where the drivers differ.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use mio::net::TcpListener;

/// Listens on the first address that can be had.
///
/// # Errors
/// What the system says about the last address, with the address in the message.
pub(crate) fn listen(addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut last_error = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address to listen on");
    for address in addresses.to_socket_addrs()? {
        match TcpListener::bind(address).and_then(with_nodelay) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = explain(&error, address),
        }
    }
    Err(last_error)
}

fn explain(error: &io::Error, address: SocketAddr) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => ": another program listens there; give another port, or 0 for any free one",
        io::ErrorKind::PermissionDenied => ": ports below 1024 need privileges",
        io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{hint}"))
}

/// Turns off Nagle's algorithm on the listening socket: accepted sockets inherit that on Linux, which saves a system call each. Output is
/// corked by hand, so that nothing is gained by the kernel waiting for more.
#[cfg(unix)]
fn with_nodelay(listener: TcpListener) -> io::Result<TcpListener> {
    use std::os::fd::OwnedFd;
    // The standard library offers the option on streams only; on the system's side both are sockets.
    let socket = std::net::TcpStream::from(OwnedFd::from(listener));
    socket.set_nodelay(true)?;
    Ok(TcpListener::from(OwnedFd::from(socket)))
}

#[cfg(not(unix))]
fn with_nodelay(listener: TcpListener) -> io::Result<TcpListener> {
    Ok(listener)
}
