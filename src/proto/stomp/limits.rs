//! The bounds of STOMP frames.
//!
//! Owns the numbers, each with its default and the precedent for the default. Leaves the reaction
//! at a bound to the [`Reader`](super::Reader).

/// The bounds of one frame. They bound the memory of a frame that has not arrived completely, too:
/// all header lines together, and the body.
///
/// ```
/// use pushlab::proto::stomp::StompLimits;
/// let limits = StompLimits { body_bytes: 64 * 1024, ..StompLimits::default() };
/// assert!(limits.header_line_bytes < limits.body_bytes);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StompLimits {
    /// Header lines of one frame. Default 64 (half of the fields of an HTTP head of nginx or
    /// Apache; the limit of Apache Apollo is 1,000).
    pub header_lines: usize,
    /// Bytes of one header line without its LF, before the escapes are decoded. Default 8 KiB
    /// (Apache Apollo 10 KiB), which holds a token in `passcode`.
    pub header_line_bytes: usize,
    /// Bytes of one body. Default 1 MiB, as one WebSocket message
    /// ([`ProtocolLimits::message_bytes`](crate::proto::ProtocolLimits::message_bytes)).
    pub body_bytes: usize,
}

impl Default for StompLimits {
    fn default() -> Self {
        Self { header_lines: 64, header_line_bytes: 8 * 1024, body_bytes: 1024 * 1024 }
    }
}
