//! One WebSocket after its opening handshake (RFC 6455, sections 5 to 7).
//!
//! Owns the pair of its two sides. Refuses to do the work itself: [`Reader`] and [`Writer`] are two fields, so that a message can be borrowed
//! from the one while the other answers it.

use super::super::{Limits, Outbox, RemoteError};
use super::event::Next;
use super::reader::Reader;
use super::writer::Writer;

/// One WebSocket, server's side.
///
/// Call [`next_event`](Self::next_event) until it needs data, as with every connection of this crate. An idle WebSocket owns no memory.
///
/// ```
/// use pushlab::proto::{Limits, Outbox, ws::{Conn, Event, Message, Next}};
/// let (mut conn, mut out, limits) = (Conn::new(), Outbox::new(), Limits::default());
/// let mut input = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// let (used, next) = conn.reader.next_event(&mut input, &mut conn.writer, &mut out, &limits)?;
/// let Next::Event(Event::Message(Message::Text(text))) = next else { panic!("a text message") };
/// conn.writer.send_text(text, &mut out)?; // while `text` is borrowed from `input` and `conn.reader`
/// assert_eq!((used, out.chunks().next()), (11, Some(&b"\x81\x05Hello"[..])));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Conn {
    /// The input side.
    pub reader: Reader,
    /// The output side, and where the closing handshake stands.
    pub writer: Writer,
}

impl Conn {
    /// A WebSocket whose opening handshake is done.
    pub const fn new() -> Self {
        Self { reader: Reader::new(), writer: Writer::new() }
    }

    /// Both sides, to read from one and write with the other.
    pub const fn split(&mut self) -> (&mut Reader, &mut Writer) {
        (&mut self.reader, &mut self.writer)
    }

    /// [`Reader::next_event`] with this connection's own writer, for whoever does not answer while looking at the event.
    pub fn next_event<'a>(&'a mut self, input: &'a mut [u8], out: &mut Outbox, limits: &Limits) -> Result<(usize, Next<'a>), RemoteError> {
        self.reader.next_event(input, &mut self.writer, out, limits)
    }
}
