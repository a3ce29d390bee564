//! One payload, encoded once for the wire and shared by any number of connections.
//!
//! Owns the two wire forms of a pushed payload: a chunk of a chunked response (RFC 9112, section
//! 7.1) and an unmasked WebSocket data frame (RFC 6455, section 5.2). Leaves the sending to
//! `http1::Conn::send_frame` and `ws::Writer::send_frame`, and the queues to the session.

use std::ops::Range;
use std::sync::Arc;

use super::error::LocalError;
use super::sse;
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
/// ```
/// use pushlab::proto::Frame;
/// let frame = Frame::chunk(b"tick\n");
/// assert_eq!(frame.wire(), b"5\r\ntick\n\r\n");
/// assert_eq!(frame.payload(), b"tick\n");
/// ```
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Arc<[u8]>,
    payload: Range<usize>,
    kind: FrameKind,
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

    fn around(before: &[u8], payload: &[u8], after: &[u8], kind: FrameKind) -> Self {
        let start = before.len();
        Self { bytes: [before, payload, after].concat().into(), payload: start..start + payload.len(), kind }
    }

    /// The whole wire form.
    pub fn wire(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload alone.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }

    /// The wire form for which this frame was encoded.
    pub const fn kind(&self) -> FrameKind {
        self.kind
    }

    /// The shared bytes.
    pub(crate) const fn shared(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The range of the payload in the shared bytes.
    pub(crate) fn payload_range(&self) -> Range<usize> {
        self.payload.clone()
    }
}
