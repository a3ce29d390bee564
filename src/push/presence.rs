//! Who is online.
//!
//! Owns the members of each topic, and the grace time for which a client with a token stays one between its requests. Refuses timers and
//! messages: the hub asks who has left since, and tells others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{PerTechnique, Technique};

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// A client that named itself: the same one over any number of requests and connections.
    Token(Arc<str>),
    /// A connection or a held request, which is somebody of its own.
    Subscription,
}

/// A topic, and a client with a token.
type Key = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Member {
    technique: Technique,
    /// Requests and connections that last.
    live: usize,
    /// When it leaves, if it does not come back.
    leaves: Option<Instant>,
}

/// Connections and requests without a token are counted and not remembered: each is somebody else, and is online for as long as it lasts.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Clients with a token.
    members: HashMap<Key, Member>,
    online: HashMap<Arc<str>, PerTechnique>,
    /// In order: the grace time is the same for all.
    leaving: VecDeque<(Instant, Key)>,
}

impl Presence {
    /// Somebody subscribes. Returns whether they were not online before.
    pub(super) fn enter(&mut self, topic: &Arc<str>, who: &Who, technique: Technique) -> bool {
        let online = self.online.entry(Arc::clone(topic)).or_default();
        online[technique] += 1;
        let Who::Token(token) = who else { return true };
        if let Some(member) = self.members.get_mut(&(Arc::clone(topic), Arc::clone(token))) {
            online[member.technique] -= 1;
            (member.technique, member.leaves) = (technique, None);
            member.live += 1;
            return false;
        }
        self.members.insert((Arc::clone(topic), Arc::clone(token)), Member { technique, live: 1, leaves: None });
        true
    }

    /// A subscription by this technique ends. Returns the technique of who has left by it.
    pub(super) fn leave(&mut self, topic: &Arc<str>, who: &Who, by: Technique, now: Instant, grace: Duration) -> Option<Technique> {
        let Who::Token(token) = who else {
            self.count_out(topic, by);
            return Some(by);
        };
        let key = (Arc::clone(topic), Arc::clone(token));
        let member = self.members.get_mut(&key)?;
        member.live = member.live.saturating_sub(1);
        if member.live > 0 {
            return None;
        }
        if let Some(due) = now.checked_add(grace) {
            member.leaves = Some(due);
            self.leaving.push_back((due, key));
            return None;
        }
        self.remove(&key)
    }

    /// The next one whose grace time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(Arc<str>, Technique)> {
        while self.leaving.front().is_some_and(|(due, _)| *due <= now) {
            let (due, key) = self.leaving.pop_front()?;
            if self.members.get(&key).is_some_and(|member| member.leaves == Some(due))
                && let Some(technique) = self.remove(&key)
            {
                return Some((key.0, technique));
            }
        }
        None
    }

    fn remove(&mut self, key: &Key) -> Option<Technique> {
        let technique = self.members.remove(key)?.technique;
        self.count_out(&key.0, technique);
        Some(technique)
    }

    fn count_out(&mut self, topic: &Arc<str>, technique: Technique) {
        if let Some(online) = self.online.get_mut(topic) {
            online[technique] -= 1;
            if online.sum() == 0 {
                self.online.remove(topic);
            }
        }
    }

    pub(super) fn online(&self, topic: &str) -> PerTechnique {
        self.online.get(topic).copied().unwrap_or_default()
    }
}
