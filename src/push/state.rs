//! What the hub's lock protects.
//!
//! Owns topics, subscriptions and the one sequence; every operation is whole under the lock, and none of them waits: pushing and releasing
//! only post to drivers. Refuses HTTP.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use slab::Slab;

use super::answer::Shape;
use super::history::History;
use super::message::Form;
use super::presence::{Presence, Who};
use super::topic::{PRESENCE, Topics};
use super::{Cursor, HubConfig, Id, Message, Payload, PerTechnique, PublishError, Replay, Technique};
use crate::session::{Audience, Held, Pusher, Response};

/// What never changes.
#[derive(Debug)]
pub(super) struct Constants {
    pub(super) config: HubConfig,
    pub(super) epoch: u64,
    /// Between the parts of multipart streams.
    pub(super) boundary: String,
}

impl Constants {
    pub(super) const fn id(&self, sequence: u64) -> Id {
        Id { epoch: self.epoch, sequence }
    }
}

/// How a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Form(Form),
    /// A script element that calls this function.
    Script(Arc<str>),
}

impl Wire {
    pub(super) fn frame(&self, message: &Message, boundary: &str) -> crate::proto::Frame {
        match self {
            Self::Form(form) => message.frame(*form, boundary).clone(),
            Self::Script(callback) => message.script(callback),
        }
    }
}

#[derive(Default)]
pub(super) struct Topic {
    pub(super) history: History,
    pub(super) published: u64,
    pub(super) gaps: u64,
    /// Counted without the lock: where messages are dropped, a connection is at work.
    pub(super) drops: Arc<AtomicU64>,
    pub(super) subscribers: PerTechnique,
    used: u64,
    audiences: [Audience; Form::COUNT],
    scripts: HashMap<Arc<str>, Audience>,
    polls: BTreeSet<u64>,
}

impl Topic {
    /// The audience of a wire form.
    fn audience(&mut self, wire: &Wire) -> &mut Audience {
        match wire {
            Wire::Form(form) => &mut self.audiences[*form as usize],
            Wire::Script(callback) => self.scripts.entry(Arc::clone(callback)).or_default(),
        }
    }
}

/// One subscription.
pub(super) struct Subscriber {
    topics: Topics,
    technique: Technique,
    sink: Sink,
}

pub(super) enum Sink {
    Stream { pusher: Pusher, wire: Wire },
    Poll(WaitingPoll),
}

/// A long poll.
pub(super) struct WaitingPoll {
    pub(super) held: Held,
    pub(super) shape: Shape,
    pub(super) cursor: Id,
    /// Whose it is: the client's next poll ends it.
    pub(super) client: Option<Arc<str>>,
}

pub(super) struct State {
    pub(super) constants: Arc<Constants>,
    pub(super) sequence: u64,
    pub(super) topics: HashMap<Arc<str>, Topic>,
    pub(super) presence: Presence,
    /// The place up to which messages of forgotten topics may be gone.
    forgotten_to: u64,
    /// By the lower half of their numbers.
    subscribers: Slab<(u64, Subscriber)>,
    /// The upper half of the last number that was given out.
    last_subscriber: u32,
    polls_of_clients: HashMap<(Arc<str>, Topics), u64>,
    uses: u64,
    /// Topics on which joining and leaving is published.
    presence_topics: usize,
    /// The latest answer to a poll that nothing came for. Nearly all polls wait behind the same message, and share it.
    empty: Option<(Shape, Id, Arc<Response>)>,
}

impl State {
    pub(super) fn new(constants: Arc<Constants>) -> Self {
        Self {
            constants,
            sequence: 0,
            topics: HashMap::new(),
            presence: Presence::default(),
            forgotten_to: 0,
            subscribers: Slab::new(),
            last_subscriber: 0,
            polls_of_clients: HashMap::new(),
            uses: 0,
            presence_topics: 0,
            empty: None,
        }
    }

    /// Makes a topic if need be. Returns whether there is room for it.
    fn make_one(&mut self, name: &Arc<str>) -> bool {
        self.uses += 1;
        if let Some(topic) = self.topics.get_mut(name) {
            topic.used = self.uses;
            return true;
        }
        if self.topics.len() >= self.constants.config.topics && self.forget_one().is_none() {
            return false;
        }
        let topic = Topic { history: History::unknown_to(self.forgotten_to), used: self.uses, ..Topic::default() };
        self.topics.insert(Arc::clone(name), topic);
        self.presence_topics += usize::from(name.ends_with(PRESENCE));
        true
    }

