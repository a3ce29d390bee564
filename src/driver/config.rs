//! What a server can be told.
//!
//! Owns the bounds of the drivers, beside the [`Settings`] of every session. Refuses files, environments and arguments.

use std::time::Duration;

use crate::session::Settings;

/// A server's configuration. Every value has a default that can be put on a port.
///
/// ```
/// use pushlab::Config;
/// let config = Config { max_connections: 1_000, ..Config::default() };
/// assert_eq!(config.settings.limits.body_bytes, 1024 * 1024);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// What holds for every connection: limits, slow consumers, origins and hosts.
    pub settings: Settings,
    /// Connections at once; past it new ones wait in the system's backlog. Default 16,384: two descriptors each, a client and a
    /// server in one process, fit a limit of 32,768 (nginx `worker_connections` 512, uWebSockets unbounded).
    pub max_connections: usize,
    /// Threads that serve connections at once (thread-per-connection only). A connection takes one
    /// thread, and a second one from the moment at which it gives out a [`Held`](crate::Held) or a
    /// [`Pusher`](crate::Pusher) until it closes: the default allows
    /// [2,048 held requests, streams and `WebSockets`](Self::max_pushed_connections). Past the bound
    /// new connections wait in the system's backlog. A connection that needs its second thread and
    /// finds none is refused: a held request with 503, a stream by its end, a WebSocket with 1001
    /// ([`Snapshot::thread_refusals`](crate::session::Snapshot::thread_refusals)). Default 4,096
    /// (Apache `MaxRequestWorkers` 256 to 400, for processes that are far larger).
    pub max_threads: usize,
    /// Bytes of stack per connection's thread (thread-per-connection only). Address space, of which only what is touched becomes memory.
    /// Default 256 KiB (musl's default is 128 KiB, the C library's 8 MiB).
    pub stack_bytes: usize,
    /// Bytes of the event loop's one receive buffer, which is also what one connection may read in a turn; half of it at most where others have
    /// something to say, too. With threads, the largest that a connection's own buffer grows to. Default 256 KiB: 64 KiB messages take twice as long with 64 KiB, and nothing is gained above 512 KiB.
    pub receive_buffer_bytes: usize,
    /// Bytes of messages that wait for the event loop as a whole. Past it the slow-consumer policy acts on what is posted. Default 64 MiB
    /// (twice Redis's `client-output-buffer-limit pubsub 32mb`, which is for one client).
    pub inbox_bytes: usize,
    /// Time between the call for a shutdown and the end of the last connection. Default 10 s (Docker's grace time before it kills).
    pub shutdown_grace: Duration,
    /// The clients of a server that shuts down are told to come back at different times within this window, which begins a second later. Default 5 s; at most 49 days (`u32::MAX` ms).
    pub comeback_window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            max_connections: 16_384,
            max_threads: 4_096,
            stack_bytes: 256 * 1024,
            receive_buffer_bytes: 256 * 1024,
            inbox_bytes: 64 * 1024 * 1024,
            shutdown_grace: Duration::from_secs(10),
            comeback_window: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// The number of connections that can be pushed to at once with a thread per connection: held
    /// requests, streams and `WebSockets` whose [`Held`](crate::Held) or [`Pusher`](crate::Pusher) was
    /// given out. Each takes two of [`max_threads`](Self::max_threads), and one of
    /// [`max_connections`](Self::max_connections).
    ///
    /// ```
    /// assert_eq!(pushlab::Config::default().max_pushed_connections(), 2_048);
    /// ```
    pub fn max_pushed_connections(&self) -> usize {
        (self.max_threads / THREADS_PER_PUSHED).min(self.max_connections)
    }
}

/// One thread reads, one thread writes.
const THREADS_PER_PUSHED: usize = 2;

/// A browser keeps to the `retry` that it was told at every attempt: with 0 it would try hundreds of times a second while the server is away.
const COME_BACK_MIN_MS: u64 = 1_000;

impl Config {
    /// When the client of a connection should come back after a shutdown: spread over the window by slot, each apart from its neighbours
    /// (Fibonacci hashing, Knuth vol. 3, section 6.4).
    pub(super) fn come_back_ms(&self, slot: u32) -> u64 {
        let window_ms = u32::try_from(self.comeback_window.as_millis()).unwrap_or(u32::MAX);
        COME_BACK_MIN_MS + ((u64::from(slot.wrapping_mul(0x9E37_79B9)) * u64::from(window_ms)) >> 32)
    }
}
