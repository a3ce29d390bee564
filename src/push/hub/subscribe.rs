//! Subscribing: streams, held polls, and polls that are answered at once.
//!
//! Owns each step from a request to a subscription, and the end of a subscription. Leaves to `state` what each step changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::hub::Hub;
use super::state::{ClientKey, Sink, State, WaitingPoll};
use super::topic_table::TopicSlots;
use crate::push::model::{Cursor, Id, PollForm, Replay, Technique, Topics};
use crate::session::Reply;

impl Hub {
    /// Subscribes, if nothing was published behind the slot up to which the caller has sent everything; otherwise that comes back.
    pub(crate) fn subscribe(&self, subscription: &Subscription<'_>, sink: Sink) -> SubscribeOutcome {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        let Some(slots) = state.topics.get_or_create_all(subscription.topics) else { return SubscribeOutcome::TooManyTopics };
        let missed =
            state.replay_slots(&slots, subscription.gaps_told_to, Cursor::After(subscription.sent_to), self.config().replay_bytes, now);
        if missed.gap || !missed.messages.is_empty() {
            return SubscribeOutcome::Behind(missed);
        }
        let drops = DropCounters(slots.iter().map(|slot| Arc::clone(&state.topics[*slot].drops)).collect());
        let guard = self.new_guard(&mut state, subscription, &slots);
        state.insert_subscriber(guard.key, &slots, subscription.technique, sink);
        guard.identity.enter(&mut state, subscription.technique, now);
        SubscribeOutcome::Subscribed(guard, drops)
    }

    /// Holds a request that has nothing to wait behind; otherwise what it missed comes back. Nothing of the application runs in a hold, so
    /// that it can be had under the lock.
    pub(crate) fn hold_poll<'r>(
        &self,
        subscription: &Subscription<'_>,
        cursor: Cursor,
        form: &PollForm,
        wait: Duration,
        mut reply: Reply<'r>,
    ) -> HoldOutcome<'r> {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        let Some(slots) = state.topics.get_or_create_all(subscription.topics) else { return HoldOutcome::TooManyTopics(reply) };
        let missed = state.replay_slots(&slots, 0, cursor, self.config().replay_bytes, now);
        if missed.gap || !missed.messages.is_empty() {
            return HoldOutcome::Behind(missed, reply);
        }
        let guard = self.new_guard(&mut state, subscription, &slots);
        let (key, identity) = (guard.key, guard.identity.clone());
        reply.carry(guard);
        let held = reply.hold(wait, state.empty_answer(form, missed.last));
        let poll = WaitingPoll { held, form: form.clone(), cursor: missed.last, client: subscription.client_key() };
        state.insert_subscriber(key, &slots, subscription.technique, Sink::Poll(poll));
        identity.enter(&mut state, subscription.technique, now);
        HoldOutcome::Held
    }

    fn new_guard(&self, state: &mut State, subscription: &Subscription<'_>, slots: &TopicSlots) -> SubscriptionGuard {
        let identity =
            subscription.client_key().map_or_else(|| Identity::Anonymous(state.topics.without_presence_topics(slots)), Identity::Client);
        SubscriptionGuard { hub: self.clone(), key: state.next_key(), technique: subscription.technique, identity }
    }

    /// A client with a token was there, for a moment.
    pub(crate) fn note_presence(&self, topics: &Topics, client: Option<&Arc<str>>, technique: Technique) {
        let Some(token) = client else { return };
        let client = (Arc::clone(token), topics.clone());
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        state.enter_client(&client, technique, now);
        state.leave_client(&client, now);
    }
}

/// Identity subscribes to what, and from where on.
pub(crate) struct Subscription<'a> {
    pub(crate) topics: &'a Topics,
    pub(crate) technique: Technique,
    pub(crate) client: Option<&'a Arc<str>>,
    pub(crate) sent_to: Id,
    /// The slot in the sequence up to which gaps have been told.
    pub(crate) gaps_told_to: u64,
}

impl Subscription<'_> {
    fn client_key(&self) -> Option<ClientKey> {
        self.client.map(|token| (Arc::clone(token), self.topics.clone()))
    }
}

/// Identity is online by a subscription.
#[derive(Clone)]
enum Identity {
    Client(ClientKey),
    /// A connection or a held request, which is somebody of its own, at all of its topics where that counts.
    Anonymous(TopicSlots),
}

impl Identity {
    fn enter(&self, state: &mut State, technique: Technique, now: Instant) {
        match self {
            Self::Client(client) => state.enter_client(client, technique, now),
            Self::Anonymous(slots) => state.enter_anonymous(slots, technique, now),
        }
    }

    fn leave(&self, state: &mut State, technique: Technique, now: Instant) {
        match self {
            Self::Client(client) => state.leave_client(client, now),
            Self::Anonymous(slots) => state.leave_anonymous(slots, technique, now),
        }
    }
}

pub(crate) enum SubscribeOutcome {
    Subscribed(SubscriptionGuard, DropCounters),
    Behind(Replay),
    TooManyTopics,
}

pub(crate) enum HoldOutcome<'r> {
    Held,
    Behind(Replay, Reply<'r>),
    TooManyTopics(Reply<'r>),
}

/// Where a connection counts what its queue has dropped.
pub(crate) struct DropCounters(Vec<Arc<AtomicU64>>);

impl DropCounters {
    pub(crate) fn add(&self, count: usize) {
        for topic in &self.0 {
            topic.fetch_add(count as u64, Relaxed);
        }
    }
}

/// Carried by a subscriber's connection, which drops it at the end.
pub(crate) struct SubscriptionGuard {
    hub: Hub,
    key: u64,
    technique: Technique,
    identity: Identity,
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let now = self.hub.config().clock.now();
        let mut state = self.hub.lock();
        let subscriber = state.remove_subscriber(self.key);
        self.identity.leave(&mut state, self.technique, now);
        // What it has is dropped outside the lock.
        drop(state);
        drop(subscriber);
    }
}
