//! One payload, encoded once for the wire and shared by any number of connections.
//!
//! Owns the two wire forms of a pushed payload: a chunk of a chunked response (RFC 9112, section
//! 7.1) and an unmasked WebSocket data frame (RFC 6455, section 5.2). Leaves the sending to
//! `http1::Conn::send_frame` and `ws::Writer::send_frame`, and the queues to the session.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::error::LocalError;
use super::sse;
#[cfg(feature = "deflate")]
use super::ws::deflate::Deflated;
#[cfg(feature = "deflate")]
use super::ws::extension::Agreement;
use super::ws::frame::{FrameHead, Opcode};

/// The wire form for which a [`Frame`] was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameKind {
    /// A chunk of a streamed response body.
    Chunk,
    /// A WebSocket text frame. Its payload is UTF-8.
    Text,
    /// A WebSocket binary frame.
    Binary,
}

/// A payload inside its wire form. The bytes are reference-counted: a clone costs one increment,
/// independent of the size.
///
/// Any connection can send any frame. If the connection uses the wire form of the frame, the shared
/// bytes are sent unchanged. Otherwise the payload is encoded again for that one connection.
///
/// With the cargo feature `deflate`, a frame and its clones also share its compressed form, which
/// is made when the first WebSocket needs it: once for each size of the window, at the level of
/// that WebSocket. A frame of [two parts](Self::text_in_parts) is compressed as a whole.
///
/// ```
/// use pushlab::proto::Frame;
/// let frame = Frame::chunk(b"tick\n");
/// assert_eq!(&*frame.wire(), b"5\r\ntick\n\r\n");
/// assert_eq!(&*frame.payload(), b"tick\n");
/// ```
#[derive(Clone, Debug)]
pub struct Frame {
    wire: Wire,
    /// How many bytes of the first part, or of a frame of one part, come before the payload.
    before: u8,
    /// How many bytes come after the payload.
    after: u8,
    kind: FrameKind,
    /// The compressed forms, which all clones share. A chunk has none.
    #[cfg(feature = "deflate")]
    deflated: Option<Arc<Deflated>>,
}

/// Up to this size, a second part is copied. A frame of one part goes to free connections without a
/// further copy, and an outbox copies pieces of this size anyway.
const COPY_BYTES: usize = 2 * 1024;

/// The wire form. Both variants cost one reference count for a clone.
#[derive(Clone, Debug)]
enum Wire {
    Whole(Arc<[u8]>),
    Parts(Arc<Parts>),
}

/// The wire form of a frame of [two parts](Frame::text_in_parts).
#[derive(Debug)]
struct Parts {
    /// A frame head, and the beginning of the payload.
    first: Box<[u8]>,
    /// The rest of the payload, which other frames share.
    shared: Arc<[u8]>,
}

impl Frame {
    /// A part of a streamed response body. An empty payload gives an empty wire form, because in
    /// chunked coding a chunk of zero bytes ends the body.
    pub fn chunk(payload: &[u8]) -> Self {
        if payload.is_empty() {
            return Self::around(b"", b"", b"", FrameKind::Chunk);
        }
        let size = format!("{:x}\r\n", payload.len());
        Self::around(size.as_bytes(), payload, b"\r\n", FrameKind::Chunk)
    }

    /// One server-sent event as a part of a streamed response body.
    ///
    /// # Errors
    /// [`LocalError::BadEvent`] under the conditions of [`sse::Event::encode`].
    pub fn event(event: &sse::Event<'_>) -> Result<Self, LocalError> {
        let mut payload = Vec::new();
        event.encode(&mut payload)?;
        Ok(Self::chunk(&payload))
    }

    /// A WebSocket text message.
    pub fn text(payload: &str) -> Self {
        Self::websocket(Opcode::Text, payload.as_bytes(), FrameKind::Text)
    }

    /// A WebSocket binary message.
    pub fn binary(payload: &[u8]) -> Self {
        Self::websocket(Opcode::Binary, payload, FrameKind::Binary)
    }

    fn websocket(opcode: Opcode, payload: &[u8], kind: FrameKind) -> Self {
        let head = FrameHead::server(opcode, payload.len() as u64).encode();
        Self::around(&head, payload, b"", kind)
    }

    /// A WebSocket text message that begins differently for each receiver and goes on with the same
    /// bytes for all of them. Both parts must be UTF-8. A second part of up to 2 KiB is copied: one
    /// piece then costs less than two. A larger one is shared.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use pushlab::proto::Frame;
    /// let shared: Arc<[u8]> = "the same for all".repeat(1_000).into_bytes().into();
    /// let frame = Frame::text_in_parts("for 7: ", &shared);
    /// assert!(frame.payload().starts_with(b"for 7: the same for all"));
    /// assert_eq!(frame.wire_parts()[1].as_ptr(), shared.as_ptr());
    /// ```
    pub fn text_in_parts(first: &str, shared: &Arc<[u8]>) -> Self {
        Self::in_parts(Opcode::Text, FrameKind::Text, first.as_bytes(), shared)
    }

