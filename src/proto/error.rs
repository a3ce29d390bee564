//! The errors of the peer, the errors of this side, and the reasons why connections end.
//!
//! Owns the mapping from a broken rule to an HTTP status (RFC 9110, section 15) and to a WebSocket
//! close code (RFC 6455, section 7.4), and the English sentence for each error. Leaves the sending
//! of error answers to [`http1::Conn`](super::http1::Conn) and [`ws::Writer`](super::ws::Writer).
//! Errors are small `Copy` values: they allocate nothing and carry no bytes of the peer.

use std::fmt;

/// The peer broke a rule, a limit or a deadline.
///
/// [`status`](Self::status) is the status of the error answer while the connection still speaks
/// HTTP. [`close_code`](Self::close_code) is the WebSocket close code after the upgrade. `Display`
/// gives a sentence that names the rule. The server sends this sentence to the peer as the body of
/// the error answer or as the reason of the close frame. The sentence never quotes bytes of the
/// peer.
///
/// ```
/// use pushlab::proto::RemoteError;
/// assert_eq!(RemoteError::BodyTooLarge.status(), 413);
/// assert_eq!(RemoteError::InvalidUtf8.close_code(), 1007);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemoteError {
    /// The request line is not `method SP target SP HTTP/x.y` (RFC 9112, section 3).
    BadRequestLine,
    /// A field line is malformed: white space before the colon, obs-fold, a bare CR, NUL or an
    /// empty name (RFC 9112, section 5).
    BadField,
    /// The request target is malformed, or the method does not allow its form (RFC 9112, section
    /// 3.2).
    BadTarget,
    /// A percent sign in the request target's path is not followed by two hexadecimal digits (RFC
    /// 3986, section 2.1).
    BadEscape,
    /// The scheme of the request target is not that of the connection: `https` on a connection that
    /// is not secured, or `http` on one that is (RFC 9110, section 7.4).
    MisdirectedTarget,
    /// The request names a host that is not in
    /// [`Settings::allow_hosts`](crate::Settings::allow_hosts) (RFC 9110, section 15.5.20).
    MisdirectedHost,
    /// `Host` is missing from an HTTP/1.1 request, is repeated, or is not a valid `host[:port]`
    /// (RFC 9112, section 3.2).
    BadHost,
    /// `Content-Length` is repeated, a list, signed or empty, or its value overflows (RFC 9112,
    /// section 6.3).
    BadContentLength,
    /// The head has both `Content-Length` and `Transfer-Encoding`. Request smuggling uses this form
    /// (RFC 9112, section 6.1).
    ConflictingFraming,
    /// `Transfer-Encoding` does not end in exactly one `chunked`, or the request is HTTP/1.0 (RFC
    /// 9112, section 6.1).
    BadTransferEncoding,
    /// `Transfer-Encoding` lists a coding that this server does not implement, before the final
    /// `chunked` (RFC 9112, section 6.1).
    UnknownTransferCoding,
    /// A chunk size, a chunk extension, the end of a chunk or a trailer field is malformed (RFC
    /// 9112, section 7.1).
    BadChunk,
    /// The head is larger than [`ProtocolLimits::head_bytes`](super::ProtocolLimits::head_bytes).
    HeadTooLarge,
    /// The head has more fields than
    /// [`ProtocolLimits::head_fields`](super::ProtocolLimits::head_fields).
    TooManyFields,
    /// The request target is longer than
    /// [`ProtocolLimits::target_bytes`](super::ProtocolLimits::target_bytes).
    TargetTooLong,
    /// The body is larger than [`ProtocolLimits::body_bytes`](super::ProtocolLimits::body_bytes).
    BodyTooLarge,
    /// The server does not know the method (RFC 9110, section 9.1).
    UnknownMethod,
    /// The HTTP version is not 1.x (RFC 9110, section 15.6.6).
    UnsupportedVersion,
    /// `Expect` names an expectation other than `100-continue` (RFC 9110, section 10.1.1).
    UnknownExpectation,
    /// The head did not arrive within
    /// [`ProtocolLimits::head_timeout`](super::ProtocolLimits::head_timeout).
    HeadTimeout,
    /// The body arrived more slowly than
    /// [`ProtocolLimits::body_timeout`](super::ProtocolLimits::body_timeout) and
    /// [`ProtocolLimits::body_rate`](super::ProtocolLimits::body_rate) allow.
    BodyTimeout,
    /// The peer ended the connection in the middle of a message.
    UnexpectedEof,
    /// The resource requires a WebSocket, but the request does not ask for an upgrade to one (RFC
    /// 6455, section 4.2.1).
    NotAWebSocketRequest,
    /// `Sec-WebSocket-Version` is not 13 (RFC 6455, section 4.4).
    UnsupportedWebSocketVersion,
    /// The handshake is malformed: `Sec-WebSocket-Key` is missing, repeated or not 16 bytes in
    /// base64, or the list of subprotocols or extensions violates its grammar (RFC 6455, sections
    /// 4.2.1 and 9.1).
    BadHandshake,
    /// The `Origin` is malformed or repeated, or the server does not allow it to open a WebSocket
    /// (RFC 6454, section 7; RFC 6455, section 10.2).
    ForbiddenOrigin,
    /// A reserved bit is set, and no negotiated extension defines its meaning in this frame (RFC
    /// 6455, section 5.2; RFC 7692, section 6).
    ReservedBits,
    /// The opcode is reserved (RFC 6455, section 5.2).
    ReservedOpcode,
    /// A frame from a client is not masked (RFC 6455, section 5.1).
    UnmaskedFrame,
    /// A payload length is not in its shortest form, or has its highest bit set (RFC 6455, section
    /// 5.2).
    BadPayloadLength,
    /// A control frame is fragmented or longer than 125 bytes (RFC 6455, section 5.5).
    BadControlFrame,
    /// A continuation frame arrived outside a fragmented message, or a new message began inside one
    /// (RFC 6455, section 5.4).
    BadFragment,
    /// A text message or a close reason is not UTF-8 (RFC 6455, sections 5.6 and 8.1).
    InvalidUtf8,
    /// The compressed data of a message is corrupt or incomplete (RFC 7692, section 7.2.2). Only a
    /// server with the cargo feature `deflate` reads compressed messages.
    BadCompression,
    /// A close frame has a body of one byte, or a code that must not be sent (RFC 6455, section
    /// 7.4).
    BadCloseFrame,
    /// A message is larger than
    /// [`ProtocolLimits::message_bytes`](super::ProtocolLimits::message_bytes).
    MessageTooLarge,
    /// A message has more fragments than
    /// [`ProtocolLimits::message_fragments`](super::ProtocolLimits::message_fragments).
    TooManyFragments,
    /// The peer did not answer a ping or a close frame in time.
    Silent,
    /// The peer speaks HTTP without TLS on a connection that must be secured.
    PlainHttp,
    /// The TLS handshake did not end in time.
    TlsHandshakeTimeout,
    /// The TLS handshake failed, or a record violates TLS (RFC 8446; RFC 5246).
    BadTls,
    /// The peer ended the connection without `close_notify`, so the end may be that of an attacker
    /// (RFC 8446, section 6.1).
    TlsTruncated,
}

