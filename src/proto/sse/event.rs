//! The encoder.
//!
//! Owns the fields of one event and their wire form (WHATWG HTML, section 9.2.5). Refuses an event name or an id that would end its own
//! line: what a publisher chose must not be able to write fields of its own into the stream.

use std::time::Duration;

use crate::proto::LocalError;

/// One event to encode, borrowed from whoever publishes it.
///
/// ```
/// use pushlab::proto::sse::Event;
/// let mut out = Vec::new();
/// Event::data("21.5\n22.0").event("temperature").id("7").encode(&mut out)?;
/// assert_eq!(out, b"event: temperature\nid: 7\ndata: 21.5\ndata: 22.0\n\n");
/// # Ok::<(), pushlab::proto::LocalError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    data: Option<&'a str>,
    name: Option<&'a str>,
    id: Option<&'a str>,
    retry: Option<Duration>,
}

impl<'a> Event<'a> {
    /// An event with a payload, which may be empty and may have any number of lines. LF, CR and CRLF all separate lines, because the
    /// format cannot tell them apart; the receiver sees LF for each.
    pub const fn data(data: &'a str) -> Self {
        Self { data: Some(data), ..Self::without_data() }
    }

    /// An event that reaches no listener: it only sets the receiver's last event id or its reconnection time.
    pub const fn without_data() -> Self {
        Self { data: None, name: None, id: None, retry: None }
    }

    /// Names the event's type. Without one, and with an empty one, it is `message`.
    #[must_use]
    pub const fn event(self, event: &'a str) -> Self {
        Self { name: Some(event), ..self }
    }

    /// Gives the event an id, which the receiver sends back as `Last-Event-ID` when it connects again. An empty one makes it forget its last.
    #[must_use]
    pub const fn id(self, id: &'a str) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Tells the receiver how long to wait before it connects again; whole milliseconds count.
    #[must_use]
    pub const fn retry(self, retry: Duration) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// Appends the wire form, blank line included.
    ///
    /// # Errors
    /// [`LocalError::BadEvent`] when the event's name carries CR or LF, or its id carries CR, LF or NUL; `out` is then unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), LocalError> {
        let (name, id) = (self.name.unwrap_or_default(), self.id.unwrap_or_default());
        // "If the field value does not contain U+0000 NULL, then set the last event ID buffer to the field value. Otherwise, ignore the
        // field." An id that is ignored would make the receiver resume in the wrong place.
        if has_line_end(name.as_bytes()) || has_line_end(id.as_bytes()) || id.as_bytes().contains(&0) {
            return Err(LocalError::BadEvent);
        }
        out.reserve(self.data.map_or(0, str::len) + name.len() + id.len() + 32);
        if self.name.is_some() {
            line(b"event:", name, out);
        }
        if self.id.is_some() {
            line(b"id:", id, out);
        }
        if let Some(retry) = self.retry {
            line(b"retry:", &retry.as_millis().to_string(), out);
        }
        if let Some(data) = self.data {
            lines(b"data:", data, out);
        }
        out.push(b'\n');
        Ok(())
    }
}

/// Appends a comment, which no listener ever sees: the heartbeat that keeps intermediaries from ending a quiet stream. The text may be empty.
///
/// ```
/// let mut out = Vec::new();
/// pushlab::proto::sse::comment("", &mut out);
/// assert_eq!(out, b":\n\n");
/// ```
pub fn comment(text: &str, out: &mut Vec<u8>) {
    lines(b":", text, out);
    // Not asked for by the standard; it lets a client that cuts the stream at blank lines see the comment at once, and by itself.
    out.push(b'\n');
}

/// One field line for each line of `text`, at least one.
fn lines(name: &[u8], text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    if has_line_end(text.as_bytes()) {
        while let Some(end) = rest.bytes().position(|byte| matches!(byte, b'\r' | b'\n')) {
            line(name, &rest[..end], out);
            let length = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
            rest = &rest[end + length..];
        }
    }
    line(name, rest, out);
}

fn line(name: &[u8], value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    if !value.is_empty() {
        // The receiver drops one space after the colon, so that a value may begin with its own.
        out.push(b' ');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'\n');
}

/// Two searches for one byte each, which the standard library does a word at a time, beat one search for either byte.
fn has_line_end(text: &[u8]) -> bool {
    text.contains(&b'\n') || text.contains(&b'\r')
}
