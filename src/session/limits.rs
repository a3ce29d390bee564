//! The bounds of one connection, each with its default and the precedent for the default.
//!
//! Owns the numbers that this layer and the drivers read, and the range to which a server clamps
//! them: the bounds of output and queues, and the times of writing, heartbeats, pongs and closing.
//! Leaves the bounds of the protocols to `proto::limits`, and the reaction at a bound to the code
//! that reads the bound.

use std::time::Duration;

use crate::proto::ProtocolLimits;

/// The bounds of one connection. Every connection has all of them. A bound cannot be switched off,
/// but it can be raised. Drivers may fire a timeout up to 1/8 late.
///
/// The bounds of requests and of WebSocket messages are in [`protocol`](Self::protocol). A program
/// that uses [`proto`](crate::proto) alone needs no others. The other fields bound the output of a
/// connection and the times for which it waits for its peer.
///
/// ```
/// use std::time::Duration;
/// use pushlab::{Limits, proto::ProtocolLimits};
/// let limits = Limits {
///     protocol: ProtocolLimits { body_bytes: 64 * 1024, ..ProtocolLimits::default() },
///     heartbeat: Some(Duration::from_secs(10)),
///     ..Limits::default()
/// };
/// assert!(limits.protocol.body_bytes < limits.queue_bytes);
/// ```
///
/// The limits of a [`Config`](crate::Config) can also be set one by one:
///
/// ```
/// let mut config = pushlab::Config::default();
/// config.settings.limits.protocol.body_bytes = 64 * 1024;
/// config.settings.limits.heartbeat = None;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bounds of heads, bodies, pipelined input and WebSocket messages, and the times of heads,
    /// bodies and keep-alive.
    pub protocol: ProtocolLimits,
    /// Bytes of unsent output. From this number on, the server does not process further input. At
    /// least 1. Default 256 KiB (libwebsockets and uWebSockets also pause).
    pub output_bytes: usize,
    /// Bytes of messages queued for one slow reader. Above this number the slow-consumer policy
    /// acts. Default 1 MiB (Centrifugo `client_queue_max_size` 1 MiB).
    pub queue_bytes: usize,
    /// Time in which the socket accepts no byte while output waits. After it the server ends the
    /// connection. Default 30 s (half of nginx `send_timeout` 60 s, because a push server holds
    /// output for more clients).
    pub write_timeout: Duration,
    /// Time from a ping until the server ends a WebSocket whose peer sends nothing. Default 20 s
    /// (python-websockets `ping_timeout` 20 s).
    pub pong_timeout: Duration,
    /// Time for the peer's half of a close: its close frame after ours, or its end of file after
    /// our last response. Also the time in which a slow reader must take its last word, and the
    /// output before it. Default 5 s (nginx `lingering_timeout 5s`).
    pub close_timeout: Duration,
    /// Time between heartbeats of a stream, an event stream or a WebSocket. `None` sends no
    /// heartbeats. Default 25 s (RFC 6202, section 5.5: 30 s is safe; `SockJS`, Engine.IO 25 s).
    pub heartbeat: Option<Duration>,
}

impl Limits {
    /// The longest timeout: [`ProtocolLimits::TIMEOUT_MAX`].
    pub const TIMEOUT_MAX: Duration = ProtocolLimits::TIMEOUT_MAX;

    /// Returns these limits in the range that a server supports, with those of
    /// [`protocol`](Self::protocol). Timeouts are at most [`TIMEOUT_MAX`](Self::TIMEOUT_MAX), so
    /// that `Duration::MAX` can mean "for ever". `output_bytes` is at least 1, because with 0 the
    /// server would never process any input.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        self.protocol = self.protocol.clamped();
        self.output_bytes = self.output_bytes.max(1);
        for time in [&mut self.write_timeout, &mut self.pong_timeout, &mut self.close_timeout] {
            *time = Self::TIMEOUT_MAX.min(*time);
        }
        self.heartbeat = self.heartbeat.map(|every| every.min(Self::TIMEOUT_MAX));
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            protocol: ProtocolLimits::default(),
            output_bytes: 256 * 1024,
            queue_bytes: 1024 * 1024,
            write_timeout: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            heartbeat: Some(Duration::from_secs(25)),
        }
    }
}
