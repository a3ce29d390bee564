//! The body of a publish.
//!
//! Owns the reading of `Content-Type` (RFC 9110, section 8.3) and `Content-Encoding` (section 8.4),
//! and the choice between a text and a binary payload. Leaves the size of the body, the permission
//! to publish and the event's name to `router` and `hub`.

use super::rejection::Rejection;
use crate::push::model::Payload;
use crate::session::Request;

/// Why a body is refused with status 415 (RFC 9110, section 15.5.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsupported {
    /// The fields do not name exactly one media type.
    MediaType,
    /// The charset is not UTF-8 or US-ASCII, which is a subset of UTF-8. Payloads are UTF-8.
    Charset,
    /// The body has a content coding. Subscribers would not learn of the coding, and could not
    /// decode the payload.
    Coding,
}

impl From<Unsupported> for Rejection {
    fn from(unsupported: Unsupported) -> Self {
        let (sentence, field) = match unsupported {
            Unsupported::MediaType => ("`Content-Type` must be one media type, such as `text/plain; charset=utf-8`", None),
            Unsupported::Charset => ("the charset of a payload must be UTF-8 or US-ASCII", Some(("Accept", "*/*;charset=utf-8"))),
            Unsupported::Coding => ("a payload must be sent without a content coding", Some(("Accept-Encoding", "identity"))),
        };
        Self { field, ..Self::new(415, sentence) }
    }
}

/// How the body becomes a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    Binary,
    Text,
    /// Text whose declared charset is US-ASCII.
    AsciiText,
}

impl PayloadKind {
    /// The kind that the fields declare: text for `text/*` and JSON, and binary for all other
    /// types.
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Unsupported> {
        let mut codings =
            request.field_values("Content-Encoding").flat_map(|list| list.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        if !codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")) {
            return Err(Unsupported::Coding);
        }
        // An empty field counts as absent. Equal values count as one, because a proxy may have
        // doubled the field.
        let mut values = request.field_values("Content-Type").filter(|value| !value.is_empty());
        let Some(first) = values.next() else { return Ok(Self::Binary) };
        if values.any(|value| value != first) {
            return Err(Unsupported::MediaType);
        }
        let MediaType { is_text, charset } = MediaType::parse(first).ok_or(Unsupported::MediaType)?;
        match charset {
            Charset::Other => Err(Unsupported::Charset),
            _ if !is_text => Ok(Self::Binary),
            Charset::UsAscii => Ok(Self::AsciiText),
            Charset::Absent | Charset::Utf8 => Ok(Self::Text),
        }
    }

    pub(crate) fn payload(self, body: &[u8]) -> Result<Payload, Rejection> {
        match (self, std::str::from_utf8(body)) {
            (Self::Binary, _) => Ok(Payload::binary(body)),
            (Self::AsciiText, _) if !body.is_ascii() => Err(Rejection::bad_request("a payload with the charset US-ASCII must be US-ASCII")),
            (_, Ok(text)) => Ok(Payload::text(text)),
            (_, Err(_)) => Err(Rejection::bad_request("a payload that is text must be UTF-8")),
        }
    }
}

/// The parts of a media type that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MediaType {
    is_text: bool,
    charset: Charset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Absent,
    Utf8,
    UsAscii,
    /// A charset that is neither of these, or several charsets that differ.
    Other,
}

impl Charset {
    /// The charset of this name. Names are compared without regard to case (RFC 9110, section
    /// 8.3.2). `utf8` and `ascii` are common, although they are not registered.
    fn named(name: &[u8]) -> Self {
        match &*name.to_ascii_lowercase() {
            b"utf-8" | b"utf8" => Self::Utf8,
            b"us-ascii" | b"ascii" => Self::UsAscii,
            _ => Self::Other,
        }
    }

    fn combine(self, other: Self) -> Self {
        if self == Self::Absent || self == other { other } else { Self::Other }
    }
}

