//! The clients with a token that are online.
//!
//! Owns the members of each topic, and the grace time for which a member stays online between its
//! requests. Leaves timers and messages to `state`, which asks for members whose grace time is over
//! and publishes that they left. Leaves connections and requests without a token to `topic`: each
//! of them counts as a client of its own, and is online for as long as it lasts.
//!
//! The number of connected members is bounded by the number of connections. The number of members
//! in their grace time has a bound of its own: past it, the member that has been away longest
//! leaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::proto::ProtocolLimits;
use crate::push::model::PerTechnique;

/// A topic's name and a client's token.
type MemberKey = (Arc<str>, Arc<str>);

/// When a member leaves, unless it returns: the end of its grace time, and a serial number that
/// makes equal times distinct and keeps their order.
type Departure = (Instant, u64);

/// A client of one topic.
#[derive(Debug)]
struct Member {
    /// The name of the technique that the member used last.
    technique: &'static str,
    /// The member's requests and connections that have not ended.
    live: usize,
    /// The member's key in `Presence::leaving`, while the member is in its grace time.
    departure: Option<Departure>,
}

#[derive(Debug, Default)]
pub(crate) struct Presence {
    members: HashMap<MemberKey, Member>,
    online: HashMap<Arc<str>, PerTechnique>,
    /// The members in their grace time, the next to leave first.
    leaving: BTreeMap<Departure, MemberKey>,
    /// The last serial number of a departure.
    departures: u64,
    crowded_out: u64,
}

impl Presence {
    /// Adds a subscription of a client. Returns whether the client was offline before.
    pub(crate) fn enter(&mut self, topic: &Arc<str>, token: &Arc<str>, technique: &'static str) -> bool {
        let online = self.online.entry(Arc::clone(topic)).or_default();
        online.add_one(technique);
        if let Some(member) = self.members.get_mut(&(Arc::clone(topic), Arc::clone(token))) {
            online.remove_one(member.technique);
            member.technique = technique;
            member.live += 1;
            if let Some(departure) = member.departure.take() {
                self.leaving.remove(&departure);
            }
            return false;
        }
        self.members.insert((Arc::clone(topic), Arc::clone(token)), Member { technique, live: 1, departure: None });
        true
    }

    /// Ends a subscription of a client. The grace time begins with the end of the last
    /// subscription. The caller must then call [`expire`](Self::expire), because the number of
    /// members in their grace time may exceed its bound.
    pub(crate) fn leave(&mut self, topic: &Arc<str>, token: &Arc<str>, now: Instant, grace: Duration) {
        let key = (Arc::clone(topic), Arc::clone(token));
        let Some(member) = self.members.get_mut(&key) else { return };
        member.live = member.live.saturating_sub(1);
        if member.live == 0 {
            self.departures += 1;
            let departure = (now + grace.min(ProtocolLimits::TIMEOUT_MAX), self.departures);
            member.departure = Some(departure);
            self.leaving.insert(departure, key);
        }
    }

    /// Ends the grace time of a client that has left for good. The caller must then call
    /// [`expire`](Self::expire). A client that has another request or connection stays online.
    pub(crate) fn end_grace(&mut self, topic: &Arc<str>, token: &Arc<str>, now: Instant) {
        let key = (Arc::clone(topic), Arc::clone(token));
        let Some(member) = self.members.get_mut(&key) else { return };
        let Some(departure) = &mut member.departure else { return };
        self.leaving.remove(departure);
        self.departures += 1;
        *departure = (now, self.departures);
        self.leaving.insert(*departure, key);
    }

    /// Removes one member whose grace time is over, or that exceeds the `most` members that may be
    /// in their grace time. The caller repeats the call until it returns `None`.
    pub(crate) fn expire(&mut self, now: Instant, most: usize) -> Option<(Arc<str>, &'static str)> {
        let ((due, _), _) = self.leaving.first_key_value()?;
        let is_over = *due <= now;
        if !is_over && self.leaving.len() <= most {
            return None;
        }
        let (_, key) = self.leaving.pop_first()?;
        let technique = self.members.remove(&key)?.technique;
        self.crowded_out += u64::from(!is_over);
        self.count_out(&key.0, technique);
        Some((key.0, technique))
    }

    /// Members that had to leave before the end of their grace time.
    pub(crate) const fn crowded_out(&self) -> u64 {
        self.crowded_out
    }

    fn count_out(&mut self, topic: &Arc<str>, technique: &'static str) {
        if let Some(online) = self.online.get_mut(topic) {
            online.remove_one(technique);
            if online.is_empty() {
                self.online.remove(topic);
            }
        }
    }

    /// The members of a topic that are online, by the technique that they used last.
    pub(crate) fn online(&self, topic: &str) -> &PerTechnique {
        const NONE: &PerTechnique = &PerTechnique::none();
        self.online.get(topic).unwrap_or(NONE)
    }
}
