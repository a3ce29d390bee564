//! Subscribing and unsubscribing.
//!
//! Owns the step from a replay to a subscription, which loses and repeats no message, and the guard
//! that ends a subscription. Leaves the changes of the state to `state`, and the pace of a replay
//! to `subscription`.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::time::{Duration, Instant};

use super::hub::Hub;
use super::lookup::{Lookup, Search};
use super::state::{ClientKey, Sink, State, WaitingPoll};
use super::subscribe_error::SubscribeError;
use super::topic_table::TopicSlots;
use crate::push::log::{Patience, Reading};
use crate::push::model::{Cursor, Id, PollAnswers, PollForm, Replay, Topics, access_changed};
use crate::session::{LastWord, Reply};

impl Hub {
    /// Subscribes a connection that was sent all messages up to `parameters.sent_to`. If other
    /// messages were published after it, returns those and does not subscribe. The check and the
    /// subscription happen under one lock, so no message falls between them.
    pub(crate) fn subscribe_now(&self, parameters: &SubscribeParameters<'_>, sink: Sink) -> SubscribeOutcome {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        if parameters.is_outdated(self) {
            return SubscribeOutcome::AccessChanged;
        }
        let Some(slots) = state.slots_for(parameters.topics) else { return SubscribeOutcome::TooManyTopics };
        let reading = Reading {
            gaps_told_to: parameters.gaps_told_to,
            patience: parameters.patience,
            ..self.reading(Cursor::After(parameters.sent_to))
        };
        let found = state.read(&slots, &reading);
        let missed = match self.search_of(parameters.topics, found) {
            Search::Here(missed) => missed,
            Search::Later(lookup) => return SubscribeOutcome::Later(lookup),
        };
        if missed.gap || !missed.messages.is_empty() {
            return SubscribeOutcome::Behind(missed);
        }
        let drops = DropCounters(slots.iter().map(|slot| Arc::clone(&state.topics[*slot].drops)).collect());
        let guard = self.new_guard(&mut state, parameters, &slots);
        state.insert_subscriber(guard.key, &slots, parameters.technique, parameters.named_key(), sink);
        // The subscriber is inserted before it counts as online: a subscriber of the presence topic
        // receives its own join message.
        guard.identity.enter(&mut state, parameters.technique, now);
        SubscribeOutcome::Subscribed(guard, drops)
    }

    /// Holds a request until the next message. If there are messages after the cursor already,
    /// returns those and does not hold the request.
    pub(crate) fn hold_poll<'r>(
        &self,
        parameters: &SubscribeParameters<'_>,
        cursor: Cursor,
        form: &PollForm,
        wait: Duration,
        mut reply: Reply<'r>,
    ) -> HoldOutcome<'r> {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        if parameters.is_outdated(self) {
            return HoldOutcome::Refused(access_changed(), reply);
        }
        let Some(slots) = state.slots_for(parameters.topics) else {
            return HoldOutcome::Refused(SubscribeError::TooManyTopics.last_word(), reply);
        };
        let found = state.read(&slots, &self.reading(cursor));
        let missed = match self.search_of(parameters.topics, found) {
            Search::Here(missed) => missed,
            Search::Later(lookup) => return HoldOutcome::Later(lookup, reply),
        };
        if missed.gap || !missed.messages.is_empty() {
            return HoldOutcome::Behind(missed, reply);
        }
        let guard = self.new_guard(&mut state, parameters, &slots);
        // `carry` and `hold` run under the lock, so that no message is published before the poll
        // waits. They call nothing of the application, and they do not drop the guard, which would
        // take the lock again.
        let (key, identity) = (guard.key, guard.identity.clone());
        reply.carry(guard);
        let answers = state.poll_answers(form, missed.last);
        let held = reply.hold_with(wait, Arc::<PollAnswers>::clone(&answers));
        let sink = Sink::Poll(WaitingPoll { held, answers });
        state.insert_subscriber(key, &slots, parameters.technique, parameters.named_key(), sink);
        identity.enter(&mut state, parameters.technique, now);
        HoldOutcome::Held
    }

    /// Reserves the key of the next subscriber. The caller inserts the subscriber under the same lock.
    fn new_guard(&self, state: &mut State, parameters: &SubscribeParameters<'_>, slots: &TopicSlots) -> SubscriptionGuard {
        let identity =
            parameters.client_key().map_or_else(|| Identity::Anonymous(state.topics.without_presence_topics(slots)), Identity::Client);
        SubscriptionGuard { hub: self.clone(), key: state.next_key(), technique: parameters.technique, identity }
    }

    /// Notes that a client with a token has sent a request that is answered at once. Its grace time
    /// begins anew.
    pub(crate) fn note_presence(&self, topics: &Topics, client: Option<&Arc<str>>, technique: &'static str) {
        let Some(token) = client else { return };
        let client = (Arc::clone(token), topics.clone());
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        state.enter_client(&client, technique, now);
        state.leave_client(&client, now);
    }
}

