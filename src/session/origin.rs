//! Which page sent a request, and whether that page may act here (RFC 6454; RFC 6455, section 10.2;
//! WHATWG Fetch, section 3.1).
//!
//! Owns the one rule of origins: publishing, WebSocket handshakes, preflights and an application's
//! own endpoints all ask it. Leaves the fields of answers to `cors`. It authenticates nobody: only
//! browsers tell the truth in `Origin`, and they do so to protect their users from the pages of
//! other sites.

use super::Settings;
use super::authority::Authority;
use crate::proto::http1::Head;

/// The entry of a list that allows every origin.
const ANY: &str = "*";

/// Which page sent a request, by its `Origin` field, by the host that the request is for, and by
/// the server's list.
///
/// ```
/// use pushlab::session::Origin;
/// let list = ["https://app.example".to_owned()];
/// let of = |value: &'static [u8]| Origin::classify([value].into_iter(), Some("push.example"), &list);
/// assert_eq!(of(b"https://app.example"), Origin::Listed("https://app.example"));
/// assert_eq!(of(b"https://push.example"), Origin::Own("https://push.example"));
/// assert_eq!(of(b"https://evil.example"), Origin::Foreign);
/// assert_eq!(of(b"https://evil\xFF.example"), Origin::Malformed);
/// assert!(!of(b"null").may_act());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// The request has no `Origin`. No page sent it in order to change something: browsers add
    /// `Origin` to every request with a method other than GET and HEAD, and to every WebSocket
    /// handshake (WHATWG Fetch, section 3.1). Other clients could send any value.
    Absent,
    /// The server's own origin: the host and port that the request is for, over `http` or `https`.
    Own(&'a str),
    /// An origin that [`Settings::allow_origins`](super::Settings::allow_origins) lists.
    Listed(&'a str),
    /// Another origin, and the list has `*`.
    Any,
    /// Another origin.
    Foreign,
    /// There is more than one `Origin`, or its value is no origin: not `scheme://host[:port]`,
    /// `file://` or `null`, or not ASCII.
    Malformed,
}

impl<'a> Origin<'a> {
    /// Applies the rule to the values of all `Origin` fields of a request.
    ///
    /// `host` is the authority that the request is for, [`Request::host`](super::Request::host).
    /// `list` is [`Settings::allow_origins`](super::Settings::allow_origins).
    ///
    /// Upper and lower case are the same, and so are a scheme's default port and none. The server's
    /// own origin may have either scheme: a proxy may have ended TLS, so that a server cannot tell
    /// which scheme the page was loaded with. A repeated field is malformed even where each of its
    /// values is allowed (RFC 6454, section 7.3).
    pub fn classify(mut values: impl Iterator<Item = &'a [u8]>, host: Option<&str>, list: &[String]) -> Self {
        let Some(value) = values.next() else { return Self::Absent };
        let text = std::str::from_utf8(value).unwrap_or_default();
        let Some(page) = Page::parse(text).filter(|_| values.next().is_none()) else { return Self::Malformed };
        if list.iter().filter_map(|entry| Page::parse(entry)).any(|entry| entry.equals(&page)) {
            Self::Listed(text)
        } else if host.and_then(Authority::parse).is_some_and(|host| page.is_of(host)) {
            Self::Own(text)
        } else if list.iter().any(|entry| entry == ANY) {
            Self::Any
        } else {
            Self::Foreign
        }
    }

    pub(super) fn of(head: &Head<'a>, settings: &Settings) -> Self {
        if !head.has_origin() {
            return Self::Absent;
        }
        Self::classify(head.field_values("Origin"), head.host(), &settings.allow_origins)
    }

    /// Whether the request may change something or open a WebSocket, as far as its origin decides:
    /// everything but a foreign and a malformed origin.
    pub const fn may_act(self) -> bool {
        match self {
            Self::Absent | Self::Own(_) | Self::Listed(_) | Self::Any => true,
            Self::Foreign | Self::Malformed => false,
        }
    }

    /// Whether `entry` can stand in [`Settings::allow_origins`](super::Settings::allow_origins):
    /// `scheme://host[:port]`, `file://`, `null` or `*`. Every other entry allows no origin.
    pub fn is_entry(entry: &str) -> bool {
        entry == ANY || Page::parse(entry).is_some_and(|_| !entry.contains('*'))
    }
}

/// A serialized origin (RFC 6454, section 6.2).
#[derive(Clone, Copy, Debug)]
enum Page<'a> {
    /// `null`: an opaque origin, of a sandboxed frame or of a file.
    Opaque,
    /// `file://`, which some browsers send for a page from a file.
    File,
    Site {
        scheme: &'a str,
        authority: Authority<'a>,
    },
}

impl<'a> Page<'a> {
    /// `None` for lists, paths, user information, and all else that browsers do not send.
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

    /// Whether this is a page of the server that the request is for. `Host` has no scheme: a port
    /// that it leaves out is the default of the scheme with which the page was loaded.
    fn is_of(&self, host: Authority<'_>) -> bool {
        let Self::Site { scheme, authority } = self else { return false };
        default_port(scheme).is_some_and(|port| authority.has_host_of(host) && authority.port.unwrap_or(port) == host.port.unwrap_or(port))
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Some(80),
        _ if scheme.eq_ignore_ascii_case("https") => Some(443),
        _ => None,
    }
}
