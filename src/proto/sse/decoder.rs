//! The decoder, for clients and for tests.
//!
//! Owns the interpretation of an event stream (WHATWG HTML, sections 9.2.5 and 9.2.6), however it is cut. Refuses to remember anything
//! across connections: a stream that ends is dropped with its decoder, and with it the block that it left unfinished.

use std::time::Duration;

use crate::proto::RemoteError;

/// One event of a stream, borrowed from the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The event's type; `message` when the stream names none.
    pub event: &'a str,
    /// The payload, its lines joined by LF.
    pub data: &'a str,
    /// The last event id, which persists from an earlier event when this one has none. Empty when there was none.
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
    /// The line that the input so far did not end.
    line: Vec<u8>,
    /// Every value of a `data` field of the block, each with a LF behind it.
    data: String,
    event: String,
    /// The standard's last event ID buffer: takes effect with the blank line that ends its block.
    id: String,
    last_event_id: String,
    retry: Option<Duration>,
    position: Position,
    /// `data` and `event` were handed out by the last call.
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
    /// In the first line, which may begin with a byte order mark.
    Start,
    Lines,
    /// A CR ended the last input: a LF that follows belongs to it.
    AfterCr,
    Failed,
}

impl Decoder {
    /// A decoder at the start of a stream. The data collected for one event and the line being read are together at most `limit_bytes`.
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

    /// Consumes a prefix of `input`, up to the end of the next event, and says how long it was. Without an event it is all of `input`.
    ///
    /// # Errors
    /// [`RemoteError::MessageTooLarge`] when an event exceeds the limit, now and ever after.
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

    /// The id of the last finished block: what a client sends as `Last-Event-ID` when it connects again.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The reconnection time that the stream asked for last.
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
                self.check(self.line.len() + rest.len())?;
                self.line.extend_from_slice(rest);
                return Ok(input.len());
            };
            used += end + 1;
            self.check(self.line.len() + end)?;
            if self.line.is_empty() {
                self.end_line(&rest[..end])?;
            } else {
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
        // A comment is a field with an empty name, and ignored like every other unknown field.
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
        // No line end is part of a longer UTF-8 sequence, so that decoding line by line is decoding the stream.
        let value = String::from_utf8_lossy(value);
        // U+FFFD is up to three times as long as what it stands for.
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
        // "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string and return." A `data`
        // field without a value has left a LF there: that event is empty, but it is dispatched.
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

/// "If the field value consists of only ASCII digits, then interpret the field value as an integer in base ten"; one that is beyond all
/// reason is the largest there is.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value
        .iter()
        .try_fold(0_u64, |number, byte| byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(byte - b'0'))))
}
