//! Request targets and authorities.
//!
//! Owns the forms of RFC 9112, section 3.2, the authority of RFC 3986, section 3.2, and the check
//! that each escape in a path can be decoded. Leaves decoding and normalization to the layers
//! above: paths and queries stay as they were sent.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::super::error::RemoteError;
use super::method::Method;
use super::scan::find_byte;
use super::syntax;

/// The ranges of the parts of a request target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The authority of the absolute form. It is empty in the other forms.
    pub(super) authority: Range<usize>,
    /// The path. A `?` and the query may follow it.
    pub(super) path: Range<usize>,
    /// Whether the path has a percent sign.
    pub(super) is_escaped: bool,
}

impl Target {
    /// Splits a target into its parts. The head parser has already checked that the target is not
    /// empty and has no spaces and no control characters.
    #[inline(always)]
    pub(super) fn parse(text: &str, method: Method) -> Result<Self, RemoteError> {
        let bytes = text.as_bytes();
        let authority = match bytes {
            [b'/', ..] => 0..0,
            // The asterisk form is only for OPTIONS (section 3.2.4).
            b"*" if method == Method::Options => return Ok(Self { authority: 0..0, path: 0..1, is_escaped: false }),
            _ => absolute_authority(bytes)?,
        };
        let path_end = authority.end + syntax::path_len(&bytes[authority.end..]);
        let (path_end, is_escaped) = match &bytes[path_end..] {
            [] => (path_end, false),
            [b'?', query @ ..] if is_query(query) => (path_end, false),
            _ => (end_of_escaped(bytes, path_end)?, true),
        };
        Ok(Self { path: authority.end..path_end, authority, is_escaped })
    }
}

/// Whether these bytes are a query. A fragment is never sent (RFC 9110, section 7.1), and a URI is
/// ASCII (RFC 3986, section 2). Any bytes may follow a percent sign: forms and people send such
/// queries, and the percent sign then stands for itself (WHATWG URL, section 5.1).
///
/// Two searches that take eight bytes at a time: a cursor of 30 bytes costs 250 instructions less than
/// byte by byte.
#[inline]
fn is_query(query: &[u8]) -> bool {
    query.is_ascii() && find_byte(query, b'#').is_none()
}

/// Finds the end of a path that has a percent sign at `at`. RFC 9112, section 3.2: "Recipients of
/// an invalid request-line SHOULD respond with either a 400 (Bad Request) error or a 301 (Moved
/// Permanently) redirect". nginx, Apache and Go also reject a bad escape. If this server passed it
/// on, the decoders of applications would fail, or would disagree about its meaning.
#[cold]
fn end_of_escaped(bytes: &[u8], mut at: usize) -> Result<usize, RemoteError> {
    while let [b'%', ..] = bytes[at..] {
        if !syntax::is_escape(&bytes[at..]) {
            return Err(RemoteError::BadEscape);
        }
        at += "%00".len();
        at += syntax::path_len(&bytes[at..]);
    }
    match &bytes[at..] {
        [] => Ok(at),
        [b'?', query @ ..] if is_query(query) => Ok(at),
        _ => Err(RemoteError::BadTarget),
    }
}

/// The range of the authority in an absolute form. The scheme is `http` or `https`. The connection
/// decides which of them it accepts.
#[cold]
fn absolute_authority(bytes: &[u8]) -> Result<Range<usize>, RemoteError> {
    let scheme = |name: &[u8]| bytes.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)).then_some(name.len());
    let start = scheme(b"http://").or_else(|| scheme(b"https://")).ok_or(RemoteError::BadTarget)?;
    let len = bytes[start..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let end = len.map_or(bytes.len(), |len| start + len);
    // RFC 9110, sections 4.2.1 and 4.2.4: an empty host is invalid in these schemes, and user
    // information is rejected as an error.
    if start == end || !is_authority(&bytes[start..end]) {
        return Err(RemoteError::BadTarget);
    }
    Ok(start..end)
}

/// Whether `text` is `host[:port]`, where the host is a name, an IPv4 address or an IP literal in
/// brackets.
#[inline]
pub(super) fn is_authority(text: &[u8]) -> bool {
    // Usually the host is a name or an IPv4 address without escapes. This path needs only one table
    // search.
    let host_len = syntax::host_len(text);
    match &text[host_len..] {
        [] if host_len > 0 => true,
        [b':', port @ ..] if host_len > 0 && is_port(port) => true,
        _ => is_special_authority(text),
    }
}

/// Whether these bytes are a port: decimal digits, possibly none (RFC 3986, section 3.2.3), whose
/// number is a TCP port.
#[inline]
fn is_port(digits: &[u8]) -> bool {
    const BEYOND: u32 = 1 << 16;
    if digits.len() < 5 {
        // No such number is too large.
        return digits.iter().all(u8::is_ascii_digit);
    }
    // The minimum keeps the sum from overflowing, even if there are many digits.
    digits.iter().all(u8::is_ascii_digit) && digits.iter().fold(0, |port, digit| (port * 10 + u32::from(digit - b'0')).min(BEYOND)) < BEYOND
}

/// Like [`is_authority`], but for all forms of a host.
#[cold]
fn is_special_authority(text: &[u8]) -> bool {
    let host_len = match text {
        [b'[', ..] => text.iter().position(|&byte| byte == b']').map_or(text.len(), |at| at + 1),
        _ => text.iter().position(|&byte| byte == b':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(host_len);
    let port_is_valid = match port {
        [] => true,
        [b':', digits @ ..] => is_port(digits),
        _ => false,
    };
    let host_is_valid = match host {
        [b'[', literal @ .., b']'] => is_ip_literal(literal),
        name => is_name(name),
    };
    port_is_valid && host_is_valid
}

/// Whether this is `IPv6address` or `IPvFuture` (RFC 3986, section 3.2.2).
fn is_ip_literal(literal: &[u8]) -> bool {
    let [b'v' | b'V', future @ ..] = literal else {
        return std::str::from_utf8(literal).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    };
    let digits = future.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    match &future[digits..] {
        [b'.', address @ ..] => digits > 0 && !address.is_empty() && address.iter().all(|&byte| byte == b':' || syntax::is_host_byte(byte)),
        _ => false,
    }
}

/// Whether this is a `reg-name` that is not empty: host bytes and percent-encoded bytes.
fn is_name(mut host: &[u8]) -> bool {
    if host.is_empty() {
        return false;
    }
    while let [first, rest @ ..] = host {
        host = match (first, rest) {
            (b'%', [_, _, rest @ ..]) if syntax::is_escape(host) => rest,
            (&byte, rest) if syntax::is_host_byte(byte) => rest,
            _ => return false,
        };
    }
    true
}
