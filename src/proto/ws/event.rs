//! What an application sees of a WebSocket.
//!
//! Owns messages and events (RFC 6455, sections 5.4 to 5.6). Refuses bytes that are no message yet.

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

/// What [`Reader::next_event`](super::Reader::next_event) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// An event, valid until the next call.
    Event(Event<'a>),
    /// Everything of use is consumed; at most an incomplete frame head, less than 14 bytes, is left over.
    NeedData,
}
