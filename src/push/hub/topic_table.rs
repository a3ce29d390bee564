//! All topics, by name and by slot.
//!
//! Owns which topics exist, and which topic is evicted for a new one. Opens and closes topics in the
//! log. Leaves messages to the log, and clients to `state`.
//!
//! Clients can make up topic names, so there may be many topics. No operation looks at all of them:
//! each takes constant or logarithmic time in the number of topics.

use std::collections::HashMap;
use std::ops::{Deref, Index, IndexMut};
use std::sync::Arc;

use slab::Slab;

use super::idle::IdleList;
use super::topic::{Topic, Users};
use crate::push::log::MemoryLog;
use crate::push::model::{PRESENCE, Topics};

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
    /// The slot that was asked for last. Another topic may have it by now.
    last_used: usize,
    max_topics: usize,
    /// How many topics were evicted.
    forgotten: u64,
    /// The topics without users. Creating a topic, publishing to it, subscribing to it and losing
    /// its last user are uses.
    idle: IdleList,
    /// The number of presence topics. While it is 0, no join and no leave has to be published.
    presence_topics: usize,
}

impl TopicTable {
    /// A table for at most `max_topics` topics.
    pub(crate) fn new(max_topics: usize) -> Self {
        Self {
            topics: Slab::new(),
            names: HashMap::new(),
            last_used: 0,
            max_topics,
            forgotten: 0,
            idle: IdleList::default(),
            presence_topics: 0,
        }
    }

    /// The topic of this name, if it exists.
    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.slot_of(name).map(|slot| &self.topics[slot])
    }

    /// The slot of the topic of this name, if it exists.
    pub(crate) fn slot_of(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The slot of a topic, which is created if it does not exist. Returns `None` if there are
    /// `max_topics` topics and all have users.
    pub(crate) fn get_or_create(&mut self, name: &Arc<str>, log: &mut MemoryLog) -> Option<usize> {
        // After a message, all polls of its topic come back together. To compare with the name of the
        // last one costs 40 instructions, and to hash a name costs 250.
        let is_last = self.topics.get(self.last_used).is_some_and(|topic| topic.name == *name);
        let found = if is_last { Some(self.last_used) } else { self.names.get(name).copied() };
        if let Some(slot) = found {
            self.last_used = slot;
            if self.topics[slot].users.is_empty() {
                self.idle.move_to_end(slot);
            }
            return Some(slot);
        }
        if self.topics.len() >= self.max_topics {
            self.evict_one(log)?;
        }
        // A topic has about a kilobyte. Made as the argument, it is copied once less.
        let slot = self.topics.insert(Topic::new(Arc::clone(name)));
        self.presence_topics += usize::from(name.ends_with(PRESENCE));
        log.open(slot);
        self.names.insert(Arc::clone(name), slot);
        self.idle.move_to_end(slot);
        Some(slot)
    }

    /// Removes the least recently used topic without users. The table does not remember the names
    /// of evicted topics.
    fn evict_one(&mut self, log: &mut MemoryLog) -> Option<()> {
        let slot = self.idle.first()?;
        self.idle.remove(slot);
        let topic = self.topics.remove(slot);
        log.close(slot);
        self.names.remove(&topic.name);
        self.presence_topics -= usize::from(topic.is_presence());
        self.forgotten += 1;
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

    /// The slots of these topics, which are created if they do not exist. Returns `None` if the
    /// table cannot hold all of them.
    pub(crate) fn get_or_create_all(&mut self, topics: &Topics, log: &mut MemoryLog) -> Option<TopicSlots> {
        match topics.shared_names() {
            [name] => self.get_or_create(name, log).map(TopicSlots::One),
            names => {
                let slots: Option<Arc<[usize]>> = names.iter().map(|name| self.get_or_create(name, log)).collect();
                // Creating a later topic may have evicted an earlier one: none of these topics
                // needs to have a user yet.
                let slots = slots.filter(|_| names.iter().all(|name| self.names.contains_key(name)))?;
                Some(TopicSlots::Several(slots))
            }
        }
    }

    /// The slots of those of these topics that exist.
    pub(crate) fn slots_of(&self, topics: &Topics) -> Vec<usize> {
        topics.shared_names().iter().filter_map(|name| self.slot_of(name)).collect()
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
    use std::time::{Duration, Instant};

    use super::*;
    use crate::push::log::{Backing, HistoryBounds};
    use crate::push::model::Payload;

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

    /// Compares the lists of the table and of the log with a look at all topics of the model.
    #[track_caller]
    fn compare(table: &TopicTable, log: &MemoryLog, model: &Model) {
        assert_eq!(table.len(), model.topics.len());
        let mut idle: Vec<_> = model.topics.iter().filter(|topic| topic.users == 0).collect();
        idle.sort_by_key(|topic| topic.last_use);
        let listed: Vec<_> = table.idle.slots().into_iter().map(|slot| &table.topics[slot].name).collect();
        assert_eq!(listed, idle.iter().map(|topic| &topic.name).collect::<Vec<_>>());
        for topic in &model.topics {
            let slot = table.slot_of(&topic.name).expect("the table has what the model has");
            assert_eq!(log.len_of(slot), topic.messages.len(), "{}", topic.name);
        }
    }

    /// After each random operation, the table and the log agree with the model.
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
            let (mut table, mut log) = (TopicTable::new(MOST), MemoryLog::new(1, bounds, Backing::None));
            let (mut model, mut seconds) = (Model::default(), 0);
            for _ in 0..300 {
                let name: Arc<str> = format!("t{}", below(10)).into();
                match below(5) {
                    0 | 1 => {
                        let slot = table.get_or_create(&name, &mut log);
                        assert_eq!(slot.is_some(), model.make(&name), "seed {seed}");
                        let Some(slot) = slot else { continue };
                        let now = start + Duration::from_secs(seconds);
                        log.append(slot, &name, Payload::text("x"), now);
                        let topic = model.find(&name).expect("it was made");
                        topic.messages.retain(|published| seconds - published < AGE.as_secs());
                        topic.messages.push(seconds);
                        let gone = topic.messages.len().saturating_sub(3);
                        topic.messages.drain(..gone);
                    }
                    2 => {
                        assert_eq!(table.get_or_create(&name, &mut log).is_some(), model.make(&name), "seed {seed}");
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
                        log.expire(start + Duration::from_secs(seconds));
                        let is_young = |published: &u64| seconds - published < AGE.as_secs();
                        model.topics.iter_mut().for_each(|topic| topic.messages.retain(is_young));
                    }
                }
                compare(&table, &log, &model);
            }
        }
    }
}
