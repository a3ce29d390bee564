//! Every bound and default of a hub.
//!
//! Owns the numbers and their reasons. Leaves settings of every connection to `Settings`: the
//! slow-consumer policy, heartbeats, hosts and origins.

use std::time::Duration;

use super::clock::Clock;
use super::random_source::RandomSource;
use crate::proto::ws::Deflate;
use crate::push::log::{HistoryBounds, SharedLog};

/// A hub's configuration.
///
/// ```
/// use pushlab::push::{Hub, HubConfig};
/// let hub = Hub::new(HubConfig { history_messages: 50, ..HubConfig::default() });
/// ```
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// The path of the hub's endpoints, without a slash at the end. Characters that a path cannot
    /// have must be percent-encoded. The hub keeps the prefix
    /// [normalized](crate::session::normalized_path), as the session normalizes the paths of
    /// requests. Default `/topics`.
    pub prefix: String,
    /// Messages that a topic retains. Default 1,000: with one message per second, a client may be
    /// away for 16 minutes.
    pub history_messages: usize,
    /// Bytes of payload that a topic retains. Encoded wire forms take memory in addition, so that
    /// the memory of a topic is a small multiple of this number. Default 1 MiB, the same as the
    /// default of `Limits::queue_bytes` for one slow reader.
    pub history_bytes: usize,
    /// The age at which a retained message is dropped. Default 10 min (Centrifugo's examples use 5
    /// min; Ably keeps 2 min).
    pub history_age: Duration,
    /// Topics at one time. If there are this many, a new topic evicts the least recently used topic
    /// without subscribers. Default 10,000: with a few messages each, topics take tens of
    /// megabytes. With a full history each, they would take 10 GB.
    pub topics: usize,
    /// Topics of one request, and of one connection whose topics can be changed. Presence topics count
    /// apart there. Default 32. An application that needs more publishes the messages to
    /// one common topic.
    pub topics_per_request: usize,
    /// Bytes of one payload. A larger payload is refused with 413, or with close code 1009. Default
    /// 256 KiB (Amazon SNS and SQS 256 KiB). To allow larger payloads, raise also
    /// [`ProtocolLimits::body_bytes`](crate::proto::ProtocolLimits::body_bytes) and
    /// [`ProtocolLimits::message_bytes`](crate::proto::ProtocolLimits::message_bytes), which bound
    /// what clients send, and [`history_bytes`](Self::history_bytes), which bounds what is
    /// retained.
    pub payload_bytes: usize,
    /// Bytes of payload of one piece of a replay. At least one message always fits. An answer to a
    /// poll and a page are one piece; they tell the client if there are more messages, and the
    /// client asks again at once with its new cursor. A stream or a WebSocket receives one piece
    /// after the other as its client reads, and the connection keeps one piece in memory until the
    /// client has caught up. Default 1 MiB, a full history of one topic.
    pub replay_bytes: usize,
    /// Whether a request with a query parameter that its endpoint does not know gets 400. A
    /// parameter that only other endpoints know is unknown. Default `false`: clients and libraries
    /// add parameters of their own, such as `_`, and the application's policy may read some
    /// ([`Hub::with_policy`](crate::push::Hub::with_policy)). A known parameter that is repeated or
    /// has a bad value always gets 400.
    pub strict_parameters: bool,
    /// The time for which a long poll is held, if the request has no `wait`. Default 25 s (RFC
    /// 6202, section 5.5: 30 s is safe; `SockJS`, Engine.IO 25 s).
    pub hold: Duration,
    /// The largest `wait` of a long poll. Default 120 s, a value that RFC 6202, section 5.5 reports
    /// as working.
    pub hold_max: Duration,
    /// Bytes of payload after which a stream or a hidden frame ends, if the request has no
    /// `max_bytes`. The client keeps all of these bytes in memory. Default 1 MiB (`SockJS` ends at
    /// 128 KiB, for older machines).
    pub stream_bytes: usize,
    /// The time for which an event stream's client waits before it reconnects. Default 2 s:
    /// browsers wait 3 s or more by themselves, and a restarted server is back sooner.
    pub retry: Duration,
    /// Messages on a page of meta refresh without a cursor. Default 50, which is one or two
    /// screens.
    pub page_messages: usize,
    /// The time for which a client with a token stays online after its last request or connection.
    /// Default 30 s: a page that reloads every 5 s may miss five reloads, and a client of long
    /// polls may lose one poll.
    pub presence_grace: Duration,
    /// Clients with a token that may be in their grace time at once. A client counts once for each
    /// of its topics. Past this number, the clients that have been away longest leave early
    /// ([`HubStats::crowded_out`](crate::push::HubStats::crowded_out)). Default 100,000, which take
    /// 30 to 50 MB. The bound is necessary because tokens can be made up, and each made-up token
    /// leaves an entry for the grace time.
    pub presence_absent: usize,
    /// Whether joining and leaving is published for every topic, also for topics whose presence
    /// topic does not exist. Default `false`.
    pub presence_messages: bool,
    /// How the messages of the hub's `WebSockets` and of STOMP are compressed (permessage-deflate,
    /// RFC 7692), for clients that offer it. Default `None`: they are not. A value needs the cargo
    /// feature `deflate`. A message is compressed once for all clients that negotiated the same
    /// window, and its history keeps the compressed form beside the plain one.
    pub deflate: Option<Deflate>,
    /// A log outside the process, which several servers share. Default `None`: the hub gives out
    /// the ids itself, and keeps the messages in memory alone.
    pub log: Option<SharedLog>,
    /// Where the secrets of control channels come from. Default: `/dev/urandom`. Systems without it
    /// need another source, or `control=1` gets 503.
    pub random: RandomSource,
    /// The clock of ages, holds and grace times. Default: the system's monotonic clock.
    pub clock: Clock,
}

impl HubConfig {
    /// The bounds of each topic's history.
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
            deflate: None,
            log: None,
            random: RandomSource::default(),
            clock: Clock::default(),
        }
    }
}
