//! The state that the hub's lock protects.
//!
//! Owns the subscriptions, the delivery to them, and the shared answers of waiting polls. Each
//! operation runs completely under the lock. No operation waits: delivering and releasing only post
//! to the drivers of the connections. Leaves ids and retained messages to the log, requests to
//! `http`, and the form of answers to `model`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

use super::channels::Channels;
use super::config::HubConfig;
use super::outside::Outside;
use super::presence::Presence;
use super::publish::PublishError;
use super::replica::Replica;
use super::topic_table::{TopicSlots, TopicTable};
use crate::push::log::{Found, MemoryLog, Reading};
use crate::push::model::{Id, PRESENCE, Payload, PerTechnique, PollAnswers, PollForm, Replay, TopicMessage, Topics, WireForm};
use crate::session::{Held, Pusher, Response};

/// The values that never change after the hub is created. They are read without the lock.
#[derive(Debug)]
pub(crate) struct Constants {
    pub(crate) config: HubConfig,
    /// The boundary between the parts of multipart streams.
    pub(crate) boundary: String,
}

/// One subscription.
pub(crate) struct Subscriber {
    slots: TopicSlots,
    /// The technique's name in counters.
    technique: &'static str,
    /// The client that has named itself, with its topics.
    client: Option<ClientKey>,
    pub(super) sink: Sink,
}

/// Where a subscriber's messages go.
pub(crate) enum Sink {
    Stream { pusher: Pusher, wire_form: WireForm },
    Poll(WaitingPoll),
}

/// A held long poll.
pub(crate) struct WaitingPoll {
    pub(crate) held: Held,
    pub(crate) answers: Arc<PollAnswers>,
}

/// The token of a client, and the topics to which the client subscribes.
pub(crate) type ClientKey = (Arc<str>, Topics);

/// The state under the lock.
pub(crate) struct State {
    pub(crate) constants: Arc<Constants>,
    pub(crate) log: MemoryLog,
    pub(crate) topics: TopicTable,
    pub(crate) presence: Presence,
    pub(super) channels: Channels,
    /// What the hub remembers of a log outside the process.
    pub(super) replica: Replica,
    pub(super) outside: Option<Arc<Outside>>,
    /// The subscribers, by the lower half of their keys. The whole key stands beside each
    /// subscriber.
    subscribers: Slab<(u64, Subscriber)>,
    /// The upper half of the last key that was given out.
    last_generation: u32,
    polls_of_clients: HashMap<ClientKey, u64>,
    /// The answers of the last poll that was held.
    last_poll_answers: Option<Arc<PollAnswers>>,
}

impl State {
    pub(crate) fn new(constants: Arc<Constants>, log: MemoryLog, outside: Option<Arc<Outside>>) -> Self {
        Self {
            topics: TopicTable::new(constants.config.topics),
            constants,
            log,
            presence: Presence::default(),
            channels: Channels::default(),
            replica: Replica::default(),
            outside,
            subscribers: Slab::new(),
            last_generation: 0,
            polls_of_clients: HashMap::new(),
            last_poll_answers: None,
        }
    }

    /// Gives a payload its id, retains it, and delivers it to all subscribers of the topic. Returns
    /// the id and the number of subscribers.
    pub(crate) fn publish(&mut self, name: &Arc<str>, payload: Payload, now: Instant) -> Result<(Id, u64), PublishError> {
        let slot = self.topics.get_or_create(name, &mut self.log).ok_or(PublishError::TooManyTopics)?;
        Ok(self.publish_to(slot, name, payload, now))
    }

    /// As [`publish`](Self::publish), for a topic that exists.
    pub(super) fn publish_to(&mut self, slot: usize, name: &Arc<str>, payload: Payload, now: Instant) -> (Id, u64) {
        let message = self.log.append(slot, name, payload, now);
        let topic = &mut self.topics[slot];
        topic.published += 1;
        let reached = topic.users().subscribers.sum();
        topic.deliver(&message, &self.constants.boundary);
        let polls = topic.polls.take_all();
        self.release(polls, &message);
        (message.id(), reached)
    }

    /// Answers the polls that waited for this message. Each of them has received all messages
    /// before it. Polls with equal forms share one answer.
    fn release(&mut self, polls: Vec<u64>, message: &TopicMessage) {
        // Most topics have no polls.
        if polls.is_empty() {
            return;
        }
        let mut last: Option<(PollForm, Arc<Response>)> = None;
        let mut answers = Vec::with_capacity(polls.len());
        for key in polls {
            let Some(Subscriber { sink: Sink::Poll(poll), .. }) = self.remove_subscriber(key) else { continue };
            let (held, form) = (poll.held, poll.answers.form());
            match &last {
                Some((equal, response)) if equal == form => answers.push((held, Arc::clone(response))),
                _ => {
                    let response = Arc::new(form.answer_message(message));
                    answers.push((held, Arc::clone(&response)));
                    last = Some((form.clone(), response));
                }
            }
        }
        Held::release_all(answers);
    }

