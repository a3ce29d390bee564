//! The topics that there are, by name and by slot.
//!
//! Owns the state of each topic, its audiences by wire form, which topic is forgotten for a new
//! one, and which topic's messages become too old next. Leaves to others the sequence, cursors, and
//! the identity of clients.
//!
//! Clients make topics up, so that no operation looks at all of them: each takes a time that is
//! constant or logarithmic in the number of topics.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Deref, Index, IndexMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::idle::IdleList;
use super::topic::{Topic, Users};
use crate::push::model::{History, HistoryBounds, Message, Topics};

/// Where topics are, for as long as somebody is counted there: as a subscriber, or as online.
#[derive(Clone)]
pub(crate) enum TopicSlots {
    One(usize),
    Several(Arc<[usize]>),
}

impl Deref for TopicSlots {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Several(slots) => slots,
        }
    }
}

/// All topics.
pub(crate) struct TopicTable {
    topics: Slab<Topic>,
    names: HashMap<Arc<str>, usize>,
    max_topics: usize,
    /// The slot in the sequence up to which messages of forgotten topics may be gone.
    forgotten_to: u64,
    forgotten: u64,
    /// Topics without users. A topic is used when it is made, named for a publish or a
    /// subscription, and for as long as it has users.
    idle: IdleList,
    /// When the oldest message of a topic becomes too old, or before that, for each topic that has
    /// messages.
    expiries: BTreeSet<(Instant, usize)>,
    /// Topics on which joining and leaving is published.
    presence_topics: usize,
}

impl TopicTable {
    /// A table with room for so many topics.
    pub(crate) fn new(max_topics: usize) -> Self {
        Self {
            topics: Slab::new(),
            names: HashMap::new(),
            max_topics,
            forgotten_to: 0,
            forgotten: 0,
            idle: IdleList::default(),
            expiries: BTreeSet::new(),
            presence_topics: 0,
        }
    }

