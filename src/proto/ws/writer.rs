//! The output side of one WebSocket (RFC 6455, sections 5.5, 6.1 and 7.1).
//!
//! Owns the encoding of frames and the state of the closing handshake: nothing is sent after a
//! close frame. Frames are not masked ("A server MUST NOT mask any frames that it sends", section
//! 5.1) and not fragmented, because each message is whole when it is sent. Also owns what the
//! handshake has agreed on about compression, and the windows that outlive a message. Leaves the
//! time to wait for a close frame to the session.

#[cfg(feature = "deflate")]
use super::super::Bytes;
use super::super::{Frame, FrameKind, LocalError, Outbox, RemoteError};
use super::close;
#[cfg(feature = "deflate")]
use super::deflate::{self, Compressor};
#[cfg(feature = "deflate")]
use super::extension::Agreement;
use super::frame::{FrameHead, Opcode};
#[cfg(feature = "deflate")]
use super::inflate::Inflater;

/// The bit of the first byte that marks the last frame of a message.
const FIN: u8 = 0x80;
/// The longest payload whose length fits into the second byte. It is also the longest payload of a
/// control frame.
const SHORT_BYTES: usize = 125;

/// The state of the closing handshake (RFC 6455, section 7.1). A peer's close frame is answered as
/// soon as it is read. So there is no state in which a close frame has been received and none has
/// been sent.
///
/// ```text
///            send_close, fail              close frame read
///    Open ----------------------> Sent ----------------------> Closed
///      |                                                         ^
///      +---------------------------------------------------------+
///                     close frame read and answered
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closing {
    /// No close frame has been sent or received.
    #[default]
    Open,
    /// This side has sent its close frame and waits for the peer's. All other frames of the peer
    /// are ignored.
    Sent,
    /// Both sides have sent their close frames.
    Closed,
}

/// Writes frames, and keeps the state of the closing handshake.
///
/// After a close frame was sent, each `send_*` returns [`LocalError::WrongState`]: "The application
/// MUST NOT send any more data frames after sending a Close frame" (RFC 6455, section 5.5.1).
///
/// ```
/// use pushlab::proto::{LocalError, Outbox, ws::Writer};
/// let (mut writer, mut out) = (Writer::new(), Outbox::new());
/// writer.send_text("Hello", &mut out)?;
/// writer.send_close(1000, "", &mut out)?;
/// assert_eq!(out.chunks().next(), Some(&b"\x81\x05Hello\x88\x02\x03\xe8"[..]));
/// assert_eq!(writer.send_text("more", &mut out), Err(LocalError::WrongState));
/// # Ok::<_, LocalError>(())
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    closing: Closing,
    /// What the handshake has agreed on, for both directions.
    #[cfg(feature = "deflate")]
    agreement: Option<Agreement>,
    /// The windows of the sides that keep theirs between messages.
    #[cfg(feature = "deflate")]
    windows: Option<Box<Windows>>,
}

/// The compressor and the inflater of a connection with context takeover, each from its first
/// compressed message on.
#[cfg(feature = "deflate")]
#[derive(Debug, Default)]
struct Windows {
    compressor: Option<Compressor>,
    inflater: Option<Box<Inflater>>,
}

impl Writer {
    /// A writer after the opening handshake.
    pub const fn new() -> Self {
        Self {
            closing: Closing::Open,
            #[cfg(feature = "deflate")]
            agreement: None,
            #[cfg(feature = "deflate")]
            windows: None,
        }
    }

    /// A writer after an opening handshake that has agreed on permessage-deflate. It compresses
    /// messages from the threshold of the agreement on, if they get smaller. It never compresses
    /// control frames.
    #[cfg(feature = "deflate")]
    pub const fn with_agreement(agreement: Option<Agreement>) -> Self {
        Self { closing: Closing::Open, agreement, windows: None }
    }

    /// The agreement about permessage-deflate.
    #[cfg(feature = "deflate")]
    #[inline]
    pub const fn agreement(&self) -> Option<Agreement> {
        self.agreement
    }

