//! The head of a response, encoded.
//!
//! Owns the status line, the validation of the fields that the application adds, and the encoding.
//! The protocol core alone writes the fields that frame the message or belong to the connection
//! (RFC 9112, sections 6 and 9.6; RFC 9110, section 6.6.1); the application cannot add them. Leaves
//! the choice of the framing and connection fields to [`Conn`](super::Conn).

use super::super::{LocalError, Now, Outbox};
use super::syntax;

/// The part of a response's head that the application decides.
///
/// ```
/// use std::time::{Instant, SystemTime};
/// use pushlab::proto::{ProtocolLimits, Now, Outbox, http1::{Conn, ResponseHead, append_field}};
/// let now = Now::new(Instant::now(), SystemTime::UNIX_EPOCH);
/// let (limits, mut out) = (ProtocolLimits::default(), Outbox::new());
/// let mut conn = Conn::new(now.instant(), &limits);
/// conn.next_event(now.instant(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut out, &limits)?;
///
/// let mut fields = Vec::new();
/// append_field(&mut fields, "Cache-Control", "no-store")?;
/// let head = ResponseHead { fields: &fields, ..ResponseHead::new(200, "text/plain") };
/// conn.send_response(&now, &head, b"hi\n", &mut out)?;
/// let wire: Vec<u8> = out.chunks().flatten().copied().collect();
/// assert_eq!(wire, b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
///     Content-Type: text/plain\r\nContent-Length: 3\r\nCache-Control: no-store\r\n\r\nhi\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status code, 200 to 599.
    pub status: u16,
    /// The value of `Content-Type`; empty for no such field. It must not contain control
    /// characters. The caller uses a constant, or checks the text with [`is_field_value`].
    pub content_type: &'a str,
    /// Further fields. Each is `Name: value` with CRLF, in the form that [`append_field`] writes.
    pub fields: &'a [u8],
}

impl ResponseHead<'_> {
    /// A head without further fields.
    pub const fn new(status: u16, content_type: &str) -> ResponseHead<'_> {
        ResponseHead { status, content_type, fields: b"" }
    }
}

/// The size of the body of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySize {
    /// Exactly this many bytes (`Content-Length`).
    Length(u64),
    /// Not known yet. HTTP/1.1 uses chunked coding. With HTTP/1.0 the body ends at the close.
    Stream,
}

/// The usual size of a head without the application's fields. It is the size of a reservation, not
/// a bound.
const HEAD_BYTES: usize = 192;

/// The fields of a 426 that asks for a WebSocket (RFC 9110, section 15.5.22; RFC 6455, section
/// 4.4).
pub const UPGRADE_TO_WEBSOCKET: &[u8] = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

/// The fields that only the protocol core writes.
const RESERVED: [&str; 4] = ["Content-Length", "Transfer-Encoding", "Connection", "Date"];

/// Whether a text can be a field value: it has no CR, LF, NUL or other control character, except
/// HTAB (RFC 9110, section 5.5).
pub fn is_field_value(text: &str) -> bool {
    syntax::is_value(text.as_bytes())
}

/// Appends one field line to the [`ResponseHead::fields`] of a response.
///
/// # Errors
/// [`LocalError::BadField`] if the name is not a token, or if the value has CR, LF, NUL or another
/// control character except HTAB (RFC 9110, section 5.5). [`LocalError::ReservedField`] if the
/// protocol core itself writes a field of this name. Nothing is appended then.
///
/// ```
/// use pushlab::proto::{LocalError, http1::append_field};
/// let mut fields = Vec::new();
/// append_field(&mut fields, "X-Accel-Buffering", "no")?;
/// assert_eq!(fields, b"X-Accel-Buffering: no\r\n");
/// let result = append_field(&mut fields, "Location", "/\r\nSet-Cookie: a=b");
/// assert_eq!(result, Err(LocalError::BadField));
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
        /// The reason phrase of a status code (RFC 9110, section 15; RFC 6585). It is empty if no
        /// standard defines the code.
        pub fn reason_phrase(status: u16) -> &'static str {
            match status {
                $($status => $reason,)*
                _ => "",
            }
        }

        /// The status line and the name of the first field, `Date`. With one constant for both,
        /// they cost one copy.
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

