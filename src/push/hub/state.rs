//! What the hub's lock protects.
//!
//! Owns subscriptions, the one sequence and what is behind a cursor; every operation is whole under the lock, and none of them waits: pushing and releasing
//! only post to drivers. Refuses HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

use super::config::HubConfig;
use super::presence::Presence;
use super::publish::PublishError;
use super::topic_table::{Board, Places};
use crate::push::model::{Cursor, Id, Merge, Message, PRESENCE, Payload, PerTechnique, Replay, Shape, Technique, Topics, Wire};
use crate::session::{Held, Pusher, Response};

/// What never changes.
#[derive(Debug)]
pub(crate) struct Constants {
    pub(crate) config: HubConfig,
    pub(crate) epoch: u64,
    /// Between the parts of multipart streams.
    pub(crate) boundary: String,
}

impl Constants {
    pub(crate) const fn id(&self, sequence: u64) -> Id {
        Id { epoch: self.epoch, sequence }
    }

    /// A cursor of an epoch that is not this hub's. Everything that is retained follows it, behind
    /// a gap.
    pub(crate) const fn foreign(&self) -> Cursor {
        Cursor::After(Id { epoch: !self.epoch, sequence: 0 })
    }
}

/// One subscription.
pub(crate) struct Subscriber {
    places: Places,
    technique: Technique,
    sink: Sink,
}

pub(crate) enum Sink {
    Stream { pusher: Pusher, wire: Wire },
    Poll(WaitingPoll),
}

/// A long poll.
pub(crate) struct WaitingPoll {
    pub(crate) held: Held,
    pub(crate) shape: Shape,
    pub(crate) cursor: Id,
    /// Whose it is: the client's next poll of these topics ends it.
    pub(crate) client: Option<Client>,
}

/// A client that has named itself, and what it listens to.
pub(crate) type Client = (Arc<str>, Topics);

pub(crate) struct State {
    pub(crate) constants: Arc<Constants>,
    pub(crate) sequence: u64,
    pub(crate) topics: Board,
    pub(crate) presence: Presence,
    /// By the lower half of their numbers.
    subscribers: Slab<(u64, Subscriber)>,
    /// The upper half of the last number that was given out.
    last_subscriber: u32,
    polls_of_clients: HashMap<Client, u64>,
    /// The latest answer to a poll that nothing came for. Nearly all polls wait behind the same message, and share it.
    empty: Option<(Shape, Id, Arc<Response>)>,
}

impl State {
    pub(crate) fn new(constants: Arc<Constants>) -> Self {
        Self {
            topics: Board::new(constants.config.topics),
            constants,
            sequence: 0,
            presence: Presence::default(),
            subscribers: Slab::new(),
            last_subscriber: 0,
            polls_of_clients: HashMap::new(),
            empty: None,
        }
    }

    pub(crate) fn publish(&mut self, name: &Arc<str>, payload: Payload, now: Instant) -> Result<(Id, u64), PublishError> {
        let constants = Arc::clone(&self.constants);
        let id = constants.id(self.sequence + 1);
        let place = self.topics.make_one(name).ok_or(PublishError::TooManyTopics)?;
        let message = Arc::new(Message::new(id, Arc::clone(name), payload, now));
        self.topics.retain(place, Arc::clone(&message), &constants.config.history_bounds());
        let topic = &mut self.topics[place];
        topic.published += 1;
        let reached = topic.users().subscribers.sum();
        topic.push(&message, &constants.boundary);
        let polls = topic.polls.take();
        self.sequence = id.sequence;
        self.release(polls, &message);
        Ok((id, reached))
    }

    /// Answers the polls that waited for this message. They had everything before it.
    fn release(&mut self, polls: Vec<u64>, message: &Message) {
        let mut last: Option<(Shape, Arc<Response>)> = None;
        let mut answers = Vec::with_capacity(polls.len());
        for number in polls {
            let Some(Subscriber { sink: Sink::Poll(poll), .. }) = self.remove(number) else { continue };
            let WaitingPoll { held, shape, .. } = poll;
            match &last {
                Some((equal, response)) if *equal == shape => answers.push((held, Arc::clone(response))),
                _ => {
                    let response = Arc::new(shape.one(message));
                    answers.push((held, Arc::clone(&response)));
                    last = Some((shape, response));
                }
            }
        }
        Held::release_all(answers);
    }

    /// The answer to a poll that nothing came for.
    pub(crate) fn empty_answer(&mut self, shape: &Shape, cursor: Id) -> Arc<Response> {
        match &self.empty {
            Some((same_shape, same_cursor, response)) if same_shape == shape && *same_cursor == cursor => Arc::clone(response),
            _ => {
                let response = Arc::new(shape.empty(cursor));
                self.empty = Some((shape.clone(), cursor, Arc::clone(&response)));
                response
            }
        }
    }

