//! Which pages may open a WebSocket (RFC 6454; RFC 6455, section 10.2).
//!
//! Owns the comparison of an `Origin` with the server's own name or a list. Refuses to authenticate: only browsers tell the truth here, and
//! they do it to protect their users from other sites' pages.

/// The entry of a list that allows every origin.
const ANY: &str = "*";

/// Scheme, host and port of a page.
#[derive(Clone, Copy, Debug)]
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

/// Whether a request with this `Origin` and `Host` may open a WebSocket.
///
/// - No `Origin`: it is no browser's, and allowed. Other clients could send what they like.
/// - An empty list: the origin must name the same host and port as `Host`, over `http` or `https` (a proxy may have ended TLS).
/// - Otherwise: the origin must be one of the list, written `scheme://host[:port]`, or `null` as it is. `*` allows any.
///
/// Upper and lower case are the same, and so are a scheme's default port and none.
///
/// ```
/// use pushlab::proto::ws::origin;
/// assert!(origin::is_allowed(Some("http://example.com"), Some("example.com:80"), &[]));
/// assert!(!origin::is_allowed(Some("http://evil.example"), Some("example.com"), &[]));
/// ```
pub fn is_allowed(origin: Option<&str>, host: Option<&str>, list: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if list.is_empty() {
        return host.is_some_and(|host| is_same(origin, host));
    }
    list.iter().any(|entry| {
        entry == ANY
            || entry.eq_ignore_ascii_case(origin)
            || matches!((Origin::parse(entry), Origin::parse(origin)), (Some(entry), Some(origin)) if entry.equals(&origin))
    })
}

fn is_same(origin: &str, host: &str) -> bool {
    let Some(origin) = Origin::parse(origin) else { return false };
    if default_port(origin.scheme).is_none() {
        return false;
    }
    // `Host` has no scheme; a port that it leaves out is the default of the scheme with which the page was loaded.
    split_port(host).is_some_and(|(host, port)| Origin { host, port, ..origin }.equals(&origin))
}

impl<'a> Origin<'a> {
    /// `None` for `null`, for lists, and for anything else that is not `scheme://host[:port]`.
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = split_port(authority)?;
        Some(Self { scheme, host, port })
    }

    fn equals(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port.or_else(|| default_port(self.scheme)) == other.port.or_else(|| default_port(other.scheme))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Some(80),
        _ if scheme.eq_ignore_ascii_case("https") => Some(443),
        _ => None,
    }
}

/// Splits `host[:port]`; colons inside the brackets of an IPv6 address are the host's.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let port = match port {
        // `host:` is `host` (RFC 3986, section 3.2.3).
        "" => None,
        _ if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        _ => return None,
    };
    if host.is_empty() { None } else { Some((host, port)) }
}