    /// Forgets the topic that was used least recently, of those that nobody listens to. What it had is gone, and which topic it was is
    /// forgotten, too: a cursor from before meets a gap in every topic that is made from now on.
    fn forget_one(&mut self) -> Option<()> {
        let idle = self.topics.iter().filter(|(_, topic)| topic.subscribers.sum() == 0);
        let name = Arc::clone(idle.min_by_key(|(_, topic)| topic.used)?.0);
        let topic = self.topics.remove(&name)?;
        self.presence_topics -= usize::from(name.ends_with(PRESENCE));
        self.forgotten_to = self.forgotten_to.max(topic.history.last());
        Some(())
    }

    /// Makes these topics. Returns whether there is room for all.
    pub(super) fn make(&mut self, topics: &Topics) -> bool {
        // The last one may have taken the place of the first.
        let are_made = topics.shared().iter().all(|name| self.make_one(name));
        are_made && (topics.shared().len() == 1 || topics.shared().iter().all(|name| self.topics.contains_key(name)))
    }

    pub(super) fn publish(&mut self, name: &Arc<str>, payload: Payload, now: Instant) -> Result<(Id, u64), PublishError> {
        let constants = Arc::clone(&self.constants);
        let id = constants.id(self.sequence + 1);
        if !self.make_one(name) {
            return Err(PublishError::TooManyTopics);
        }
        let topic = self.topics.get_mut(name).ok_or(PublishError::TooManyTopics)?;
        let message = Arc::new(Message::new(id, Arc::clone(name), payload, now));
        topic.published += 1;
        topic.history.push(Arc::clone(&message), &constants.config);
        let reached = topic.subscribers.sum();
        let boundary = &constants.boundary;
        for (form, audience) in FORMS.into_iter().zip(&topic.audiences) {
            if !audience.is_empty() {
                audience.push(message.frame(form, boundary));
            }
        }
        for (callback, audience) in &topic.scripts {
            audience.push(&message.script(callback));
        }
        let polls = std::mem::take(&mut topic.polls);
        self.sequence = id.sequence;
        self.release(polls, &message);
        Ok((id, reached))
    }

