//! The table of subscribers.
//!
//! Owns the keys of the subscribers, and what the hub remembers of each. Leaves the lists of the
//! topics to `topic`, and the changes that go with a subscription to `state`.
//!
//! There is one entry for each subscription, so each byte counts: an entry has 48 of them. The
//! names of techniques are numbers here, and the key of a client and a held poll are elsewhere,
//! because most subscribers have none.

use std::sync::Arc;

use slab::Slab;

use super::topic::Place;
use crate::push::model::{PollAnswers, Topics};
use crate::session::Held;

/// One subscription.
pub(crate) struct Subscriber {
    pub(super) seats: Seats,
    /// The client that has named itself, with its topics.
    pub(super) client: Option<Arc<ClientKey>>,
    pub(super) sink: Sink,
    /// The upper half of the key.
    generation: u32,
    /// The number of the technique's name.
    technique: u16,
    pub(super) online: Online,
}

/// The topics of a subscriber, and its place in each.
#[derive(Default)]
pub(super) enum Seats {
    #[default]
    None,
    /// Nearly every subscriber has one topic.
    One(Seat),
    Several(Box<SeveralSeats>),
}

/// The seats of a subscriber to several topics. A box of this has half of the size of a boxed
/// slice.
pub(super) struct SeveralSeats(Vec<Seat>);

/// A topic of a subscriber.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    /// The slot of the topic.
    topic: u32,
    /// The place of a stream or a WebSocket. A poll has none: its topic has its key.
    pub(super) place: Place,
}

impl Seat {
    pub(super) const fn topic(self) -> usize {
        self.topic as usize
    }
}

impl Seats {
    /// A seat for each of these topics, in this order.
    pub(super) fn new(topics: &[usize], mut place: impl FnMut(usize) -> Place) -> Self {
        let mut seat = |topic: usize| Seat { topic: topic as u32, place: place(topic) };
        match topics {
            [topic] => Self::One(seat(*topic)),
            _ => Self::Several(Box::new(SeveralSeats(topics.iter().map(|topic| seat(*topic)).collect()))),
        }
    }

    /// The seats of which `is_kept` says so.
    pub(super) fn retain(self, is_kept: impl Fn(Seat) -> bool) -> Self {
        match self {
            Self::One(seat) if !is_kept(seat) => Self::None,
            Self::Several(mut several) => {
                several.0.retain(|seat| is_kept(*seat));
                Self::Several(several)
            }
            same => same,
        }
    }

    pub(super) fn all(&self) -> &[Seat] {
        match self {
            Self::None => &[],
            Self::One(seat) => std::slice::from_ref(seat),
            Self::Several(several) => &several.0,
        }
    }

    fn all_mut(&mut self) -> &mut [Seat] {
        match self {
            Self::None => &mut [],
            Self::One(seat) => std::slice::from_mut(seat),
            Self::Several(several) => &mut several.0,
        }
    }
}

/// Where a subscriber's messages go.
pub(crate) enum Sink {
    /// A stream or a WebSocket of this driver.
    Stream {
        driver: usize,
    },
    Poll(Box<WaitingPoll>),
    /// The subscription has ended, and its guard has not been dropped.
    Ended,
}

/// A held long poll.
pub(crate) struct WaitingPoll {
    pub(crate) held: Held,
    pub(crate) answers: Arc<PollAnswers>,
}

/// The client that is online by a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Online {
    /// A client with a token. Several subscriptions may belong to it.
    Client,
    /// A client without a token. Each subscription counts as a client of its own, at all of its
    /// topics except presence topics.
    Anonymous,
    /// The control channel of the subscription knows its client. The subscription has no guard.
    OfChannel,
}

/// The token of a client, and the topics to which the client subscribes.
pub(crate) type ClientKey = (Arc<str>, Topics);

/// All subscribers of a hub, and those whose guards have not been dropped.
#[derive(Default)]
pub(super) struct Subscribers {
    /// The subscribers, by the lower half of their keys.
    entries: Slab<Subscriber>,
    /// The upper half of the last key that was given out.
    last_generation: u32,
    /// The names of techniques, by their numbers.
    techniques: Vec<&'static str>,
    /// The number of removals since the table last gave room back.
    removed: u32,
}