    /// The topic of this name, if there is one.
    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).map(|slot| &self.topics[*slot])
    }

    /// Makes a topic if need be; `None` if there is no room for it.
    pub(crate) fn get_or_create(&mut self, name: &Arc<str>) -> Option<usize> {
        if let Some(&slot) = self.names.get(name) {
            if self.topics[slot].users.is_empty() {
                self.idle.move_to_end(slot);
            }
            return Some(slot);
        }
        if self.topics.len() >= self.max_topics {
            self.evict_one()?;
        }
        let topic = Topic::new(Arc::clone(name), History::unknown_to(self.forgotten_to));
        self.presence_topics += usize::from(topic.is_presence());
        let slot = self.topics.insert(topic);
        self.names.insert(Arc::clone(name), slot);
        self.idle.move_to_end(slot);
        Some(slot)
    }

    /// Forgets the topic without users that was used least recently. Its messages are gone, and
    /// which topic it was is forgotten, too: a cursor from before meets a gap in every topic that
    /// is made from now on.
    fn evict_one(&mut self) -> Option<()> {
        let slot = self.idle.first()?;
        self.idle.remove(slot);
        let topic = self.topics.remove(slot);
        if let Some(at) = topic.expires_at {
            self.expiries.remove(&(at, slot));
        }
        self.names.remove(&topic.name);
        self.presence_topics -= usize::from(topic.is_presence());
        self.forgotten += 1;
        self.forgotten_to = self.forgotten_to.max(topic.history.last());
        Some(())
    }

    /// Changes the users of a topic. A topic that loses its last user may be forgotten from then
    /// on.
    pub(crate) fn change_users(&mut self, slot: usize, change: impl FnOnce(&mut Users)) {
        let users = &mut self.topics[slot].users;
        let was_empty = users.is_empty();
        change(users);
        match (was_empty, users.is_empty()) {
            (true, false) => _ = self.idle.remove(slot),
            (false, true) => self.idle.move_to_end(slot),
            _ => {}
        }
    }

    /// Retains a message of a topic.
    pub(crate) fn retain(&mut self, slot: usize, message: Arc<Message>, bounds: &HistoryBounds) {
        self.topics[slot].history.append(message, bounds);
        if self.topics[slot].expires_at.is_none() {
            self.schedule_expiry(slot, bounds.age);
        }
    }

    /// Forgets the messages of all topics that are as old as `age` or older. Looks only at topics
    /// with a message that was due.
    pub(crate) fn expire(&mut self, now: Instant, age: Duration) {
        while let Some(&(at, slot)) = self.expiries.first()
            && at <= now
        {
            self.expiries.pop_first();
            self.topics[slot].history.expire(now, age);
            self.schedule_expiry(slot, age);
        }
    }

    /// Notes when the oldest message of a topic becomes too old. The note stays when that message
    /// goes before its time.
    fn schedule_expiry(&mut self, slot: usize, age: Duration) {
        let topic = &mut self.topics[slot];
        topic.expires_at = topic.history.oldest_published_at().and_then(|published| published.checked_add(age));
        self.expiries.extend(topic.expires_at.map(|at| (at, slot)));
    }

    /// The topic of this name, without the messages that are as old as `age` or older.
    pub(crate) fn get_unexpired(&mut self, name: &str, now: Instant, age: Duration) -> Option<&Topic> {
        let topic = &mut self.topics[*self.names.get(name)?];
        topic.history.expire(now, age);
        Some(topic)
    }

    /// Makes these topics; `None` if there is no room for all.
    pub(crate) fn get_or_create_all(&mut self, topics: &Topics) -> Option<TopicSlots> {
        match topics.shared_names() {
            [name] => self.get_or_create(name).map(TopicSlots::One),
            names => {
                let slots: Option<Arc<[usize]>> = names.iter().map(|name| self.get_or_create(name)).collect();
                // The last one may have taken the slot of the first.
                let slots = slots.filter(|_| names.iter().all(|name| self.names.contains_key(name)))?;
                Some(TopicSlots::Several(slots))
            }
        }
    }

    /// Those of these slots at which somebody is counted as online. Nobody is at the topic of a presence: once nothing is heard of it any
    /// more it may be forgotten, and its slot be another's.
    pub(crate) fn without_presence_topics(&self, slots: &TopicSlots) -> TopicSlots {
        if slots.iter().all(|slot| !self.topics[*slot].is_presence()) {
            return slots.clone();
        }
        TopicSlots::Several(slots.iter().copied().filter(|slot| !self.topics[*slot].is_presence()).collect())
    }

    /// The slots of those of these topics that there are.
    pub(crate) fn slots_of(&self, topics: &Topics) -> Vec<usize> {
        topics.shared_names().iter().filter_map(|name| self.names.get(name).copied()).collect()
    }

    /// The slot in the sequence up to which messages of a topic that is not there may be gone.
    pub(crate) const fn forgotten_to(&self) -> u64 {
        self.forgotten_to
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Topics that had to go.
    pub(crate) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether there is a topic on which joining and leaving is published.
    pub(crate) const fn has_presence(&self) -> bool {
        self.presence_topics > 0
    }
}

impl Index<usize> for TopicTable {
    type Output = Topic;

    fn index(&self, slot: usize) -> &Topic {
        &self.topics[slot]
    }
}

