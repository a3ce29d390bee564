//! The bounds of the protocols, each with its default and the precedent for the default.
//!
//! Owns the numbers that this layer reads, and the range to which a server clamps them: the bounds
//! of heads, bodies, pipelined input and WebSocket messages, and the times of heads, bodies and
//! keep-alive. Leaves the reaction at a bound to the code that reads the bound. Leaves the bounds
//! of output and queues, and the times of writing, heartbeats, pongs and closing, to the session.

use std::time::Duration;

/// The bounds of HTTP/1.1 and WebSocket on one connection. Every connection has all of them. A bound
/// cannot be switched off, but it can be raised. Drivers may fire a timeout up to 1/8 late.
///
/// A server takes these bounds in [`Limits::protocol`](crate::Limits::protocol).
/// [`Limits`](crate::Limits) holds all bounds of a connection.
///
/// ```
/// use pushlab::proto::ProtocolLimits;
/// let limits = ProtocolLimits { body_bytes: 64 * 1024, ..ProtocolLimits::default() };
/// assert!(limits.head_bytes < limits.body_bytes);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolLimits {
    /// Bytes of one request head, including the request line and the blank line. A larger head gets
    /// 431. Default 16 KiB (nginx 4 x 8 KiB, Node 16 KiB). Values above 65,535 count as 65,535.
    pub head_bytes: usize,
    /// Fields of one head. A head with more fields gets 431. Default 100 (Apache
    /// `LimitRequestFields 100`, hyper 100). Values above 128 count as 128.
    pub head_fields: usize,
    /// Bytes of the request target. A longer target gets 414. Default 8,000 (RFC 9112, section 3
    /// recommends at least 8,000).
    pub target_bytes: usize,
    /// Bytes of one request body after chunked decoding. A larger body gets 413. Default 1 MiB
    /// (nginx `client_max_body_size 1m`).
    pub body_bytes: usize,
    /// Bytes of one chunk-size line with its extensions, and bytes of one trailer section. It also
    /// bounds the framing of all chunks together: each chunk may have 16 bytes plus twice its data,
    /// and `chunk_line_bytes` is the allowance for the excess. More gets 400. Default 4 KiB (Go's
    /// `maxLineLength` 4 KiB; CVE-2023-39326).
    pub chunk_line_bytes: usize,
    /// The largest number of bytes of pipelined input that are kept while a response is in
    /// progress. While so many are kept, the socket is not read. Default 16 KiB (one head).
    pub pipeline_bytes: usize,
    /// Bytes of one WebSocket message, all fragments together. A larger message gets close code
    /// 1009. Default 1 MiB (python-websockets `max_size` 1 MiB).
    pub message_bytes: usize,
    /// Fragments of one WebSocket message. A message with more fragments gets close code 1008.
    /// Default 1,024 (16 times the largest count seen in the traffic of browsers).
    pub message_fragments: usize,
    /// Time for a whole request head, from its first byte. A later head gets 408. Default 20 s
    /// (Apache `RequestReadTimeout header=20-40`).
    pub head_timeout: Duration,
    /// Time for a whole request body. [`body_rate`](Self::body_rate) extends this time. A later
    /// body gets 408. Default 20 s (Apache `RequestReadTimeout body=20`).
    pub body_timeout: Duration,
    /// Each `body_rate` bytes of body extend the body's time by one second. Default 500 (Apache
    /// `MinRate=500`).
    pub body_rate: u32,
    /// Time between two requests of a connection. After it the server closes the connection without
    /// an answer. Default 75 s (nginx `keepalive_timeout 75s`).
    pub keep_alive_timeout: Duration,
}

impl ProtocolLimits {
    /// The largest number of fields that a head can have, even if
    /// [`head_fields`](Self::head_fields) is larger.
    pub const HEAD_FIELDS_MAX: usize = 128;

    /// The longest timeout. Longer ones could overflow the sum of an instant and a duration.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// Returns these limits in the range that a server supports. Timeouts are at most
    /// [`TIMEOUT_MAX`](Self::TIMEOUT_MAX), so that `Duration::MAX` can mean "for ever".
    #[must_use]
    pub fn clamped(mut self) -> Self {
        for time in [&mut self.head_timeout, &mut self.body_timeout, &mut self.keep_alive_timeout] {
            *time = Self::TIMEOUT_MAX.min(*time);
        }
        self
    }
}

impl Default for ProtocolLimits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            head_fields: 100,
            target_bytes: 8_000,
            body_bytes: 1024 * 1024,
            chunk_line_bytes: 4 * 1024,
            pipeline_bytes: 16 * 1024,
            message_bytes: 1024 * 1024,
            message_fragments: 1_024,
            head_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(20),
            body_rate: 500,
            keep_alive_timeout: Duration::from_secs(75),
        }
    }
}
