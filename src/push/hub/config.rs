//! Every bound and default of a hub.
//!
//! Owns numbers and the reasons for them. Leaves to `Settings` what holds for every connection: the
//! slow-consumer policy, heartbeats, hosts and origins.

use std::time::Duration;

use super::clock::Clock;
use crate::push::model::HistoryBounds;

/// A hub's configuration.
///
/// ```
/// use pushlab::push::{Hub, HubConfig};
/// let hub = Hub::new(HubConfig { history_messages: 50, ..HubConfig::default() });
/// ```
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Where the endpoints are mounted: a path without a slash at its end. Characters that a path
    /// cannot have are percent-encoded. The hub keeps the prefix
    /// [normalized](crate::session::normalized_path), as requests have their paths. Default
    /// `/topics`.
    pub prefix: String,
    /// Messages that a topic retains. Default 1,000: at one a second a quarter of an hour, longer than any phone is in a tunnel.
    pub history_messages: usize,
    /// Bytes of payload that a topic retains. Wire forms that were needed come on top, so that memory is a small multiple of it. Default 1
    /// MiB, which is also what waits for one slow reader at the most (`Limits::queue_bytes`).
    pub history_bytes: usize,
    /// Messages as old as this are gone. Default 10 min (Centrifugo's examples use 5 min; Ably keeps 2 min).
    pub history_age: Duration,
    /// Topics at once. Past it the one that was used least recently and has no subscribers is forgotten. Default 10,000: with a full
    /// history each, more than a machine has memory; with a few messages each, tens of megabytes.
    pub topics: usize,
    /// Topics of one request. Default 32: longer lists belong into one topic.
    pub topics_per_request: usize,
    /// Bytes of one payload. 413 past it, and close code 1009. Default 256 KiB (Amazon SNS and SQS
    /// 256 KiB). A larger one needs room elsewhere:
    /// [`Limits::body_bytes`](crate::Limits::body_bytes) and
    /// [`Limits::message_bytes`](crate::Limits::message_bytes) to come in, and
    /// [`history_bytes`](Self::history_bytes) to be retained.
    pub payload_bytes: usize,
    /// Bytes of payload of one piece of a replay, in which at least one message fits. The answer to
    /// a poll, or a page, is one piece, and says that there is more: the client asks again at once,
    /// with the cursor that it got. A stream or a WebSocket gets piece after piece as its client
    /// reads, and one piece is kept in memory for as long as the client is behind. Default 1 MiB, a
    /// full history of one topic.
    pub replay_bytes: usize,
    /// Whether a request with a query parameter that its endpoint does not know gets 400. Default
    /// no: clients and libraries add parameters of their own, such as `_`, and an application may
    /// read some in its policy ([`Hub::with_policy`](crate::push::Hub::with_policy)). A known parameter
    /// with a bad value and a known one that is repeated get 400 in either case. A parameter that
    /// other endpoints alone know is unknown.
    pub strict_parameters: bool,
    /// Time that a long poll is held when it does not say. Default 25 s (RFC 6202, section 5.5: 30 s is safe; `SockJS`, Engine.IO 25 s).
    pub hold: Duration,
    /// The longest that a long poll may ask for. Default 120 s, which RFC 6202, section 5.5 says has worked.
    pub hold_max: Duration,
    /// Bytes of payload after which a stream or a hidden frame ends, unless it says; its client keeps all of it in memory. Default 1 MiB
    /// (`SockJS` ends at 128 KiB, for older machines).
    pub stream_bytes: usize,
    /// What event streams are told to wait before they come back. Default 2 s: browsers choose 3 s and more
    /// by themselves, and a restarted server is back sooner.
    pub retry: Duration,
    /// Messages on a page without a cursor. Default 50, a screen or two.
    pub page_messages: usize,
    /// Time for which a client with a token stays online after its last request or connection. Default 30 s: six reloads of a page every
    /// 5 s, one long poll that got lost.
    pub presence_grace: Duration,
    /// Clients with a token that are in their grace time at once, counted once for each of their topics. Past it those leave before their
    /// time that have been away for longest ([`HubStats::crowded_out`](crate::push::HubStats::crowded_out)). Default 100,000, which take 30 to 50 MB: names
    /// can be made up, and then each request leaves one behind.
    pub presence_absent: usize,
    /// Whether joining and leaving is published for every topic, also when nobody has asked for it. Default no.
    pub presence_messages: bool,
    /// The clock.
    pub clock: Clock,
}

impl HubConfig {
    pub(super) const fn history_bounds(&self) -> HistoryBounds {
        HistoryBounds { messages: self.history_messages, bytes: self.history_bytes, age: self.history_age }
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            prefix: "/topics".to_owned(),
            history_messages: 1_000,
            history_bytes: 1024 * 1024,
            history_age: Duration::from_secs(10 * 60),
            topics: 10_000,
            topics_per_request: 32,
            payload_bytes: 256 * 1024,
            replay_bytes: 1024 * 1024,
            strict_parameters: false,
            hold: Duration::from_secs(25),
            hold_max: Duration::from_secs(120),
            stream_bytes: 1024 * 1024,
            retry: Duration::from_secs(2),
            page_messages: 50,
            presence_grace: Duration::from_secs(30),
            presence_absent: 100_000,
            presence_messages: false,
            clock: Clock::default(),
        }
    }
}
