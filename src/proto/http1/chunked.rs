//! The chunked transfer coding, decoded (RFC 9112, section 7.1).
//!
//! Owns the grammar of chunks, extensions and trailers, and their bounds. Refuses to give a meaning to extensions (section 7.1.1: "MUST
//! ignore unrecognized chunk extensions") and to trailer fields, which are checked and discarded (section 6.5.1 of RFC 9110), and refuses
//! line feeds without carriage returns and white space that section 7.1 does not have.

use super::super::{Limits, RemoteError};
use super::syntax::{is_token_byte, is_value_byte};

/// What the decoder found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkedEvent<'a> {
    /// Bytes of the body, at least one; chunk borders are not visible.
    Data(&'a [u8]),
    /// The last chunk and the trailer section are through.
    End,
    /// The input is used up.
    NeedData,
}

/// The decoder of one chunked body.
///
/// ```
/// use pushlab::proto::{Limits, http1::{ChunkedDecoder, ChunkedEvent}};
/// let (mut decoder, limits) = (ChunkedDecoder::new(), Limits::default());
/// let input = b"5\r\nhello\r\n0\r\n\r\n";
/// assert_eq!(decoder.next(input, &limits)?, (8, ChunkedEvent::Data(b"hello")));
/// assert_eq!(decoder.next(&input[8..], &limits)?, (7, ChunkedEvent::End));
/// # Ok::<(), pushlab::proto::RemoteError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChunkedDecoder {
    /// Bytes of the current chunk that have not come yet; in [`State::Digits`] the size so far.
    left: u64,
    /// Bytes of all chunks announced so far.
    total: u64,
    /// Bytes of framing that [`Limits::chunk_line_bytes`] bounds: of the trailer section so far; or of the current size line so far, and of
    /// what was before it beyond what is due to the data.
    line: u32,
    state: State,
}

/// Where in a chunked body the next byte stands.
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
    /// A decoder before the first chunk.
    pub const fn new() -> Self {
        Self { left: 0, total: 0, line: 0, state: State::Size }
    }

    /// Consumes framing up to the next event, and says how many bytes that was. After [`ChunkedEvent::End`] nothing more is consumed.
    ///
    /// # Errors
    /// [`RemoteError::BadChunk`] for broken grammar and for lines past [`Limits::chunk_line_bytes`]; [`RemoteError::BodyTooLarge`] as soon
    /// as the announced sizes add up to more than [`Limits::body_bytes`].
    pub fn next<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Result<(usize, ChunkedEvent<'a>), RemoteError> {
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

    /// One byte outside the data.
    fn framing(&mut self, byte: u8, limits: &Limits) -> Result<(), RemoteError> {
        self.line += 1;
        if self.line as usize > limits.chunk_line_bytes {
            return Err(RemoteError::BadChunk);
        }
        self.state = match (self.state, byte) {
            (State::Size | State::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (State::Digits | State::Extension, b'\r') => State::SizeLf,
            // White space is allowed before the semicolon of an extension, and nowhere else in front of it (section 7.1.1, BWS).
            (State::Digits | State::Space, b' ' | b'\t') => State::Space,
            (State::Extension, b'"') => State::Quoted,
            (State::Digits | State::Space, b';') | (State::Quoted, b'"') => State::Extension,
            (State::Quoted, b'\\') => State::Escaped,
            (State::Escaped, byte) if is_value_byte(byte) => State::Quoted,
            (state @ (State::Extension | State::Quoted), byte) if is_value_byte(byte) => state,
            (State::SizeLf, b'\n') => self.sized(limits)?,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                // This line end belongs to no size line.
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
        let shifted = self.left.checked_mul(16).ok_or(RemoteError::BadChunk)?;
        self.left = shifted | u64::from(digit);
        Ok(State::Digits)
    }

    /// The end of a size line.
    fn sized(&mut self, limits: &Limits) -> Result<State, RemoteError> {
        self.total = self.total.saturating_add(self.left);
        match self.left {
            0 => {
                self.line = 0;
                Ok(State::Trailer)
            }
            _ if self.total > limits.body_bytes as u64 => Err(RemoteError::BodyTooLarge),
            data => {
                // "A server ought to limit the total length of chunk extensions received in a request" (section 7.1.1): what is due to a
                // chunk is as Go has it, 16 bytes and twice its data (CVE-2023-39326).
                self.line = self.line.saturating_sub(u32::try_from(data.saturating_mul(2)).unwrap_or(u32::MAX).saturating_add(16));
                Ok(State::Data)
            }
        }
    }
}
