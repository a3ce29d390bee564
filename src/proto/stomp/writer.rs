//! The output side: frames to bytes.
//!
//! Owns the wire form of a frame, and the check that no name and no value can leave its line. Owns
//! `content-length`, which each body gets. Leaves the choice of the headers to the caller.

use super::command::Command;
use super::escape::{Escapes, LinePart};
use super::version::Version;
use crate::proto::LocalError;

/// Appends one frame to a buffer.
///
/// ```
/// use pushlab::proto::stomp::{Command, FrameWriter, Version};
/// let mut out = Vec::new();
/// let frame = FrameWriter::new(Command::Send, Version::V1_2, &mut out);
/// frame.header("destination", "/queue/a").body(b"hello")?;
/// assert_eq!(out, b"SEND\ndestination:/queue/a\ncontent-length:5\n\nhello\0");
/// # Ok::<_, pushlab::proto::LocalError>(())
/// ```
///
/// A frame can be written in two parts, so that subscribers share the bytes of the second one:
///
/// ```
/// # use pushlab::proto::stomp::{Command, FrameWriter, Version};
/// let (mut first, mut second) = (Vec::new(), Vec::new());
/// let begin = FrameWriter::new(Command::Message, Version::V1_2, &mut first);
/// begin.header("subscription", "7").pause()?;
/// let rest = FrameWriter::go_on(Command::Message, Version::V1_2, &mut second);
/// rest.header("message-id", "41").body(b"hello")?;
/// assert_eq!(first, b"MESSAGE\nsubscription:7\n");
/// assert_eq!(second, b"message-id:41\ncontent-length:5\n\nhello\0");
/// # Ok::<_, pushlab::proto::LocalError>(())
/// ```
#[derive(Debug)]
#[must_use = "a frame ends with `body`, `end` or `pause`"]
pub struct FrameWriter<'a> {
    out: &'a mut Vec<u8>,
    /// The length of `out` before this frame. After an error, `out` has this length again.
    before: usize,
    command: Command,
    escapes: Escapes,
    error: Option<LocalError>,
}

impl<'a> FrameWriter<'a> {
    /// Begins a frame.
    pub fn new(command: Command, version: Version, out: &'a mut Vec<u8>) -> Self {
        let writer = Self::go_on(command, version, out);
        writer.out.extend_from_slice(command.name().as_bytes());
        writer.out.push(b'\n');
        writer
    }

    /// Continues a frame that [`pause`](Self::pause) has left, in a buffer of its own.
    pub const fn go_on(command: Command, version: Version, out: &'a mut Vec<u8>) -> Self {
        let before = out.len();
        Self { out, before, command, escapes: Escapes::of(command, version), error: None }
    }

    /// Appends a header. Its name and value may be any text that the version can carry; the end of
    /// the frame reports one that it cannot carry. `content-length` is written by
    /// [`body`](Self::body).
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if name == "content-length" {
            self.fail(LocalError::ReservedField);
        }
        let is_carried = !name.is_empty() && self.escapes.encode(name, LinePart::Name, self.out);
        self.out.push(b':');
        if !(self.escapes.encode(value, LinePart::Value, self.out) && is_carried) {
            self.fail(LocalError::BadHeader);
        }
        self.out.push(b'\n');
        self
    }

    /// Appends the body, which may be empty and may contain any bytes, and ends the frame.
    ///
    /// # Errors
    /// [`LocalError::BodyLength`] if a frame with this command must not have a body, and the errors
    /// of [`end`](Self::end). The buffer is then as it was before the frame.
    pub fn body(mut self, body: &[u8]) -> Result<(), LocalError> {
        if !self.command.may_have_body() {
            self.fail(LocalError::BodyLength);
        }
        self.out.reserve(body.len() + 32);
        self.out.extend_from_slice(b"content-length:");
        self.out.extend_from_slice(body.len().to_string().as_bytes());
        self.out.push(b'\n');
        self.finish(body)
    }

    /// Ends a frame without a body.
    ///
    /// # Errors
    /// [`LocalError::BadHeader`] if a header's name is empty, if a header contains NUL, or if it
    /// contains a character for which the version and the command have no escape: CR below 1.2; LF,
    /// and a colon in a name, in STOMP 1.0 and in CONNECT, STOMP and CONNECTED.
    /// [`LocalError::ReservedField`] if a header is `content-length`. The buffer is then as it was
    /// before the frame.
    pub fn end(self) -> Result<(), LocalError> {
        self.finish(b"")
    }

    /// Leaves the frame after its first headers. [`go_on`](Self::go_on) continues it.
    ///
    /// # Errors
    /// Those of [`end`](Self::end).
    pub fn pause(self) -> Result<(), LocalError> {
        self.result()
    }

    fn finish(self, body: &[u8]) -> Result<(), LocalError> {
        self.out.push(b'\n');
        self.out.extend_from_slice(body);
        self.out.push(0);
        self.result()
    }

    /// The first error counts.
    fn fail(&mut self, error: LocalError) {
        self.error.get_or_insert(error);
    }

    fn result(self) -> Result<(), LocalError> {
        let Some(error) = self.error else { return Ok(()) };
        self.out.truncate(self.before);
        Err(error)
    }
}
