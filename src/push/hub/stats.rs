//! Figures of a whole hub.
//!
//! Owns what is counted beside topics: what had to go, and what was refused. Refuses connections' figures: those are the server's
//! ([`Stats`](crate::Stats)).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Statuses with which a hub refuses, each with the name of its counter.
const REFUSALS: [(u16, &str); 7] = [
    (400, "bad_request"),
    (403, "forbidden"),
    (404, "not_found"),
    (410, "gone"),
    (413, "too_large"),
    (415, "unsupported_type"),
    (503, "no_room"),
];

/// Figures of a hub.
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
    /// Topics that there are.
    pub topics: usize,
    /// Topics that were forgotten because others came ([`HubConfig::topics`](crate::push::HubConfig::topics)).
    pub forgotten: u64,
    /// Clients with a token that have left before their grace time was over, because more were away than
    /// [`HubConfig::presence_absent`](crate::push::HubConfig::presence_absent) says; counted once for each of their topics.
    pub crowded_out: u64,
    pub(crate) refused: [u64; REFUSALS.len()],
}

impl HubStats {
    /// How many requests, messages of `WebSocket`s and calls of
    /// [`Hub::publish`](crate::push::Hub::publish) were refused with this status, or for the reason that
    /// it stands for. Streams and `WebSocket`s that were ended for that reason while they caught up
    /// count, too.
    ///
    /// | status | reason |
    /// |---|---|
    /// | 400 | a name, a cursor or a parameter is not valid |
    /// | 403 | the policy or the page's origin |
    /// | 404 | there is no such technique |
    /// | 410 | a gap that the format cannot tell |
    /// | 413 | the payload is larger than [`HubConfig::payload_bytes`](crate::push::HubConfig::payload_bytes) |
    /// | 415 | the payload has a charset other than UTF-8 and US-ASCII, a content coding, or not one media type |
    /// | 503 | the hub has [`HubConfig::topics`](crate::push::HubConfig::topics), and all have subscribers |
    pub fn refused(&self, status: u16) -> u64 {
        counter_of(status).map_or(0, |counter| self.refused[counter])
    }

    /// As a JSON object.
    pub fn json(&self) -> String {
        let mut text =
            format!(r#"{{"topics":{},"forgotten":{},"crowded_out":{},"refused":{{"#, self.topics, self.forgotten, self.crowded_out);
        for (at, ((_, name), count)) in REFUSALS.iter().zip(self.refused).enumerate() {
            let _ = write!(text, r#"{}"{name}":{count}"#, if at > 0 { "," } else { "" });
        }
        text + "}}"
    }
}

/// What was refused, counted without the hub's lock.
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

fn counter_of(status: u16) -> Option<usize> {
    REFUSALS.iter().position(|(refusal, _)| *refusal == status)
}
