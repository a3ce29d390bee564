//! Which page sent a request, and whether that page may act (RFC 6454; RFC 6455, section 10.2;
//! WHATWG Fetch, section 3.1).
//!
//! Owns the one rule about origins, which publishing, WebSocket handshakes, preflights and an
//! application's own endpoints all use. The rule does not authenticate clients: only browsers send
//! a true `Origin`, in order to protect their users from the pages of other sites. Leaves the
//! fields of answers to `cors`.

use super::Settings;
use super::authority::Authority;
use super::forwarded::Forwarded;
use crate::proto::http1::{Head, Scheme};

/// The entry of a list that allows every origin.
const ANY: &str = "*";

/// Which page sent a request. This follows from the request's `Origin` field, the host of the
/// request, and the server's list.
///
/// ```
/// use pushlab::proto::http1::Scheme;
/// use pushlab::session::Origin;
/// let list = ["https://app.example".to_owned()];
/// let host = Some("push.example");
/// let of = |value: &'static [u8]| Origin::classify([value].into_iter(), host, Scheme::Http, &list);
/// assert_eq!(of(b"https://app.example"), Origin::Listed("https://app.example"));
/// assert_eq!(of(b"https://push.example"), Origin::Own("https://push.example"));
/// assert_eq!(of(b"https://evil.example"), Origin::Foreign);
/// assert_eq!(of(b"https://evil\xFF.example"), Origin::Malformed);
/// assert!(!of(b"null").may_act());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// The request has no `Origin`. Then it is not an attempt of a page to change something:
    /// browsers add `Origin` to every request with a method other than GET and HEAD, and to every
    /// WebSocket handshake (WHATWG Fetch, section 3.1). Clients that are not browsers could send
    /// any value.
    Absent,
    /// The server's own origin: the host and port of the request. If the request was
    /// [secure](super::Request::is_secure), the scheme is `https`. Otherwise it is `http` or
    /// `https`.
    Own(&'a str),
    /// An origin that [`Settings::allow_origins`](super::Settings::allow_origins) lists.
    Listed(&'a str),
    /// Another origin, and the list has `*`.
    Any,
    /// Another origin.
    Foreign,
    /// There is more than one `Origin` field, or the value is not an origin in ASCII:
    /// `scheme://host[:port]`, `file://` or `null`.
    Malformed,
}

impl<'a> Origin<'a> {
    /// Applies the rule to the values of all `Origin` fields of a request.
    ///
    /// `host` is the authority that the request is for, [`Request::host`](super::Request::host).
    /// `scheme` is that of the connection, or the one that a trusted proxy forwards. `list` is
    /// [`Settings::allow_origins`](super::Settings::allow_origins).
    ///
    /// Upper and lower case are equal, and the default port of a scheme equals no port. With the
    /// scheme `http`, the server's own origin can have either scheme: a proxy may have ended TLS,
    /// and then the server cannot know the scheme of the page. With the scheme `https`, a page that
    /// was loaded with `http` has another origin. A repeated field is malformed
    /// even if each of its values is allowed (RFC 6454, section 7.3).
    pub fn classify(mut values: impl Iterator<Item = &'a [u8]>, host: Option<&str>, scheme: Scheme, list: &[String]) -> Self {
        let Some(value) = values.next() else { return Self::Absent };
        let text = std::str::from_utf8(value).unwrap_or_default();
        let Some(page) = Page::parse(text).filter(|_| values.next().is_none()) else { return Self::Malformed };
        if list.iter().filter_map(|entry| Page::parse(entry)).any(|entry| entry.equals(&page)) {
            Self::Listed(text)
        } else if host.and_then(Authority::parse).is_some_and(|host| page.is_of(host, scheme)) {
            Self::Own(text)
        } else if list.iter().any(|entry| entry == ANY) {
            Self::Any
        } else {
            Self::Foreign
        }
    }

    #[inline]
    pub(super) fn of(head: &Head<'a>, forwarded: &Forwarded<'_>, settings: &Settings) -> Self {
        if head.may_have("Origin") { Self::of_present(head, forwarded, settings) } else { Self::Absent }
    }

    fn of_present(head: &Head<'a>, forwarded: &Forwarded<'_>, settings: &Settings) -> Self {
        Self::classify(head.field_values("Origin"), forwarded.host(head), forwarded.scheme, &settings.allow_origins)
    }

    /// Whether the request may change something or open a WebSocket, as far as its origin decides.
    /// Only foreign and malformed origins may not.
    pub const fn may_act(self) -> bool {
        match self {
            Self::Absent | Self::Own(_) | Self::Listed(_) | Self::Any => true,
            Self::Foreign | Self::Malformed => false,
        }
    }

    /// Whether `entry` can stand in [`Settings::allow_origins`](super::Settings::allow_origins):
    /// `scheme://host[:port]`, `file://`, `null` or `*`. Any other entry allows no origin.
    pub fn is_entry(entry: &str) -> bool {
        entry == ANY || Page::parse(entry).is_some_and(|_| !entry.contains('*'))
    }
}

/// A serialized origin (RFC 6454, section 6.2).
#[derive(Clone, Copy, Debug)]
enum Page<'a> {
    /// `null`: the opaque origin of a sandboxed frame or of a file.
    Opaque,
    /// `file://`: some browsers send it for a page that is a file.
    File,
    Site {
        scheme: &'a str,
        authority: Authority<'a>,
    },
}

impl<'a> Page<'a> {
    /// Returns `None` for lists, paths, user information, and everything else that browsers do not
    /// send.
    fn parse(text: &'a str) -> Option<Self> {
        if text.eq_ignore_ascii_case("null") {
            return Some(Self::Opaque);
        }
        let (scheme, authority) = text.split_once("://")?;
        match authority {
            "" if scheme.eq_ignore_ascii_case("file") => Some(Self::File),
            _ if is_scheme(scheme) => Some(Self::Site { scheme, authority: Authority::parse(authority)? }),
            _ => None,
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Opaque, Self::Opaque) | (Self::File, Self::File) => true,
            (Self::Site { scheme, authority }, Self::Site { scheme: other_scheme, authority: other }) => {
                let default = default_port(scheme);
                scheme.eq_ignore_ascii_case(other_scheme)
                    && authority.has_host_of(*other)
                    && authority.port.or(default) == other.port.or(default)
            }
            _ => false,
        }
    }

    /// Whether this is a page of the server that the request is for. `Host` has no scheme. So if
    /// `Host` has no port, the port is the default of the scheme with which the page was loaded.
    fn is_of(&self, host: Authority<'_>, of_connection: Scheme) -> bool {
        let Self::Site { scheme, authority } = self else { return false };
        let Some(port) = default_port(scheme) else { return false };
        let has_scheme = of_connection == Scheme::Http || port == of_connection.default_port();
        has_scheme && authority.has_host_of(host) && authority.port.unwrap_or(port) == host.port.unwrap_or(port)
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Some(Scheme::Http.default_port()),
        _ if scheme.eq_ignore_ascii_case("https") => Some(Scheme::Https.default_port()),
        _ => None,
    }
}
