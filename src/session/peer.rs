//! The canonical form of a peer's address.
//!
//! Owns the rule for IPv4-mapped addresses. Leaves sockets to the drivers.

use std::net::{IpAddr, SocketAddr};

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
    use super::canonical;

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
