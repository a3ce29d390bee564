//! The commands of frames.
//!
//! Owns their names, which side sends which, and which of them may have a body. Leaves their
//! meaning to the code that holds a connection.

/// The side of a connection that reads frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads the frames of a client.
    Server,
    /// Reads the frames of a server.
    Client,
}

/// The command of a frame, the first line (STOMP 1.2, "Client Frames" and "Server Frames").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Opens a STOMP session.
    Connect,
    /// The same as [`Connect`](Self::Connect), with a name that no HTTP method has.
    Stomp,
    /// Sends a message to a destination.
    Send,
    /// Begins a subscription.
    Subscribe,
    /// Ends a subscription.
    Unsubscribe,
    /// Acknowledges a message.
    Ack,
    /// Refuses a message.
    Nack,
    /// Begins a transaction.
    Begin,
    /// Carries out a transaction.
    Commit,
    /// Gives up a transaction.
    Abort,
    /// Ends the session.
    Disconnect,
    /// The server's answer to [`Connect`](Self::Connect).
    Connected,
    /// A message of a subscription.
    Message,
    /// The server has processed the frame that asked for this receipt.
    Receipt,
    /// The server has found an error, and closes the connection.
    Error,
}

impl Command {
    /// All commands, those of clients first.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::Stomp,
        Self::Send,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Ack,
        Self::Nack,
        Self::Begin,
        Self::Commit,
        Self::Abort,
        Self::Disconnect,
        Self::Connected,
        Self::Message,
        Self::Receipt,
        Self::Error,
    ];

    /// The length of the longest name in bytes.
    pub(super) const LONGEST: usize = "UNSUBSCRIBE".len();

    /// The name in a frame. Names are case-sensitive.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Stomp => "STOMP",
            Self::Send => "SEND",
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Ack => "ACK",
            Self::Nack => "NACK",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Abort => "ABORT",
            Self::Disconnect => "DISCONNECT",
            Self::Connected => "CONNECTED",
            Self::Message => "MESSAGE",
            Self::Receipt => "RECEIPT",
            Self::Error => "ERROR",
        }
    }

    /// The command with this name, if `reader` may receive it.
    pub(super) fn parse(name: &[u8], reader: Role) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.name().as_bytes() == name && command.is_for(reader))
    }

    /// Whether the other side of a connection sends this command to `reader`.
    pub const fn is_for(self, reader: Role) -> bool {
        let is_of_server = matches!(self, Self::Connected | Self::Message | Self::Receipt | Self::Error);
        matches!(reader, Role::Client) == is_of_server
    }

    /// Whether a frame with this command may have a body. "Only the SEND, MESSAGE, and ERROR frames
    /// MAY have a body."
    pub const fn may_have_body(self) -> bool {
        matches!(self, Self::Send | Self::Message | Self::Error)
    }

    /// Whether the headers of this command have no escapes, so that clients and servers of all
    /// versions understand them. STOMP 1.2: "STOMP servers MUST handle a STOMP frame in the same
    /// manner as a CONNECT frame".
    pub(super) const fn has_plain_headers(self) -> bool {
        matches!(self, Self::Connect | Self::Stomp | Self::Connected)
    }
}
