//! The framing of request bodies.
//!
//! Owns the decision of RFC 9112, section 6. The decision is strict: a head that two
//! implementations could read in two ways is rejected, because a proxy before this server may have
//! read it in the other way (request smuggling, section 11.2). Leaves the body itself to
//! [`Conn`](super::Conn).

use super::super::error::RemoteError;
use super::fields::elements;
use super::method::Version;

/// How the body of a request is framed. [`Head`](super::Head) has an example.
///
/// `Content-Length: 0` means that there is no body. It is [`None`](Self::None): the caller awaits
/// no body, and no [`Event::End`](super::Event::End) is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// There is no body.
    None,
    /// This many bytes follow; at least one.
    Length(u64),
    /// The body is in chunked coding (RFC 9112, section 7.1). It may have no data.
    Chunked,
}

/// The framing information in the fields of a head so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Framing {
    length: Option<u64>,
    coding: Coding,
}

/// The list of transfer codings so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    /// The field is present, but it names no coding yet.
    Empty,
    /// The list is exactly one `chunked`.
    Chunked,
    /// The list is other codings and then one `chunked`.
    UnknownThenChunked,
    /// The list is other codings without `chunked`.
    Unknown,
    /// A coding follows `chunked`, which must be the last one.
    Bad,
}

impl Framing {
    /// Takes the value of a `Content-Length` field.
    ///
    /// A recipient may merge equal repetitions (section 6.3, rule 5) or reject them (RFC 9110,
    /// section 8.6). This server rejects them, so that no proxy can read the head differently.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), RemoteError> {
        match (self.length, decimal(value)) {
            (None, Some(length)) => {
                self.length = Some(length);
                Ok(())
            }
            _ => Err(RemoteError::BadContentLength),
        }
    }

    /// Takes the value of a `Transfer-Encoding` field. Several fields form one list, in which "a
    /// recipient MUST parse and ignore a reasonable number of empty list elements" (RFC 9110,
    /// section 5.6.1.2).
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) {
        if self.coding == Coding::None {
            self.coding = Coding::Empty;
        }
        for coding in elements(value) {
            self.coding = match self.coding {
                Coding::Empty if coding.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                Coding::Unknown if coding.eq_ignore_ascii_case(b"chunked") => Coding::UnknownThenChunked,
                // `chunked` has no parameters (section 7.1), so a `chunked` with parameters is an
                // unknown coding here.
                Coding::None | Coding::Empty | Coding::Unknown => Coding::Unknown,
                Coding::Chunked | Coding::UnknownThenChunked | Coding::Bad => Coding::Bad,
            };
        }
    }

    /// Decides the framing from all fields.
    #[inline]
    pub(super) fn content(self, version: Version) -> Result<Content, RemoteError> {
        match (self.coding, self.length) {
            (Coding::None, None | Some(0)) => Ok(Content::None),
            (Coding::None, Some(length)) => Ok(Content::Length(length)),
            // RFC 9112, section 6.3, rule 3: such a message "ought to be handled as an error".
            (_, Some(_)) => Err(RemoteError::ConflictingFraming),
            // RFC 9112, section 6.1: a recipient of `Transfer-Encoding` in an HTTP/1.0 message
            // "MUST treat the message as if the framing is faulty".
            _ if version == Version::Http10 => Err(RemoteError::BadTransferEncoding),
            (Coding::Chunked, None) => Ok(Content::Chunked),
            (Coding::UnknownThenChunked, None) => Err(RemoteError::UnknownTransferCoding),
            (Coding::Empty | Coding::Unknown | Coding::Bad, None) => Err(RemoteError::BadTransferEncoding),
        }
    }
}

/// Parses `1*DIGIT` whose number fits into 64 bits.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
