//! One WebSocket after its opening handshake (RFC 6455, sections 5 to 7).
//!
//! Owns what an application sees, events, and where the closing handshake stands. Refuses to do the work itself: [`Reader`] and [`Writer`]
//! are two fields, so that a message can be borrowed from the one while the other answers it.

use super::super::{Limits, Outbox, RemoteError};
use super::reader::Reader;
use super::writer::Writer;

/// A whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The payload, whatever it is.
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// What the peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It sent a message.
    Message(Message<'a>),
    /// It sent a ping, at most 125 bytes, which has been answered already.
    Ping(&'a [u8]),
    /// It sent a pong, at most 125 bytes, asked for or not.
    Pong(&'a [u8]),
    /// It sent a close frame, which has been answered already. Nothing more comes.
    Close {
        /// Its code; 1005 if it gave none.
        code: u16,
        /// Its reason, at most 123 bytes.
        reason: &'a str,
    },
}

/// What [`Reader::next_event`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// An event, valid until the next call.
    Event(Event<'a>),
    /// Everything of use is consumed; at most an incomplete frame head, less than 14 bytes, is left over.
    NeedData,
}

/// Where the closing handshake stands (RFC 6455, section 7.1). A peer's close frame is answered in the moment in which it is read, so there is
/// no state in which one was received and none sent.
///
/// ```text
///            send_close, fail              close frame read
///    Open ----------------------> Sent ----------------------> Closed
///      |                                                         ^
///      +---------------------------------------------------------+
///                     close frame read and answered
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Closing {
    /// No close frame has been seen.
    #[default]
    Open,
    /// This side has sent one and waits for the peer's; nothing else that comes is looked at.
    Sent,
    /// Both have.
    Closed,
}

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
