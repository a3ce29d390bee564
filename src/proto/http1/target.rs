//! Request targets and authorities.
//!
//! Owns the forms of RFC 9112, section 3.2, the authority of RFC 3986, section 3.2, and that what is percent-encoded in a path can be decoded.
//! Refuses to decode or normalize anything: paths and queries stay as they were sent.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::super::error::RemoteError;
use super::method::Method;
use super::syntax;

/// Where the parts of a request target stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The authority of the absolute form; empty in the other forms.
    pub(super) authority: Range<usize>,
    /// The path; a `?` and the query follow, or nothing.
    pub(super) path: Range<usize>,
}

impl Target {
    /// Takes a target apart, which is not empty and free of spaces and control characters already.
    #[inline]
    pub(super) fn parse(text: &str, method: Method) -> Result<Self, RemoteError> {
        let bytes = text.as_bytes();
        let authority = match bytes {
            [b'/', ..] => 0..0,
            // The asterisk form is for OPTIONS alone (section 3.2.4).
            b"*" if method == Method::Options => return Ok(Self { authority: 0..0, path: 0..1 }),
            _ => absolute_authority(bytes)?,
        };
        let path_end = authority.end + syntax::path_len(&bytes[authority.end..]);
        let path_end = match &bytes[path_end..] {
            [] => path_end,
            [b'?', query @ ..] if is_query(query) => path_end,
            _ => end_of_escaped(bytes, path_end)?,
        };
        Ok(Self { path: authority.end..path_end, authority })
    }
}

/// A fragment is never sent (RFC 9110, section 7.1), and a URI is ASCII (RFC 3986, section 2). A percent sign may have anything behind it: forms
/// and people send it so, and in a query it means itself then (WHATWG URL, section 5.1).
#[inline]
fn is_query(query: &[u8]) -> bool {
    query.iter().all(|&byte| byte.is_ascii() && byte != b'#')
}

/// Where the path ends that goes on with a percent sign here, if it does. RFC 9112, section 3.2: "Recipients of an invalid request-line SHOULD
/// respond with either a 400 (Bad Request) error or a 301 (Moved Permanently) redirect". nginx, Apache and Go refuse a bad escape, too; where
/// it is passed on, the decoders of applications meet it, which fail, or disagree on what it means.
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

/// The authority in an absolute form of the one scheme that this server can be addressed by.
#[cold]
fn absolute_authority(bytes: &[u8]) -> Result<Range<usize>, RemoteError> {
    let scheme = |name: &[u8]| bytes.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)).then_some(name.len());
    let start = scheme(b"http://").or_else(|| scheme(b"https://")).ok_or(RemoteError::BadTarget)?;
    let len = bytes[start..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let end = len.map_or(bytes.len(), |len| start + len);
    // An empty host is invalid in these schemes, and user information is refused (RFC 9110, sections 4.2.1 and 4.2.4).
    if start == end || !is_authority(&bytes[start..end]) {
        return Err(RemoteError::BadTarget);
    }
    // RFC 9110, section 7.4: "a request for an "https" resource MUST be rejected unless it has been received over a connection that has been
    // secured". A gateway that does this for us sends the origin form.
    if start == b"https://".len() {
        return Err(RemoteError::MisdirectedTarget);
    }
    Ok(start..end)
}

/// Whether `text` is `host[:port]` with a name, an IPv4 address or an IP literal in brackets.
#[inline]
pub(super) fn is_authority(text: &[u8]) -> bool {
    // Nearly always a name or an IPv4 address, and perhaps a port.
    let host_len = syntax::host_len(text);
    match &text[host_len..] {
        [] if host_len > 0 => true,
        [b':', port @ ..] if host_len > 0 && is_port(port) => true,
        _ => is_special_authority(text),
    }
}

/// Decimal digits, perhaps none (RFC 3986, section 3.2.3), of a number that TCP has a port for.
#[inline]
fn is_port(digits: &[u8]) -> bool {
    const BEYOND: u32 = 1 << 16;
    digits.iter().all(u8::is_ascii_digit) && digits.iter().fold(0, |port, digit| (port * 10 + u32::from(digit - b'0')).min(BEYOND)) < BEYOND
}

/// As [`is_authority`], for every form.
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

/// `IPv6address` or `IPvFuture` (RFC 3986, section 3.2.2).
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

/// `reg-name`, not empty: host bytes and percent-encoded ones.
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
