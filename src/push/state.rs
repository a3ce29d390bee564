//! What the hub's lock protects.
//!
//! Owns topics, subscriptions and the one sequence; every operation is whole under the lock, and none of them waits: pushing and releasing
//! only post to drivers. Refuses HTTP.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use slab::Slab;

use super::answer::Shape;
use super::history::History;
use super::message::Form;
use super::polls::Polls;
use super::presence::Presence;
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

pub(super) struct Topic {
    name: Arc<str>,
    pub(super) history: History,
    pub(super) published: u64,
    pub(super) gaps: u64,
    /// Counted without the lock: where messages are dropped, a connection is at work.
    pub(super) drops: Arc<AtomicU64>,
    pub(super) subscribers: PerTechnique,
    /// Who is online without a token.
    nameless: PerTechnique,
    used: u64,
    audiences: [Audience; Form::COUNT],
    scripts: HashMap<Arc<str>, Audience>,
    polls: Polls,
}

impl Topic {
    fn new(name: Arc<str>, history: History, used: u64) -> Self {
        Self {
            name,
            history,
            published: 0,
            gaps: 0,
            drops: Arc::default(),
            subscribers: PerTechnique::default(),
            nameless: PerTechnique::default(),
            used,
            audiences: Default::default(),
            scripts: HashMap::new(),
            polls: Polls::default(),
        }
    }

    /// Whether somebody has a place here, who must find it again.
    fn is_in_use(&self) -> bool {
        self.subscribers.sum() + self.nameless.sum() > 0
    }

    fn is_presence(&self) -> bool {
        self.name.ends_with(PRESENCE)
    }

    /// The audience of a wire form.
    fn audience(&mut self, wire: &Wire) -> &mut Audience {
        match wire {
            Wire::Form(form) => &mut self.audiences[*form as usize],
            Wire::Script(callback) => self.scripts.entry(Arc::clone(callback)).or_default(),
        }
    }
}

/// Where topics are, for as long as somebody has a place there.
#[derive(Clone)]
pub(super) enum Places {
    One(usize),
    Several(Arc<[usize]>),
}

impl Deref for Places {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Several(places) => places,
        }
    }
}

/// One subscription.
pub(super) struct Subscriber {
    places: Places,
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
    /// Whose it is: the client's next poll of these topics ends it.
    pub(super) client: Option<Client>,
}

/// A client that has named itself, and what it listens to.
pub(super) type Client = (Arc<str>, Topics);

pub(super) struct State {
    pub(super) constants: Arc<Constants>,
    pub(super) sequence: u64,
    pub(super) topics: Slab<Topic>,
    names: HashMap<Arc<str>, usize>,
    pub(super) presence: Presence,
    /// The place up to which messages of forgotten topics may be gone.
    forgotten_to: u64,
    /// By the lower half of their numbers.
    subscribers: Slab<(u64, Subscriber)>,
    /// The upper half of the last number that was given out.
    last_subscriber: u32,
    polls_of_clients: HashMap<Client, u64>,
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
            topics: Slab::new(),
            names: HashMap::new(),
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

