//! Subscribing and unsubscribing.
//!
//! Owns the step from a replay to a subscription, which loses and repeats no message, and the guard
//! that ends a subscription. Leaves the changes of the state to `state`, and the pace of a replay
//! to `subscription`.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::channels::{Carrier, Drops};
use super::control::ChannelGuard;
use super::hub::Hub;
use super::lookup::{Lookup, Search};
use super::state::State;
use super::subscribe_error::SubscribeError;
use super::subscribers::{ClientKey, Online, WaitingPoll};
use super::topic_table::TopicSlots;
use crate::push::log::{Patience, Reading};
use crate::push::model::{Cursor, Id, Note, PollAnswers, PollForm, Replay, Secret, Topics, WireForm, access_changed};
use crate::session::{Destination, LastWord, Reply};

impl Hub {
    /// Subscribes a connection that was sent all messages up to `parameters.sent_to`. If other
    /// messages were published after it, returns those and does not subscribe. The check and the
    /// subscription happen under one lock, so no message falls between them.
    pub(crate) fn subscribe_now(
        &self,
        parameters: &SubscribeParameters<'_>,
        reader: &Destination,
        wire_form: &WireForm,
    ) -> Result<SubscriptionGuard, NotSubscribed> {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        let slots = self.check_reached(&mut state, parameters)?;
        let key = state.next_key();
        let SubscribeParameters { technique, .. } = *parameters;
        state.insert_reader(key, &slots, technique, parameters.named_key(), parameters.online(), (reader, wire_form));
        // The subscriber is inserted before it counts as online: a subscriber of the presence topic
        // receives its own join message.
        state.enter(key, now);
        Ok(SubscriptionGuard { hub: self.clone(), key })
    }

    /// As [`subscribe_now`](Self::subscribe_now), for a connection whose topics can be changed: each
    /// topic gets a subscriber of its own. `Joining::Joined` tells the client of the topics, behind
    /// everything that the connection was sent before.
    pub(crate) fn subscribe_channel(
        &self,
        guard: &ChannelGuard,
        parameters: &SubscribeParameters<'_>,
        reader: (&Destination, &WireForm),
        joining: Joining,
    ) -> Result<(), NotSubscribed> {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        let state = &mut *state;
        // A topic that was left meanwhile must not be subscribed to.
        match state.channels.get(&guard.client, guard.serial).map(|channel| &channel.carrier) {
            Some(Carrier::Stream(stream)) if stream.pending.left.is_empty() => {}
            _ => return Err(NotSubscribed::Changed),
        }
        let slots = self.check_reached(state, parameters)?;
        let names = parameters.topics.shared_names();
        let client: Arc<ClientKey> = Arc::new((Arc::clone(&guard.client), parameters.topics.clone()));
        let mut live = Vec::with_capacity(names.len());
        for (name, slot) in names.iter().zip(&*slots) {
            let key = state.next_key();
            let client = Some(Arc::clone(&client));
            state.insert_reader(key, &TopicSlots::One(*slot), parameters.technique, client, Online::OfChannel, reader);
            live.push((Arc::clone(name), key));
        }
        let drops: Vec<_> = names.iter().cloned().zip(slots.iter().map(|slot| Arc::clone(&state.topics[*slot].drops))).collect();
        let reached = state.log.last();
        if let Some(Carrier::Stream(stream)) = state.channels.get(&guard.client, guard.serial).map(|channel| &mut channel.carrier) {
            stream.live.extend(live);
            stream.drops.lock().unwrap_or_else(PoisonError::into_inner).extend(drops);
            if joining == Joining::Joined {
                stream.tell(Note::Joined(parameters.topics, reached));
            }
        }
        state.enter_client(&client, parameters.technique, now);
        Ok(())
    }

    /// Returns the slots of the topics if a connection that was sent all messages up to
    /// `parameters.sent_to` has all messages, and its access was checked at the present number of
    /// withdrawals. The slots are valid under the same lock.
    fn check_reached(&self, state: &mut State, parameters: &SubscribeParameters<'_>) -> Result<TopicSlots, NotSubscribed> {
        if parameters.is_outdated(self) {
            return Err(NotSubscribed::AccessChanged);
        }
        let slots = state.slots_for(parameters.topics).ok_or(NotSubscribed::TooManyTopics)?;
        let reading = Reading {
            gaps_told_to: parameters.gaps_told_to,
            patience: parameters.patience,
            ..self.reading(Cursor::After(parameters.sent_to))
        };
        let found = state.read(&slots, &reading);
        match self.search_of(parameters.topics, found) {
            Search::Here(missed) if missed.gap || !missed.messages.is_empty() => Err(NotSubscribed::Behind(missed)),
            Search::Here(_) => Ok(slots),
            Search::Later(lookup) => Err(NotSubscribed::Later(lookup)),
        }
    }

