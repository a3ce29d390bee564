//! The errors of the peer.
//!
//! Owns one value and one sentence for each broken rule or limit. Leaves the ERROR frame and the
//! end of the connection to the code that holds one.

use std::fmt;

/// The peer broke a rule of STOMP, or a limit.
///
/// `Display` gives a sentence for the `message` header of an ERROR frame. The sentence never quotes
/// bytes of the peer.
///
/// ```
/// use pushlab::proto::stomp::{Reader, Role, StompError, StompLimits, Version};
/// let mut reader = Reader::new(Role::Server, Version::V1_2);
/// let error = reader.next_frame(b"GET / HTTP/1.1\r\n", &StompLimits::default()).unwrap_err();
/// assert_eq!(error, StompError::UnknownCommand);
/// assert_eq!(error.to_string(), "the command is not one that a peer of this role sends");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StompError {
    /// The first line of a frame is no command, or is a command of the other side.
    UnknownCommand,
    /// A header line has no colon, has an empty name, or contains NUL or a CR.
    BadHeader,
    /// A header has a backslash that does not begin an escape of the version. STOMP 1.2, "Value
    /// Encoding": "Undefined escape sequences such as `\t` MUST be treated as a fatal protocol
    /// error."
    BadEscape,
    /// The command or a header is not UTF-8.
    InvalidUtf8,
    /// `content-length` is not a decimal number.
    BadContentLength,
    /// No NUL follows the bytes that `content-length` announces.
    MissingNul,
    /// A frame with this command must not have a body.
    BodyNotAllowed,
    /// A frame has more header lines than
    /// [`StompLimits::header_lines`](super::StompLimits::header_lines).
    TooManyHeaders,
    /// A header line is longer than
    /// [`StompLimits::header_line_bytes`](super::StompLimits::header_line_bytes).
    HeaderTooLong,
    /// A body is larger than [`StompLimits::body_bytes`](super::StompLimits::body_bytes).
    BodyTooLarge,
    /// `accept-version` has no version that this side knows.
    UnsupportedVersion,
    /// `heart-beat` is not two decimal numbers of milliseconds with a comma between them.
    BadHeartBeat,
}

impl StompError {
    /// All errors, in the order of declaration.
    pub const ALL: [Self; Self::BadHeartBeat as usize + 1] = [
        Self::UnknownCommand,
        Self::BadHeader,
        Self::BadEscape,
        Self::InvalidUtf8,
        Self::BadContentLength,
        Self::MissingNul,
        Self::BodyNotAllowed,
        Self::TooManyHeaders,
        Self::HeaderTooLong,
        Self::BodyTooLarge,
        Self::UnsupportedVersion,
        Self::BadHeartBeat,
    ];
}

impl fmt::Display for StompError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownCommand => "the command is not one that a peer of this role sends",
            Self::BadHeader => "a header must be a name, a colon and a value, without NUL and CR",
            Self::BadEscape => "a header contains a backslash that begins no escape of this version",
            Self::InvalidUtf8 => "a header is not UTF-8",
            Self::BadContentLength => "content-length must be one decimal number",
            Self::MissingNul => "NUL must follow the number of bytes that content-length gives",
            Self::BodyNotAllowed => "only SEND, MESSAGE and ERROR may have a body",
            Self::TooManyHeaders => "the frame has more headers than the limit",
            Self::HeaderTooLong => "a header is longer than the limit",
            Self::BodyTooLarge => "the body is larger than the limit",
            Self::UnsupportedVersion => "the supported versions are 1.0, 1.1 and 1.2",
            Self::BadHeartBeat => "heart-beat must be two numbers of milliseconds with a comma between them",
        })
    }
}

impl std::error::Error for StompError {}