impl IndexMut<usize> for TopicTable {
    fn index_mut(&mut self, slot: usize) -> &mut Topic {
        &mut self.topics[slot]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::model::{Id, Payload, Technique};

    const MOST: usize = 6;
    const AGE: Duration = Duration::from_secs(60);

    /// A topic as a model knows it, which looks at all of them each time.
    #[derive(Clone)]
    struct Naive {
        name: Arc<str>,
        users: u64,
        last_use: u64,
        /// The seconds at which its messages were published.
        messages: Vec<u64>,
    }

    #[derive(Default)]
    struct Model {
        topics: Vec<Naive>,
        uses: u64,
    }

    impl Model {
        fn find(&mut self, name: &str) -> Option<&mut Naive> {
            self.topics.iter_mut().find(|topic| &*topic.name == name)
        }

        /// Returns whether there is room.
        fn make(&mut self, name: &Arc<str>) -> bool {
            self.uses += 1;
            let last_use = self.uses;
            if let Some(topic) = self.find(name) {
                topic.last_use = last_use;
                return true;
            }
            if self.topics.len() == MOST {
                let idle = self.topics.iter().enumerate().filter(|(_, topic)| topic.users == 0);
                let Some((at, _)) = idle.min_by_key(|(_, topic)| topic.last_use) else { return false };
                self.topics.remove(at);
            }
            self.topics.push(Naive { name: Arc::clone(name), users: 0, last_use, messages: Vec::new() });
            true
        }
    }

    /// Compares the table's lists with a look at all topics.
    #[track_caller]
    fn compare(table: &TopicTable, model: &Model) {
        assert_eq!(table.len(), model.topics.len());
        let mut idle: Vec<_> = model.topics.iter().filter(|topic| topic.users == 0).collect();
        idle.sort_by_key(|topic| topic.last_use);
        let listed: Vec<_> = table.idle.slots().into_iter().map(|slot| &table.topics[slot].name).collect();
        assert_eq!(listed, idle.iter().map(|topic| &topic.name).collect::<Vec<_>>());
        for topic in &model.topics {
            let found = table.get(&topic.name).expect("the table has what the model has");
            assert_eq!(found.history.len(), topic.messages.len(), "{}", topic.name);
            assert!(found.expires_at.is_some() || topic.messages.is_empty(), "{}", topic.name);
        }
        let noted: Vec<_> = table.topics.iter().filter_map(|(slot, topic)| Some((topic.expires_at?, slot))).collect();
        assert_eq!(table.expiries, noted.into_iter().collect(), "one note for each topic that has one, and none of others");
    }

    /// After each random operation the table agrees with a model that looks at all topics.
    #[test]
    fn as_with_a_look_at_all_topics() {
        let start = Instant::now();
        let bounds = HistoryBounds { messages: 3, bytes: 1024, age: AGE };
        for seed in 1..=200_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            // Xorshift, Marsaglia 2003.
            let mut below = |most: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % most
            };
            let (mut table, mut model, mut seconds) = (TopicTable::new(MOST), Model::default(), 0);
            for sequence in 1..=300 {
                let name: Arc<str> = format!("t{}", below(10)).into();
                match below(5) {
                    0 | 1 => {
                        let slot = table.get_or_create(&name);
                        assert_eq!(slot.is_some(), model.make(&name), "seed {seed}");
                        let Some(slot) = slot else { continue };
                        let now = start + Duration::from_secs(seconds);
                        let message = Message::new(Id { epoch: 1, sequence }, Arc::clone(&name), Payload::text("x"), now);
                        table.retain(slot, Arc::new(message), &bounds);
                        let topic = model.find(&name).expect("it was made");
                        topic.messages.retain(|published| seconds - published < AGE.as_secs());
                        topic.messages.push(seconds);
                        let gone = topic.messages.len().saturating_sub(3);
                        topic.messages.drain(..gone);
                    }
                    2 => {
                        assert_eq!(table.get_or_create(&name).is_some(), model.make(&name), "seed {seed}");
                        if let Some(&slot) = table.names.get(&name) {
                            table.change_users(slot, |users| users.subscribers[Technique::Sse] += 1);
                            model.find(&name).expect("it was made").users += 1;
                        }
                    }
                    3 => {
                        model.uses += 1;
                        let last_use = model.uses;
                        if let Some(topic) = model.find(&name).filter(|topic| topic.users > 0) {
                            (topic.users, topic.last_use) = (topic.users - 1, last_use);
                            table.change_users(table.names[&name], |users| users.subscribers[Technique::Sse] -= 1);
                        }
                    }
                    _ => {
                        seconds += below(50);
                        table.expire(start + Duration::from_secs(seconds), AGE);
                        let is_young = |published: &u64| seconds - published < AGE.as_secs();
                        model.topics.iter_mut().for_each(|topic| topic.messages.retain(is_young));
                    }
                }
                compare(&table, &model);
            }
        }
    }
}
