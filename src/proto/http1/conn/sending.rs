//! The output of an HTTP/1.x connection.
//!
//! Owns the rules for when a response may be sent, and the framing of its body (RFC 9112, sections
//! 6 to 9; RFC 9110, sections 6.4 and 15). Leaves the content of responses to the application,
//! except the answers to requests that broke a rule.

use std::time::{Duration, Instant};

use super::super::super::{Bytes, Frame, FrameKind, LocalError, Now, Outbox, RemoteError};
use super::super::method::Version;
use super::super::response::{self, BodySize, ConnectionField, FramingField, ResponseHead};
use super::{CONTINUE, Conn, Reading, Writing};

impl Conn {
    /// Sends a whole response. If the request is a HEAD, sends only the head. A large body is not
    /// copied.
    ///
    /// # Errors
    /// The errors of [`send_head`](Self::send_head). Nothing is sent then.
    #[inline]
    pub fn send_response(
        &mut self,
        now: &Now,
        head: &ResponseHead<'_>,
        body: impl Into<Bytes>,
        out: &mut Outbox,
    ) -> Result<(), LocalError> {
        let body = body.into();
        if body.len() <= Outbox::COPY_BYTES {
            return self.send_small_response(now, head, body.as_bytes(), out);
        }
        self.send_head(now, head, BodySize::Length(body.len() as u64), out)?;
        if self.writing == Writing::Length {
            out.push(body);
        }
        self.finish(now.instant());
        Ok(())
    }

    /// As [`send_response`](Self::send_response), for a body of at most [`Outbox::COPY_BYTES`]
    /// bytes. It takes the body by reference, and appends the head and the body in one step.
    #[inline(always)]
    pub(crate) fn send_small_response(
        &mut self,
        now: &Now,
        head: &ResponseHead<'_>,
        body: &[u8],
        out: &mut Outbox,
    ) -> Result<(), LocalError> {
        let (framing, connection) = self.begin(head, BodySize::Length(body.len() as u64))?;
        let body = if self.writing == Writing::Length { body } else { b"" };
        response::encode(now, head, framing, connection, body, out);
        self.finish(now.instant());
        Ok(())
    }

    /// Begins a response. The response announces `Connection: close` if it is the last one. It is
    /// the last one in these cases:
    /// - The request or [`Conn::close_after_response`] asked for the close.
    /// - The body of the request is not read to its end.
    /// - Only the close can end the body of the response (a stream to an HTTP/1.0 client).
    ///
    /// # Errors
    /// [`LocalError::WrongState`] if no request waits. [`LocalError::BadStatus`] if the status is
    /// outside 200 to 599. [`LocalError::BodyLength`] if a 204, 205 or 304 has a body (RFC 9110,
    /// sections 15.3.5, 15.3.6 and 15.4.5). Nothing is sent then.
    pub fn send_head(&mut self, now: &Now, head: &ResponseHead<'_>, body: BodySize, out: &mut Outbox) -> Result<(), LocalError> {
        let (framing, connection) = self.begin(head, body)?;
        response::encode(now, head, framing, connection, b"", out);
        Ok(())
    }

    /// Decides about the fields of a response that begins, and changes the state.
    #[inline(always)]
    fn begin(&mut self, head: &ResponseHead<'_>, body: BodySize) -> Result<(FramingField, ConnectionField), LocalError> {
        if self.writing != Writing::Owed {
            return Err(LocalError::WrongState);
        }
        response::check(head)?;
        if matches!(head.status, 204 | 205 | 304) && body != BodySize::Length(0) {
            return Err(LocalError::BodyLength);
        }
        let (framing, writing) = match body {
            // RFC 9110, section 8.6: a 204 must not have `Content-Length`. In a 304 it would be the
            // length of the body that a 200 would have, which is unknown here.
            BodySize::Length(_) if matches!(head.status, 204 | 304) => (FramingField::None, Writing::NoBody),
            BodySize::Length(length) => {
                self.left = length;
                (FramingField::Length(length), Writing::Length)
            }
            BodySize::Stream if self.version == Version::Http11 => (FramingField::Chunked, Writing::Chunked),
            BodySize::Stream => (FramingField::None, Writing::UntilClose),
        };
        // RFC 9112, section 9.3: "A server MUST read the entire request message body or close the
        // connection after sending its response".
        self.close |= writing == Writing::UntilClose || !matches!(self.reading, Reading::Done);
        self.writing = if self.head_only { Writing::NoBody } else { writing };
        // A 426 must send `Upgrade`, and therefore also the `Upgrade` connection option (RFC 9110,
        // sections 7.8 and 15.5.22).
        let connection = match self.version {
            _ if head.status == 426 && self.close => ConnectionField::UpgradeRequiredAndClose,
            Version::Http11 if head.status == 426 => ConnectionField::UpgradeRequired,
            Version::Http10 if head.status == 426 => ConnectionField::UpgradeRequiredAndKeepAlive,
            _ if self.close => ConnectionField::Close,
            Version::Http10 => ConnectionField::KeepAlive,
            Version::Http11 => ConnectionField::None,
        };
        Ok((framing, connection))
    }