    /// The answers of a poll that no message gives.
    pub(crate) fn poll_answers(&mut self, form: &PollForm, cursor: Id) -> Arc<PollAnswers> {
        if let Some(answers) = self.last_poll_answers.as_ref().filter(|answers| answers.are_for(form, cursor)) {
            return Arc::clone(answers);
        }
        Arc::clone(self.last_poll_answers.insert(Arc::new(PollAnswers::new(form, cursor))))
    }

    /// The messages of these topics after a cursor. Topics that do not exist are not created.
    pub(crate) fn replay(&mut self, topics: &Topics, reading: &Reading) -> Found {
        let slots = self.topics.slots_of(topics);
        let includes_closed = slots.len() < topics.shared_names().len();
        self.read(&slots, &Reading { includes_closed, ..*reading })
    }

    /// Reads from the log, and counts a gap for each of the topics.
    pub(crate) fn read(&mut self, slots: &[usize], reading: &Reading) -> Found {
        let found = self.log.read(slots, reading);
        if let Found::Here(Replay { gap: true, .. }) = found {
            for slot in slots {
                self.topics[*slot].gaps += 1;
            }
        }
        found
    }

    /// The newest messages of these topics, at most `most` and up to a number of bytes. The result
    /// has at least one message if there are any.
    pub(crate) fn newest(&mut self, topics: &Topics, most: usize, limit_bytes: usize, now: Instant) -> Replay {
        self.log.newest(&self.topics.slots_of(topics), most, limit_bytes, now)
    }

    /// The key of the next subscriber, which the caller inserts before it gives up the lock. The
    /// lower half is the index in the slab, and the upper half is a generation. When a subscription
    /// ends late, its old key does not match the key of the next subscriber at the same index.
    pub(crate) fn next_key(&mut self) -> u64 {
        self.last_generation = self.last_generation.wrapping_add(1);
        u64::from(self.last_generation) << 32 | self.subscribers.vacant_key() as u64
    }

    /// The slots of these topics, which are created if they do not exist. They stay valid for as long
    /// as the lock is held, and while the topics have users.
    pub(crate) fn slots_for(&mut self, topics: &Topics) -> Option<TopicSlots> {
        self.topics.get_or_create_all(topics, &mut self.log)
    }

    /// Adds a subscriber. The slots must come from `slots_for` under the same lock.
    pub(crate) fn insert_subscriber(
        &mut self,
        key: u64,
        slots: &TopicSlots,
        technique: &'static str,
        client: Option<ClientKey>,
        sink: Sink,
    ) {
        for slot in &**slots {
            self.topics.change_users(*slot, |users| users.subscribers.add_one(technique));
            let topic = &mut self.topics[*slot];
            match &sink {
                Sink::Stream { pusher, wire_form } => topic.add_stream(pusher, wire_form),
                Sink::Poll(_) => {
                    let subscribers = &self.subscribers;
                    let is_there = |key| subscribers.get(index_of(key)).is_some_and(|(found, _)| *found == key);
                    topic.polls.add(key, is_there);
                }
            }
        }
        let slot = self.subscribers.insert((key, Subscriber { slots: slots.clone(), technique, client, sink }));
        debug_assert_eq!(slot, index_of(key), "`next_key` and `insert` run under one lock");
    }

    /// Ends the client's earlier poll for the same topics. The caller has inserted the new one: a
    /// removal changes the next free index of the slab, which the new key contains.
    pub(super) fn succeed_poll(&mut self, client: ClientKey, key: u64) {
        if let Some(earlier) = self.polls_of_clients.insert(client, key) {
            self.end_poll(earlier);
        }
    }

    /// Ends a poll, because its client has sent another one or must ask again. The answer has the
    /// cursor with which the poll came.
    pub(super) fn end_poll(&mut self, key: u64) {
        if let Some(Subscriber { sink: Sink::Poll(poll), .. }) = self.remove_subscriber(key) {
            poll.held.release(Arc::clone(poll.answers.empty()));
        }
    }

