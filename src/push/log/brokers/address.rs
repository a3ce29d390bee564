//! The address of a broker.
//!
//! Owns the parsing of `scheme://user:password@host:port/name` (RFC 3986, section 3), and the form
//! for sentences, which has no password. Leaves the meaning of the scheme to `shared_log`.

use std::fmt;

use crate::push::model::is_valid_name;

/// The port of STOMP over TCP (IANA has none; every broker uses this one).
const PORT: u16 = 61_613;

/// Why the address of a log is refused.
///
/// ```
/// use pushlab::push::{BadLogAddress, SharedLog};
/// let refused = |text: &str| text.parse::<SharedLog>().err();
/// assert_eq!(refused("redis://127.0.0.1/hub"), Some(BadLogAddress::Scheme));
/// assert_eq!(refused("stomp://127.0.0.1:70000/hub"), Some(BadLogAddress::Port));
/// assert_eq!(refused("stomp://127.0.0.1"), Some(BadLogAddress::Name));
/// assert_eq!(refused("stomp://127.0.0.1/hub"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadLogAddress {
    /// The address does not begin with `stomp://` or `stomp+stream://`.
    Scheme,
    /// A `%` in the user or the password is not followed by two hexadecimal digits, or they do not
    /// decode to UTF-8.
    Login,
    /// There is no host.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
    /// The name behind the host does not have 1 to 64 characters of letters, digits, `_`, `.` and
    /// `-`.
    Name,
}

impl fmt::Display for BadLogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the address of a log must begin with stomp:// or stomp+stream://",
            Self::Login => "the user and the password of a log may have `%` only before two hexadecimal digits",
            Self::Host => "the address of a log must name a host, as in stomp://127.0.0.1:61613/hub",
            Self::Port => "the port of a log must be a number from 1 to 65535",
            Self::Name => {
                "the address of a log must end with a name of 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`, \
                 as in stomp://127.0.0.1:61613/hub"
            }
        })
    }
}

impl std::error::Error for BadLogAddress {}

/// Where a broker listens, and as whom to log in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BrokerAddress {
    /// A name or an IP address. An IPv6 address has no brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    /// The name of the stream or topic.
    pub(super) name: String,
}

impl BrokerAddress {
    /// Splits an address into its scheme and the rest.
    pub(crate) fn parse(text: &str) -> Result<(&str, Self), BadLogAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(BadLogAddress::Scheme)?;
        let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
        // A password may have an unencoded `@`. The last one ends the login.
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(BadLogAddress::Port)?)),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err(BadLogAddress::Host);
        }
        let port = port.map_or(Ok(PORT), |port| port.parse().ok().filter(|port| *port > 0).ok_or(BadLogAddress::Port))?;
        if !is_valid_name(name) {
            return Err(BadLogAddress::Name);
        }
        let address = Self { host: host.to_owned(), port, user: decode(user)?, password: decode(password)?, name: name.to_owned() };
        Ok((scheme, address))
    }

    /// The host and the port, for sentences.
    pub(super) fn place(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

fn decode(text: &str) -> Result<String, BadLogAddress> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let digits = digits.ok_or(BadLogAddress::Login)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| BadLogAddress::Login)?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| BadLogAddress::Login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> (String, u16, String, String, String) {
        let (_, address) = BrokerAddress::parse(text).expect("a valid address");
        let BrokerAddress { host, port, user, password, name } = address;
        (host, port, user, password, name)
    }

    #[test]
    fn addresses() {
        let all = |host: &str, port, user: &str, password: &str, name: &str| {
            (host.to_owned(), port, user.to_owned(), password.to_owned(), name.to_owned())
        };
        assert_eq!(parsed("stomp://a/b"), all("a", 61_613, "", "", "b"));
        assert_eq!(parsed("stomp://u@a:1/b"), all("a", 1, "u", "", "b"));
        assert_eq!(parsed("stomp://u:p:q@r@[::1]:65535/b.c"), all("::1", 65_535, "u", "p:q@r", "b.c"));
        assert_eq!(parsed("stomp://%75%C3%A9:%3a%40@[::1]/b"), all("::1", 61_613, "u\u{e9}", ":@", "b"));
    }

    #[test]
    fn bad_addresses() {
        for (text, error) in [
            ("", BadLogAddress::Scheme),
            ("a/b", BadLogAddress::Scheme),
            ("stomp:///b", BadLogAddress::Host),
            ("stomp://u@/b", BadLogAddress::Host),
            ("stomp://a:/b", BadLogAddress::Port),
            ("stomp://a:0/b", BadLogAddress::Port),
            ("stomp://a:65536/b", BadLogAddress::Port),
            ("stomp://[::1]1/b", BadLogAddress::Port),
            ("stomp://a", BadLogAddress::Name),
            ("stomp://a/", BadLogAddress::Name),
            ("stomp://a/b/c", BadLogAddress::Name),
            ("stomp://%@a/b", BadLogAddress::Login),
            ("stomp://%4@a/b", BadLogAddress::Login),
            ("stomp://%+4@a/b", BadLogAddress::Login),
            ("stomp://%ff@a/b", BadLogAddress::Login),
            ("stomp://%\u{e9}\u{e9}@a/b", BadLogAddress::Login),
        ] {
            assert_eq!(BrokerAddress::parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn a_sentence_has_no_password() {
        let (_, address) = BrokerAddress::parse("stomp://u:secret@[::1]/b").expect("a valid address");
        assert_eq!(address.place(), "[::1]:61613");
    }
}
