//! The address to listen on: `host:port`.
//!
//! Owns its syntax. Leaves to `bind` whether the host exists and belongs to this machine.

use std::str::FromStr;

#[allow(dead_code, reason = "where there are Unix sockets, some examples take a path, too")]
pub(crate) const EXPECTED: &str = "an address and a port, as in 127.0.0.1:8080";

pub(crate) struct Address(pub(crate) String);

impl Default for Address {
    fn default() -> Self {
        Self("127.0.0.1:8080".to_owned())
    }
}

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let is_bare_ipv6 = host.contains(':') && !host.ends_with(']');
        if host.is_empty() || is_bare_ipv6 || port.parse::<u16>().is_err() { Err(()) } else { Ok(Self(text.to_owned())) }
    }
}