    /// The keys of the subscribers of which `is_denied` says so. It gets the client, the topics and the
    /// technique.
    pub(super) fn denied(&self, is_denied: impl Fn(Option<&str>, &[&str], &'static str) -> bool) -> Vec<u64> {
        let mut names = Vec::new();
        let mut keys = Vec::new();
        for (_, (key, subscriber)) in &self.subscribers {
            names.clear();
            names.extend(subscriber.slots.iter().map(|slot| &*self.topics[*slot].name));
            let client = subscriber.client.as_ref().map(|(token, _)| &**token);
            if is_denied(client, &names, subscriber.technique) {
                keys.push(*key);
            }
        }
        keys
    }

    /// The keys of all subscribers.
    pub(super) fn subscriber_keys(&self) -> Vec<u64> {
        self.subscribers.iter().map(|(_, (key, _))| *key).collect()
    }

    pub(super) fn sink_of(&self, key: u64) -> Option<&Sink> {
        self.subscribers.get(index_of(key)).filter(|(found, _)| *found == key).map(|(_, subscriber)| &subscriber.sink)
    }

    /// Removes a subscriber, if the key is still valid. The caller drops the result, so that it can
    /// give up the lock before.
    pub(crate) fn remove_subscriber(&mut self, key: u64) -> Option<Subscriber> {
        self.subscribers.get(index_of(key)).filter(|(found, _)| *found == key)?;
        let (_, subscriber) = self.subscribers.remove(index_of(key));
        for slot in &*subscriber.slots {
            self.topics.change_users(*slot, |users| users.subscribers.remove_one(subscriber.technique));
            match &subscriber.sink {
                Sink::Stream { pusher, wire_form } => self.topics[*slot].remove_stream(pusher, wire_form),
                Sink::Poll(_) => self.topics[*slot].polls.end_one(),
            }
        }
        if let (Sink::Poll(_), Some(client)) = (&subscriber.sink, &subscriber.client)
            && self.polls_of_clients.get(client) == Some(&key)
        {
            self.polls_of_clients.remove(client);
        }
        Some(subscriber)
    }

    /// Counts a client without a token as online.
    pub(crate) fn enter_anonymous(&mut self, slots: &TopicSlots, technique: &'static str, now: Instant) {
        self.count_anonymous(slots, technique, now, "join", |online| online.add_one(technique));
    }

    /// Counts a client without a token as offline.
    pub(crate) fn leave_anonymous(&mut self, slots: &TopicSlots, technique: &'static str, now: Instant) {
        self.count_anonymous(slots, technique, now, "leave", |online| online.remove_one(technique));
    }

    fn count_anonymous(
        &mut self,
        slots: &TopicSlots,
        technique: &'static str,
        now: Instant,
        event: &str,
        change: impl Fn(&mut PerTechnique),
    ) {
        for slot in &**slots {
            self.topics.change_users(*slot, |users| change(&mut users.anonymous));
            if self.publishes_presence() {
                let name = Arc::clone(&self.topics[*slot].name);
                self.publish_presence(&name, event, technique, now);
            }
        }
    }

    /// A client with a token begins a request or a connection.
    pub(crate) fn enter_client(&mut self, (token, topics): &ClientKey, technique: &'static str, now: Instant) {
        for name in topics.shared_names().iter().filter(|name| !name.ends_with(PRESENCE)) {
            if self.presence.enter(name, token, technique) {
                self.publish_presence(name, "join", technique, now);
            }
        }
    }

    /// A client with a token ends a request or a connection.
    pub(crate) fn leave_client(&mut self, (token, topics): &ClientKey, now: Instant) {
        let grace = self.constants.config.presence_grace;
        for name in topics.shared_names().iter().filter(|name| !name.ends_with(PRESENCE)) {
            self.presence.leave(name, token, now, grace);
        }
        self.expire_presence(now);
    }

    /// The clients of a topic that are online, with and without a token.
    pub(crate) fn online(&self, name: &str) -> PerTechnique {
        let anonymous = self.topics.get(name).map(|topic| topic.users().anonymous.clone()).unwrap_or_default();
        anonymous.plus(self.presence.online(name))
    }

    /// Ends the presence of the clients whose grace time is over, and of those that exceed
    /// `presence_absent`. Forgets the control channels whose grace time is over.
    pub(crate) fn expire_presence(&mut self, now: Instant) {
        self.channels.forget(now);
        let most = self.constants.config.presence_absent;
        while let Some((name, technique)) = self.presence.expire(now, most) {
            self.publish_presence(&name, "leave", technique, now);
        }
    }

    /// Whether a presence message may have to be published. Without presence topics, joining and
    /// leaving costs no text and no look-up.
    fn publishes_presence(&self) -> bool {
        self.constants.config.presence_messages || self.topics.has_presence()
    }

    /// Publishes that a client joined or left, if the presence topic exists or `presence_messages`
    /// is set.
    fn publish_presence(&mut self, name: &str, event: &str, technique: &'static str, now: Instant) {
        if !self.publishes_presence() {
            return;
        }
        let companion: Arc<str> = format!("{name}{PRESENCE}").into();
        if self.constants.config.presence_messages || self.topics.get(&companion).is_some() {
            let online = self.online(name).sum();
            let text = format!(r#"{{"event":"{event}","technique":"{technique}","online":{online}}}"#);
            let payload = Payload::text(text).event(event);
            // It fails only if the presence topic does not exist and cannot be created, and has no
            // subscribers then, or if a log outside the process is away.
            let _ = match &self.outside {
                None => self.publish(&companion, payload, now).map(drop),
                Some(outside) => outside.submit(companion, payload, now, None),
            };
        }
    }
}

/// The index of a subscriber in the slab.
const fn index_of(key: u64) -> usize {
    (key & u32::MAX as u64) as usize
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// The memory of a subscriber, without what all subscribers share.
    #[test]
    fn a_subscriber_is_small() {
        assert!(size_of::<(u64, Subscriber)>() <= 120, "{}", size_of::<(u64, Subscriber)>());
    }
}