    /// Answers the polls that waited for this message. They had everything before it.
    fn release(&mut self, polls: BTreeSet<u64>, message: &Message) {
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
    pub(super) fn empty_answer(&mut self, shape: &Shape, cursor: Id) -> Arc<Response> {
        match &self.empty {
            Some((same_shape, same_cursor, response)) if same_shape == shape && *same_cursor == cursor => Arc::clone(response),
            _ => {
                let response = Arc::new(shape.empty(cursor));
                self.empty = Some((shape.clone(), cursor, Arc::clone(&response)));
                response
            }
        }
    }

    /// Everything behind a cursor, up to a number of bytes.
    pub(super) fn since(&mut self, topics: &Topics, cursor: Cursor, limit_bytes: usize, now: Instant) -> Replay {
        let age = self.constants.config.history_age;
        let (mut gone_to, mut has_topic) = (0, false);
        for name in topics.shared() {
            let gone = self.topics.get_mut(name).map(|topic| {
                topic.history.expire(now, age);
                topic.history.gone_to()
            });
            gone_to = gone_to.max(gone.unwrap_or(self.forgotten_to));
            has_topic |= gone.is_some();
        }
        let (after, is_known) = match cursor {
            Cursor::New => (self.sequence, true),
            Cursor::Earliest => (0, true),
            Cursor::After(id) if id.epoch != self.constants.epoch || id.sequence > self.sequence => (0, false),
            Cursor::After(id) => (id.sequence, id.sequence >= gone_to),
        };
        let from = if cursor == Cursor::Earliest || !is_known { gone_to.max(after) } else { after };
        let mut missed: Vec<_> = if has_topic && after < self.sequence {
            let found = topics.shared().iter().filter_map(|name| self.topics.get(name));
            found.flat_map(|topic| topic.history.after(after)).cloned().collect()
        } else {
            Vec::new()
        };
        if topics.shared().len() > 1 {
            missed.sort_unstable_by_key(|message| message.id());
        }
        let mut bytes = 0;
        let fitting = missed.iter().take_while(|message| {
            let fits = bytes == 0 || bytes + message.bytes().len() <= limit_bytes;
            bytes += message.bytes().len().max(1);
            fits
        });
        let len = fitting.count();
        let is_whole = len == missed.len();
        missed.truncate(len);
        if !is_known {
            for name in topics.shared() {
                if let Some(topic) = self.topics.get_mut(name) {
                    topic.gaps += 1;
                }
            }
        }
        let from = self.constants.id(from);
        let last = missed.last().map_or(from, |message| message.id());
        Replay { gap: !is_known, from, last, messages: missed, is_whole }
    }

    /// A number for somebody new, who is to be inserted at once: a place, and who is the how manieth to have one, so that who comes too late
    /// to leave does not take a stranger's.
    pub(super) fn number(&mut self) -> u64 {
        self.last_subscriber = self.last_subscriber.wrapping_add(1);
        u64::from(self.last_subscriber) << 32 | self.subscribers.vacant_key() as u64
    }

    /// Adds a subscriber to topics that have just been made.
    pub(super) fn insert(&mut self, number: u64, topics: &Topics, technique: Technique, sink: Sink) {
        for name in topics.shared() {
            let topic = self.topics.get_mut(name).expect("the topic was made");
            topic.subscribers[technique] += 1;
            match &sink {
                Sink::Stream { pusher, wire } => _ = topic.audience(wire).insert(pusher),
                Sink::Poll(_) => {
                    topic.polls.insert(number);
                }
            }
        }
        let mut earlier = None;
        if let Sink::Poll(WaitingPoll { client: Some(client), .. }) = &sink {
            let key = (Arc::clone(client), topics.clone());
            earlier = self.polls_of_clients.insert(key, number);
        }
        let place = self.subscribers.insert((number, Subscriber { topics: topics.clone(), technique, sink }));
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
    pub(super) fn remove(&mut self, number: u64) -> Option<Subscriber> {
        self.subscribers.get(place_of(number)).filter(|(found, _)| *found == number)?;
        let (_, subscriber) = self.subscribers.remove(place_of(number));
        for name in subscriber.topics.shared() {
            let Some(topic) = self.topics.get_mut(name) else { continue };
            topic.subscribers[subscriber.technique] -= 1;
            match &subscriber.sink {
                Sink::Stream { pusher, wire } => {
                    let audience = topic.audience(wire);
                    audience.remove(pusher);
                    if let (true, Wire::Script(callback)) = (audience.is_empty(), wire) {
                        topic.scripts.remove(callback);
                    }
                }
                Sink::Poll(_) => {
                    topic.polls.remove(&number);
                }
            }
        }
        if let Sink::Poll(WaitingPoll { client: Some(client), .. }) = &subscriber.sink {
            let key = (Arc::clone(client), subscriber.topics.clone());
            if self.polls_of_clients.get(&key) == Some(&number) {
                self.polls_of_clients.remove(&key);
            }
        }
        Some(subscriber)
    }

    pub(super) fn enter(&mut self, topics: &Topics, who: &Who, technique: Technique, now: Instant) {
        for name in topics.shared().iter().filter(|name| !name.ends_with(PRESENCE)) {
            if self.presence.enter(name, who, technique) {
                self.announce(name, "join", technique, now);
            }
        }
    }

    pub(super) fn leave(&mut self, topics: &Topics, who: &Who, technique: Technique, now: Instant) {
        let grace = self.constants.config.presence_grace;
        for name in topics.shared().iter().filter(|name| !name.ends_with(PRESENCE)) {
            if let Some(technique) = self.presence.leave(name, who, technique, now, grace) {
                self.announce(name, "leave", technique, now);
            }
        }
        self.expire(now);
    }

    /// Lets those leave whose grace time is over, or who are too many.
    pub(super) fn expire(&mut self, now: Instant) {
        let most = self.constants.config.presence_absent;
        while let Some((name, technique)) = self.presence.expire(now, most) {
            self.announce(&name, "leave", technique, now);
        }
    }

    /// Tells who wants to know, if somebody has asked.
    fn announce(&mut self, name: &str, event: &str, technique: Technique, now: Instant) {
        if !self.constants.config.presence_messages && self.presence_topics == 0 {
            return;
        }
        let companion: Arc<str> = format!("{name}{PRESENCE}").into();
        if self.constants.config.presence_messages || self.topics.contains_key(&companion) {
            let (online, technique) = (self.presence.online(name).sum(), technique.name());
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

/// In the order of their audiences.
const FORMS: [Form; Form::COUNT] =
    [Form::Line, Form::RawLine, Form::Event, Form::JsonEvent, Form::WsJson, Form::WsRaw, Form::Part, Form::JsonPart];