    /// Holds a request until the next message. If there are messages after the cursor already,
    /// returns those and does not hold the request. `chain` is the secret of a chain of polls, whose
    /// channel this poll opens.
    pub(crate) fn hold_poll<'r>(
        &self,
        parameters: &SubscribeParameters<'_>,
        cursor: Cursor,
        chain: Option<&Secret>,
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
        // An earlier poll of the chain ends here. That may publish presence messages and evict topics,
        // so the messages are looked for only then.
        let channel = chain.zip(parameters.client_key()).map(|(secret, client)| {
            let serial = state.open_chain(&client.0, *secret, &client.1, now);
            (client, serial)
        });
        let end_chain = |state: &mut State| {
            if let Some(((token, _), serial)) = &channel {
                state.end_channel(token, *serial, now);
            }
        };
        let Some(slots) = state.slots_for(parameters.topics) else {
            end_chain(&mut state);
            return HoldOutcome::Refused(SubscribeError::TooManyTopics.last_word(), reply);
        };
        let found = state.read(&slots, &self.reading_at(cursor, now));
        let missed = match self.search_of(parameters.topics, found) {
            Search::Here(missed) => missed,
            Search::Later(lookup) => {
                end_chain(&mut state);
                return HoldOutcome::Later(lookup, reply);
            }
        };
        if missed.gap || !missed.messages.is_empty() {
            end_chain(&mut state);
            return HoldOutcome::Behind(missed, reply);
        }
        // `carry` and `hold` run under the lock, so that no message is published before the poll
        // waits. They call nothing of the application, and they do not drop the guard, which would
        // take the lock again.
        let (named, key) = (parameters.named_key(), state.next_key());
        let is_of_channel = channel.is_some();
        if let Some(((token, topics), serial)) = &channel {
            if let Some(channel) = state.channels.get(token, *serial) {
                channel.carrier = Carrier::Poll { key, entered: topics.clone() };
            }
            reply.carry(ChannelGuard { hub: self.clone(), client: Arc::clone(token), serial: *serial });
        } else {
            reply.carry(SubscriptionGuard { hub: self.clone(), key });
        }
        let answers = state.poll_answers(form, missed.last);
        let held = reply.hold_with(wait, Arc::<PollAnswers>::clone(&answers));
        let online = if is_of_channel { Online::OfChannel } else { parameters.online() };
        state.insert_poll(key, &slots, parameters.technique, named.clone(), online, WaitingPoll { held, answers });
        match (channel, named) {
            // The chain has ended its earlier poll. Another chain of the client is left alone.
            (Some((client, _)), _) => state.enter_client(&client, parameters.technique, now),
            (None, named) => {
                if let Some(client) = named {
                    state.succeed_poll(client, key);
                }
                state.enter(key, now);
            }
        }
        HoldOutcome::Held
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
    fn named_key(&self) -> Option<Arc<ClientKey>> {
        self.client.or(self.user).map(|name| Arc::new((Arc::clone(name), self.topics.clone())))
    }

    /// The client that is online by the subscription.
    const fn online(&self) -> Online {
        if self.client.is_some() { Online::Client } else { Online::Anonymous }
    }

    /// Whether access was withdrawn from some clients since the access of this one was checked. The
    /// answer is exact under the hub's lock.
    fn is_outdated(&self, hub: &Hub) -> bool {
        hub.revocations().load(SeqCst) != self.revocations
    }
}

/// Whether a client of a control channel is told when it is subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// The topics are those of the request that opened the connection.
    Opened,
    /// The client has joined the topics later.
    Joined,
}

/// Why a connection was not subscribed.
pub(crate) enum NotSubscribed {
    /// These messages were published meanwhile.
    Behind(Replay),
    Later(Lookup),
    TooManyTopics,
    /// The client has left topics, which the connection must give up first.
    Changed,
    /// Access was withdrawn from some clients since the access of this one was checked.
    AccessChanged,
}

/// The result of [`Hub::hold_poll`].
pub(crate) enum HoldOutcome<'r> {
    Held,
    Behind(Replay, Reply<'r>),
    Later(Lookup, Reply<'r>),
    Refused(LastWord, Reply<'r>),
}

/// Ends the subscription when it is dropped. The connection carries it, and drops it when it ends.
pub(crate) struct SubscriptionGuard {
    hub: Hub,
    key: u64,
}

impl SubscriptionGuard {
    pub(crate) const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// What counts the messages that the connection drops, for a connection that keeps it elsewhere.
    pub(super) fn drop_counters(&self) -> DropCounters {
        DropCounters::OfSubscriber(self.hub.clone(), self.key)
    }

    /// Counts messages that the connection has dropped. It does so when its reader takes messages
    /// again, and not for each message. So the lock costs less than a reference to the counter of each
    /// topic, which took 16 bytes of every subscriber.
    pub(crate) fn count_drops(&self, count: usize) {
        self.hub.lock().count_drops(self.key, count);
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let now = self.hub.config().clock.now();
        let mut state = self.hub.lock();
        let ended = state.leave(self.key, now);
        // A dropped held reply may post to a driver. That happens outside of the lock, which all
        // publishers need.
        drop(state);
        drop(ended);
    }
}

/// The drop counters of the topics to which a connection is subscribed.
pub(crate) enum DropCounters {
    /// The connection is not subscribed yet.
    None,
    /// The topics of the subscriber with this key.
    OfSubscriber(Hub, u64),
    /// The topics can be changed.
    OfChannel(Drops),
}

impl DropCounters {
    pub(crate) fn add(&self, count: usize) {
        match self {
            Self::None => {}
            Self::OfSubscriber(hub, key) => hub.lock().count_drops(*key, count),
            Self::OfChannel(topics) => {
                for (_, topic) in &*topics.lock().unwrap_or_else(PoisonError::into_inner) {
                    topic.fetch_add(count as u64, Relaxed);
                }
            }
        }
    }
}
