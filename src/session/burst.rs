//! Consecutive messages to the same connections.
//!
//! Owns their wire forms, joined into one piece. A connection with no output and no queue takes the
//! whole piece after one check of its state and without a copy. Leaves to the session whether a
//! connection can take a burst, and to the drivers how it is written.

use std::sync::Arc;

use crate::proto::{Frame, FrameKind};

/// The largest size of joined messages. Above it, the cost of one write per message is small beside
/// the cost of copying its bytes.
const JOINED_BYTES_MAX: usize = 64 * 1024;

/// One or more messages for a connection, in order.
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
    is_chunks: bool,
    /// The bytes of several messages. 0 for one message, which may have any size.
    joined_bytes: usize,
    #[cfg(feature = "deflate")]
    largest_payload: usize,
}

impl<'a> Burst<'a> {
    /// One message. A message of [two parts](Frame::text_in_parts) is not one piece.
    pub fn one(frame: &'a Frame) -> Self {
        let messages = usize::from(is_something(frame));
        Self {
            frames: std::slice::from_ref(frame),
            wire: frame.first().is_none().then(|| frame.shared()),
            payload_bytes: frame.payload_len(),
            messages,
            is_chunks: is_chunk(frame),
            joined_bytes: 0,
            #[cfg(feature = "deflate")]
            largest_payload: frame.payload_len(),
        }
    }

    /// Several messages, and the result of [`join`](Self::join) for them.
    pub fn new(frames: &'a [Frame], joined: Option<&'a Arc<[u8]>>) -> Self {
        // A single message is never joined: its own shared bytes are the piece.
        if let [frame] = frames {
            return Self::one(frame);
        }
        let payload_bytes = frames.iter().map(Frame::payload_len).sum();
        let messages = frames.iter().filter(|frame| is_something(frame)).count();
        Self {
            frames,
            wire: joined,
            payload_bytes,
            messages,
            is_chunks: frames.first().is_some_and(is_chunk),
            joined_bytes: joined.map_or(0, |joined| joined.len()),
            #[cfg(feature = "deflate")]
            largest_payload: frames.iter().map(Frame::payload_len).max().unwrap_or_default(),
        }
    }

    /// Joins the wire forms of several messages into one piece. Returns `None` if there are fewer
    /// than two messages, if some are for a WebSocket and some for a stream, or if they have more
    /// than 64 KiB.
    pub fn join(frames: &[Frame]) -> Option<Arc<[u8]>> {
        let [first, _, ..] = frames else { return None };
        let len: usize = frames.iter().map(Frame::wire_len).sum();
        let is_alike = frames.iter().all(|frame| is_chunk(frame) == is_chunk(first));
        (is_alike && len <= JOINED_BYTES_MAX).then(|| frames.iter().flat_map(Frame::wire_parts).collect::<Vec<_>>().concat().into())
    }

    /// The messages.
    #[inline]
    pub const fn frames(&self) -> &'a [Frame] {
        self.frames
    }

    /// All wire forms in one piece, if they were joined.
    #[inline]
    pub const fn wire(&self) -> Option<&'a Arc<[u8]>> {
        self.wire
    }

    /// The wire forms in one piece, if a connection with no output may take them at once. A single
    /// message can have any size. Several messages that exceed the limit of the output must be
    /// queued from the limit on, so they are taken one by one. A message that puts no bytes on the
    /// wire is not sent.
    #[inline]
    pub(super) fn piece(&self, output_bytes: usize) -> Option<&'a Arc<[u8]>> {
        self.wire.filter(|_| self.messages > 0 && self.joined_bytes <= output_bytes)
    }

    /// The payload bytes of all messages, without the bytes that their wire forms add.
    #[inline]
    pub(super) const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// The payload bytes of the largest message.
    #[cfg(feature = "deflate")]
    #[inline]
    pub(super) const fn largest_payload(&self) -> usize {
        self.largest_payload
    }

    /// The number of messages that have bytes on the wire. An empty piece of a stream has none.
    #[inline]
    pub(crate) const fn messages(&self) -> usize {
        self.messages
    }

    /// Whether the messages were encoded for a streamed body, and not for a WebSocket.
    #[inline]
    pub(super) const fn is_chunks(&self) -> bool {
        self.is_chunks
    }
}

fn is_something(frame: &Frame) -> bool {
    frame.wire_len() > 0
}

fn is_chunk(frame: &Frame) -> bool {
    frame.kind() == FrameKind::Chunk
}
