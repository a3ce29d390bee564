//! The state that the hub's lock protects.
//!
//! Owns the changes of the subscriptions, the delivery to them, and the shared answers of waiting
//! polls. Each operation runs completely under the lock. No operation waits: delivering and releasing
//! only post to the drivers of the connections. Leaves ids and retained messages to the log, the
//! table of subscribers to `subscribers`, requests to `http`, and the form of answers to `model`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::channels::Channels;
use super::config::HubConfig;
use super::outside::Outside;
use super::presence::Presence;
use super::publish::PublishError;
use super::replica::Replica;
use super::roster::driver_of;
use super::subscribers::{ClientKey, Online, Seats, Sink, Subscriber, Subscribers, WaitingPoll, index_of};
use super::topic::Place;
use super::topic_table::{TopicSlots, TopicTable};
use crate::push::log::{Found, MemoryLog, Reading};
use crate::push::model::{Id, PRESENCE, Payload, PerTechnique, PollAnswers, PollForm, Replay, TopicMessage, Topics, WireForm};
use crate::session::{Command, Destination, Held, LastWord, Response};

/// The values that never change after the hub is created. They are read without the lock.
#[derive(Debug)]
pub(crate) struct Constants {
    pub(crate) config: HubConfig,
    /// The boundary between the parts of multipart streams.
    pub(crate) boundary: String,
}

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
    subscribers: Subscribers,
    polls_of_clients: HashMap<Arc<ClientKey>, u64>,
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
            subscribers: Subscribers::default(),
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
            let Some(Sink::Poll(poll)) = self.end_subscriber(key) else { continue };
            let WaitingPoll { held, answers: of_poll } = *poll;
            let form = of_poll.form();
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

    /// The key of the next subscriber, which the caller inserts before it gives up the lock.
    pub(crate) fn next_key(&mut self) -> u64 {
        self.subscribers.next_key()
    }

    /// The slots of these topics, which are created if they do not exist. They stay valid for as long
    /// as the lock is held, and while the topics have users.
    pub(crate) fn slots_for(&mut self, topics: &Topics) -> Option<TopicSlots> {
        self.topics.get_or_create_all(topics, &mut self.log)
    }

    /// Subscribes a stream or a WebSocket. The slots must come from `slots_for` under the same lock.
    pub(super) fn insert_reader(
        &mut self,
        key: u64,
        slots: &TopicSlots,
        technique: &'static str,
        client: Option<Arc<ClientKey>>,
        online: Online,
        (reader, wire_form): (&Destination, &WireForm),
    ) {
        let seats = Seats::new(slots, |slot| self.topics[slot].add_reader(reader, wire_form, index_of(key)));
        self.insert_subscriber(key, seats, technique, client, online, Sink::Stream { driver: driver_of(&reader.post) });
    }

    /// Subscribes a held poll. The slots must come from `slots_for` under the same lock.
    pub(super) fn insert_poll(
        &mut self,
        key: u64,
        slots: &TopicSlots,
        technique: &'static str,
        client: Option<Arc<ClientKey>>,
        online: Online,
        poll: WaitingPoll,
    ) {
        for slot in &**slots {
            let subscribers = &self.subscribers;
            self.topics[*slot].polls.add(key, |key| subscribers.has_poll(key));
        }
        let seats = Seats::new(slots, |_| Place::default());
        self.insert_subscriber(key, seats, technique, client, online, Sink::Poll(Box::new(poll)));
    }

    fn insert_subscriber(
        &mut self,
        key: u64,
        seats: Seats,
        technique: &'static str,
        client: Option<Arc<ClientKey>>,
        online: Online,
        sink: Sink,
    ) {
        for seat in seats.all() {
            self.topics.change_users(seat.topic(), |users| users.subscribers.add_one(technique));
        }
        self.subscribers.insert(key, seats, technique, client, online, sink);
    }

    /// Ends the client's earlier poll for the same topics. The caller has inserted the new one: a
    /// removal changes the next free index of the table, which the new key contains.
    pub(super) fn succeed_poll(&mut self, client: Arc<ClientKey>, key: u64) {
        if let Some(earlier) = self.polls_of_clients.insert(client, key) {
            self.end_poll(earlier);
        }
    }

    /// Ends a poll, because its client has sent another one or must ask again. The answer has the
    /// cursor with which the poll came.
    pub(super) fn end_poll(&mut self, key: u64) {
        if let Some(Sink::Poll(poll)) = self.end_subscriber(key) {
            poll.held.release(Arc::clone(poll.answers.empty()));
        }
    }

    /// The keys of the subscribers of which `is_denied` says so. It gets the client, the topics and
    /// the technique.
    pub(super) fn denied(&self, is_denied: impl Fn(Option<&str>, &[&str], &'static str) -> bool) -> Vec<u64> {
        let mut names = Vec::new();
        let mut keys = Vec::new();
        for (key, subscriber) in self.subscribers.live() {
            names.clear();
            names.extend(subscriber.seats.all().iter().map(|seat| &*self.topics[seat.topic()].name));
            let client = subscriber.client.as_ref().map(|client| &*client.0);
            if is_denied(client, &names, self.subscribers.technique(subscriber)) {
                keys.push(key);
            }
        }
        keys
    }

    /// The keys of all subscribers.
    pub(super) fn subscriber_keys(&self) -> Vec<u64> {
        self.subscribers.live().map(|(key, _)| key).collect()
    }

    /// Whether a held poll with this key waits.
    pub(super) fn has_poll(&self, key: u64) -> bool {
        self.subscribers.has_poll(key)
    }

    /// Ends the connection of a stream or a WebSocket with this last word. Returns whether the key is
    /// that of one. The subscription ends when the connection drops its guard.
    pub(super) fn end_reader(&self, key: u64, word: &Arc<LastWord>) -> bool {
        let Some(Subscriber { seats, sink: Sink::Stream { driver }, .. }) = self.subscribers.get(key) else { return false };
        // It takes the same commands in all of its topics.
        let reader = seats.all().first().and_then(|seat| self.topics[seat.topic()].reader(*driver, seat.place));
        if let Some(Destination { post, address }) = reader {
            post.post(address, Command::End(Arc::clone(word)));
        }
        true
    }

    /// Ends a subscription, if it has not ended before. The caller drops the result, so that it can
    /// give up the lock before. The guard of the subscription is still there, and with it the
    /// presence of the client.
    pub(crate) fn end_subscriber(&mut self, key: u64) -> Option<Sink> {
        let subscriber = self.subscribers.get_mut(key)?;
        let sink = std::mem::replace(&mut subscriber.sink, Sink::Ended);
        if let Sink::Ended = sink {
            return None;
        }
        let seats = std::mem::take(&mut subscriber.seats);
        let (client, online) = (subscriber.client.clone(), subscriber.online);
        let technique = self.subscribers.get(key).map_or("", |subscriber| self.subscribers.technique(subscriber));
        for seat in seats.all() {
            let topic = seat.topic();
            match &sink {
                Sink::Stream { driver } => {
                    if let Some(moved) = self.topics[topic].remove_reader(*driver, seat.place) {
                        self.subscribers.move_to(moved, topic, seat.place);
                    }
                }
                Sink::Poll(_) => self.topics[topic].polls.end_one(),
                Sink::Ended => {}
            }
            self.topics.change_users(topic, |users| users.subscribers.remove_one(technique));
        }
        if let (Sink::Poll(_), Some(client)) = (&sink, &client)
            && self.polls_of_clients.get(client) == Some(&key)
        {
            self.polls_of_clients.remove(client);
        }
        match online {
            Online::OfChannel => _ = self.subscribers.remove(key),
            Online::Client => {}
            // The topics at which the client is online keep their slots until it leaves.
            Online::Anonymous => {
                if let Some(subscriber) = self.subscribers.get_mut(key) {
                    subscriber.seats = seats.retain(|seat| !self.topics[seat.topic()].is_presence());
                }
            }
        }
        Some(sink)
    }

    /// Counts messages that the connection of a subscriber has dropped, for each of its topics.
    pub(super) fn count_drops(&self, key: u64, count: usize) {
        for seat in self.subscribers.get(key).into_iter().flat_map(|subscriber| subscriber.seats.all()) {
            self.topics[seat.topic()].drops.fetch_add(count as u64, Relaxed);
        }
    }

    /// Counts the client of a subscription as online.
    pub(super) fn enter(&mut self, key: u64, now: Instant) {
        self.change_presence(key, now, true);
    }

    /// Ends a subscription whose guard is dropped, and the presence of its client. The caller drops
    /// the result, so that it can give up the lock before.
    pub(super) fn leave(&mut self, key: u64, now: Instant) -> Option<Sink> {
        let sink = self.end_subscriber(key);
        self.change_presence(key, now, false);
        self.subscribers.remove(key);
        sink
    }

    fn change_presence(&mut self, key: u64, now: Instant, enters: bool) {
        let Some(subscriber) = self.subscribers.get(key) else { return };
        let technique = self.subscribers.technique(subscriber);
        match (subscriber.online, &subscriber.client) {
            (Online::Client, Some(client)) => {
                let client = Arc::clone(client);
                if enters { self.enter_client(&client, technique, now) } else { self.leave_client(&client, now) }
            }
            (Online::Anonymous, _) => match &subscriber.seats {
                Seats::One(seat) => self.count_anonymous(&[seat.topic()], technique, now, enters),
                seats => {
                    let topics: Vec<_> = seats.all().iter().map(|seat| seat.topic()).collect();
                    self.count_anonymous(&topics, technique, now, enters);
                }
            },
            (Online::Client | Online::OfChannel, _) => {}
        }
    }

    /// Counts a client without a token as online or offline, except at presence topics.
    fn count_anonymous(&mut self, topics: &[usize], technique: &'static str, now: Instant, enters: bool) {
        for topic in topics {
            if self.topics[*topic].is_presence() {
                continue;
            }
            self.topics.change_users(*topic, |users| {
                if enters { users.anonymous.add_one(technique) } else { users.anonymous.remove_one(technique) }
            });
            if self.publishes_presence() {
                let name = Arc::clone(&self.topics[*topic].name);
                self.publish_presence(&name, if enters { "join" } else { "leave" }, technique, now);
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