    /// Everything of these topics behind a cursor, up to a number of bytes.
    pub(crate) fn replay(&mut self, topics: &Topics, cursor: Cursor, limit_bytes: usize, now: Instant) -> Replay {
        let places = self.topics.find(topics);
        let gone_to = if places.len() < topics.shared().len() { self.topics.forgotten_to() } else { 0 };
        self.behind(&places, gone_to, 0, cursor, now, limit_bytes)
    }

    /// The same where all of the topics are made. Gaps up to the place `told_to` of the sequence
    /// have been told.
    pub(crate) fn since(&mut self, places: &Places, told_to: u64, cursor: Cursor, limit_bytes: usize, now: Instant) -> Replay {
        self.behind(places, 0, told_to, cursor, now, limit_bytes)
    }

    fn behind(&mut self, places: &[usize], mut gone_to: u64, told_to: u64, cursor: Cursor, now: Instant, limit_bytes: usize) -> Replay {
        let age = self.constants.config.history_age;
        for place in places {
            let history = &mut self.topics[*place].history;
            history.expire(now, age);
            gone_to = gone_to.max(history.gone_to());
        }
        let (after, is_known) = match cursor {
            Cursor::New => (self.sequence, true),
            Cursor::Earliest => (0, true),
            Cursor::After(id) if id.epoch != self.constants.epoch || id.sequence > self.sequence => (0, false),
            Cursor::After(id) => (id.sequence, id.sequence.max(told_to) >= gone_to),
        };
        let from = if cursor == Cursor::Earliest || !is_known { gone_to.max(after) } else { after };
        if !is_known {
            for place in places {
                self.topics[*place].gaps += 1;
            }
        }
        let histories = places.iter().map(|place| self.topics[*place].history.after(after));
        let mut rest = Merge::new(histories).peekable();
        let (mut missed, mut bytes) = (Vec::new(), 0);
        while let Some(message) = rest.next_if(|message| bytes == 0 || bytes + message.bytes().len() <= limit_bytes) {
            bytes += message.bytes().len().max(1);
            missed.push(Arc::clone(message));
        }
        let is_whole = rest.peek().is_none();
        let from = self.constants.id(from);
        let last = missed.last().map_or(from, |message| message.id());
        Replay { gap: !is_known, from, last, messages: missed, is_whole }
    }

    /// The newest messages of these topics, as many as `most` and up to a number of bytes; at least
    /// one, if there are any.
    pub(crate) fn newest(&mut self, topics: &Topics, most: usize, limit_bytes: usize, now: Instant) -> Replay {
        let mut from = 0;
        let mut messages = Vec::new();
        for place in self.topics.find(topics) {
            let history = &mut self.topics[place].history;
            history.expire(now, self.constants.config.history_age);
            from = from.max(history.gone_to());
            messages.extend(history.after(0).rev().take(most.saturating_add(1)).cloned());
        }
        messages.sort_unstable_by_key(|message| message.id());
        let mut bytes = 0_usize;
        let fits = |message: &&Arc<Message>| {
            let is_first = bytes == 0;
            bytes += message.bytes().len().max(1);
            is_first || bytes <= limit_bytes
        };
        let len = messages.iter().rev().take(most).take_while(fits).count();
        let left_out = messages.len() - len;
        from = messages[..left_out].last().map_or(from, |message| message.id().sequence);
        messages.drain(..left_out);
        let from = self.constants.id(from);
        Replay { gap: false, from, last: messages.last().map_or(from, |message| message.id()), messages, is_whole: true }
    }

    /// A number for somebody new, who is to be inserted at once: a place, and who is the how manieth to have one, so that who comes too late
    /// to leave does not take a stranger's.
    pub(crate) fn number(&mut self) -> u64 {
        self.last_subscriber = self.last_subscriber.wrapping_add(1);
        u64::from(self.last_subscriber) << 32 | self.subscribers.vacant_key() as u64
    }

    /// Adds a subscriber to topics that have just been made.
    pub(crate) fn insert(&mut self, number: u64, places: &Places, technique: Technique, sink: Sink) {
        for place in &**places {
            self.topics.count(*place, |users| users.subscribers[technique] += 1);
            let topic = &mut self.topics[*place];
            match &sink {
                Sink::Stream { pusher, wire } => topic.add(pusher, wire),
                Sink::Poll(_) => {
                    let subscribers = &topic.users().subscribers;
                    let waiting = subscribers[Technique::LongPoll] + subscribers[Technique::Jsonp] - 1;
                    let subscribers = &self.subscribers;
                    let is_there = |number| subscribers.get(place_of(number)).is_some_and(|(found, _)| *found == number);
                    topic.polls.add(number, waiting as usize, is_there);
                }
            }
        }
        let mut earlier = None;
        if let Sink::Poll(WaitingPoll { client: Some(client), .. }) = &sink {
            earlier = self.polls_of_clients.insert(client.clone(), number);
        }
        let place = self.subscribers.insert((number, Subscriber { places: places.clone(), technique, sink }));
        debug_assert_eq!(place, place_of(number), "nobody came in between");
        if let Some(number) = earlier {
            self.end_poll(number);
        }
    }