    /// The inflater of the connection, or a new one. `None` if there is no agreement. The caller
    /// [gives it back](Self::keep_inflater) after the message.
    #[cfg(feature = "deflate")]
    pub(super) fn take_inflater(&mut self) -> Option<Box<Inflater>> {
        let agreement = self.agreement?;
        let kept = self.windows.as_mut().and_then(|windows| windows.inflater.take());
        kept.or_else(|| Some(Inflater::new(agreement)))
    }

    /// Takes the inflater back after a message. It stays here only if the client keeps its window.
    #[cfg(feature = "deflate")]
    pub(super) fn keep_inflater(&mut self, inflater: Box<Inflater>) {
        if self.agreement.is_some_and(Agreement::client_context_takeover) {
            self.windows.get_or_insert_default().inflater = Some(inflater);
        } else {
            inflater.give_back();
        }
    }

    /// Sends a text message.
    #[inline]
    pub fn send_text(&mut self, text: &str, out: &mut Outbox) -> Result<(), LocalError> {
        self.send(Opcode::Text, text.as_bytes(), out)
    }

    /// Sends a binary message.
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8], out: &mut Outbox) -> Result<(), LocalError> {
        self.send(Opcode::Binary, bytes, out)
    }

    /// Sends a shared frame. If it was encoded for a WebSocket, its shared bytes are sent
    /// unchanged. Otherwise its payload is sent, as text if it is UTF-8, or else as binary.
    ///
    /// If the WebSocket compresses messages without context takeover, the frame is compressed when
    /// the first such WebSocket sends it, and all others send the same bytes.
    #[inline]
    pub fn send_frame(&mut self, frame: &Frame, out: &mut Outbox) -> Result<(), LocalError> {
        match frame.kind() {
            FrameKind::Text | FrameKind::Binary => {
                self.check_open()?;
                #[cfg(feature = "deflate")]
                if self.send_frame_deflated(frame, out) {
                    return Ok(());
                }
                if let Some(first) = frame.first() {
                    out.extend(first);
                }
                out.push_shared(frame.shared(), 0..frame.shared().len());
                Ok(())
            }
            FrameKind::Chunk => match std::str::from_utf8(&frame.payload()) {
                Ok(text) => self.send_text(text, out),
                Err(_) => self.send_binary(&frame.payload(), out),
            },
        }
    }

    /// Sends a ping. If the payload is longer than 125 bytes, returns [`LocalError::BadCloseCode`].
    pub fn send_ping(&mut self, payload: &[u8], out: &mut Outbox) -> Result<(), LocalError> {
        if payload.len() > SHORT_BYTES {
            return Err(LocalError::BadCloseCode);
        }
        self.send(Opcode::Ping, payload, out)
    }

    /// Begins the closing handshake. If `reason` is longer than 123 bytes, it is cut between two
    /// characters.
    ///
    /// Returns [`LocalError::BadCloseCode`] if the code must not be sent: see
    /// [`close::is_sendable`].
    pub fn send_close(&mut self, code: u16, reason: &str, out: &mut Outbox) -> Result<(), LocalError> {
        if !close::is_sendable(code) {
            return Err(LocalError::BadCloseCode);
        }
        self.check_open()?;
        let reason = close::shorten(reason);
        out.extend(&[FIN | Opcode::Close as u8, 2 + reason.len() as u8]);
        out.extend(&code.to_be_bytes());
        out.extend(reason.as_bytes());
        self.closing = Closing::Sent;
        Ok(())
    }

    /// Tells the peer which rule it broke, unless a close frame has been sent already (RFC 6455,
    /// section 7.1.7). The caller then closes the connection and does not wait for the peer's close
    /// frame.
    pub fn fail(&mut self, error: RemoteError, out: &mut Outbox) {
        if !self.is_closing() {
            let sent = self.send_close(error.close_code(), &error.to_string(), out);
            debug_assert_eq!(sent, Ok(()), "the codes of errors can be sent, and nothing is closing");
        }
    }

    /// Whether the closing handshake has begun, from either side. Nothing more can be sent then.
    #[inline]
    pub const fn is_closing(&self) -> bool {
        !matches!(self.closing, Closing::Open)
    }

    /// Whether this side has sent its close frame.
    #[inline]
    pub const fn close_sent(&self) -> bool {
        self.is_closing()
    }

    /// Whether the peer's close frame has arrived.
    #[inline]
    pub const fn close_received(&self) -> bool {
        matches!(self.closing, Closing::Closed)
    }

    /// Whether both sides have sent a close frame. The server then closes the transport (RFC 6455,
    /// section 7.1.1).
    #[inline]
    pub const fn is_closed(&self) -> bool {
        self.close_received()
    }

    /// Answers a ping with a pong of the same payload: "Upon receipt of a Ping frame, an endpoint
    /// MUST send a Pong frame in response" (RFC 6455, section 5.5.2).
    pub(super) fn answer_ping(&mut self, payload: &[u8], out: &mut Outbox) {
        self.send(Opcode::Pong, payload, out).expect("pings are not looked at after a close frame");
    }

    /// Handles the peer's close frame. If this side has sent none, answers it: "When sending a
    /// Close frame in response, the endpoint typically echos the status code it received." (RFC
    /// 6455, section 5.5.1)
    pub(super) fn answer_close(&mut self, code: u16, out: &mut Outbox) {
        if !self.is_closing() {
            let echo = if code == close::NO_CODE { &[][..] } else { &code.to_be_bytes() };
            out.extend(&[FIN | Opcode::Close as u8, echo.len() as u8]);
            out.extend(echo);
        }
        self.closing = Closing::Closed;
    }

    #[inline]
    const fn check_open(&self) -> Result<(), LocalError> {
        if self.is_closing() { Err(LocalError::WrongState) } else { Ok(()) }
    }

    #[inline]
    fn send(&mut self, opcode: Opcode, payload: &[u8], out: &mut Outbox) -> Result<(), LocalError> {
        self.check_open()?;
        #[cfg(feature = "deflate")]
        if !opcode.is_control() && self.send_deflated(opcode, [b"", payload], out) {
            return Ok(());
        }
        // The usual short head needs no general encoder.
        if payload.len() <= SHORT_BYTES {
            out.extend(&[FIN | opcode as u8, payload.len() as u8]);
            out.extend(payload);
        } else {
            out.extend(&FrameHead::server(opcode, payload.len() as u64).encode());
            out.extend_or_refer(payload);
        }
        Ok(())
    }

    /// Sends a frame in its shared compressed form. Returns whether it was sent.
    #[cfg(feature = "deflate")]
    fn send_frame_deflated(&mut self, frame: &Frame, out: &mut Outbox) -> bool {
        let Some(agreement) = self.agreement else { return false };
        if agreement.server_context_takeover() {
            let opcode = if frame.kind() == FrameKind::Text { Opcode::Text } else { Opcode::Binary };
            let (first, rest) = frame.payload_parts();
            return self.send_deflated(opcode, [first, &frame.shared()[rest]], out);
        }
        let Some(wire) = frame.deflated(agreement) else { return false };
        out.push_shared(wire, 0..wire.len());
        true
    }

    /// Compresses a message for this connection alone, and sends it. Returns whether it was sent: a
    /// message that is too small, or that does not get smaller, is not.
    #[cfg(feature = "deflate")]
    fn send_deflated(&mut self, opcode: Opcode, payload: [&[u8]; 2], out: &mut Outbox) -> bool {
        let Some(agreement) = self.agreement else { return false };
        if !agreement.compresses(payload[0].len() + payload[1].len()) {
            return false;
        }
        let compressed = if agreement.server_context_takeover() {
            let windows = self.windows.get_or_insert_default();
            windows.compressor.get_or_insert_with(|| Compressor::new(agreement)).compress(payload)
        } else {
            deflate::compress_alone(agreement, payload)
        };
        let Some(compressed) = compressed else { return false };
        out.extend(&deflate::head(opcode, compressed.len()).encode());
        out.push(Bytes::Owned(compressed));
        true
    }
}
