//! Messages that arrive in pieces: fragments, or parts of one frame (RFC 6455, section 5.4).
//!
//! Owns the bytes so far and the order of fragments. Refuses to trust a frame's announced length: memory grows with what has arrived, and
//! what is announced is only compared with the limit.

use super::super::{Limits, RemoteError};
use super::event::Message;
use super::frame::Opcode;
use super::utf8::Utf8Validator;

/// The first allocation, in bytes, so that a message that trickles in does not grow one by one.
const SMALLEST_BYTES: usize = 64;

/// Collects one message at a time.
///
/// ```
/// use pushlab::proto::{Limits, ws::{Message, Opcode, assembler::Assembler}};
/// let (mut assembler, limits) = (Assembler::new(), Limits::default());
/// assembler.admit(Opcode::Text, 2, &limits)?;
/// assembler.push(b"Hi", None)?;
/// assembler.admit(Opcode::Continuation, 1, &limits)?;
/// assembler.push(b"!", Some(1))?;
/// assembler.finish()?;
/// assert_eq!(assembler.message(), Message::Text("Hi!"));
/// # Ok::<_, pushlab::proto::RemoteError>(())
/// ```
#[derive(Debug)]
pub struct Assembler {
    content: Content,
    utf8: Utf8Validator,
    /// Frames of the message so far.
    frames: usize,
    /// Whether the message awaits more frames, or more of its last one.
    open: bool,
}

/// Text is collected as text: what was validated when it came need not be validated again when it is complete.
#[derive(Debug)]
enum Content {
    Text(String),
    Binary(Vec<u8>),
}

impl Default for Assembler {
    fn default() -> Self {
        Self::new()
    }
}

impl Assembler {
    /// An assembler without a message and without memory of its own.
    pub const fn new() -> Self {
        Self { content: Content::Binary(Vec::new()), utf8: Utf8Validator::new(), frames: 0, open: false }
    }

    /// Whether a message has begun and is not finished.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Bytes of the message that have arrived.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.len() + self.utf8.pending(),
            Content::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether no byte of a message has arrived.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the message occupies.
    pub fn capacity(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.capacity(),
            Content::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Takes note of a data frame's head, which may begin a message or go on with one, and refuses it if it breaks the order or a limit.
    pub fn admit(&mut self, opcode: Opcode, payload_len: u64, limits: &Limits) -> Result<(), RemoteError> {
        // "The fragments of one message MUST NOT be interleaved between the fragments of another message".
        if self.open != (opcode == Opcode::Continuation) {
            return Err(RemoteError::BadFragment);
        }
        if !self.open {
            let content = if opcode == Opcode::Text { Content::Text(String::new()) } else { Content::Binary(Vec::new()) };
            *self = Self { content, open: true, ..Self::new() };
        }
        self.frames += 1;
        if self.frames > limits.message_fragments.max(1) {
            return Err(RemoteError::TooManyFragments);
        }
        check_size(payload_len.saturating_add(self.len() as u64), limits)
    }

    /// Adds unmasked payload. `announced` is how much the message's last frame has still to bring, these bytes included, when it is known;
    /// it keeps the memory from growing past what the message needs.
    pub fn push(&mut self, bytes: &[u8], announced: Option<u64>) -> Result<(), RemoteError> {
        let len = self.len();
        let needed = len + bytes.len();
        let expected = announced.and_then(|announced| usize::try_from(announced).ok()).map_or(usize::MAX, |rest| len.saturating_add(rest));
        let grown = |capacity: usize| {
            let generous = capacity.saturating_mul(2).max(SMALLEST_BYTES).min(expected);
            if needed > capacity { needed.max(generous) } else { capacity }
        };
        match &mut self.content {
            Content::Text(text) => {
                let (completed, rest) = self.utf8.decode(bytes).map_err(|_| RemoteError::InvalidUtf8)?;
                text.reserve_exact(grown(text.capacity()) - text.len());
                text.extend(completed);
                text.push_str(rest);
            }
            Content::Binary(vec) => {
                vec.reserve_exact(grown(vec.capacity()) - vec.len());
                vec.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// Ends the message: its last frame is complete.
    pub fn finish(&mut self) -> Result<(), RemoteError> {
        self.open = false;
        self.utf8.finish().map_err(|_| RemoteError::InvalidUtf8)
    }

    /// The message, whole after [`finish`](Self::finish).
    pub fn message(&self) -> Message<'_> {
        match &self.content {
            Content::Text(text) => Message::Text(text),
            Content::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// Compares a message's announced size with [`Limits::message_bytes`].
#[inline]
pub(super) fn check_size(message_bytes: u64, limits: &Limits) -> Result<(), RemoteError> {
    if message_bytes > limits.message_bytes as u64 { Err(RemoteError::MessageTooLarge) } else { Ok(()) }
}
