//! The configuration of a server.
//!
//! Owns the bounds of the drivers, beside the [`Settings`] of all sessions. Leaves configuration
//! files, environment variables and arguments to the application.

use std::time::Duration;

use crate::session::Settings;

/// A server's configuration. The default of every value is fit for a public port.
///
/// ```
/// use pushlab::Config;
/// let config = Config { max_connections: 1_000, ..Config::default() };
/// assert_eq!(config.settings.limits.protocol.body_bytes, 1024 * 1024);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings of every connection: limits, slow consumers, origins and hosts.
    pub settings: Settings,
    /// The number of connections at once. Above it, new connections wait in the system's backlog.
    /// Default 16,384: with a client and a server in one process, each connection takes two
    /// descriptors, and the process stays below a limit of 32,768 (nginx `worker_connections` 512,
    /// uWebSockets unbounded).
    pub max_connections: usize,
    /// The number of threads that serve connections at once (thread-per-connection only). A
    /// connection takes one thread, also while a request is [held](crate::Held). It takes a second
    /// one when it gives out its first [`Pusher`](crate::Pusher), and keeps both until it closes. So
    /// the default allows 4,095 held requests, or [2,048 streams and
    /// `WebSockets`](Self::max_pushed_connections).
    ///
    /// Above the bound, new connections wait in the system's backlog. A held request does not take
    /// the last thread, because another request may bring its answer: it gets 503. A connection that
    /// needs its second thread and does not get it is refused, too: a stream ends with its last
    /// word, and a WebSocket gets 1013
    /// ([`Snapshot::thread_refusals`](crate::session::Snapshot::thread_refusals)). Default 4,096
    /// (Apache `MaxRequestWorkers` 256 to 400, for processes that are far larger).
    pub max_threads: usize,
    /// Bytes of stack for each thread of a connection (thread-per-connection only). This is address
    /// space; only the pages that the thread touches become memory. Default 256 KiB (musl's default
    /// is 128 KiB, the C library's 8 MiB).
    pub stack_bytes: usize,
    /// Bytes of the event loop's one receive buffer. A connection reads at most as many in one
    /// turn, and fewer if more than 64 connections are ready. With threads, this is
    /// the largest size of a connection's own buffer. Default 256 KiB: with 64 KiB, messages of 64
    /// KiB take twice as long, and sizes above 512 KiB gain nothing.
    pub receive_buffer_bytes: usize,
    /// Bytes of messages that wait for the whole event loop. Above it, the slow-consumer policy
    /// acts on new messages. Default 64 MiB (twice Redis's `client-output-buffer-limit pubsub
    /// 32mb`, which is for one client).
    pub inbox_bytes: usize,
    /// The time from the request for a shutdown to the end of the last connection. Default 10 s
    /// (Docker's grace time before it kills).
    pub shutdown_grace: Duration,
    /// A server that shuts down tells each of its clients a different time to come back. The times
    /// are spread over this window, which begins one second later. Default 5 s; at most 49 days
    /// (`u32::MAX` ms).
    pub comeback_window: Duration,
    /// TLS for all connections of the server. Default none.
    #[cfg(feature = "tls")]
    pub tls: Option<super::tls::Tls>,
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
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Config {
    /// The number of connections to which messages can be pushed at once, with a thread per
    /// connection. These are streams and `WebSockets` whose [`Pusher`](crate::Pusher) was given out.
    /// Each takes two of [`max_threads`](Self::max_threads) and one of
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

/// A browser uses the `retry` that it was told for every attempt. With 0, it would try hundreds of
/// times per second while the server is away.
const COME_BACK_MIN_MS: u64 = 1_000;

impl Config {
    /// When the client of a connection should come back after a shutdown. The times are spread over
    /// the window by slot, so that neighbouring slots get distant times (Fibonacci hashing, Knuth
    /// vol. 3, section 6.4).
    pub(super) fn come_back_ms(&self, slot: u32) -> u64 {
        let window_ms = u32::try_from(self.comeback_window.as_millis()).unwrap_or(u32::MAX);
        COME_BACK_MIN_MS + ((u64::from(slot.wrapping_mul(0x9E37_79B9)) * u64::from(window_ms)) >> 32)
    }
}