impl RemoteError {
    /// All errors, in the order of declaration.
    pub const ALL: [Self; Self::TlsTruncated as usize + 1] = [
        Self::BadRequestLine,
        Self::BadField,
        Self::BadTarget,
        Self::BadEscape,
        Self::MisdirectedTarget,
        Self::MisdirectedHost,
        Self::BadHost,
        Self::BadContentLength,
        Self::ConflictingFraming,
        Self::BadTransferEncoding,
        Self::UnknownTransferCoding,
        Self::BadChunk,
        Self::HeadTooLarge,
        Self::TooManyFields,
        Self::TargetTooLong,
        Self::BodyTooLarge,
        Self::UnknownMethod,
        Self::UnsupportedVersion,
        Self::UnknownExpectation,
        Self::HeadTimeout,
        Self::BodyTimeout,
        Self::UnexpectedEof,
        Self::NotAWebSocketRequest,
        Self::UnsupportedWebSocketVersion,
        Self::BadHandshake,
        Self::ForbiddenOrigin,
        Self::ReservedBits,
        Self::ReservedOpcode,
        Self::UnmaskedFrame,
        Self::BadPayloadLength,
        Self::BadControlFrame,
        Self::BadFragment,
        Self::InvalidUtf8,
        Self::BadCompression,
        Self::BadCloseFrame,
        Self::MessageTooLarge,
        Self::TooManyFragments,
        Self::Silent,
        Self::PlainHttp,
        Self::TlsHandshakeTimeout,
        Self::BadTls,
        Self::TlsTruncated,
    ];

