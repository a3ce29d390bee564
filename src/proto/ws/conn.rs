//! One WebSocket after its opening handshake (RFC 6455, sections 5 to 7).
//!
//! Owns the pair of an input side and an output side. Leaves the work to [`Reader`] and [`Writer`].
//! They are two fields, so that the caller can borrow a message from the reader while it answers
//! with the writer.

use super::super::{Outbox, ProtocolLimits, RemoteError};
use super::event::Next;
#[cfg(feature = "deflate")]
use super::extension::Agreement;
use super::reader::Reader;
use super::writer::Writer;

/// One WebSocket, server side.
///
/// Call [`next_event`](Self::next_event) until it returns [`Next::NeedData`]. An idle WebSocket
/// owns no memory on the heap.
///
/// ```
/// use pushlab::proto::{ProtocolLimits, Outbox, ws::{Conn, Event, Message, Next}};
/// let (mut conn, mut out, limits) = (Conn::new(), Outbox::new(), ProtocolLimits::default());
/// let mut input = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// let (used, next) = conn.reader.next_event(&mut input, &mut conn.writer, &mut out, &limits)?;
/// let Next::Event(Event::Message(Message::Text(text))) = next else { panic!("a text message") };
/// // `text` is still borrowed from `input` and `conn.reader`.
/// conn.writer.send_text(text, &mut out)?;
/// assert_eq!((used, out.chunks().next()), (11, Some(&b"\x81\x05Hello"[..])));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Conn {
    /// The input side.
    pub reader: Reader,
    /// The output side, and the state of the closing handshake.
    pub writer: Writer,
}

impl Conn {
    /// A WebSocket after its opening handshake.
    pub const fn new() -> Self {
        Self { reader: Reader::new(), writer: Writer::new() }
    }

    /// A WebSocket after an opening handshake that has agreed on permessage-deflate.
    ///
    /// ```
    /// use pushlab::Deflate;
    /// use pushlab::proto::{Outbox, ws::Conn};
    /// let agreement = Deflate::default().agree([&b"permessage-deflate"[..]]);
    /// let (mut conn, mut out) = (Conn::with_agreement(agreement), Outbox::new());
    /// conn.writer.send_text(&"Hello".repeat(100), &mut out)?;
    /// assert!(out.len() < 50, "{} bytes", out.len());
    /// # Ok::<_, pushlab::proto::LocalError>(())
    /// ```
    #[cfg(feature = "deflate")]
    pub const fn with_agreement(agreement: Option<Agreement>) -> Self {
        Self { reader: Reader::new(), writer: Writer::with_agreement(agreement) }
    }

    /// Borrows both sides separately, to read from one and write with the other.
    pub const fn split(&mut self) -> (&mut Reader, &mut Writer) {
        (&mut self.reader, &mut self.writer)
    }

    /// Calls [`Reader::next_event`] with the writer of this connection. Use it if the writer is not
    /// needed while the event is borrowed.
    pub fn next_event<'a>(
        &'a mut self,
        input: &'a mut [u8],
        out: &mut Outbox,
        limits: &ProtocolLimits,
    ) -> Result<(usize, Next<'a>), RemoteError> {
        self.reader.next_event(input, &mut self.writer, out, limits)
    }
}