    /// The topic of this name, if there is one.
    pub(super) fn topic(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).map(|place| &self.topics[*place])
    }

    /// Makes a topic if need be; `None` if there is no room for it.
    fn make_one(&mut self, name: &Arc<str>) -> Option<usize> {
        self.uses += 1;
        if let Some(place) = self.names.get(name) {
            self.topics[*place].used = self.uses;
            return Some(*place);
        }
        if self.topics.len() >= self.constants.config.topics {
            self.forget_one()?;
        }
        let topic = Topic::new(Arc::clone(name), History::unknown_to(self.forgotten_to), self.uses);
        self.presence_topics += usize::from(topic.is_presence());
        let place = self.topics.insert(topic);
        self.names.insert(Arc::clone(name), place);
        Some(place)
    }

    /// Forgets the topic that was used least recently, of those that nobody listens to. What it had is gone, and which topic it was is
    /// forgotten, too: a cursor from before meets a gap in every topic that is made from now on.
    fn forget_one(&mut self) -> Option<()> {
        let idle = self.topics.iter().filter(|(_, topic)| !topic.is_in_use());
        let (place, _) = idle.min_by_key(|(_, topic)| topic.used)?;
        let topic = self.topics.remove(place);
        self.names.remove(&topic.name);
        self.presence_topics -= usize::from(topic.is_presence());
        self.forgotten_to = self.forgotten_to.max(topic.history.last());
        Some(())
    }

    /// Makes these topics; `None` if there is no room for all.
    pub(super) fn make(&mut self, topics: &Topics) -> Option<Places> {
        match topics.shared() {
            [name] => self.make_one(name).map(Places::One),
            names => {
                let places: Option<Arc<[usize]>> = names.iter().map(|name| self.make_one(name)).collect();
                // The last one may have taken the place of the first.
                let places = places.filter(|_| names.iter().all(|name| self.names.contains_key(name)))?;
                Some(Places::Several(places))
            }
        }
    }

    pub(super) fn publish(&mut self, name: &Arc<str>, payload: Payload, now: Instant) -> Result<(Id, u64), PublishError> {
        let constants = Arc::clone(&self.constants);
        let id = constants.id(self.sequence + 1);
        let place = self.make_one(name).ok_or(PublishError::TooManyTopics)?;
        let topic = &mut self.topics[place];
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

    /// Everything of these topics behind a cursor, up to a number of bytes.
    pub(super) fn replay(&mut self, topics: &Topics, cursor: Cursor, limit_bytes: usize, now: Instant) -> Replay {
        let places: Vec<_> = topics.shared().iter().filter_map(|name| self.names.get(name).copied()).collect();
        let gone_to = if places.len() < topics.shared().len() { self.forgotten_to } else { 0 };
        self.behind(&places, gone_to, cursor, limit_bytes, now)
    }

    /// The same where all of the topics are made.
    pub(super) fn since(&mut self, places: &Places, cursor: Cursor, limit_bytes: usize, now: Instant) -> Replay {
        self.behind(places, 0, cursor, limit_bytes, now)
    }

    fn behind(&mut self, places: &[usize], mut gone_to: u64, cursor: Cursor, limit_bytes: usize, now: Instant) -> Replay {
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
            Cursor::After(id) => (id.sequence, id.sequence >= gone_to),
        };
        let from = if cursor == Cursor::Earliest || !is_known { gone_to.max(after) } else { after };
        let mut missed = Vec::new();
        if after < self.sequence {
            missed.extend(places.iter().flat_map(|place| self.topics[*place].history.after(after)).cloned());
        }
        if places.len() > 1 {
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
            for place in places {
                self.topics[*place].gaps += 1;
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
    pub(super) fn insert(&mut self, number: u64, places: &Places, technique: Technique, sink: Sink) {
        for place in &**places {
            let topic = &mut self.topics[*place];
            topic.subscribers[technique] += 1;
            match &sink {
                Sink::Stream { pusher, wire } => _ = topic.audience(wire).insert(pusher),
                Sink::Poll(_) => {
                    let waiting = topic.subscribers[Technique::LongPoll] + topic.subscribers[Technique::Jsonp] - 1;
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
    pub(super) fn remove(&mut self, number: u64) -> Option<Subscriber> {
        self.subscribers.get(place_of(number)).filter(|(found, _)| *found == number)?;
        let (_, subscriber) = self.subscribers.remove(place_of(number));
        for place in &*subscriber.places {
            let topic = &mut self.topics[*place];
            topic.subscribers[subscriber.technique] -= 1;
            if let Sink::Stream { pusher, wire } = &subscriber.sink {
                let audience = topic.audience(wire);
                audience.remove(pusher);
                if let (true, Wire::Script(callback)) = (audience.is_empty(), wire) {
                    topic.scripts.remove(callback);
                }
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
    pub(super) fn enter(&mut self, places: &Places, technique: Technique, now: Instant) {
        self.count(places, technique, now, "join", |online| online[technique] += 1);
    }

    /// Somebody without a token is gone.
    pub(super) fn leave(&mut self, places: &Places, technique: Technique, now: Instant) {
        self.count(places, technique, now, "leave", |online| online[technique] -= 1);
    }

    fn count(&mut self, places: &Places, technique: Technique, now: Instant, event: &str, change: impl Fn(&mut PerTechnique)) {
        for place in &**places {
            let topic = &mut self.topics[*place];
            if !topic.is_presence() {
                change(&mut topic.nameless);
                if self.is_presence_told() {
                    let name = Arc::clone(&self.topics[*place].name);
                    self.announce(&name, event, technique, now);
                }
            }
        }
    }

    /// A client with a token is there.
    pub(super) fn enter_named(&mut self, (token, topics): &Client, technique: Technique, now: Instant) {
        for name in topics.shared().iter().filter(|name| !name.ends_with(PRESENCE)) {
            if self.presence.enter(name, token, technique) {
                self.announce(name, "join", technique, now);
            }
        }
    }

    /// A client with a token has ended something.
    pub(super) fn leave_named(&mut self, (token, topics): &Client, now: Instant) {
        let grace = self.constants.config.presence_grace;
        for name in topics.shared().iter().filter(|name| !name.ends_with(PRESENCE)) {
            self.presence.leave(name, token, now, grace);
        }
        self.expire(now);
    }

    /// Who is online.
    pub(super) fn online(&self, name: &str) -> PerTechnique {
        let nameless = self.topic(name).map(|topic| topic.nameless).unwrap_or_default();
        nameless.plus(&self.presence.online(name))
    }

    /// Lets those leave whose grace time is over, or who are too many.
    pub(super) fn expire(&mut self, now: Instant) {
        let most = self.constants.config.presence_absent;
        while let Some((name, technique)) = self.presence.expire(now, most) {
            self.announce(&name, "leave", technique, now);
        }
    }

    fn is_presence_told(&self) -> bool {
        self.constants.config.presence_messages || self.presence_topics > 0
    }

    /// Tells who wants to know, if somebody has asked.
    fn announce(&mut self, name: &str, event: &str, technique: Technique, now: Instant) {
        if !self.is_presence_told() {
            return;
        }
        let companion: Arc<str> = format!("{name}{PRESENCE}").into();
        if self.constants.config.presence_messages || self.names.contains_key(&companion) {
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

/// In the order of their audiences.
const FORMS: [Form; Form::COUNT] =
    [Form::Line, Form::RawLine, Form::Event, Form::JsonEvent, Form::WsJson, Form::WsRaw, Form::Part, Form::JsonPart];
