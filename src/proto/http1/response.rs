//! A response's head on its way out.
//!
//! Owns the status line, the validation of fields that the application adds, and the encoding. Refuses the fields that frame the message
//! or belong to the connection: the protocol core alone writes those (RFC 9112, sections 6 and 9.6; RFC 9110, section 6.6.1).

use super::super::{LocalError, Now, Outbox};
use super::syntax;

/// The part of a response's head that the application decides.
///
/// ```
/// use std::time::{Instant, SystemTime};
/// use pushlab::proto::{Limits, Now, Outbox, http1::{Conn, ResponseHead, append_field}};
/// let (now, limits, mut out) = (Now::new(Instant::now(), SystemTime::UNIX_EPOCH), Limits::default(), Outbox::new());
/// let mut conn = Conn::new(now.instant(), &limits);
/// conn.next_event(now.instant(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut out, &limits)?;
///
/// let mut fields = Vec::new();
/// append_field(&mut fields, "Cache-Control", "no-store")?;
/// let head = ResponseHead { fields: &fields, ..ResponseHead::new(200, "text/plain") };
/// conn.send_response(&now, &head, b"hi\n", &mut out)?;
/// let wire: Vec<u8> = out.chunks().flatten().copied().collect();
/// assert_eq!(wire, b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\n\
///     Content-Length: 3\r\nCache-Control: no-store\r\n\r\nhi\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status code, 200 to 599.
    pub status: u16,
    /// The `Content-Type`; empty for none. Whoever makes it sees to it that it has no control characters: it is part of the program, or
    /// was checked with [`is_field_value`].
    pub content_type: &'a str,
    /// More fields, each as `Name: value` with CRLF, as [`append_field`] writes them.
    pub fields: &'a [u8],
}

impl ResponseHead<'_> {
    /// A head without further fields.
    pub const fn new(status: u16, content_type: &str) -> ResponseHead<'_> {
        ResponseHead { status, content_type, fields: b"" }
    }
}

/// How much body a response will have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySize {
    /// Exactly this many bytes (`Content-Length`).
    Length(u64),
    /// Not known yet: chunked coding for HTTP/1.1, everything up to the close for HTTP/1.0.
    Stream,
}

/// Room for a head without the application's fields: what is usual, not a bound.
const HEAD_BYTES: usize = 192;

/// The fields of a 426 that asks for a WebSocket (RFC 9110, section 15.5.22; RFC 6455, section 4.4).
pub const UPGRADE_TO_WEBSOCKET: &[u8] = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

/// The fields that only the protocol core writes.
const RESERVED: [&str; 4] = ["Content-Length", "Transfer-Encoding", "Connection", "Date"];

/// Whether a text can be a field's value: no CR, LF, NUL or other control character but HTAB (RFC 9110, section 5.5).
pub fn is_field_value(text: &str) -> bool {
    syntax::is_value(text.as_bytes())
}

/// Appends one field line to the [`ResponseHead::fields`] of a response.
///
/// # Errors
/// [`LocalError::BadField`] when the name is not a token or the value has CR, LF, NUL or another control character but HTAB (RFC 9110,
/// section 5.5); [`LocalError::ReservedField`] for a name that the protocol core writes itself. Nothing is appended then.
///
/// ```
/// use pushlab::proto::{LocalError, http1::append_field};
/// let mut fields = Vec::new();
/// append_field(&mut fields, "X-Accel-Buffering", "no")?;
/// assert_eq!(fields, b"X-Accel-Buffering: no\r\n");
/// assert_eq!(append_field(&mut fields, "Location", "/\r\nSet-Cookie: a=b"), Err(LocalError::BadField));
/// # Ok::<(), LocalError>(())
/// ```
pub fn append_field(fields: &mut Vec<u8>, name: &str, value: &str) -> Result<(), LocalError> {
    if !syntax::is_token(name.as_bytes()) || !syntax::is_value(value.as_bytes()) {
        return Err(LocalError::BadField);
    }
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(LocalError::ReservedField);
    }
    fields.reserve(name.len() + value.len() + 4);
    for part in [name.as_bytes(), b": ", syntax::trim(value.as_bytes()), b"\r\n"] {
        fields.extend_from_slice(part);
    }
    Ok(())
}

macro_rules! statuses {
    ($($status:literal $reason:literal,)*) => {
        /// The reason phrase of a status code (RFC 9110, section 15; RFC 6585); empty for a code that no standard names.
        pub fn reason_phrase(status: u16) -> &'static str {
            match status {
                $($status => $reason,)*
                _ => "",
            }
        }

        /// The status line and the name of the first field.
        #[inline]
        fn status_line(status: u16) -> Option<&'static [u8]> {
            match status {
                $($status => Some(concat!("HTTP/1.1 ", $status, " ", $reason, "\r\nDate: ").as_bytes()),)*
                _ => None,
            }
        }
    };
}

