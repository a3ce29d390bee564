//! The messages and events that an application sees of a WebSocket.
//!
//! Owns the types for messages and events (RFC 6455, sections 5.4 to 5.6). Leaves incomplete
//! messages to [`Assembler`](super::assembler::Assembler).

/// A whole message.
///
/// ```
/// use pushlab::proto::ws::Message;
/// assert_eq!(Message::Text("Gr\u{fc}\u{df}e").as_bytes(), b"Gr\xc3\xbc\xc3\x9fe");
/// assert_ne!(Message::Text("x"), Message::Binary(b"x"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The payload as bytes, for both kinds of messages.
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// One action of the peer. [`Conn`](super::Conn) has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The peer sent a message.
    Message(Message<'a>),
    /// The peer sent a ping of at most 125 bytes. The pong has already been written to the output.
    Ping(&'a [u8]),
    /// The peer sent a pong of at most 125 bytes. It may answer a ping or be unsolicited.
    Pong(&'a [u8]),
    /// The peer sent a close frame. The answer has already been written to the output. No event
    /// follows.
    Close {
        /// The code of the close frame. It is 1005 if the frame has none.
        code: u16,
        /// The reason, at most 123 bytes.
        reason: &'a str,
    },
}

/// The result of [`Reader::next_event`](super::Reader::next_event). [`Conn`](super::Conn) has an
/// example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// An event, valid until the next call.
    Event(Event<'a>),
    /// Everything useful is consumed. At most an incomplete frame head, less than 14 bytes,
    /// remains.
    NeedData,
}
