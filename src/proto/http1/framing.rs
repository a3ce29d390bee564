//! How the body of a request is framed.
//!
//! Owns the decision of RFC 9112, section 6, made strictly: whatever two implementations could read in two ways is refused, because a
//! proxy in front may have read it the other way (request smuggling, section 11.2). Refuses to touch the body itself.

use super::super::error::RemoteError;
use super::fields::elements;
use super::method::Version;

/// How the body of a request is framed.
///
/// `Content-Length: 0` says that there is no body and is [`None`](Self::None): nothing is to be awaited, and no end is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// There is no body.
    None,
    /// This many bytes follow; at least one.
    Length(u64),
    /// The body comes in chunks (RFC 9112, section 7.1), possibly none but the last.
    Chunked,
}

/// What the fields of a head have said so far.
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
    /// The field is there, and names nothing yet.
    Empty,
    /// Nothing but one `chunked`.
    Chunked,
    /// Others, ended by one `chunked`.
    UnknownThenChunked,
    /// Others, without `chunked`.
    Unknown,
    /// `chunked` in a place where it must not be.
    Bad,
}

impl Framing {
    /// Takes the value of a `Content-Length` field.
    ///
    /// Equal repetitions may be merged (section 6.3, rule 5) or refused (RFC 9110, section 8.6); to refuse them leaves nothing to disagree
    /// about.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), RemoteError> {
        match (self.length, decimal(value)) {
            (None, Some(length)) => {
                self.length = Some(length);
                Ok(())
            }
            _ => Err(RemoteError::BadContentLength),
        }
    }

    /// Takes the value of a `Transfer-Encoding` field; several fields are one list, in which "a recipient MUST parse and ignore a reasonable
    /// number of empty list elements" (RFC 9110, section 5.6.1.2).
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) {
        if self.coding == Coding::None {
            self.coding = Coding::Empty;
        }
        for coding in elements(value) {
            self.coding = match self.coding {
                Coding::Empty if coding.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                Coding::Unknown if coding.eq_ignore_ascii_case(b"chunked") => Coding::UnknownThenChunked,
                // "chunked" has no parameters (section 7.1), so that one with parameters is another coding here.
                Coding::None | Coding::Empty | Coding::Unknown => Coding::Unknown,
                Coding::Chunked | Coding::UnknownThenChunked | Coding::Bad => Coding::Bad,
            };
        }
    }

    /// The verdict over all fields.
    #[inline]
    pub(super) fn content(self, version: Version) -> Result<Content, RemoteError> {
        match (self.coding, self.length) {
            (Coding::None, None | Some(0)) => Ok(Content::None),
            (Coding::None, Some(length)) => Ok(Content::Length(length)),
            (_, Some(_)) => Err(RemoteError::ConflictingFraming),
            _ if version == Version::Http10 => Err(RemoteError::BadTransferEncoding),
            (Coding::Chunked, None) => Ok(Content::Chunked),
            (Coding::UnknownThenChunked, None) => Err(RemoteError::UnknownTransferCoding),
            (Coding::Empty | Coding::Unknown | Coding::Bad, None) => Err(RemoteError::BadTransferEncoding),
        }
    }
}

/// `1*DIGIT` that fits 64 bits.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
