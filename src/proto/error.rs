//! Who broke which rule, and what the wire says about it.
//!
//! Owns the mapping from a broken rule to an HTTP status (RFC 9110, section 15) and to a WebSocket close code (RFC 6455, section 7.4).
//! Refuses to carry text or allocate: errors are small `Copy` values, their sentences are constants.

use std::fmt;

/// The peer broke a rule, a limit or a deadline.
///
/// [`status`](Self::status) is the HTTP answer while the connection still speaks HTTP; [`close_code`](Self::close_code) the WebSocket
/// close code after the upgrade. `Display` gives a sentence that names the rule; it is sent to the peer as the body of the error answer,
/// and never quotes the peer's bytes.
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
    /// A field line is malformed: white space before the colon, obs-fold, bare CR, NUL, an empty name (RFC 9112, section 5).
    BadField,
    /// The request target is in no form that its method allows (RFC 9112, section 3.2).
    BadTarget,
    /// A percent sign in the request target's path is not followed by two hexadecimal digits (RFC 3986, section 2.1).
    BadEscape,
    /// The request target is an `https` one, and the connection is not secured (RFC 9110, section 7.4).
    MisdirectedTarget,
    /// The request is for a host that is not in
    /// [`Settings::allow_hosts`](crate::Settings::allow_hosts) (RFC 9110, section 15.5.20).
    MisdirectedHost,
    /// `Host` is missing in HTTP/1.1, repeated, or not a valid `host[:port]` (RFC 9112, section 3.2).
    BadHost,
    /// `Content-Length` is repeated, a list, signed, empty or overflows (RFC 9112, section 6.3).
    BadContentLength,
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112, section 6.1: a smuggling shape).
    ConflictingFraming,
    /// `Transfer-Encoding` whose last coding is not a single `chunked`, or on HTTP/1.0 (RFC 9112, section 6.1).
    BadTransferEncoding,
    /// A transfer coding that this server does not implement, before a final `chunked` (RFC 9112, section 6.1).
    UnknownTransferCoding,
    /// A chunk size, extension, end or trailer is malformed (RFC 9112, section 7.1).
    BadChunk,
    /// The head exceeds [`Limits::head_bytes`](super::Limits::head_bytes).
    HeadTooLarge,
    /// The head exceeds [`Limits::head_fields`](super::Limits::head_fields).
    TooManyFields,
    /// The request target exceeds [`Limits::target_bytes`](super::Limits::target_bytes).
    TargetTooLong,
    /// The body exceeds [`Limits::body_bytes`](super::Limits::body_bytes).
    BodyTooLarge,
    /// A method that this server does not know (RFC 9110, section 9.1).
    UnknownMethod,
    /// An HTTP version other than 1.x (RFC 9110, section 15.6.6).
    UnsupportedVersion,
    /// An `Expect` other than `100-continue` (RFC 9110, section 10.1.1).
    UnknownExpectation,
    /// The head did not arrive within [`Limits::head_timeout`](super::Limits::head_timeout).
    HeadTimeout,
    /// The body did not arrive within [`Limits::body_timeout`](super::Limits::body_timeout) and its minimum rate.
    BodyTimeout,
    /// The peer ended the connection in the middle of a message.
    UnexpectedEof,
    /// A WebSocket was expected and the request is not an upgrade to one (RFC 6455, section 4.2.1).
    NotAWebSocketRequest,
    /// `Sec-WebSocket-Version` is not 13 (RFC 6455, section 4.4).
    UnsupportedWebSocketVersion,
    /// The handshake is malformed: `Sec-WebSocket-Key` missing, repeated or not 16 bytes of base64, or a list of subprotocols or extensions
    /// that is none (RFC 6455, sections 4.2.1 and 9.1).
    BadHandshake,
    /// The `Origin` is malformed or repeated, or is not allowed to open a WebSocket here (RFC 6454,
    /// section 7; RFC 6455, section 10.2).
    ForbiddenOrigin,
    /// A reserved bit is set without an extension that gives it a meaning (RFC 6455, section 5.2).
    ReservedBits,
    /// A reserved opcode (RFC 6455, section 5.2).
    ReservedOpcode,
    /// A frame from a client is not masked (RFC 6455, section 5.1).
    UnmaskedFrame,
    /// A payload length is not in its shortest form, or has its highest bit set (RFC 6455, section 5.2).
    BadPayloadLength,
    /// A control frame is fragmented or longer than 125 bytes (RFC 6455, section 5.5).
    BadControlFrame,
    /// A continuation frame with nothing to continue, or a new message inside a fragmented one (RFC 6455, section 5.4).
    BadFragment,
    /// A text message or close reason is not UTF-8 (RFC 6455, sections 5.6 and 8.1).
    InvalidUtf8,
    /// A close frame with one byte of body or a code that must not be sent (RFC 6455, section 7.4).
    BadCloseFrame,
    /// A message exceeds [`Limits::message_bytes`](super::Limits::message_bytes).
    MessageTooLarge,
    /// A message exceeds [`Limits::message_fragments`](super::Limits::message_fragments).
    TooManyFragments,
    /// The peer did not answer a ping, a close frame or the lingering end of the connection in time.
    Silent,
}