    /// Ends a poll whose client has begun another; it comes with the same cursor as it went.
    fn end_poll(&mut self, number: u64) {
        if let Some(Subscriber { sink: Sink::Poll(poll), .. }) = self.remove(number) {
            poll.held.release(poll.shape.empty(poll.cursor));
        }
    }

    /// Takes a subscriber away. What it had is the caller's to drop.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Subscriber> {
        self.subscribers.get(place_of(number)).filter(|(found, _)| *found == number)?;
        let (_, subscriber) = self.subscribers.remove(place_of(number));
        for place in &*subscriber.places {
            self.topics.count(*place, |users| users.subscribers[subscriber.technique] -= 1);
            if let Sink::Stream { pusher, wire } = &subscriber.sink {
                self.topics[*place].remove(pusher, wire);
            }
        }
        if let Sink::Poll(WaitingPoll { client: Some(client), .. }) = &subscriber.sink
            && self.polls_of_clients.get(client) == Some(&number)
        {
            self.polls_of_clients.remove(client);
        }
        Some(subscriber)
    }

    /// Somebody without a token is there.
    pub(crate) fn enter(&mut self, places: &Places, technique: Technique, now: Instant) {
        self.count(places, technique, now, "join", |online| online[technique] += 1);
    }

    /// Somebody without a token is gone.
    pub(crate) fn leave(&mut self, places: &Places, technique: Technique, now: Instant) {
        self.count(places, technique, now, "leave", |online| online[technique] -= 1);
    }

    fn count(&mut self, places: &Places, technique: Technique, now: Instant, event: &str, change: impl Fn(&mut PerTechnique)) {
        for place in &**places {
            self.topics.count(*place, |users| change(&mut users.nameless));
            if self.is_presence_told() {
                let name = Arc::clone(&self.topics[*place].name);
                self.announce(&name, event, technique, now);
            }
        }
    }

    /// A client with a token is there.
    pub(crate) fn enter_named(&mut self, (token, topics): &Client, technique: Technique, now: Instant) {
        for name in topics.shared().iter().filter(|name| !name.ends_with(PRESENCE)) {
            if self.presence.enter(name, token, technique) {
                self.announce(name, "join", technique, now);
            }
        }
    }

    /// A client with a token has ended something.
    pub(crate) fn leave_named(&mut self, (token, topics): &Client, now: Instant) {
        let grace = self.constants.config.presence_grace;
        for name in topics.shared().iter().filter(|name| !name.ends_with(PRESENCE)) {
            self.presence.leave(name, token, now, grace);
        }
        self.expire(now);
    }

    /// Who is online.
    pub(crate) fn online(&self, name: &str) -> PerTechnique {
        let nameless = self.topics.get(name).map(|topic| topic.users().nameless).unwrap_or_default();
        nameless.plus(&self.presence.online(name))
    }

    /// Lets those leave whose grace time is over, or who are too many.
    pub(crate) fn expire(&mut self, now: Instant) {
        let most = self.constants.config.presence_absent;
        while let Some((name, technique)) = self.presence.expire(now, most) {
            self.announce(&name, "leave", technique, now);
        }
    }

    fn is_presence_told(&self) -> bool {
        self.constants.config.presence_messages || self.topics.has_presence()
    }

    /// Tells who wants to know, if somebody has asked.
    fn announce(&mut self, name: &str, event: &str, technique: Technique, now: Instant) {
        if !self.is_presence_told() {
            return;
        }
        let companion: Arc<str> = format!("{name}{PRESENCE}").into();
        if self.constants.config.presence_messages || self.topics.get(&companion).is_some() {
            let (online, technique) = (self.online(name).sum(), technique.name());
            let text = format!(r#"{{"event":"{event}","technique":"{technique}","online":{online}}}"#);
            // Without room for one topic more there is nobody to be told.
            let _ = self.publish(&companion, Payload::text(text).event(event), now);
        }
    }
}

/// Where the subscriber of this number is, if it is still there.
const fn place_of(number: u64) -> usize {
    (number & u32::MAX as u64) as usize
}