impl MediaType {
    /// Parses `type "/" subtype *( OWS ";" OWS [ parameter ] )` (RFC 9110, sections 8.3.1 and
    /// 5.6.6).
    fn parse(text: &[u8]) -> Option<Self> {
        let (main, rest) = token(text)?;
        let (sub, mut rest) = token(rest.strip_prefix(b"/")?)?;
        let sub = sub.to_ascii_lowercase();
        let is_json = main.eq_ignore_ascii_case(b"application") && sub == b"json" || sub.ends_with(b"+json");
        let mut charset = Charset::Absent;
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return Some(Self { is_text: main.eq_ignore_ascii_case(b"text") || is_json, charset });
            }
            rest = rest.strip_prefix(b";")?.trim_ascii_start();
            if let [] | [b';', ..] = rest {
                continue;
            }
            let (name, behind) = token(rest)?;
            let (value, behind) = value(behind.strip_prefix(b"=")?)?;
            if name.eq_ignore_ascii_case(b"charset") {
                charset = charset.combine(Charset::named(&value));
            }
            rest = behind;
        }
    }
}

/// Splits `1*tchar` off the front (RFC 9110, section 5.6.2). Returns the token and the rest.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let len = text.iter().take_while(|byte| is_token_byte(byte)).count();
    (len > 0).then(|| text.split_at(len))
}

/// Splits a token or a quoted string off the front. Both stand for the same value (RFC 9110,
/// section 5.6.6).
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = text.strip_prefix(b"\"") else { return token(text).map(|(value, rest)| (value.to_vec(), rest)) };
    let mut value = Vec::new();
    loop {
        // The byte after a backslash stands for itself (RFC 9110, section 5.6.4).
        let (byte, behind) = match rest {
            [b'"', behind @ ..] => return Some((value, behind)),
            [b'\\', byte, behind @ ..] | [byte, behind @ ..] => (byte, behind),
            [] => return None,
        };
        value.push(*byte);
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for (text, is_text, charset) in [
            ("text/plain", true, Charset::Absent),
            ("TEXT/html; Charset=UTF-8", true, Charset::Utf8),
            ("text/plain;charset=\"utf-8\"", true, Charset::Utf8),
            ("text/plain \t;\t charset=\"u\\tf\\-8\" ;", true, Charset::Utf8),
            ("text/plain;;; a=b;charset=us-ascii", true, Charset::UsAscii),
            ("application/json; x=\";charset=utf-16\"", true, Charset::Absent),
            ("application/json; x=\"\\\";charset=utf-16\"", true, Charset::Absent),
            ("application/ld+json;charset=utf8", true, Charset::Utf8),
            ("image/svg+xml;charset=iso-8859-1", false, Charset::Other),
            ("text/plain;charset=\"\"", true, Charset::Other),
            ("text/plain;charset=utf-8;charset=UTF-8", true, Charset::Utf8),
            ("text/plain;charset=utf-8;charset=utf-16", true, Charset::Other),
            ("text/plain;charset=utf-16;charset=utf-8", true, Charset::Other),
            ("text/plain;xcharset=utf-16;charsetx=utf-16", true, Charset::Absent),
            ("application/x-www-form-urlencoded", false, Charset::Absent),
            ("textual/json", false, Charset::Absent),
        ] {
            assert_eq!(MediaType::parse(text.as_bytes()), Some(MediaType { is_text, charset }), "{text}");
        }
        for text in [
            "text",
            "text/",
            "/plain",
            "text/plain charset=utf-8",
            "text/plain, text/plain",
            "text/plain;charset",
            "text/plain;charset=",
            "text/plain;charset =utf-8",
            "text/plain;charset= utf-8",
            "text/plain;charset=\"utf-8",
            "text/plain;charset=\"utf-8\\\"",
            "text/plain;charset=\"utf-8\"x",
            "text/plain;=utf-8",
            "text /plain",
            "t\u{e9}xt/plain",
        ] {
            assert_eq!(MediaType::parse(text.as_bytes()), None, "{text}");
        }
    }
}