    /// As [`text_in_parts`](Self::text_in_parts), for a binary message.
    pub fn binary_in_parts(first: &[u8], shared: &Arc<[u8]>) -> Self {
        Self::in_parts(Opcode::Binary, FrameKind::Binary, first, shared)
    }

    fn in_parts(opcode: Opcode, kind: FrameKind, first: &[u8], shared: &Arc<[u8]>) -> Self {
        let head = FrameHead::server(opcode, (first.len() + shared.len()) as u64).encode();
        let before = head.len() as u8;
        if shared.len() <= COPY_BYTES {
            let wire = Wire::Whole([&head[..], first, shared].concat().into());
            return Self::new(wire, before, 0, kind);
        }
        let parts = Parts { first: [&head[..], first].concat().into(), shared: Arc::clone(shared) };
        Self::new(Wire::Parts(Arc::new(parts)), before, 0, kind)
    }

    fn new(wire: Wire, before: u8, after: u8, kind: FrameKind) -> Self {
        Self {
            wire,
            before,
            after,
            kind,
            #[cfg(feature = "deflate")]
            deflated: (kind != FrameKind::Chunk).then(Arc::default),
        }
    }

    fn around(before: &[u8], payload: &[u8], after: &[u8], kind: FrameKind) -> Self {
        let wire = Wire::Whole([before, payload, after].concat().into());
        // A frame head has at most 10 bytes; the size of a chunk and its line end have 18.
        Self::new(wire, before.len() as u8, after.len() as u8, kind)
    }

    /// The whole wire form, as the part of this frame alone and the shared part. The first part is
    /// empty unless the frame was [made of two](Self::text_in_parts).
    pub fn wire_parts(&self) -> [&[u8]; 2] {
        match &self.wire {
            Wire::Whole(bytes) => [b"", bytes],
            Wire::Parts(parts) => [&parts.first, &parts.shared],
        }
    }

    /// The whole wire form.
    pub fn wire(&self) -> Cow<'_, [u8]> {
        match &self.wire {
            Wire::Whole(bytes) => Cow::Borrowed(bytes),
            Wire::Parts(parts) => [&*parts.first, &parts.shared].concat().into(),
        }
    }

    /// The length of the whole wire form in bytes.
    #[inline]
    pub fn wire_len(&self) -> usize {
        match &self.wire {
            Wire::Whole(bytes) => bytes.len(),
            Wire::Parts(parts) => parts.first.len() + parts.shared.len(),
        }
    }

    /// The payload alone.
    pub fn payload(&self) -> Cow<'_, [u8]> {
        match &self.wire {
            Wire::Whole(bytes) => Cow::Borrowed(&bytes[self.payload_range(bytes)]),
            Wire::Parts(parts) => [&parts.first[usize::from(self.before)..], &parts.shared].concat().into(),
        }
    }

    /// The length of the payload in bytes.
    #[inline]
    pub fn payload_len(&self) -> usize {
        self.wire_len() - usize::from(self.before) - usize::from(self.after)
    }

    /// The wire form for which this frame was encoded.
    pub const fn kind(&self) -> FrameKind {
        self.kind
    }

    /// The beginning of the payload that only this frame has, and the range of the rest in the
    /// [shared bytes](Self::shared).
    pub(crate) fn payload_parts(&self) -> (&[u8], Range<usize>) {
        match &self.wire {
            Wire::Whole(bytes) => (b"", self.payload_range(bytes)),
            Wire::Parts(parts) => (&parts.first[usize::from(self.before)..], 0..parts.shared.len()),
        }
    }

    /// The first part of a frame of two parts.
    #[inline]
    pub(crate) fn first(&self) -> Option<&[u8]> {
        match &self.wire {
            Wire::Whole(_) => None,
            Wire::Parts(parts) => Some(&parts.first),
        }
    }

    /// The shared bytes: the whole wire form, or the second part of it.
    #[inline]
    pub(crate) fn shared(&self) -> &Arc<[u8]> {
        match &self.wire {
            Wire::Whole(bytes) => bytes,
            Wire::Parts(parts) => &parts.shared,
        }
    }

    /// The compressed wire form for `WebSockets` without context takeover. It is made at the first
    /// call for one size of the window, at the level of that call. Returns `None` if the frame is
    /// for no WebSocket, is smaller than the threshold, or does not get smaller.
    #[cfg(feature = "deflate")]
    pub(crate) fn deflated(&self, agreement: Agreement) -> Option<&Arc<[u8]>> {
        let deflated = self.deflated.as_ref().filter(|_| agreement.compresses(self.payload_len()))?;
        let opcode = if self.kind == FrameKind::Text { Opcode::Text } else { Opcode::Binary };
        let (first, rest) = self.payload_parts();
        deflated.wire(agreement, opcode, [first, &self.shared()[rest]])
    }

    /// The range of the payload in the bytes of a frame of one part.
    fn payload_range(&self, bytes: &[u8]) -> Range<usize> {
        usize::from(self.before)..bytes.len() - usize::from(self.after)
    }
}