    /// Sends a part of the body. In chunked coding, the part is one chunk. An empty part sends
    /// nothing. In a response without a body (HEAD, 204, 304) all parts are dropped.
    ///
    /// # Errors
    /// [`LocalError::WrongState`] outside a body. [`LocalError::BodyLength`] if the part exceeds
    /// the announced length. Nothing is sent then.
    pub fn send_body(&mut self, bytes: &[u8], out: &mut Outbox) -> Result<(), LocalError> {
        match self.writing {
            Writing::Length => {
                self.left = self.left.checked_sub(bytes.len() as u64).ok_or(LocalError::BodyLength)?;
                out.extend(bytes);
            }
            Writing::Chunked if !bytes.is_empty() => {
                response::chunk_size_line(bytes.len(), out);
                out.extend(bytes);
                out.extend(b"\r\n");
            }
            Writing::UntilClose => out.extend(bytes),
            Writing::Chunked | Writing::NoBody => {}
            Writing::Nothing | Writing::Owed | Writing::Over => return Err(LocalError::WrongState),
        }
        Ok(())
    }

    /// Sends a frame as a part of a streamed body. In chunked coding, the shared bytes of a chunk
    /// frame are sent unchanged. Otherwise only the payload of the frame is used. An empty payload
    /// sends nothing. In the response to a HEAD, frames are dropped.
    ///
    /// # Errors
    /// [`LocalError::WrongState`] outside a streamed body.
    #[inline]
    pub fn send_frame(&mut self, frame: &Frame, out: &mut Outbox) -> Result<(), LocalError> {
        // The usual case. The wire form of an empty chunk has no bytes.
        if self.writing == Writing::Chunked && frame.kind() == FrameKind::Chunk {
            out.push_shared(frame.shared(), 0..frame.shared().len());
            return Ok(());
        }
        self.send_payload(frame, out)
    }

    fn send_payload(&mut self, frame: &Frame, out: &mut Outbox) -> Result<(), LocalError> {
        let (own, shared) = frame.payload_parts();
        match self.writing {
            Writing::Chunked | Writing::UntilClose if own.is_empty() && shared.is_empty() => {}
            Writing::Chunked => {
                response::chunk_size_line(own.len() + shared.len(), out);
                out.extend(own);
                out.push_shared(frame.shared(), shared);
                out.extend(b"\r\n");
            }
            Writing::UntilClose => {
                out.extend(own);
                out.push_shared(frame.shared(), shared);
            }
            Writing::NoBody => {}
            Writing::Length | Writing::Nothing | Writing::Owed | Writing::Over => return Err(LocalError::WrongState),
        }
        Ok(())
    }

    /// Ends the response. The connection is then ready for the next request, or it is closing.
    ///
    /// # Errors
    /// [`LocalError::WrongState`] outside a response. [`LocalError::BodyLength`] if announced bytes
    /// are missing. Then only the close of the transport can tell the peer.
    pub fn send_end(&mut self, now: &Now, out: &mut Outbox) -> Result<(), LocalError> {
        match self.writing {
            Writing::Length if self.left > 0 => return Err(LocalError::BodyLength),
            Writing::Chunked => out.extend(b"0\r\n\r\n"),
            Writing::Length | Writing::UntilClose | Writing::NoBody => {}
            Writing::Nothing | Writing::Owed | Writing::Over => return Err(LocalError::WrongState),
        }
        self.finish(now.instant());
        Ok(())
    }

    /// Answers `101 Switching Protocols` with `Upgrade: websocket` and these fields. HTTP on this
    /// connection is then over, but the connection is not closed. This state machine consumes no
    /// more input: the following bytes belong to the next protocol (RFC 9110, section 7.8).
    ///
    /// # Errors
    /// [`LocalError::WrongState`] if no request waits, or if its body is not read to its end.
    pub fn send_switching_protocols(&mut self, now: &Now, fields: &[u8], out: &mut Outbox) -> Result<(), LocalError> {
        if self.writing != Writing::Owed || !matches!(self.reading, Reading::Done) {
            return Err(LocalError::WrongState);
        }
        // RFC 9110, section 7.8: "If a server receives both an Upgrade and an Expect header field
        // with the "100-continue" expectation, the server MUST send a 100 (Continue) response
        // before sending a 101 (Switching Protocols) response." If the request had a body, the 100
        // was sent before the body.
        if std::mem::take(&mut self.expects_continue) {
            out.extend(CONTINUE);
        }
        let head = ResponseHead { status: 101, content_type: "", fields };
        response::encode(now, &head, FramingField::None, ConnectionField::Upgrade, b"", out);
        self.reading = Reading::Switched;
        self.writing = Writing::Over;
        Ok(())
    }

    /// Tells the peer which rule it broke. If no response has begun, sends a whole response with
    /// `Connection: close`. In all cases the connection is then closing.
    pub fn send_error(&mut self, now: &Now, error: RemoteError, out: &mut Outbox) {
        self.reading = Reading::Over;
        let writing = std::mem::replace(&mut self.writing, Writing::Over);
        // A second response inside the first one would be taken for a part of its body.
        if !matches!(writing, Writing::Nothing | Writing::Owed) {
            return;
        }
        let sentence = format!("{error}\n");
        let (connection, fields) = match error.status() {
            426 => (ConnectionField::UpgradeRequiredAndClose, response::UPGRADE_TO_WEBSOCKET),
            _ => (ConnectionField::Close, &b""[..]),
        };
        let head = ResponseHead { status: error.status(), content_type: "text/plain; charset=utf-8", fields };
        let body = if self.head_only { b"" } else { sentence.as_bytes() };
        response::encode(now, &head, FramingField::Length(sentence.len() as u64), connection, body, out);
    }

    /// Updates the state after the last byte of a response.
    #[inline]
    fn finish(&mut self, now: Instant) {
        self.head_only = false;
        if self.close || !matches!(self.reading, Reading::Done) {
            self.reading = Reading::Over;
            self.writing = Writing::Over;
            return;
        }
        self.reading = Reading::Idle;
        self.writing = Writing::Nothing;
        self.reused = true;
        self.deadline = now + Duration::from_millis(self.keep_alive_millis.into());
    }
}
