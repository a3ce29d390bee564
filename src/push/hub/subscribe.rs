//! Subscribing: streams, held polls, and polls that are answered at once.
//!
//! Owns each step from a request to a subscription, and the end of a subscription. Leaves to `state` what each step changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::hub::Hub;
use super::state::{Client, Sink, State, WaitingPoll};
use super::topic_table::Places;
use crate::push::model::{Cursor, Id, Replay, Shape, Technique, Topics};
use crate::session::Reply;

impl Hub {
    /// Subscribes, if nothing was published behind the place up to which the caller has sent everything; otherwise that comes back.
    pub(crate) fn join(&self, wish: &Wish<'_>, sink: Sink) -> Joined {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire(now);
        let Some(places) = state.topics.make(wish.topics) else { return Joined::NoRoom };
        let missed = state.since(&places, wish.told_to, Cursor::After(wish.position), self.config().replay_bytes, now);
        if missed.gap || !missed.messages.is_empty() {
            return Joined::Behind(missed);
        }
        let drops = Drops(places.iter().map(|place| Arc::clone(&state.topics[*place].drops)).collect());
        let leave = self.leave(&mut state, wish, &places);
        state.insert(leave.number, &places, wish.technique, sink);
        leave.who.enter(&mut state, wish.technique, now);
        Joined::Subscribed(leave, drops)
    }

    /// Holds a request that has nothing to wait behind; otherwise what it missed comes back. Nothing of the application runs in a hold, so
    /// that it can be had under the lock.
    pub(crate) fn hold<'r>(&self, wish: &Wish<'_>, cursor: Cursor, shape: &Shape, wait: Duration, mut reply: Reply<'r>) -> Waiting<'r> {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire(now);
        let Some(places) = state.topics.make(wish.topics) else { return Waiting::NoRoom(reply) };
        let missed = state.since(&places, 0, cursor, self.config().replay_bytes, now);
        if missed.gap || !missed.messages.is_empty() {
            return Waiting::Behind(missed, reply);
        }
        let leave = self.leave(&mut state, wish, &places);
        let (number, who) = (leave.number, leave.who.clone());
        reply.carry(leave);
        let held = reply.hold(wait, state.empty_answer(shape, missed.last));
        let poll = WaitingPoll { held, shape: shape.clone(), cursor: missed.last, client: wish.named() };
        state.insert(number, &places, wish.technique, Sink::Poll(poll));
        who.enter(&mut state, wish.technique, now);
        Waiting::Held
    }

    fn leave(&self, state: &mut State, wish: &Wish<'_>, places: &Places) -> Leave {
        let who = wish.named().map_or_else(|| Who::Nameless(state.topics.without_presence(places)), Who::Named);
        Leave { hub: self.clone(), number: state.number(), technique: wish.technique, who }
    }

    /// A client with a token was there, for a moment.
    pub(crate) fn pass_by(&self, topics: &Topics, client: Option<&Arc<str>>, technique: Technique) {
        let Some(token) = client else { return };
        let client = (Arc::clone(token), topics.clone());
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire(now);
        state.enter_named(&client, technique, now);
        state.leave_named(&client, now);
    }
}

/// Who subscribes to what, and from where on.
pub(crate) struct Wish<'a> {
    pub(crate) topics: &'a Topics,
    pub(crate) technique: Technique,
    pub(crate) client: Option<&'a Arc<str>>,
    pub(crate) position: Id,
    /// The place in the sequence up to which gaps have been told.
    pub(crate) told_to: u64,
}

impl Wish<'_> {
    fn named(&self) -> Option<Client> {
        self.client.map(|token| (Arc::clone(token), self.topics.clone()))
    }
}

/// Who is online by a subscription.
#[derive(Clone)]
enum Who {
    Named(Client),
    /// A connection or a held request, which is somebody of its own, at all of its topics where that counts.
    Nameless(Places),
}

impl Who {
    fn enter(&self, state: &mut State, technique: Technique, now: Instant) {
        match self {
            Self::Named(client) => state.enter_named(client, technique, now),
            Self::Nameless(places) => state.enter(places, technique, now),
        }
    }

    fn leave(&self, state: &mut State, technique: Technique, now: Instant) {
        match self {
            Self::Named(client) => state.leave_named(client, now),
            Self::Nameless(places) => state.leave(places, technique, now),
        }
    }
}

pub(crate) enum Joined {
    Subscribed(Leave, Drops),
    Behind(Replay),
    NoRoom,
}

pub(crate) enum Waiting<'r> {
    Held,
    Behind(Replay, Reply<'r>),
    NoRoom(Reply<'r>),
}

/// Where a connection counts what its queue has dropped.
pub(crate) struct Drops(Vec<Arc<AtomicU64>>);

impl Drops {
    pub(crate) fn add(&self, count: usize) {
        for topic in &self.0 {
            topic.fetch_add(count as u64, Relaxed);
        }
    }
}

/// Carried by a subscriber's connection, which drops it at the end.
pub(crate) struct Leave {
    hub: Hub,
    number: u64,
    technique: Technique,
    who: Who,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let now = self.hub.config().clock.now();
        let mut state = self.hub.lock();
        let subscriber = state.remove(self.number);
        self.who.leave(&mut state, self.technique, now);
        // What it has is dropped outside the lock.
        drop(state);
        drop(subscriber);
    }
}