    /// The status code of the error answer (RFC 9110, section 15). WebSocket frame errors occur
    /// after the upgrade, when no status can be sent. They map to 400.
    pub const fn status(self) -> u16 {
        match self {
            Self::ForbiddenOrigin => 403,
            Self::HeadTimeout | Self::BodyTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::UnknownExpectation => 417,
            Self::MisdirectedTarget | Self::MisdirectedHost => 421,
            Self::NotAWebSocketRequest | Self::UnsupportedWebSocketVersion => 426,
            Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::UnknownMethod | Self::UnknownTransferCoding => 501,
            Self::UnsupportedVersion => 505,
            _ => 400,
        }
    }

    /// The close code of the close frame (RFC 6455, section 7.4.1). It is 1002 unless RFC 6455
    /// defines a more specific code for the rule.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 | Self::BadCompression => 1007,
            Self::MessageTooLarge => 1009,
            Self::TooManyFragments => 1008,
            _ => 1002,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::BadRequestLine => "the request line is malformed",
            Self::BadField => "a header field line is malformed",
            Self::BadTarget => "the request target is malformed or not allowed with this method",
            Self::BadEscape => "a percent sign in the path must be followed by two hexadecimal digits",
            Self::MisdirectedTarget => "the scheme of the target is not that of this connection",
            Self::MisdirectedHost => "this server does not answer for this host",
            Self::BadHost => "Host must be given exactly once, as host or host:port",
            Self::BadContentLength => "Content-Length must be one decimal number",
            Self::ConflictingFraming => "Content-Length and Transfer-Encoding must not come together",
            Self::BadTransferEncoding => "Transfer-Encoding must end in exactly one chunked coding and requires HTTP/1.1",
            Self::UnknownTransferCoding => "the only transfer coding implemented is chunked",
            Self::BadChunk => "the chunked body is malformed",
            Self::HeadTooLarge => "the request head is larger than the limit",
            Self::TooManyFields => "the request head has more fields than the limit",
            Self::TargetTooLong => "the request target is longer than the limit",
            Self::BodyTooLarge => "the request body is larger than the limit",
            Self::UnknownMethod => "the request method is not implemented",
            Self::UnsupportedVersion => "the major version of HTTP must be 1",
            Self::UnknownExpectation => "the only expectation supported is 100-continue",
            Self::HeadTimeout => "the request head took too long to arrive",
            Self::BodyTimeout => "the request body took too long to arrive",
            Self::UnexpectedEof => "the connection ended in the middle of a message",
            Self::NotAWebSocketRequest => "this resource needs a WebSocket upgrade (GET, Connection: Upgrade, Upgrade: websocket)",
            Self::UnsupportedWebSocketVersion => "Sec-WebSocket-Version must be 13",
            Self::BadHandshake => {
                "Sec-WebSocket-Key must be 16 bytes in base64, exactly once; protocol and extension lists must be well-formed"
            }
            Self::ForbiddenOrigin => "this Origin is not allowed",
            Self::ReservedBits => "a reserved bit is set",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::UnmaskedFrame => "client frames must be masked",
            Self::BadPayloadLength => "the payload length is not in its shortest form",
            Self::BadControlFrame => "a control frame must not be fragmented or have more than 125 bytes of payload",
            Self::BadFragment => "the fragments of a message are out of order",
            Self::InvalidUtf8 => "text must be UTF-8",
            Self::BadCompression => "the compressed data is corrupt or incomplete",
            Self::BadCloseFrame => "the close frame is malformed",
            Self::MessageTooLarge => "the message is larger than the limit",
            Self::TooManyFragments => "the message has more fragments than the limit",
            Self::Silent => "the peer did not answer in time",
            Self::PlainHttp => "this port speaks TLS: the address must begin with https:// or wss://",
            Self::TlsHandshakeTimeout => "the TLS handshake took too long",
            Self::BadTls => "the TLS handshake failed, or a record violates TLS",
            Self::TlsTruncated => "the connection ended without the close_notify of TLS",
        }
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for RemoteError {}

