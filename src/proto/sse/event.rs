//! The encoder of events and comments.
//!
//! Owns the fields of one event and their wire form (WHATWG HTML, section 9.2.5). Owns the check
//! that an event name or id cannot end its own line: a publisher must not be able to write fields
//! into the stream. Leaves the framing of the response body to [`Frame`](crate::proto::Frame).

use std::time::Duration;

use crate::proto::LocalError;

/// One event to encode. It borrows its texts.
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
    /// An event with a payload. The payload may be empty and may have any number of lines. LF, CR
    /// and CRLF all separate lines, because the format cannot distinguish them. The receiver sees
    /// LF for each.
    pub const fn data(data: &'a str) -> Self {
        Self { data: Some(data), ..Self::without_data() }
    }

    /// An event without a payload. The receiver dispatches nothing; it only sets its last event id
    /// or its reconnection time.
    pub const fn without_data() -> Self {
        Self { data: None, name: None, id: None, retry: None }
    }

    /// Sets the event's type. An event without a type, or with an empty type, is a `message`.
    #[must_use]
    pub const fn event(self, event: &'a str) -> Self {
        Self { name: Some(event), ..self }
    }

    /// Sets the event's id. The receiver sends it back as `Last-Event-ID` when it reconnects. An
    /// empty id makes the receiver forget its last event id.
    #[must_use]
    pub const fn id(self, id: &'a str) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Sets the time that the receiver waits before it reconnects, in whole milliseconds.
    #[must_use]
    pub const fn retry(self, retry: Duration) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// Appends the wire form, including the blank line.
    ///
    /// # Errors
    /// [`LocalError::BadEvent`] if the event's name contains CR or LF, or its id contains CR, LF or
    /// NUL. `out` is then unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), LocalError> {
        let (name, id) = (self.name.unwrap_or_default(), self.id.unwrap_or_default());
        // "If the field value does not contain U+0000 NULL, then set the last event ID buffer to
        // the field value. Otherwise, ignore the field." If the receiver ignored an id, it would
        // later resume at the wrong message.
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

/// Appends a comment. The receiver ignores it. A comment is the heartbeat that keeps intermediaries
/// from closing a quiet stream. The text may be empty.
///
/// ```
/// let mut out = Vec::new();
/// pushlab::proto::sse::comment("", &mut out);
/// assert_eq!(out, b":\n\n");
/// ```
pub fn comment(text: &str, out: &mut Vec<u8>) {
    lines(b":", text, out);
    // The standard does not require this blank line. With it, a client that splits the stream at
    // blank lines gets the comment at once and separately.
    out.push(b'\n');
}

/// Appends one field line for each line of `text`. An empty text gives one line.
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
        // The receiver removes one space after the colon. Without this space it would remove one
        // that belongs to the value.
        out.push(b' ');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'\n');
}

/// The standard library searches for one byte a word at a time. Two such searches are faster than
/// one search for either byte.
fn has_line_end(text: &[u8]) -> bool {
    text.contains(&b'\n') || text.contains(&b'\r')
}
