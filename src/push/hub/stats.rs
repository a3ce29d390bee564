//! The counters of a whole hub.
//!
//! Owns the counters that belong to no topic: evicted topics, crowded-out clients and refusals.
//! Leaves counters of connections to the server's [`Stats`](crate::Stats).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The statuses with which a hub refuses, each with the name of its counter.
const REFUSALS: [(u16, &str); 7] = [
    (400, "bad_request"),
    (403, "forbidden"),
    (404, "not_found"),
    (410, "gone"),
    (413, "too_large"),
    (415, "unsupported_type"),
    (503, "no_room"),
];

/// The counters of a hub.
///
/// ```
/// use pushlab::push::{Hub, HubConfig, Payload};
/// let hub = Hub::new(HubConfig { payload_bytes: 4, ..HubConfig::default() });
/// hub.publish("news", Payload::text("four"))?;
/// assert!(hub.publish("news", Payload::text("fives")).is_err());
/// let stats = hub.stats();
/// assert_eq!((stats.topics, stats.refused(413)), (1, 1));
/// assert!(stats.json().contains(r#""too_large":1"#));
/// # Ok::<(), pushlab::push::PublishError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubStats {
    /// Topics that the hub has now.
    pub topics: usize,
    /// Topics that were evicted, because a new topic would have exceeded
    /// [`HubConfig::topics`](crate::push::HubConfig::topics).
    pub forgotten: u64,
    /// Clients with a token that left before the end of their grace time, because more than
    /// [`HubConfig::presence_absent`](crate::push::HubConfig::presence_absent) clients were away. A
    /// client counts once for each of its topics.
    pub crowded_out: u64,
    pub(crate) refused: [u64; REFUSALS.len()],
}

impl HubStats {
    /// How many requests, WebSocket messages and calls of
    /// [`Hub::publish`](crate::push::Hub::publish) the hub refused with this status. A WebSocket
    /// message or a call counts for the status that a request would have got. Streams and
    /// `WebSocket`s that the hub ended for the same reason while they caught up count, too.
    ///
    /// | status | reason |
    /// |---|---|
    /// | 400 | a name, a cursor or a parameter is not valid |
    /// | 403 | the application's policy, the origin of the page, or the secret of a control request |
    /// | 404 | there is no such technique, or no connection for a control request |
    /// | 410 | a gap that the format cannot express |
    /// | 413 | the payload is larger than [`HubConfig::payload_bytes`](crate::push::HubConfig::payload_bytes), or a control request than 16 KiB |
    /// | 415 | the payload or the control request has a charset other than UTF-8 and US-ASCII, a content coding, or not exactly one media type |
    /// | 503 | the hub has [`HubConfig::topics`](crate::push::HubConfig::topics) topics, and all have subscribers; or the system has no random bytes |
    pub fn refused(&self, status: u16) -> u64 {
        counter_of(status).map_or(0, |counter| self.refused[counter])
    }

    /// The counters as a JSON object.
    pub fn json(&self) -> String {
        let mut text =
            format!(r#"{{"topics":{},"forgotten":{},"crowded_out":{},"refused":{{"#, self.topics, self.forgotten, self.crowded_out);
        for (at, ((_, name), count)) in REFUSALS.iter().zip(self.refused).enumerate() {
            let _ = write!(text, r#"{}"{name}":{count}"#, if at > 0 { "," } else { "" });
        }
        text + "}}"
    }
}

/// The counters of refusals. They are atomic, because most refusals happen without the hub's lock.
#[derive(Debug, Default)]
pub(crate) struct Refused([AtomicU64; REFUSALS.len()]);

impl Refused {
    pub(crate) fn count(&self, status: u16) {
        if let Some(counter) = counter_of(status) {
            self.0[counter].fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> [u64; REFUSALS.len()] {
        std::array::from_fn(|counter| self.0[counter].load(Relaxed))
    }
}

/// The index of a status in `REFUSALS`.
fn counter_of(status: u16) -> Option<usize> {
    REFUSALS.iter().position(|(refusal, _)| *refusal == status)
}
