//! Figures of a whole hub.
//!
//! Owns what is counted beside topics: what had to go, and what was refused. Refuses connections' figures: those are the server's
//! ([`Stats`](crate::Stats)).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Statuses with which a hub refuses, each with the name of its counter.
const REFUSALS: [(u16, &str); 6] =
    [(400, "bad_request"), (403, "forbidden"), (404, "not_found"), (410, "gone"), (413, "too_large"), (503, "no_room")];

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
    /// Topics that were forgotten because others came ([`HubConfig::topics`](super::HubConfig::topics)).
    pub forgotten: u64,
    /// Clients with a token that have left before their grace time was over, because more were away than
    /// [`HubConfig::presence_absent`](super::HubConfig::presence_absent) says; counted once for each of their topics.
    pub crowded_out: u64,
    pub(super) refused: [u64; REFUSALS.len()],
}

impl HubStats {
    /// Requests, messages of `WebSocket`s and calls of [`Hub::publish`](super::Hub::publish) that were refused with this status, or for what it
    /// stands for, and streams and `WebSocket`s that were ended for it while they still got what they had missed: 400 for what is no name, cursor or parameter, or beyond its range; 403 by the policy or for the page's origin; 404 for a
    /// technique that there is not; 410 for a gap that has no room in the format; 413 for a payload that is too large; 503 for want of room
    /// for one topic more.
    pub fn refused(&self, status: u16) -> u64 {
        place(status).map_or(0, |place| self.refused[place])
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
pub(super) struct Refused([AtomicU64; REFUSALS.len()]);

impl Refused {
    pub(super) fn count(&self, status: u16) {
        if let Some(place) = place(status) {
            self.0[place].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn counts(&self) -> [u64; REFUSALS.len()] {
        std::array::from_fn(|place| self.0[place].load(Relaxed))
    }
}

fn place(status: u16) -> Option<usize> {
    REFUSALS.iter().position(|(refusal, _)| *refusal == status)
}
