//! All topics, by name and by slot.
//!
//! Owns which topics exist, which topic is evicted for a new one, and which topic's messages expire
//! next. Leaves to `state` the sequence, cursors and clients.
//!
//! Clients can make up topic names, so there may be many topics. No operation looks at all of them:
//! each takes constant or logarithmic time in the number of topics.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Deref, Index, IndexMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::idle::IdleList;
use super::topic::{Topic, Users};
use crate::push::model::{History, HistoryBounds, Message, Topics};

/// The slots of some topics. They are valid while the topics have users: a topic without users may
/// be evicted, and another topic may then get its slot.
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

/// All topics of a hub.
pub(crate) struct TopicTable {
    topics: Slab<Topic>,
    names: HashMap<Arc<str>, usize>,
    max_topics: usize,
    /// The highest sequence number of a message in an evicted topic. A topic that is created later
    /// may have had messages up to it.
    forgotten_to: u64,
    /// How many topics were evicted.
    forgotten: u64,
    /// The topics without users. Creating a topic, publishing to it, subscribing to it and losing
    /// its last user are uses.
    idle: IdleList,
    /// For each topic with messages, the time of the next look at its oldest message. The time may
    /// be too early, because the history may drop that message for another reason.
    expiries: BTreeSet<(Instant, usize)>,
    /// The number of presence topics. While it is 0, no join and no leave has to be published.
    presence_topics: usize,
}

impl TopicTable {
    /// A table for at most `max_topics` topics.
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

    /// The topic of this name, if it exists.
    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).map(|slot| &self.topics[*slot])
    }

    /// The slot of a topic, which is created if it does not exist. Returns `None` if there are
    /// `max_topics` topics and all have users.
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

    /// Removes the least recently used topic without users. The table does not remember the names
    /// of evicted topics, so that a cursor before `forgotten_to` meets a gap in every topic that is
    /// created later.
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

    /// Changes the users of a topic. A topic that loses its last user becomes idle, and may be
    /// evicted.
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

    /// Appends a message to the history of a topic.
    pub(crate) fn retain(&mut self, slot: usize, message: Arc<Message>, bounds: &HistoryBounds) {
        self.topics[slot].history.append(message, bounds);
        if self.topics[slot].expires_at.is_none() {
            self.schedule_expiry(slot, bounds.age);
        }
    }

    /// Drops the messages of all topics that are as old as `age` or older. Looks only at topics
    /// whose time of the next look has come.
    pub(crate) fn expire(&mut self, now: Instant, age: Duration) {
        while let Some(&(at, slot)) = self.expiries.first()
            && at <= now
        {
            self.expiries.pop_first();
            self.topics[slot].history.expire(now, age);
            self.schedule_expiry(slot, age);
        }
    }

    /// Schedules the next look at a topic for the time at which its oldest message expires. The
    /// schedule stays as it is if the history drops that message earlier.
    fn schedule_expiry(&mut self, slot: usize, age: Duration) {
        let topic = &mut self.topics[slot];
        topic.expires_at = topic.history.oldest_published_at().and_then(|published| published.checked_add(age));
        self.expiries.extend(topic.expires_at.map(|at| (at, slot)));
    }

    /// The topic of this name, after its messages that are as old as `age` or older were dropped.
    pub(crate) fn get_unexpired(&mut self, name: &str, now: Instant, age: Duration) -> Option<&Topic> {
        let topic = &mut self.topics[*self.names.get(name)?];
        topic.history.expire(now, age);
        Some(topic)
    }

    /// The slots of these topics, which are created if they do not exist. Returns `None` if the
    /// table cannot hold all of them.
    pub(crate) fn get_or_create_all(&mut self, topics: &Topics) -> Option<TopicSlots> {
        match topics.shared_names() {
            [name] => self.get_or_create(name).map(TopicSlots::One),
            names => {
                let slots: Option<Arc<[usize]>> = names.iter().map(|name| self.get_or_create(name)).collect();
                // Creating a later topic may have evicted an earlier one: none of these topics needs to
                // have a user yet.
                let slots = slots.filter(|_| names.iter().all(|name| self.names.contains_key(name)))?;
                Some(TopicSlots::Several(slots))
            }
        }
    }

    /// These slots without those of presence topics. Nobody counts as online at a presence topic,
    /// so it may have no user; then it can be evicted, and its slot would become invalid.
    pub(crate) fn without_presence_topics(&self, slots: &TopicSlots) -> TopicSlots {
        if slots.iter().all(|slot| !self.topics[*slot].is_presence()) {
            return slots.clone();
        }
        TopicSlots::Several(slots.iter().copied().filter(|slot| !self.topics[*slot].is_presence()).collect())
    }

    /// The slots of those of these topics that exist.
    pub(crate) fn slots_of(&self, topics: &Topics) -> Vec<usize> {
        topics.shared_names().iter().filter_map(|name| self.names.get(name).copied()).collect()
    }

    /// The sequence number up to which messages may be gone of a topic that does not exist.
    pub(crate) const fn forgotten_to(&self) -> u64 {
        self.forgotten_to
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// How many topics were evicted.
    pub(crate) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether a presence topic exists.
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
    use crate::push::model::{Id, Payload};

    const MOST: usize = 6;
    const AGE: Duration = Duration::from_secs(60);

    /// A topic of the model. The model looks at all topics in each operation.
    #[derive(Clone)]
    struct Naive {
        name: Arc<str>,
        users: u64,
        last_use: u64,
        /// The seconds at which the messages were published.
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

        /// Returns whether the topic exists afterwards.
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

    /// Compares the lists of the table with a look at all topics of the model.
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

    /// After each random operation, the table agrees with the model.
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
                            table.change_users(slot, |users| users.subscribers.add_one("events"));
                            model.find(&name).expect("it was made").users += 1;
                        }
                    }
                    3 => {
                        model.uses += 1;
                        let last_use = model.uses;
                        if let Some(topic) = model.find(&name).filter(|topic| topic.users > 0) {
                            (topic.users, topic.last_use) = (topic.users - 1, last_use);
                            table.change_users(table.names[&name], |users| users.subscribers.remove_one("events"));
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