/// The parameters of a subscription.
pub(crate) struct SubscribeParameters<'a> {
    pub(crate) topics: &'a Topics,
    /// The technique's name in counters.
    pub(crate) technique: &'static str,
    pub(crate) client: Option<&'a Arc<str>>,
    /// The user of a protocol that has users. A user does not count as one client, as a token does.
    pub(crate) user: Option<&'a Arc<str>>,
    /// How many times access was withdrawn before the access of the client was checked.
    pub(crate) revocations: u64,
    /// The connection was sent all messages up to this id.
    pub(crate) sent_to: Id,
    /// The sequence number up to which the client was told of gaps.
    pub(crate) gaps_told_to: u64,
    pub(crate) patience: Patience,
}

impl SubscribeParameters<'_> {
    fn client_key(&self) -> Option<ClientKey> {
        self.client.map(|token| (Arc::clone(token), self.topics.clone()))
    }

    /// The name by which access can be withdrawn.
    fn named_key(&self) -> Option<ClientKey> {
        self.client.or(self.user).map(|name| (Arc::clone(name), self.topics.clone()))
    }

    /// Whether access was withdrawn from some clients since the access of this one was checked. The
    /// answer is exact under the hub's lock.
    fn is_outdated(&self, hub: &Hub) -> bool {
        hub.revocations().load(SeqCst) != self.revocations
    }
}

/// The client that is online by a subscription.
#[derive(Clone)]
enum Identity {
    /// A client with a token. Several subscriptions may belong to it.
    Client(ClientKey),
    /// A client without a token. Each subscription counts as a client of its own, at all of its
    /// topics except presence topics.
    Anonymous(TopicSlots),
}

impl Identity {
    fn enter(&self, state: &mut State, technique: &'static str, now: Instant) {
        match self {
            Self::Client(client) => state.enter_client(client, technique, now),
            Self::Anonymous(slots) => state.enter_anonymous(slots, technique, now),
        }
    }

    fn leave(&self, state: &mut State, technique: &'static str, now: Instant) {
        match self {
            Self::Client(client) => state.leave_client(client, now),
            Self::Anonymous(slots) => state.leave_anonymous(slots, technique, now),
        }
    }
}

/// The result of [`Hub::subscribe_now`].
pub(crate) enum SubscribeOutcome {
    Subscribed(SubscriptionGuard, DropCounters),
    Behind(Replay),
    Later(Lookup),
    TooManyTopics,
    AccessChanged,
}

/// The result of [`Hub::hold_poll`].
pub(crate) enum HoldOutcome<'r> {
    Held,
    Behind(Replay, Reply<'r>),
    Later(Lookup, Reply<'r>),
    Refused(LastWord, Reply<'r>),
}

/// The drop counters of the topics to which a connection is subscribed.
#[derive(Default)]
pub(crate) struct DropCounters(Vec<Arc<AtomicU64>>);

impl DropCounters {
    pub(crate) fn add(&self, count: usize) {
        for topic in &self.0 {
            topic.fetch_add(count as u64, Relaxed);
        }
    }
}

/// Ends the subscription when it is dropped. The connection carries it, and drops it when it ends.
pub(crate) struct SubscriptionGuard {
    hub: Hub,
    key: u64,
    technique: &'static str,
    identity: Identity,
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let now = self.hub.config().clock.now();
        let mut state = self.hub.lock();
        let subscriber = state.remove_subscriber(self.key);
        self.identity.leave(&mut state, self.technique, now);
        // A dropped pusher or held reply may post to a driver. That happens outside of the lock,
        // which all publishers need.
        drop(state);
        drop(subscriber);
    }
}
