//! Who is online.
//!
//! Owns the clients with a token of each topic, and the grace time for which they stay online between their requests. Refuses timers and
//! messages: the hub asks who has left since, and tells others. Connections and requests without a token are a topic's to count: each is
//! somebody else, and is online for as long as it lasts.
//!
//! Members that are connected are as many as the connections allow. Those in their grace time have a bound of their own: past it, the
//! one that has been away for longest departure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::proto::Limits;
use crate::push::model::{PerTechnique, Technique};

/// A topic, and a client with a token.
type MemberKey = (Arc<str>, Arc<str>);

/// A departure among those who leave: when, and which of those of the same moment.
type Departure = (Instant, u64);

#[derive(Debug)]
struct Member {
    technique: Technique,
    /// Requests and connections that last.
    live: usize,
    /// Where it stands among those who leave, while it is away.
    departure: Option<Departure>,
}

#[derive(Debug, Default)]
pub(crate) struct Presence {
    members: HashMap<MemberKey, Member>,
    online: HashMap<Arc<str>, PerTechnique>,
    /// Those who are away, each once for a topic.
    leaving: BTreeMap<Departure, MemberKey>,
    /// Places that were given out.
    departures: u64,
    crowded_out: u64,
}

impl Presence {
    /// A client subscribes. Returns whether it was not online before.
    pub(crate) fn enter(&mut self, topic: &Arc<str>, token: &Arc<str>, technique: Technique) -> bool {
        let online = self.online.entry(Arc::clone(topic)).or_default();
        online[technique] += 1;
        if let Some(member) = self.members.get_mut(&(Arc::clone(topic), Arc::clone(token))) {
            online[member.technique] -= 1;
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

    /// A subscription of a client ends, perhaps its last. Afterwards somebody may have to [leave](Self::expire).
    pub(crate) fn leave(&mut self, topic: &Arc<str>, token: &Arc<str>, now: Instant, grace: Duration) {
        let key = (Arc::clone(topic), Arc::clone(token));
        let Some(member) = self.members.get_mut(&key) else { return };
        member.live = member.live.saturating_sub(1);
        if member.live == 0 {
            self.departures += 1;
            let departure = (now + grace.min(Limits::TIMEOUT_MAX), self.departures);
            member.departure = Some(departure);
            self.leaving.insert(departure, key);
        }
    }

    /// The next one whose grace time is over, or for whom there is no room beside `most` others.
    pub(crate) fn expire(&mut self, now: Instant, most: usize) -> Option<(Arc<str>, Technique)> {
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

    /// Those who had to leave before their grace time was over.
    pub(crate) const fn crowded_out(&self) -> u64 {
        self.crowded_out
    }

    fn count_out(&mut self, topic: &Arc<str>, technique: Technique) {
        if let Some(online) = self.online.get_mut(topic) {
            online[technique] -= 1;
            if online.sum() == 0 {
                self.online.remove(topic);
            }
        }
    }

    pub(crate) fn online(&self, topic: &str) -> PerTechnique {
        self.online.get(topic).copied().unwrap_or_default()
    }
}