statuses! {
    200 "OK",
    101 "Switching Protocols",
    201 "Created",
    202 "Accepted",
    203 "Non-Authoritative Information",
    204 "No Content",
    205 "Reset Content",
    206 "Partial Content",
    300 "Multiple Choices",
    301 "Moved Permanently",
    302 "Found",
    303 "See Other",
    304 "Not Modified",
    305 "Use Proxy",
    307 "Temporary Redirect",
    308 "Permanent Redirect",
    400 "Bad Request",
    401 "Unauthorized",
    402 "Payment Required",
    403 "Forbidden",
    404 "Not Found",
    405 "Method Not Allowed",
    406 "Not Acceptable",
    407 "Proxy Authentication Required",
    408 "Request Timeout",
    409 "Conflict",
    410 "Gone",
    411 "Length Required",
    412 "Precondition Failed",
    413 "Content Too Large",
    414 "URI Too Long",
    415 "Unsupported Media Type",
    416 "Range Not Satisfiable",
    417 "Expectation Failed",
    421 "Misdirected Request",
    422 "Unprocessable Content",
    426 "Upgrade Required",
    428 "Precondition Required",
    429 "Too Many Requests",
    431 "Request Header Fields Too Large",
    500 "Internal Server Error",
    501 "Not Implemented",
    502 "Bad Gateway",
    503 "Service Unavailable",
    504 "Gateway Timeout",
    505 "HTTP Version Not Supported",
    511 "Network Authentication Required",
}

/// What a head says about the body's framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FramingField {
    /// Nothing: there is no body, or the close ends it.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What a head says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionField {
    /// Nothing: an HTTP/1.1 connection stays.
    None,
    /// `close`: this is the last response.
    Close,
    /// `keep-alive`, for HTTP/1.0.
    KeepAlive,
    /// `Upgrade` to a WebSocket, for 101.
    Upgrade,
    /// `Upgrade` in a 426: what may be upgraded to is among the application's fields.
    UpgradeRequired,
    /// `Upgrade, close`, likewise.
    UpgradeRequiredAndClose,
    /// `Upgrade, keep-alive`, likewise, for HTTP/1.0.
    UpgradeRequiredAndKeepAlive,
}

/// Writes a head that was checked with [`check`].
#[inline]
pub(super) fn encode(now: &Now, head: &ResponseHead<'_>, framing: FramingField, connection: ConnectionField, out: &mut Outbox) {
    out.extend_with(HEAD_BYTES + head.fields.len(), |out| encode_into(now, head, framing, connection, out));
}

#[inline]
fn encode_into(now: &Now, head: &ResponseHead<'_>, framing: FramingField, connection: ConnectionField, out: &mut Vec<u8>) {
    match status_line(head.status) {
        Some(line) => out.extend_from_slice(line),
        None => unnamed_status_line(head.status, out),
    }
    out.extend_from_slice(now.date());
    if !head.content_type.is_empty() {
        out.extend_from_slice(b"\r\nContent-Type: ");
        out.extend_from_slice(head.content_type.as_bytes());
    }
    match framing {
        FramingField::None => {}
        FramingField::Length(length) => {
            out.extend_from_slice(b"\r\nContent-Length: ");
            out.extend_from_slice(Decimal::new(length).as_bytes());
        }
        FramingField::Chunked => out.extend_from_slice(b"\r\nTransfer-Encoding: chunked"),
    }
    match connection {
        ConnectionField::None => {}
        ConnectionField::Close => out.extend_from_slice(b"\r\nConnection: close"),
        ConnectionField::KeepAlive => out.extend_from_slice(b"\r\nConnection: keep-alive"),
        ConnectionField::Upgrade => out.extend_from_slice(b"\r\nConnection: Upgrade\r\nUpgrade: websocket"),
        // RFC 9110, section 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option".
        ConnectionField::UpgradeRequired => out.extend_from_slice(b"\r\nConnection: Upgrade"),
        ConnectionField::UpgradeRequiredAndKeepAlive => out.extend_from_slice(b"\r\nConnection: Upgrade, keep-alive"),
        ConnectionField::UpgradeRequiredAndClose => out.extend_from_slice(b"\r\nConnection: Upgrade, close"),
    }
    if head.fields.is_empty() {
        return out.extend_from_slice(b"\r\n\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(head.fields);
    out.extend_from_slice(b"\r\n");
}

/// Whether a head can be sent as an application's answer.
#[inline]
pub(super) fn check(head: &ResponseHead<'_>) -> Result<(), LocalError> {
    if !(200..=599).contains(&head.status) {
        return Err(LocalError::BadStatus);
    }
    debug_assert!(is_field_value(head.content_type), "a content type has no control characters");
    debug_assert!(head.fields.is_empty() || head.fields.ends_with(b"\r\n"), "fields are whole lines");
    Ok(())
}

#[cold]
fn unnamed_status_line(status: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(Decimal::new(u64::from(status)).as_bytes());
    // The space stays when there is no reason phrase (RFC 9112, section 4).
    out.extend_from_slice(b" \r\nDate: ");
}

/// A number in decimal digits.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    #[inline]
    fn new(mut number: u64) -> Self {
        let (mut digits, mut start) = ([b'0'; 20], 20);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Writes the size line of a chunk.
pub(super) fn chunk_size_line(size: usize, out: &mut Outbox) {
    let mut line = [0; 18];
    let mut start = line.len() - 2;
    line[start..].copy_from_slice(b"\r\n");
    let mut rest = size;
    loop {
        start -= 1;
        line[start] = b"0123456789abcdef"[rest % 16];
        rest /= 16;
        if rest == 0 {
            return out.extend(&line[start..]);
        }
    }
}
