//! The decoder of event streams, for clients and tests.
//!
//! Owns the interpretation of an event stream (WHATWG HTML, sections 9.2.5 and 9.2.6), independent
//! of how the input is split. Leaves reconnection to the caller: when a stream ends, the caller
//! drops the decoder, and the unfinished block is lost with it, as the standard requires.

use std::time::Duration;

use crate::proto::RemoteError;

/// One event of a stream. It borrows from the decoder. [`Decoder`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded<'a> {
    /// The event's type. It is `message` if the stream gives no type.
    pub event: &'a str,
    /// The payload. LF separates its lines.
    pub data: &'a str,
    /// The last event id. If this event has no id, it is the id of an earlier event. It is empty if
    /// no event had an id.
    pub id: &'a str,
}

/// Reads one event stream.
///
/// ```
/// use pushlab::proto::sse::Decoder;
/// let mut decoder = Decoder::new(64 * 1024);
/// let mut input = &b": welcome\n\nid: 7\ndata: one\ndata: two\n\ndata: unfin"[..];
/// let (used, event) = decoder.next_event(input)?;
/// assert_eq!(event.map(|event| (event.id, event.data)), Some(("7", "one\ntwo")));
/// input = &input[used..];
/// assert_eq!(decoder.next_event(input)?, (input.len(), None));
/// assert_eq!(decoder.last_event_id(), "7");
/// # Ok::<(), pushlab::proto::RemoteError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limit_bytes: usize,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The values of the `data` fields of the block. A LF follows each value.
    data: String,
    event: String,
    /// The "last event ID buffer" of the standard. The blank line that ends the block makes it
    /// effective.
    id: String,
    last_event_id: String,
    retry: Option<Duration>,
    position: Position,
    /// Whether the last call returned an event that borrows `data` and `event`. The next call
    /// clears them.
    dispatched: bool,
}

/// ```text
///                            CR at the end of the input
///  Start --- first line ---> Lines ---------------------> AfterCr
///                              ^---------------------------'
///                                      any next byte
///  from all: --- past the limit ---> Failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// In the first line. It may begin with a byte order mark.
    Start,
    Lines,
    /// The last input ended with CR. If the next byte is LF, it belongs to the same line end.
    AfterCr,
    Failed,
}

impl Decoder {
    /// A decoder at the start of a stream. The data of one event and the current line together have
    /// at most `limit_bytes`.
    pub const fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            line: Vec::new(),
            data: String::new(),
            event: String::new(),
            id: String::new(),
            last_event_id: String::new(),
            retry: None,
            position: Position::Start,
            dispatched: false,
        }
    }

    /// Consumes a prefix of `input`, up to the end of the next event, and returns its length. If
    /// there is no event, it consumes all of `input`.
    ///
    /// # Errors
    /// [`RemoteError::MessageTooLarge`] if an event exceeds the limit. All later calls return this
    /// error too.
    pub fn next_event(&mut self, input: &[u8]) -> Result<(usize, Option<Decoded<'_>>), RemoteError> {
        if self.dispatched {
            self.dispatched = false;
            self.data.clear();
            self.event.clear();
        }
        match self.read_lines(input) {
            Ok(used) => {
                let event = if self.event.is_empty() { "message" } else { &self.event };
                Ok((used, self.dispatched.then_some(Decoded { event, data: &self.data, id: &self.last_event_id })))
            }
            Err(error) => {
                self.position = Position::Failed;
                Err(error)
            }
        }
    }

    /// The id of the last finished block. A client sends it as `Last-Event-ID` when it reconnects.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The last reconnection time that the stream has set.
    pub const fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn read_lines(&mut self, input: &[u8]) -> Result<usize, RemoteError> {
        let mut used = 0;
        match self.position {
            Position::Failed => return Err(RemoteError::MessageTooLarge),
            Position::AfterCr if !input.is_empty() => {
                used = usize::from(input[0] == b'\n');
                self.position = Position::Lines;
            }
            _ => {}
        }
        while !self.dispatched {
            let rest = &input[used..];
            let Some(end) = rest.iter().position(|&byte| matches!(byte, b'\r' | b'\n')) else {
                // The limit also holds for a line that never ends.
                self.check(self.line.len() + rest.len())?;
                self.line.extend_from_slice(rest);
                return Ok(input.len());
            };
            used += end + 1;
            self.check(self.line.len() + end)?;
            if self.line.is_empty() {
                self.end_line(&rest[..end])?;
            } else {
                // The line moves out because `end_line` borrows all of `self`. It moves back to
                // keep its memory for the next split line.
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest[..end]);
                self.end_line(&line)?;
                line.clear();
                self.line = line;
            }
            if rest[end] == b'\r' {
                match rest.get(end + 1) {
                    Some(b'\n') => used += 1,
                    Some(_) => {}
                    None => self.position = Position::AfterCr,
                }
            }
        }
        Ok(used)
    }

    fn end_line(&mut self, mut line: &[u8]) -> Result<(), RemoteError> {
        if self.position == Position::Start {
            self.position = Position::Lines;
            // "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any."
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            self.end_block();
            return Ok(());
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = colon.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        // A comment is a field with an empty name, and unknown fields are ignored.
        self.field(name, value.strip_prefix(b" ").unwrap_or(value))
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), RemoteError> {
        match name {
            b"data" | b"event" | b"id" => {}
            b"retry" => {
                if let Some(millis) = decimal(value) {
                    self.retry = Some(Duration::from_millis(millis));
                }
                return Ok(());
            }
            _ => return Ok(()),
        }
        // CR and LF are never part of a longer UTF-8 sequence. So decoding line by line gives the
        // same result as decoding the whole stream.
        let value = String::from_utf8_lossy(value);
        // U+FFFD takes up to three times as many bytes as the invalid sequence that it replaces, so
        // the length is checked again.
        self.check(value.len() + 1)?;
        match name {
            b"data" => {
                self.data.push_str(&value);
                self.data.push('\n');
            }
            b"event" => {
                self.event.clear();
                self.event.push_str(&value);
            }
            // "If the field value does not contain U+0000 NULL, then set the last event ID buffer
            // to the field value. Otherwise, ignore the field."
            _ if value.contains('\0') => {}
            _ => {
                self.id.clear();
                self.id.push_str(&value);
            }
        }
        Ok(())
    }

    fn end_block(&mut self) {
        self.last_event_id.clone_from(&self.id);
        // "If the data buffer is an empty string, set the data buffer and the event type buffer to
        // the empty string and return." A `data` field without a value has put a LF into the
        // buffer: its event is empty, but it is dispatched.
        if self.data.pop().is_some() {
            self.dispatched = true;
        } else {
            self.event.clear();
        }
    }

    const fn check(&self, line_bytes: usize) -> Result<(), RemoteError> {
        if self.data.len() + line_bytes > self.limit_bytes { Err(RemoteError::MessageTooLarge) } else { Ok(()) }
    }
}

/// "If the field value consists of only ASCII digits, then interpret the field value as an integer
/// in base ten." A value that is too large becomes `u64::MAX`.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value
        .iter()
        .try_fold(0_u64, |number, byte| byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(byte - b'0'))))
}
