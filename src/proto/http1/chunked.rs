//! The decoder of the chunked transfer coding (RFC 9112, section 7.1).
//!
//! Owns the grammar of chunks, extensions and trailers, and their bounds. It is strict: it rejects
//! a line feed without a carriage return, and white space that section 7.1 does not allow. It
//! checks extensions and trailer fields and discards them (section 7.1.1: "MUST ignore unrecognized
//! chunk extensions"; RFC 9110, section 6.5.1). Leaves the buffers to the caller: the data is
//! borrowed from the input.

use super::super::{ProtocolLimits, RemoteError};
use super::syntax::{is_token_byte, is_value_byte};

/// What the decoder found. [`ChunkedDecoder`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkedEvent<'a> {
    /// Bytes of the body, at least one. The caller cannot see the borders of chunks.
    Data(&'a [u8]),
    /// The last chunk and the trailer section have been read.
    End,
    /// The input is used up.
    NeedData,
}

/// The decoder of one chunked body.
///
/// ```
/// use pushlab::proto::{ProtocolLimits, http1::{ChunkedDecoder, ChunkedEvent}};
/// let (mut decoder, limits) = (ChunkedDecoder::new(), ProtocolLimits::default());
/// let input = b"5\r\nhello\r\n0\r\n\r\n";
/// assert_eq!(decoder.next(input, &limits)?, (8, ChunkedEvent::Data(b"hello")));
/// assert_eq!(decoder.next(&input[8..], &limits)?, (7, ChunkedEvent::End));
/// # Ok::<(), pushlab::proto::RemoteError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChunkedDecoder {
    /// The number of bytes of the current chunk that have not arrived. In [`State::Digits`] it is
    /// the size that the digits give so far.
    left: u64,
    /// The sum of all chunk sizes so far.
    total: u64,
    /// The number of framing bytes that [`ProtocolLimits::chunk_line_bytes`] bounds. In the trailer
    /// section it counts that section. Before that, it counts the current size line, plus the
    /// framing bytes of earlier chunks beyond their allowance.
    line: u32,
    state: State,
}

/// The position of the next byte in a chunked body.
///
/// ```text
///            digit         ';'           '"'
/// -> Size ---------> Digits ---> Extension <--> Quoted <--> Escaped
///     ^                |   \ SP ^   |
///     |             CR |    v  /    | CR
///     |                |   Space    |
///     |                v            v
///     |               SizeLf <------+
///     |                | LF
///     |   size > 0     v      size = 0
///     |  +-------------+----------------+
///     |  v                              v        CR
///     | Data -> DataCr -> DataLf    Trailer ----------> EndLf -> End
///     |                     |        |   ^
///     +---------------------+        v   | LF
///                               Name -> Value -> ValueLf
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Digits,
    Space,
    Extension,
    Quoted,
    Escaped,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    Name,
    Value,
    ValueLf,
    EndLf,
    End,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedDecoder {
    /// A decoder at the start of a body.
    pub const fn new() -> Self {
        Self { left: 0, total: 0, line: 0, state: State::Size }
    }

    /// Consumes a prefix of `input`, up to the next event, and returns its length. After
    /// [`ChunkedEvent::End`] it consumes nothing more.
    ///
    /// # Errors
    /// [`RemoteError::BadChunk`] if the grammar is broken, or if framing exceeds
    /// [`ProtocolLimits::chunk_line_bytes`]. [`RemoteError::BodyTooLarge`] as soon as the sum of
    /// the chunk sizes exceeds [`ProtocolLimits::body_bytes`].
    pub fn next<'a>(&mut self, input: &'a [u8], limits: &ProtocolLimits) -> Result<(usize, ChunkedEvent<'a>), RemoteError> {
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            match self.state {
                State::Data => {
                    let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - used);
                    self.left -= len as u64;
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok((used + len, ChunkedEvent::Data(&input[used..used + len])));
                }
                State::End => return Ok((used, ChunkedEvent::End)),
                _ => self.framing(byte, limits)?,
            }
            used += 1;
        }
        let event = if self.state == State::End { ChunkedEvent::End } else { ChunkedEvent::NeedData };
        Ok((used, event))
    }

    /// Takes one byte that is not data.
    fn framing(&mut self, byte: u8, limits: &ProtocolLimits) -> Result<(), RemoteError> {
        self.line += 1;
        if self.line as usize > limits.chunk_line_bytes {
            return Err(RemoteError::BadChunk);
        }
        self.state = match (self.state, byte) {
            (State::Size | State::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (State::Digits | State::Extension, b'\r') => State::SizeLf,
            // White space is allowed between the chunk size and the semicolon of an extension, and
            // not before a CR (section 7.1.1, BWS).
            (State::Digits | State::Space, b' ' | b'\t') => State::Space,
            (State::Extension, b'"') => State::Quoted,
            (State::Digits | State::Space, b';') | (State::Quoted, b'"') => State::Extension,
            (State::Quoted, b'\\') => State::Escaped,
            (State::Escaped, byte) if is_value_byte(byte) => State::Quoted,
            (state @ (State::Extension | State::Quoted), byte) if is_value_byte(byte) => state,
            (State::SizeLf, b'\n') => self.sized(limits)?,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                // The line end after the data is not part of a size line, so its two bytes do not
                // count.
                self.line = self.line.saturating_sub(2);
                State::Size
            }
            (State::Trailer, b'\r') => State::EndLf,
            (State::Trailer | State::Name, byte) if is_token_byte(byte) => State::Name,
            (State::Name, b':') => State::Value,
            (State::Value, b'\r') => State::ValueLf,
            (State::Value, byte) if is_value_byte(byte) => State::Value,
            (State::ValueLf, b'\n') => State::Trailer,
            (State::EndLf, b'\n') => State::End,
            _ => return Err(RemoteError::BadChunk),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<State, RemoteError> {
        let digit = char::from(byte).to_digit(16).ok_or(RemoteError::BadChunk)?;
        // RFC 9112, section 7.1: "A recipient MUST anticipate potentially large hexadecimal
        // numerals and prevent parsing errors due to integer conversion overflows".
        let shifted = self.left.checked_mul(16).ok_or(RemoteError::BadChunk)?;
        self.left = shifted | u64::from(digit);
        Ok(State::Digits)
    }

    /// Handles the end of a size line.
    fn sized(&mut self, limits: &ProtocolLimits) -> Result<State, RemoteError> {
        self.total = self.total.saturating_add(self.left);
        match self.left {
            0 => {
                self.line = 0;
                Ok(State::Trailer)
            }
            _ if self.total > limits.body_bytes as u64 => Err(RemoteError::BodyTooLarge),
            data => {
                // "A server ought to limit the total length of chunk extensions received in a
                // request" (section 7.1.1). Each chunk may have 16 bytes of framing plus twice its
                // data, as in Go (CVE-2023-39326). Only the excess stays in the count.
                self.line = self.line.saturating_sub(u32::try_from(data.saturating_mul(2)).unwrap_or(u32::MAX).saturating_add(16));
                Ok(State::Data)
            }
        }
    }
}
