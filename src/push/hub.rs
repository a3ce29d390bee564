//! The hub: topics, and everybody who listens.
//!
//! Owns the public operations, each under the one lock. Refuses to wait for anybody: a publish costs the publisher the same whoever reads
//! slowly, and what a slow reader cannot take waits in its connection's own queue.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::Shape;
use super::board::Places;
use super::envelope::append_json_string;
use super::state::{Client, Constants, Sink, State, WaitingPoll};
use super::stats::{HubStats, Refused};
use super::topic::{self, PRESENCE};
use super::{BadTopic, Cursor, HubConfig, Id, Message, Payload, PerTechnique, Technique, Topics, clock};
use crate::session::{Reply, Request, normalized_path};

/// What somebody asks to do to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Send it a message.
    Publish,
    /// Hear its messages, or ask for its figures.
    Subscribe,
}

type Policy = Box<dyn Fn(&Request<'_>, Access, &str) -> bool + Send + Sync>;

/// Why a payload was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The topic's name is none.
    BadTopic(BadTopic),
    /// The event's name is not 1 to 64 characters of letters, digits, `_`, `.` and `-`, or is `gap`.
    BadEvent,
    /// The payload is larger than [`HubConfig::payload_bytes`].
    TooLarge,
    /// There are as many topics as may be, and all have subscribers.
    TooManyTopics,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadTopic(error) => error.fmt(f),
            Self::BadEvent => {
                f.write_str("an event's name must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`, and `gap` is the hub's own")
            }
            Self::TooLarge => f.write_str("the payload is larger than this hub takes"),
            Self::TooManyTopics => f.write_str("there are as many topics as this hub takes, and all have subscribers"),
        }
    }
}

impl std::error::Error for PublishError {}

impl PublishError {
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::BadTopic(_) | Self::BadEvent => 400,
            Self::TooLarge => 413,
            Self::TooManyTopics => 503,
        }
    }
}

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The message's id.
    pub id: Id,
    /// Streams, `WebSockets` and held requests that it was posted to.
    pub subscribers: u64,
}

/// What is behind a cursor.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Whether messages between the cursor and `from` are missing, or cannot be told.
    pub gap: bool,
    /// Behind this place, everything is in `messages`.
    pub from: Id,
    /// The cursor to go on with.
    pub last: Id,
    /// The messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// Whether these are all; there are more behind `last` otherwise.
    pub is_whole: bool,
}

/// Figures of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// The place of its last message in the sequence.
    pub last: Id,
    /// Messages that are retained.
    pub retained: usize,
    /// Their bytes of payload.
    pub retained_bytes: usize,
    /// Messages published since the topic was made.
    pub published: u64,
    /// Times that a subscriber came with a cursor that could not be resumed.
    pub gaps: u64,
    /// Messages that queues of slow readers have dropped. A connection of several topics counts for each.
    pub drops: u64,
    /// Connections and held requests.
    pub subscribers: PerTechnique,
    /// Clients, those in their grace time included.
    pub online: PerTechnique,
}

impl TopicInfo {
    /// As a JSON object, which is also what `GET {prefix}/{topic}` answers.
    pub fn json(&self, topic: &str) -> String {
        let mut text = String::from("{\"topic\":");
        append_json_string(topic, &mut text);
        let _ = write!(
            text,
            ",\"last\":\"{}\",\"retained\":{},\"bytes\":{},\"published\":{},\"gaps\":{},\"drops\":{},\"subscribers\":",
            self.last, self.retained, self.retained_bytes, self.published, self.gaps, self.drops
        );
        self.subscribers.append_json(&mut text);
        text.push_str(",\"online\":");
        self.online.append_json(&mut text);
        text.push('}');
        text
    }
}

/// Topics that are published to and subscribed to. Cloning counts a reference.
///
/// ```
/// use pushlab::push::{Cursor, Hub, HubConfig, Payload, Topics};
/// let hub = Hub::new(HubConfig::default());
/// let first = hub.publish("news", Payload::text("one"))?;
/// hub.publish("news", Payload::text("two"))?;
/// let missed = hub.replay(&Topics::parse("news", 1)?, Cursor::After(first.id));
/// assert_eq!(missed.messages[0].text(), Some("two"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    constants: Arc<Constants>,
    state: Mutex<State>,
    policy: Option<Policy>,
    refused: Refused,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("constants", &self.0.constants).finish_non_exhaustive()
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(HubConfig::default())
    }
}

impl Hub {
    /// A hub that lets everybody publish and subscribe.
    pub fn new(config: HubConfig) -> Self {
        Self::build(config, None)
    }