/// This side tried to send something that the protocol does not allow.
///
/// ```
/// use pushlab::proto::{Frame, LocalError, sse::Event};
/// assert_eq!(Frame::event(&Event::data("x").event("two\nlines")).err(), Some(LocalError::BadEvent));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalError {
    /// A field name is not a token, or a field value contains CR, LF, NUL or another control
    /// character (RFC 9110, section 5.5).
    BadField,
    /// The name of an event contains CR or LF, or its id contains CR, LF or NUL (WHATWG HTML,
    /// section 9.2.5).
    BadEvent,
    /// A STOMP header has no name, contains NUL, or contains a character that the version and the
    /// command cannot escape (STOMP 1.2, "Value Encoding").
    BadHeader,
    /// The status is outside 200 to 599. Only the protocol core sends informational (1xx) responses
    /// (RFC 9110, section 15).
    BadStatus,
    /// The protocol core itself writes this field (`Content-Length`, `Transfer-Encoding`,
    /// `Connection`, `Date`; in STOMP `content-length`).
    ReservedField,
    /// Nothing can be sent in this state: no request waits for a response, or the response, the
    /// message stream or the connection is already over.
    WrongState,
    /// The body has more or fewer bytes than the announced `Content-Length`, or the status or the
    /// STOMP command allows no body.
    BodyLength,
    /// The close code must not be sent, or a control payload is longer than 125 bytes (RFC 6455,
    /// sections 5.5 and 7.4).
    BadCloseCode,
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadField => "a field name must be a token, and a field value must not carry control characters",
            Self::BadEvent => "an event name and an event id must be one line each, and the id must not contain NUL",
            Self::BadHeader => "a STOMP header needs a name, and must not carry NUL or a character that the version cannot escape",
            Self::BadStatus => "the status must be between 200 and 599",
            Self::ReservedField => "Content-Length, Transfer-Encoding, Connection and Date are written by the protocol core",
            Self::WrongState => "nothing can be sent in this state",
            Self::BodyLength => "the body does not have the announced length",
            Self::BadCloseCode => "the close code must not be sent, or the control payload is over 125 bytes",
        })
    }
}

impl std::error::Error for LocalError {}

/// The reason why a connection ended. Each end has exactly one reason. A normal end is a value, not
/// an error.
///
/// ```
/// use pushlab::{CloseReason, Message, Socket, WebSocketHandler};
/// struct Player;
/// impl WebSocketHandler for Player {
///     fn message(&mut self, _: Message<'_>, _: &mut Socket<'_>) {}
///     fn closed(&mut self, reason: CloseReason) {
///         match reason {
///             CloseReason::Peer(1000 | 1001) => println!("the player has left"),
///             other => println!("the player is gone: {other}"),
///         }
///     }
/// }
/// # Player.closed(CloseReason::Peer(1000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed in an orderly way: it sent end of file between messages, or a WebSocket
    /// close frame with this code (1005: the frame had no code).
    Peer(u16),
    /// This side closed in an orderly way: it sent the last response of the connection, or a
    /// WebSocket close frame with this code.
    Local(u16),
    /// The peer broke a rule, a limit or a deadline.
    Remote(RemoteError),
    /// The peer read more slowly than messages arrived, and the slow-consumer policy is to
    /// disconnect.
    SlowConsumer,
    /// The socket accepted no byte for
    /// [`Limits::write_timeout`](crate::session::Limits::write_timeout).
    WriteStalled,
    /// The transport failed, for example by a reset or a broken pipe.
    Transport,
    /// No request arrived within
    /// [`ProtocolLimits::keep_alive_timeout`](super::ProtocolLimits::keep_alive_timeout).
    Idle,
    /// The server is shutting down.
    Shutdown,
    /// The handler panicked.
    HandlerPanicked,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(code) => write!(f, "closed by the peer ({code})"),
            Self::Local(code) => write!(f, "closed by the server ({code})"),
            Self::Remote(error) => write!(f, "{error}"),
            Self::SlowConsumer => f.write_str("the peer reads too slowly"),
            Self::WriteStalled => f.write_str("the peer stopped reading"),
            Self::Transport => f.write_str("the connection broke"),
            Self::Idle => f.write_str("the connection was idle"),
            Self::Shutdown => f.write_str("the server shuts down"),
            Self::HandlerPanicked => f.write_str("the handler panicked"),
        }
    }
}