/// Tables up to this number of entries grow and shrink as every list does.
const LARGE: usize = 1_024;
/// A large table that has become small gives its room back, as far as its last entry. That takes a
/// look at all entries, so it happens once in so many removals.
const REMOVED_MIN: u32 = 64;

impl Subscribers {
    /// The key of the next subscriber, which the caller inserts before it gives up the lock. The
    /// lower half is the index in the slab, and the upper half is a generation. When a subscription
    /// ends late, its old key does not match the key of the next subscriber at the same index.
    pub(super) fn next_key(&mut self) -> u64 {
        self.last_generation = self.last_generation.wrapping_add(1);
        u64::from(self.last_generation) << 32 | self.entries.vacant_key() as u64
    }

    /// Adds a subscriber.
    pub(super) fn insert(
        &mut self,
        key: u64,
        seats: Seats,
        technique: &'static str,
        client: Option<Arc<ClientKey>>,
        online: Online,
        sink: Sink,
    ) {
        let technique = self.number_of(technique);
        if self.entries.len() == self.entries.capacity() && self.entries.len() >= LARGE {
            self.entries.reserve_exact(self.entries.len() / 8);
        }
        let slot = self.entries.insert(Subscriber { seats, client, sink, generation: (key >> 32) as u32, technique, online });
        debug_assert_eq!(slot, index_of(key) as usize, "`next_key` and `insert` run under one lock");
    }

    /// The number of a technique. The names are constants of programs, so there are few.
    fn number_of(&mut self, technique: &'static str) -> u16 {
        let known = self.techniques.iter().position(|name| std::ptr::eq(*name, technique) || *name == technique);
        let number = known.unwrap_or_else(|| {
            self.techniques.push(technique);
            self.techniques.len() - 1
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    /// The technique of a subscriber.
    pub(super) fn technique(&self, subscriber: &Subscriber) -> &'static str {
        self.techniques[usize::from(subscriber.technique)]
    }

    /// The subscriber with this key, if the key is still valid.
    pub(super) fn get(&self, key: u64) -> Option<&Subscriber> {
        self.entries.get(index_of(key) as usize).filter(|subscriber| subscriber.generation == (key >> 32) as u32)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut Subscriber> {
        self.entries.get_mut(index_of(key) as usize).filter(|subscriber| subscriber.generation == (key >> 32) as u32)
    }

    /// Another subscriber has left its place in this topic to the subscriber at this index.
    pub(super) fn move_to(&mut self, index: u32, topic: usize, place: Place) {
        let Some(subscriber) = self.entries.get_mut(index as usize) else { return };
        // A place is moved within its form, and no subscriber has a topic twice.
        if let Some(seat) = subscriber.seats.all_mut().iter_mut().find(|seat| seat.topic() == topic) {
            seat.place = place;
        }
    }

    /// Whether a held poll with this key waits.
    pub(super) fn has_poll(&self, key: u64) -> bool {
        self.get(key).is_some_and(|subscriber| matches!(subscriber.sink, Sink::Poll(_)))
    }

    /// Removes the subscriber with this key, if the key is still valid.
    pub(super) fn remove(&mut self, key: u64) -> Option<Subscriber> {
        self.get(key)?;
        let removed = self.entries.remove(index_of(key) as usize);
        self.removed = self.removed.saturating_add(1);
        if self.removed >= REMOVED_MIN && self.entries.capacity() > LARGE && self.entries.len() <= self.entries.capacity() / 4 {
            self.removed = 0;
            self.entries.shrink_to_fit();
        }
        Some(removed)
    }

    /// The subscribers whose subscription has not ended, with their keys.
    pub(super) fn live(&self) -> impl Iterator<Item = (u64, &Subscriber)> {
        let live = self.entries.iter().filter(|(_, subscriber)| !matches!(subscriber.sink, Sink::Ended));
        live.map(|(index, subscriber)| (u64::from(subscriber.generation) << 32 | index as u64, subscriber))
    }
}

/// The index of a subscriber in the slab.
pub(super) const fn index_of(key: u64) -> u32 {
    key as u32
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// The memory of a subscriber, without what all subscribers share.
    #[test]
    fn a_subscriber_is_small() {
        assert_eq!(size_of::<Option<Subscriber>>(), size_of::<Subscriber>(), "a vacant entry needs no mark");
        assert!(size_of::<Subscriber>() <= 48, "{}", size_of::<Subscriber>());
    }
}