    /// A hub that asks the application which requests are allowed. The policy is asked for each
    /// request and each of its topics, before anything else is done; a request that the policy does
    /// not allow gets 403. For the topic of a presence the policy is asked about the topic itself.
    /// Topics' names are decoded. The request shows the whole query, parameters that the hub does
    /// not know included.
    pub fn with_policy(config: HubConfig, policy: impl Fn(&Request<'_>, Access, &str) -> bool + Send + Sync + 'static) -> Self {
        Self::build(config, Some(Box::new(policy)))
    }

    fn build(mut config: HubConfig, policy: Option<Policy>) -> Self {
        config.prefix = normalized_path(&config.prefix).into_owned();
        let constants = Arc::new(Constants { config, epoch: clock::epoch(), boundary: format!("part-{:016x}", clock::epoch()) });
        let state = Mutex::new(State::new(Arc::clone(&constants)));
        Self(Arc::new(Inner { constants, state, policy, refused: Refused::default() }))
    }

    /// Publishes to everybody who listens, from any thread.
    ///
    /// # Errors
    /// When a name is none, the payload is too large, or there is no room for one topic more. Nothing was published then.
    pub fn publish(&self, topic: &str, payload: Payload) -> Result<Published, PublishError> {
        self.try_publish(topic, payload).inspect_err(|error| self.count_refused(error.status()))
    }

    /// Publishes without counting what is refused.
    pub(super) fn try_publish(&self, topic: &str, payload: Payload) -> Result<Published, PublishError> {
        topic::check(topic).map_err(PublishError::BadTopic)?;
        if payload.event_name().is_some_and(|name| !topic::is_name(name) || name == "gap") {
            return Err(PublishError::BadEvent);
        }
        if payload.bytes().len() > self.config().payload_bytes {
            return Err(PublishError::TooLarge);
        }
        let mut state = self.lock();
        let now = self.config().clock.now();
        state.expire(now);
        let (id, subscribers) = state.publish(&topic.into(), payload, now)?;
        Ok(Published { id, subscribers })
    }

    /// What is retained behind a cursor, up to [`HubConfig::replay_bytes`].
    pub fn replay(&self, topics: &Topics, cursor: Cursor) -> Replay {
        self.lock().replay(topics, cursor, self.config().replay_bytes, self.config().clock.now())
    }

    /// The newest messages of these topics, up to [`HubConfig::page_messages`] and
    /// [`HubConfig::replay_bytes`].
    pub(super) fn newest(&self, topics: &Topics) -> Replay {
        let HubConfig { page_messages, replay_bytes, clock, .. } = self.config();
        let now = clock.now();
        self.lock().newest(topics, *page_messages, *replay_bytes, now)
    }

    /// The figures of a topic.
    ///
    /// # Errors
    /// When the name is none.
    pub fn info(&self, topic: &str) -> Result<TopicInfo, BadTopic> {
        topic::check(topic)?;
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire(now);
        let online = state.online(topic);
        let found = state.topics.get_aged(topic, now, self.config().history_age);
        Ok(TopicInfo {
            last: self.constants().id(found.map_or(0, |topic| topic.history.last())),
            retained: found.map_or(0, |topic| topic.history.len()),
            retained_bytes: found.map_or(0, |topic| topic.history.bytes()),
            published: found.map_or(0, |topic| topic.published),
            gaps: found.map_or(0, |topic| topic.gaps),
            drops: found.map_or(0, |topic| topic.drops.load(Relaxed)),
            subscribers: found.map_or_else(PerTechnique::default, |topic| topic.users().subscribers),
            online,
        })
    }

    /// The figures of the hub itself.
    pub fn stats(&self) -> HubStats {
        let state = self.lock();
        HubStats {
            topics: state.topics.len(),
            forgotten: state.topics.forgotten(),
            crowded_out: state.presence.crowded_out(),
            refused: self.0.refused.counts(),
        }
    }

    pub(super) fn count_refused(&self, status: u16) {
        self.0.refused.count(status);
    }

    /// The place of the last message in the sequence: a cursor for everything that comes now.
    pub fn last(&self) -> Id {
        let state = self.lock();
        self.constants().id(state.sequence)
    }

    /// Forgets what is too old, and lets those leave whose grace time is over. The hub has no thread: it does this for what each operation
    /// touches; an application that publishes rarely, or wants leaving to be told in time, calls this about once a second.
    pub fn tick(&self) {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire(now);
        state.topics.expire(now, self.config().history_age);
    }

    /// The configuration.
    pub fn config(&self) -> &HubConfig {
        &self.0.constants.config
    }

    pub(super) fn constants(&self) -> &Constants {
        &self.0.constants
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn allows(&self, request: &Request<'_>, access: Access, topic: &str) -> bool {
        let topic = topic.strip_suffix(PRESENCE).unwrap_or(topic);
        self.0.policy.as_ref().is_none_or(|policy| policy(request, access, topic))
    }

    /// Subscribes, if nothing was published behind the place up to which the caller has sent everything; otherwise that comes back.
    pub(super) fn join(&self, wish: &Wish<'_>, sink: Sink) -> Joined {
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
    pub(super) fn hold<'r>(&self, wish: &Wish<'_>, cursor: Cursor, shape: &Shape, wait: Duration, mut reply: Reply<'r>) -> Waiting<'r> {
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
    pub(super) fn pass_by(&self, topics: &Topics, client: Option<&Arc<str>>, technique: Technique) {
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
pub(super) struct Wish<'a> {
    pub(super) topics: &'a Topics,
    pub(super) technique: Technique,
    pub(super) client: Option<&'a Arc<str>>,
    pub(super) position: Id,
    /// The place in the sequence up to which gaps have been told.
    pub(super) told_to: u64,
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

pub(super) enum Joined {
    Subscribed(Leave, Drops),
    Behind(Replay),
    NoRoom,
}

pub(super) enum Waiting<'r> {
    Held,
    Behind(Replay, Reply<'r>),
    NoRoom(Reply<'r>),
}

/// Where a connection counts what its queue has dropped.
pub(super) struct Drops(Vec<Arc<AtomicU64>>);

impl Drops {
    pub(super) fn add(&self, count: usize) {
        for topic in &self.0 {
            topic.fetch_add(count as u64, Relaxed);
        }
    }
}

/// Carried by a subscriber's connection, which drops it at the end.
pub(super) struct Leave {
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
