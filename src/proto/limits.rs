//! Every bound of the protocol core in one place, each with its precedent.
//!
//! Owns numbers only. Refuses policy: what happens past a bound is said by the code that meets it, through
//! [`RemoteError`](super::RemoteError).

use std::time::Duration;

/// The bounds of one connection. All of them hold for every connection; there is no way to switch one off, only to raise it.
/// A driver may keep a time late by an eighth of it.
///
/// ```
/// use pushlab::proto::Limits;
/// let limits = Limits { body_bytes: 64 * 1024, ..Limits::default() };
/// assert!(limits.head_bytes < limits.body_bytes);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request head, request line and blank line included. 431 past it. Default 16 KiB (nginx 4 x 8 KiB, Node 16 KiB). At most 65,535.
    pub head_bytes: usize,
    /// Fields of one head. 431 past it. Default 100 (Apache `LimitRequestFields 100`, hyper 100). At most 128.
    pub head_fields: usize,
    /// Bytes of the request target. 414 past it. Default 8,000 (RFC 9112, section 3 recommends at least 8,000).
    pub target_bytes: usize,
    /// Bytes of one request body after chunked decoding. 413 past it. Default 1 MiB (nginx `client_max_body_size 1m`).
    pub body_bytes: usize,
    /// Bytes of one chunk-size line with its extensions, and of one trailer section; and of all chunks' framing together beyond 16 bytes a
    /// chunk and twice its data. 400 past it. Default 4 KiB (Go's `maxLineLength` 4 KiB; CVE-2023-39326).
    pub chunk_line_bytes: usize,
    /// Bytes of pipelined input kept while a response is in progress; past it the socket is not read. Default 16 KiB (one head).
    pub pipeline_bytes: usize,
    /// Bytes of unsent output past which no further input is worked on; at least 1. Default 256 KiB (libwebsockets and uWebSockets pause alike).
    pub output_bytes: usize,
    /// Bytes of messages queued for one slow reader, past which the slow-consumer policy acts. Default 1 MiB (Centrifugo `client_queue_max_size` 1 MiB).
    pub queue_bytes: usize,
    /// Bytes of one WebSocket message, all fragments together. Close 1009 past it. Default 1 MiB (python-websockets `max_size` 1 MiB).
    pub message_bytes: usize,
    /// Fragments of one WebSocket message. Close 1008 past it. Default 1,024 (16-fold the largest count seen in browsers' traffic).
    pub message_fragments: usize,
    /// Time for a whole request head from its first byte. 408 past it. Default 20 s (Apache `RequestReadTimeout header=20-40`).
    pub head_timeout: Duration,
    /// Time for a request body, prolonged by [`body_rate`](Self::body_rate). 408 past it. Default 20 s (Apache `RequestReadTimeout body=20`).
    pub body_timeout: Duration,
    /// Bytes per second of body that each prolong the body's time. Default 500 (Apache `MinRate=500`).
    pub body_rate: u32,
    /// Time between two requests of a connection. Closed without an answer past it. Default 75 s (nginx `keepalive_timeout 75s`).
    pub keep_alive_timeout: Duration,
    /// Time without any byte taken by the peer's side while output waits. Default 30 s (nginx `send_timeout` 60 s, halved: a push server holds output for more people).
    pub write_timeout: Duration,
    /// Time between a ping and the silence that ends a WebSocket. Default 20 s (python-websockets `ping_timeout` 20 s).
    pub pong_timeout: Duration,
    /// Time for the peer's half of a close: the close frame that answers ours, or the end of file after our last answer. Default 5 s (nginx `lingering_timeout 5s`).
    pub close_timeout: Duration,
    /// Time between heartbeats of a stream, an event stream or a WebSocket; `None` sends none. Default 25 s (RFC 6202, section 5.5: 30 s is safe; `SockJS`, Engine.IO 25 s).
    pub heartbeat: Option<Duration>,
}

impl Limits {
    /// The number of fields that a head can have at the most, whatever [`head_fields`](Self::head_fields) says.
    pub const HEAD_FIELDS_MAX: usize = 128;

    /// The longest that any time-out lasts: a deadline is an instant, and instants end somewhere.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// These limits as a server can keep them: no time-out above [`TIMEOUT_MAX`](Self::TIMEOUT_MAX), so that `Duration::MAX` can stand for
    /// "for ever", and room for a byte of output, without which nothing would ever be worked on.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        self.output_bytes = self.output_bytes.max(1);
        for time in [
            &mut self.head_timeout,
            &mut self.body_timeout,
            &mut self.keep_alive_timeout,
            &mut self.write_timeout,
            &mut self.pong_timeout,
            &mut self.close_timeout,
        ] {
            *time = Self::TIMEOUT_MAX.min(*time);
        }
        self.heartbeat = self.heartbeat.map(|every| every.min(Self::TIMEOUT_MAX));
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            head_fields: 100,
            target_bytes: 8_000,
            body_bytes: 1024 * 1024,
            chunk_line_bytes: 4 * 1024,
            pipeline_bytes: 16 * 1024,
            output_bytes: 256 * 1024,
            queue_bytes: 1024 * 1024,
            message_bytes: 1024 * 1024,
            message_fragments: 1_024,
            head_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(20),
            body_rate: 500,
            keep_alive_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            heartbeat: Some(Duration::from_secs(25)),
        }
    }
}
