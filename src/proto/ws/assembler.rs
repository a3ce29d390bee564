//! Assembly of messages that arrive in parts: in fragments, or in parts of one frame (RFC 6455,
//! section 5.4).
//!
//! Owns the bytes of a message so far, and the order of its fragments. Leaves frame heads and
//! masking to [`Reader`](super::Reader). The announced length of a frame allocates nothing: memory
//! grows with the bytes that have arrived, and the announced length is only compared with the
//! limit.

use super::super::{ProtocolLimits, RemoteError};
use super::event::Message;
use super::frame::Opcode;
use super::utf8::Utf8Validator;

/// The size of the first allocation in bytes. It avoids many small reallocations if a message
/// arrives byte by byte.
const SMALLEST_BYTES: usize = 64;

/// Collects one message at a time.
///
/// ```
/// use pushlab::proto::{ProtocolLimits, ws::{Message, Opcode, assembler::Assembler}};
/// let (mut assembler, limits) = (Assembler::new(), ProtocolLimits::default());
/// assembler.admit(Opcode::Text, 2, &limits)?;
/// assembler.append(b"Hi", None)?;
/// assembler.admit(Opcode::Continuation, 1, &limits)?;
/// assembler.append(b"!", Some(1))?;
/// assembler.finish()?;
/// assert_eq!(assembler.message(), Message::Text("Hi!"));
/// # Ok::<_, pushlab::proto::RemoteError>(())
/// ```
#[derive(Debug)]
pub struct Assembler {
    content: Content,
    utf8: Utf8Validator,
    /// The number of frames of the message so far.
    frames: usize,
    /// Whether more frames, or more bytes of the current frame, must follow.
    open: bool,
}

/// The bytes so far. Text is collected in a `String`: it is validated when it arrives, and need not
/// be validated again when the message is complete.
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
    /// An assembler without a message. It owns no memory on the heap.
    pub const fn new() -> Self {
        Self { content: Content::Binary(Vec::new()), utf8: Utf8Validator::new(), frames: 0, open: false }
    }

    /// Whether a message has begun and has not ended.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// The number of bytes of the message that have arrived.
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

    /// The number of bytes of memory that the message occupies.
    pub fn capacity(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.capacity(),
            Content::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Takes the head of a data frame, which begins or continues a message. Returns an error if the
    /// frame breaks the order of fragments or a limit.
    pub fn admit(&mut self, opcode: Opcode, payload_len: u64, limits: &ProtocolLimits) -> Result<(), RemoteError> {
        // "The fragments of one message MUST NOT be interleaved between the fragments of another
        // message".
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
        // The limit is checked before the payload arrives, so a frame that is too large costs no
        // memory for its payload.
        check_size(payload_len.saturating_add(self.len() as u64), limits)
    }

    /// Appends unmasked payload. `announced` is the number of bytes that the last frame of the
    /// message has still to bring, including these bytes. It is `None` if this frame is not the
    /// last one. With it, the memory does not grow beyond the size of the message.
    pub fn append(&mut self, bytes: &[u8], announced: Option<u64>) -> Result<(), RemoteError> {
        let len = self.len();
        let needed = len + bytes.len();
        let expected = announced.and_then(|announced| usize::try_from(announced).ok()).map_or(usize::MAX, |rest| len.saturating_add(rest));
        // The capacity doubles, so that a message of n bytes in many parts costs O(n) copies, but
        // it does not exceed the known size of the message.
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

    /// Appends the next bytes that came out of a compressed message. Returns an error at the first
    /// byte beyond the limit. The memory does not grow beyond the limit either.
    #[cfg(feature = "deflate")]
    pub(super) fn append_inflated(&mut self, bytes: &[u8], limit_bytes: usize) -> Result<(), RemoteError> {
        let room = limit_bytes.saturating_sub(self.len());
        let (fitting, excess) = bytes.split_at(room.min(bytes.len()));
        // What fits comes first, so that the error does not depend on the size of the steps.
        self.append(fitting, Some(room as u64))?;
        if excess.is_empty() { Ok(()) } else { Err(RemoteError::MessageTooLarge) }
    }

    /// Ends the message. The caller has passed all bytes of its last frame.
    pub fn finish(&mut self) -> Result<(), RemoteError> {
        self.open = false;
        self.utf8.finish().map_err(|_| RemoteError::InvalidUtf8)
    }

    /// The message. It is whole after [`finish`](Self::finish).
    pub fn message(&self) -> Message<'_> {
        match &self.content {
            Content::Text(text) => Message::Text(text),
            Content::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// Compares the announced size of a message with [`ProtocolLimits::message_bytes`].
#[inline]
pub(super) fn check_size(message_bytes: u64, limits: &ProtocolLimits) -> Result<(), RemoteError> {
    if message_bytes > limits.message_bytes as u64 { Err(RemoteError::MessageTooLarge) } else { Ok(()) }
}