/// The field that frames the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FramingField {
    /// No field: there is no body, or the close ends it.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The `Connection` field, and in a 101 also the `Upgrade` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionField {
    /// No field: an HTTP/1.1 connection stays open.
    None,
    /// `close`: this is the last response.
    Close,
    /// `keep-alive`: an HTTP/1.0 connection stays open.
    KeepAlive,
    /// `Upgrade`, with `Upgrade: websocket`, for a 101.
    Upgrade,
    /// `Upgrade`, for a 426. The application's fields name the protocol.
    UpgradeRequired,
    /// `Upgrade, close`, for a 426 that is the last response.
    UpgradeRequiredAndClose,
    /// `Upgrade, keep-alive`, for a 426 to an HTTP/1.0 client.
    UpgradeRequiredAndKeepAlive,
}

/// Writes a head, and a small body behind it. The caller has checked the head with [`check`].
///
/// It is not inlined, so that the closure is, which then has one caller: that saves 25 instructions.
#[inline(never)]
pub(super) fn encode(
    now: &Now,
    head: &ResponseHead<'_>,
    framing: FramingField,
    connection: ConnectionField,
    body: &[u8],
    out: &mut Outbox,
) {
    out.extend_with(HEAD_BYTES + head.fields.len() + body.len(), |out| {
        encode_into(now, head, framing, connection, out);
        out.extend_from_slice(body);
    });
}

#[inline(always)]
fn encode_into(now: &Now, head: &ResponseHead<'_>, framing: FramingField, connection: ConnectionField, out: &mut Vec<u8>) {
    if head.status == 200 && !head.content_type.is_empty() {
        out.extend_from_slice(now.ok_head());
        out.extend_from_slice(head.content_type.as_bytes());
    } else {
        encode_start(now, head, out);
    }
    match framing {
        FramingField::None => {}
        FramingField::Length(length) => {
            out.extend_from_slice(b"\r\nContent-Length: ");
            decimal(length, out);
        }
        FramingField::Chunked => out.extend_from_slice(b"\r\nTransfer-Encoding: chunked"),
    }
    match connection {
        ConnectionField::None => {}
        ConnectionField::Close => out.extend_from_slice(b"\r\nConnection: close"),
        ConnectionField::KeepAlive => out.extend_from_slice(b"\r\nConnection: keep-alive"),
        ConnectionField::Upgrade => out.extend_from_slice(b"\r\nConnection: Upgrade\r\nUpgrade: websocket"),
        // RFC 9110, section 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection
        // option".
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

/// Writes the head up to the content type.
fn encode_start(now: &Now, head: &ResponseHead<'_>, out: &mut Vec<u8>) {
    match status_line(head.status) {
        Some(line) => out.extend_from_slice(line),
        None => unnamed_status_line(head.status, out),
    }
    out.extend_from_slice(now.date());
    if !head.content_type.is_empty() {
        out.extend_from_slice(b"\r\nContent-Type: ");
        out.extend_from_slice(head.content_type.as_bytes());
    }
}

/// Checks whether the application may send this head.
#[inline]
pub(super) fn check(head: &ResponseHead<'_>) -> Result<(), LocalError> {
    if !(200..=599).contains(&head.status) {
        return Err(LocalError::BadStatus);
    }
    // Each response would pay for these checks, so the release build trusts the documented
    // contract.
    debug_assert!(is_field_value(head.content_type), "a content type has no control characters");
    debug_assert!(head.fields.is_empty() || head.fields.ends_with(b"\r\n"), "fields are whole lines");
    Ok(())
}

#[cold]
fn unnamed_status_line(status: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(Decimal::new(u64::from(status)).as_bytes());
    // The space before the reason phrase is required even if the phrase is empty (RFC 9112, section
    // 4).
    out.extend_from_slice(b" \r\nDate: ");
}

/// Appends a number in decimal digits. Most bodies have a length of at most three digits.
#[inline]
fn decimal(number: u64, out: &mut Vec<u8>) {
    let digit = |digit: u32| b'0' + digit as u8;
    let small = number as u32;
    match number {
        0..10 => out.push(digit(small)),
        10..100 => out.extend_from_slice(&[digit(small / 10), digit(small % 10)]),
        100..1_000 => out.extend_from_slice(&[digit(small / 100), digit(small / 10 % 10), digit(small % 10)]),
        _ => out.extend_from_slice(Decimal::new(number).as_bytes()),
    }
}

/// A number in decimal digits, without the cost of the formatting machinery.
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
