//! The other end of a connection, as handlers see it.
//!
//! Owns the public type, and the rule for IPv4-mapped addresses. Leaves sockets to the drivers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The other end of a connection, as the system names it. Behind a proxy, this is the proxy, and
/// [`Request::client_ip`](crate::Request::client_ip) is the client.
///
/// ```
/// use pushlab::Peer;
/// // A listener on an IPv6 address sees IPv4 clients under mapped addresses.
/// let peer = Peer::from("[::ffff:192.0.2.1]:4711".parse::<std::net::SocketAddr>()?);
/// assert_eq!((peer.to_string(), peer.ip()), ("192.0.2.1:4711".to_owned(), "192.0.2.1".parse().ok()));
/// assert_eq!((Peer::Unix.to_string(), Peer::Unix.ip()), ("a Unix socket".to_owned(), None));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A TCP connection, from this address. An IPv4 client of a listener on an IPv6 address has its
    /// IPv4 address here, and not `::ffff:192.0.2.1`.
    Tcp(SocketAddr),
    /// A Unix domain socket: a process of the same machine. Clients of such sockets have no name.
    Unix,
}

impl Peer {
    /// The IP address; `None` for a Unix domain socket.
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(canonical(address))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.pad("a Unix socket"),
        }
    }
}

/// A peer as its connection keeps it: in 16 bytes and not 32. Only the address of an IPv6 client needs
/// an allocation.
#[derive(Debug)]
pub(super) enum KeptPeer {
    V4([u8; 4], u16),
    V6(Box<SocketAddr>),
    Unix,
}

impl KeptPeer {
    #[inline]
    pub(super) const fn get(&self) -> Peer {
        match self {
            Self::V4([a, b, c, d], port) => Peer::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)), *port)),
            Self::V6(address) => Peer::Tcp(**address),
            Self::Unix => Peer::Unix,
        }
    }
}

impl From<Peer> for KeptPeer {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Tcp(address) => match address.ip() {
                IpAddr::V4(ip) => Self::V4(ip.octets(), address.port()),
                IpAddr::V6(_) => Self::V6(Box::new(address)),
            },
            Peer::Unix => Self::Unix,
        }
    }
}

/// Turns an IPv4-mapped address such as `::ffff:192.0.2.1` into its IPv4 address (RFC 4291, section
/// 2.5.5.2). A listener on an IPv6 address sees IPv4 clients under mapped addresses. Every other
/// address stays unchanged, its scope included.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{KeptPeer, Peer, canonical};

    #[test]
    fn a_peer_is_kept_as_it_is() {
        for address in ["192.0.2.1:4711", "[2001:db8::1]:1", "[fe80::1%7]:1"] {
            let peer = Peer::from(address.parse::<std::net::SocketAddr>().expect("an address"));
            assert_eq!(KeptPeer::from(peer).get(), peer);
        }
        assert_eq!(KeptPeer::from(Peer::Unix).get(), Peer::Unix);
        assert!(size_of::<KeptPeer>() <= 16);
    }

    #[test]
    fn ipv4_mapped_addresses_become_ipv4() {
        for (address, expected) in [
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[::ffff:c000:201]:4711", "192.0.2.1:4711"),
            ("192.0.2.1:1", "192.0.2.1:1"),
            ("[::1]:1", "[::1]:1"),
            ("[::]:1", "[::]:1"),
            // The deprecated IPv4-compatible form and the prefix of a translator are not IPv4
            // addresses.
            ("[::192.0.2.1]:1", "[::192.0.2.1]:1"),
            ("[64:ff9b::192.0.2.1]:1", "[64:ff9b::c000:201]:1"),
            ("[fe80::1%7]:1", "[fe80::1%7]:1"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(canonical(address), expected.parse().expect("an address"), "{address}");
        }
    }
}