impl RemoteError {
    /// Every rule, in the order of declaration.
    pub const ALL: [Self; Self::Silent as usize + 1] = [
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
        Self::BadCloseFrame,
        Self::MessageTooLarge,
        Self::TooManyFragments,
        Self::Silent,
    ];

    /// The status code of the answer (RFC 9110, section 15). WebSocket frame errors, which come after the upgrade, map to 400.
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

    /// The close code of the close frame (RFC 6455, section 7.4.1): 1002 unless the rule names another.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 => 1007,
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
            Self::MisdirectedTarget => "https is not spoken here",
            Self::MisdirectedHost => "this server does not answer for this host",
            Self::BadHost => "Host must be given exactly once, as host or host:port",
            Self::BadContentLength => "Content-Length must be one decimal number",
            Self::ConflictingFraming => "Content-Length and Transfer-Encoding must not come together",
            Self::BadTransferEncoding => "Transfer-Encoding must end in one chunked and needs HTTP/1.1",
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
                "Sec-WebSocket-Key must be given exactly once, as 16 bytes in base64, and the lists beside it must be lists"
            }
            Self::ForbiddenOrigin => "this Origin is not allowed",
            Self::ReservedBits => "a reserved bit is set",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::UnmaskedFrame => "client frames must be masked",
            Self::BadPayloadLength => "the payload length is not in its shortest form",
            Self::BadControlFrame => "control frames must be whole and at most 125 bytes",
            Self::BadFragment => "the fragments of a message are out of order",
            Self::InvalidUtf8 => "text must be UTF-8",
            Self::BadCloseFrame => "the close frame is malformed",
            Self::MessageTooLarge => "the message is larger than the limit",
            Self::TooManyFragments => "the message has more fragments than the limit",
            Self::Silent => "the peer did not answer in time",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalError {
    /// A field name is not a token, or a field value carries CR, LF, NUL or another control character (RFC 9110, section 5.5).
    BadField,
    /// An event's name carries CR or LF, or its id carries CR, LF or NUL (WHATWG HTML, section 9.2.5).
    BadEvent,
    /// A status outside 200 to 599: informational answers are the protocol core's own (RFC 9110, section 15).
    BadStatus,
    /// A field that the protocol core itself writes (`Content-Length`, `Transfer-Encoding`, `Connection`, `Date`).
    ReservedField,
    /// Nothing can be sent in this state: no request is waiting, or the response, message stream or connection is already over.
    WrongState,
    /// More or fewer body bytes than the announced `Content-Length`.
    BodyLength,
    /// A close code that must not be sent, or a control payload over 125 bytes (RFC 6455, sections 5.5 and 7.4).
    BadCloseCode,
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadField => "a field name must be a token, and a field value must not carry control characters",
            Self::BadEvent => "an event's name and id must be one line, and the id without NUL",
            Self::BadStatus => "the status must be between 200 and 599",
            Self::ReservedField => "Content-Length, Transfer-Encoding, Connection and Date are written by the protocol core",
            Self::WrongState => "nothing can be sent in this state",
            Self::BodyLength => "the body does not have the announced length",
            Self::BadCloseCode => "the close code must not be sent, or the control payload is over 125 bytes",
        })
    }
}

impl std::error::Error for LocalError {}

/// Why a connection ended. Every end has exactly one reason; normal ends are values, not errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed in an orderly way: end of file between messages, or a WebSocket close frame with this code (1005: none given).
    Peer(u16),
    /// This side closed in an orderly way: the last response of a connection, or a WebSocket close frame with this code.
    Local(u16),
    /// The peer broke a rule.
    Remote(RemoteError),
    /// The peer read slower than messages came, and the policy is to disconnect.
    SlowConsumer,
    /// The socket could take no byte for the write-stall time.
    WriteStalled,
    /// The transport failed: reset, broken pipe.
    Transport,
    /// Nothing happened for the keep-alive time.
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
