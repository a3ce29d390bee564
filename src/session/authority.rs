//! Hosts and ports, and whether two of them name the same server.
//!
//! Owns `host[:port]` (RFC 3986, section 3.2) as `Host`, `Origin` and the server's lists write it,
//! and the list of hosts that a server answers for. Leaves schemes and pages to `origin`.

use std::net::IpAddr;

use crate::proto::http1::Scheme;

/// `host[:port]`, split into its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Returns `None` unless the host is a name, an IPv4 address, or an IPv6 address in brackets.
    /// The port is optional.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // Colons inside the brackets of an IPv6 address belong to the host.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (text, ""),
        };
        let port = match port {
            // `host:` is `host` (RFC 3986, section 3.2.3).
            "" => None,
            _ if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            _ => return None,
        };
        (is_name(host) || ipv6(host).is_some()).then_some(Self { host, port })
    }

    /// Whether both have the same host; ports do not matter. Names are compared without regard to
    /// case, and IPv6 addresses by value.
    pub(super) fn has_host_of(self, other: Self) -> bool {
        self.host.eq_ignore_ascii_case(other.host) || ipv6(self.host).is_some_and(|address| ipv6(other.host) == Some(address))
    }
}

/// `reg-name` or an IPv4 address (RFC 3986, section 3.2.2).
fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte))
}

/// Parses an IPv6 address in brackets.
fn ipv6(host: &str) -> Option<IpAddr> {
    let address = host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    matches!(address, IpAddr::V6(_)).then_some(address)
}

/// Whether the server answers requests for `host`, by the rule of
/// [`Settings::allow_hosts`](super::Settings::allow_hosts). `host` is the authority of an absolute
/// target, or else the value of `Host`. `scheme` is that of the connection. A trusted proxy can
/// forward both.
///
/// ```
/// use pushlab::proto::http1::Scheme::{Http, Https};
/// use pushlab::session::is_allowed_host;
/// let list = ["push.example".to_owned(), "[::1]:8080".to_owned()];
/// assert!(is_allowed_host(Some("PUSH.example:8080"), Http, &list));
/// assert!(!is_allowed_host(Some("[::1]:8081"), Https, &list));
/// assert!(!is_allowed_host(None, Http, &list));
/// assert!(is_allowed_host(None, Http, &[]));
/// ```
pub fn is_allowed_host(host: Option<&str>, scheme: Scheme, list: &[String]) -> bool {
    if list.is_empty() {
        return true;
    }
    let Some(host) = host.and_then(Authority::parse) else { return false };
    list.iter().filter_map(|entry| Authority::parse(entry)).any(|entry| {
        entry.has_host_of(host)
            && match (entry.port, host.port) {
                (None, _) => true,
                (Some(entry), Some(port)) => entry == port,
                // A proxy may have ended TLS before a connection that is not secured.
                (Some(entry), None) => {
                    entry == Scheme::Https.default_port() || scheme == Scheme::Http && entry == Scheme::Http.default_port()
                }
            }
    })
}

/// Whether `entry` can name a host in [`Settings::allow_hosts`](super::Settings::allow_hosts): a
/// name, an IPv4 address, or an IPv6 address in brackets, with or without a port. An entry that is
/// none of these matches no host.
///
/// ```
/// use pushlab::session::is_host_entry;
/// assert!(is_host_entry("push.example:8080") && is_host_entry("[::1]"));
/// assert!(!is_host_entry("*.example") && !is_host_entry("http://push.example"));
/// ```
pub fn is_host_entry(entry: &str) -> bool {
    // An asterisk is a valid byte of a name, but a person who writes one means a pattern.
    Authority::parse(entry).is_some() && !entry.contains('*')
}
