//! Messages that go to the same connections, one behind the other.
//!
//! Owns their wire forms as one piece: a connection that has nothing in its way takes them all with one look at its state, and without a
//! copy. Refuses connections, and pieces so large that joining them costs more than it saves.

use std::sync::Arc;

use crate::proto::{Frame, FrameKind};

/// Messages are joined up to so many bytes: beyond it a write for each costs little beside its bytes.
const JOINED_BYTES_MAX: usize = 64 * 1024;

/// Some messages for a connection, in order.
///
/// ```
/// use pushlab::Frame;
/// use pushlab::session::Burst;
/// let frames = [Frame::text("one"), Frame::text("two")];
/// let joined = Burst::join(&frames);
/// let burst = Burst::new(&frames, joined.as_ref());
/// assert_eq!(burst.wire().unwrap()[..], b"\x81\x03one\x81\x03two"[..]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Burst<'a> {
    frames: &'a [Frame],
    wire: Option<&'a Arc<[u8]>>,
    payload_bytes: usize,
    messages: usize,
}

impl<'a> Burst<'a> {
    /// One message.
    pub fn one(frame: &'a Frame) -> Self {
        let messages = usize::from(is_something(frame));
        Self { frames: std::slice::from_ref(frame), wire: Some(frame.shared()), payload_bytes: frame.payload().len(), messages }
    }

    /// These messages, and what [`join`](Self::join) made of them.
    pub fn new(frames: &'a [Frame], joined: Option<&'a Arc<[u8]>>) -> Self {
        if let [frame] = frames {
            return Self::one(frame);
        }
        let payload_bytes = frames.iter().map(|frame| frame.payload().len()).sum();
        let messages = frames.iter().filter(|frame| is_something(frame)).count();
        Self { frames, wire: joined, payload_bytes, messages }
    }

    /// The wire forms of several messages in one piece. `None` where there is nothing to join, where some are meant for a WebSocket and some
    /// for a stream, and above 64 KiB.
    pub fn join(frames: &[Frame]) -> Option<Arc<[u8]>> {
        let [first, _, ..] = frames else { return None };
        let len: usize = frames.iter().map(|frame| frame.wire().len()).sum();
        let is_alike = frames.iter().all(|frame| is_chunk(frame) == is_chunk(first));
        (is_alike && len <= JOINED_BYTES_MAX).then(|| frames.iter().map(Frame::wire).collect::<Vec<_>>().concat().into())
    }

    /// The messages.
    #[inline]
    pub const fn frames(&self) -> &'a [Frame] {
        self.frames
    }

    /// All wire forms in one piece, if there is one.
    #[inline]
    pub const fn wire(&self) -> Option<&'a Arc<[u8]>> {
        self.wire
    }

    /// Bytes of all messages, without what their wire forms add.
    #[inline]
    pub(super) const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Messages that are seen on the wire: an empty piece of a stream is not.
    #[inline]
    pub(super) const fn messages(&self) -> usize {
        self.messages
    }

    /// Whether the piece was encoded for a streamed body, not for a WebSocket.
    #[inline]
    pub(super) fn is_chunks(&self) -> bool {
        self.frames.first().is_some_and(is_chunk)
    }
}

fn is_something(frame: &Frame) -> bool {
    !frame.wire().is_empty()
}

fn is_chunk(frame: &Frame) -> bool {
    frame.kind() == FrameKind::Chunk
}
