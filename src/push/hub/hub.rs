//! The hub: its handle and its public operations.
//!
//! Owns the lock and the application's policy. Each operation takes the lock once. Leaves making a
//! hub to `build`, the work under the lock to `state`, and subscribing to `subscribe`. No operation
//! waits for a client: messages that a slow client cannot receive yet wait in the queue of its
//! connection.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::config::HubConfig;
use super::outside::Outside;
use super::publish::{PublishError, Published, Publishing};
use super::state::{Constants, State};
use super::stats::{HubStats, Refused};
use crate::push::log::{Found, Kept, LogError, Patience, Reading};
use crate::push::model::{
    BadTopic, Cursor, Id, PRESENCE, Payload, PerTechnique, Replay, Topics, append_json_string, check_topic_name, is_valid_name,
};
use crate::session::Request;

/// What a request asks to do with a topic.
///
/// ```
/// use pushlab::push::{Access, Hub, HubConfig, Mounted};
/// use pushlab::{Reply, Request, Response};
/// // Each request may subscribe, and only one with this token may publish.
/// let hub = Hub::with_policy(HubConfig::default(), |request, access, topic| match access {
///     Access::Publish => request.field_text("Authorization") == Some("Bearer secret"),
///     Access::Subscribe => topic != "hidden",
/// });
/// let app = move |request: &Request<'_>, reply: Reply<'_>| match hub.handle(request, reply) {
///     Mounted::Handled => {}
///     Mounted::NotMine(reply) => reply.send(Response::status(404)),
/// };
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/topics/news/poll", "/topics/hidden/poll"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Publish a message to the topic.
    Publish,
    /// Receive the topic's messages, or read its counters.
    Subscribe,
}

pub(super) type Policy = Box<dyn Fn(&Request<'_>, Access, &str) -> bool + Send + Sync>;

/// The counters of one topic.
///
/// ```
/// use pushlab::push::{Hub, Payload};
/// let hub = Hub::default();
/// let published = hub.publish("news", Payload::text("12345"))?;
/// let info = hub.info("news").expect("a valid name");
/// assert_eq!((info.last, info.retained, info.retained_bytes), (published.id, 1, 5));
/// assert_eq!((info.subscribers.sum(), info.online.sum()), (0, 0));
/// # Ok::<(), pushlab::push::PublishError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicInfo {
    /// The id of the topic's last message; sequence number 0 if there was none.
    pub last: Id,
    /// Messages that the topic retains.
    pub retained: usize,
    /// Bytes of payload of the retained messages.
    pub retained_bytes: usize,
    /// Messages that were published since the topic was created.
    pub published: u64,
    /// How many times a client came with a cursor that could not be resumed without a gap.
    pub gaps: u64,
    /// Messages that the queues of slow connections have dropped. A connection that is subscribed
    /// to several topics counts its drops for each of them.
    pub drops: u64,
    /// Connections and held requests.
    pub subscribers: PerTechnique,
    /// Clients that are online, including those in their grace time.
    pub online: PerTechnique,
}

impl TopicInfo {
    /// The counters as a JSON object. `GET {prefix}/{topic}` answers with it.
    pub fn json(&self, topic: &str) -> String {
        self.json_in_order(topic, &[])
    }

    /// The counters as a JSON object, in which the counts of these techniques come first, in this
    /// order.
    pub(crate) fn json_in_order(&self, topic: &str, techniques: &[&str]) -> String {
        let mut text = String::from("{\"topic\":");
        append_json_string(topic, &mut text);
        let _ = write!(
            text,
            ",\"last\":\"{}\",\"retained\":{},\"bytes\":{},\"published\":{},\"gaps\":{},\"drops\":{},\"subscribers\":",
            self.last, self.retained, self.retained_bytes, self.published, self.gaps, self.drops
        );
        self.subscribers.append_json(techniques, &mut text);
        text.push_str(",\"online\":");
        self.online.append_json(techniques, &mut text);
        text.push('}');
        text
    }
}

/// A handle to topics, their messages and their subscribers. A clone refers to the same hub.
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
    /// How many times access was withdrawn.
    revocations: AtomicU64,
    /// The part for a log outside the process.
    outside: Option<Arc<Outside>>,
}

/// A handle that does not keep its hub.
#[derive(Clone)]
pub(crate) struct WeakHub(Weak<Inner>);

impl WeakHub {
    /// The hub, if it is still there.
    pub(crate) fn upgrade(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("constants", &self.0.constants).finish_non_exhaustive()
    }
}

impl Hub {
    pub(super) fn of(constants: Arc<Constants>, state: State, policy: Option<Policy>, outside: Option<Arc<Outside>>) -> Self {
        Self(Arc::new(Inner {
            constants,
            state: Mutex::new(state),
            policy,
            refused: Refused::default(),
            revocations: AtomicU64::new(0),
            outside,
        }))
    }

    /// Publishes a payload to all subscribers of a topic. Any thread may call it.
    ///
    /// With a [`log`](HubConfig::log) outside the process, the call waits until the message has
    /// come back from the log. A handler must not wait on the event loop: it calls
    /// [`publish_then`](Self::publish_then).
    ///
    /// # Errors
    /// When the topic's or the event's name is not valid, when the payload is larger than
    /// [`HubConfig::payload_bytes`], or when the hub already has [`HubConfig::topics`] topics and
    /// all have subscribers. In these cases nothing is published. With a log outside the process,
    /// [`PublishError`] has three more cases.
    pub fn publish(&self, topic: &str, payload: Payload) -> Result<Published, PublishError> {
        self.begin_publish(topic, payload).wait().inspect_err(|error| self.count_refused(error.status()))
    }

    /// Publishes a payload, and gives the outcome to `done`: at once, or from another thread when
    /// the message has come back from the [`log`](HubConfig::log) outside the process. `done` must
    /// not block.
    ///
    /// ```
    /// use pushlab::push::{Hub, Payload};
    /// let hub = Hub::default();
    /// hub.publish_then("news", Payload::text("it works"), |outcome| match outcome {
    ///     Ok(published) => println!("published as {}", published.id),
    ///     Err(error) => println!("{error}"),
    /// });
    /// ```
    pub fn publish_then(&self, topic: &str, payload: Payload, done: impl FnOnce(Result<Published, PublishError>) + Send + 'static) {
        let refused = self.downgrade();
        self.begin_publish(topic, payload).then(move |outcome| {
            if let (Err(error), Some(hub)) = (&outcome, refused.upgrade()) {
                hub.count_refused(error.status());
            }
            done(outcome);
        });
    }

    /// Begins to publish a payload, and leaves the counting of a refusal to the caller.
    pub(crate) fn begin_publish(&self, topic: &str, payload: Payload) -> Publishing {
        if let Err(error) = check_topic_name(topic).map_err(PublishError::BadTopic).and_then(|()| self.check_payload(&payload)) {
            return Publishing::Done(Err(error));
        }
        let now = self.config().clock.now();
        if let Some(outside) = &self.0.outside {
            let (publishing, on_outcome) = Publishing::waiting();
            return match outside.submit(topic.into(), payload, now, Some(on_outcome)) {
                Ok(()) => publishing,
                Err(error) => Publishing::Done(Err(error)),
            };
        }
        let mut state = self.lock();
        state.expire_presence(now);
        Publishing::Done(state.publish(&topic.into(), payload, now).map(|(id, subscribers)| Published { id, subscribers }))
    }

    /// Checks what a publish requires of a payload.
    pub(crate) fn check_payload(&self, payload: &Payload) -> Result<(), PublishError> {
        if payload.event_name().is_some_and(|name| !is_valid_name(name) || name == "gap") {
            return Err(PublishError::BadEvent);
        }
        if payload.bytes().len() > self.config().payload_bytes {
            return Err(PublishError::TooLarge);
        }
        Ok(())
    }

    /// The retained messages after a cursor, up to [`HubConfig::replay_bytes`].
    pub fn replay(&self, topics: &Topics, cursor: Cursor) -> Replay {
        let reading = Reading { patience: Patience::None, ..self.reading(cursor) };
        match self.lock().replay(topics, &reading) {
            Found::Here(replay) => replay,
            Found::Ahead(id) | Found::Older { after: id, .. } => unreachable!("the read of {id} cannot wait"),
        }
    }

    /// A read of the messages after a cursor.
    pub(crate) fn reading(&self, cursor: Cursor) -> Reading {
        self.reading_at(cursor, self.config().clock.now())
    }

    /// As [`reading`](Self::reading), for a caller that has read the clock.
    pub(crate) fn reading_at(&self, cursor: Cursor, now: Instant) -> Reading {
        Reading {
            cursor,
            gaps_told_to: 0,
            includes_closed: false,
            limit_bytes: self.config().replay_bytes,
            now,
            patience: Patience::UntilRead,
        }
    }

    /// The newest messages of these topics, up to [`HubConfig::page_messages`] and
    /// [`HubConfig::replay_bytes`].
    pub(crate) fn newest(&self, topics: &Topics) -> Replay {
        let HubConfig { page_messages, replay_bytes, clock, .. } = self.config();
        let now = clock.now();
        self.lock().newest(topics, *page_messages, *replay_bytes, now)
    }

    /// The counters of a topic. All counters of a topic that does not exist are 0,
    /// except `online`.
    ///
    /// # Errors
    /// When the name is not a valid topic name.
    pub fn info(&self, topic: &str) -> Result<TopicInfo, BadTopic> {
        check_topic_name(topic)?;
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        let online = state.online(topic);
        let slot = state.topics.slot_of(topic);
        let kept = match slot {
            Some(slot) => state.log.kept(slot, now),
            None => Kept { last: Id { epoch: state.log.epoch(), sequence: 0 }, messages: 0, bytes: 0 },
        };
        let found = slot.map(|slot| &state.topics[slot]);
        Ok(TopicInfo {
            last: kept.last,
            retained: kept.messages,
            retained_bytes: kept.bytes,
            published: found.map_or(0, |topic| topic.published),
            gaps: found.map_or(0, |topic| topic.gaps),
            drops: found.map_or(0, |topic| topic.drops.load(Relaxed)),
            subscribers: found.map_or_else(PerTechnique::default, |topic| topic.users().subscribers.clone()),
            online,
        })
    }

    /// The counters of the hub itself.
    pub fn stats(&self) -> HubStats {
        let state = self.lock();
        HubStats {
            topics: state.topics.len(),
            forgotten: state.topics.forgotten(),
            crowded_out: state.presence.crowded_out(),
            refused: self.0.refused.counts(),
        }
    }

    pub(crate) fn count_refused(&self, status: u16) {
        self.0.refused.count(status);
    }

    /// The name of a topic as the hub has it. A connection that keeps this one needs no memory for its
    /// own.
    pub(crate) fn shared_name(&self, topic: &Arc<str>) -> Arc<str> {
        let state = self.lock();
        Arc::clone(state.topics.get(topic).map_or(topic, |topic| &topic.name))
    }

    /// The id of the last message of all topics: a cursor for the messages that are published after
    /// this call.
    pub fn last(&self) -> Id {
        self.lock().log.last()
    }

    /// Drops messages that are too old, and ends the presence of clients whose grace time is over.
    /// The hub has no thread: without this call, each operation does this only for the topics that
    /// it uses. An application that publishes rarely, or that needs leave messages in time, calls
    /// it about once per second.
    pub fn tick(&self) {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        state.log.expire(now);
    }

    /// Waits until this hub has every message that its [`log`](HubConfig::log) outside the process
    /// had when the connection to it began. A server calls it before it accepts clients: it then
    /// knows the same messages as a server that never stopped. Without such a log, it returns at
    /// once.
    ///
    /// # Errors
    /// When the log cannot be reached, or cannot be read to its end within `wait`. The hub goes on
    /// to try.
    pub fn wait_for_log(&self, wait: Duration) -> Result<(), LogError> {
        self.0.outside.as_ref().map_or(Ok(()), |outside| outside.wait_until_following(wait))
    }

    pub(super) fn outside(&self) -> Option<&Arc<Outside>> {
        self.0.outside.as_ref()
    }

    pub(crate) fn downgrade(&self) -> WeakHub {
        WeakHub(Arc::downgrade(&self.0))
    }

    /// A cursor whose epoch differs from this hub's. Its replay begins with a gap and has all
    /// retained messages.
    pub(crate) fn foreign_cursor(&self) -> Cursor {
        Cursor::After(Id { epoch: !self.lock().log.epoch(), sequence: 0 })
    }

    /// The hub's configuration.
    pub fn config(&self) -> &HubConfig {
        &self.0.constants.config
    }

    pub(crate) fn constants(&self) -> &Constants {
        &self.0.constants
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of one thread under the lock must not make every later operation panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many times access was withdrawn. A client whose access was checked at another number must
    /// be checked again.
    pub(crate) fn revocations(&self) -> &AtomicU64 {
        &self.0.revocations
    }

    /// Whether the application decides which requests are allowed.
    pub(crate) fn has_policy(&self) -> bool {
        self.0.policy.is_some()
    }

    pub(crate) fn allows(&self, request: &Request<'_>, access: Access, topic: &str) -> bool {
        let topic = topic.strip_suffix(PRESENCE).unwrap_or(topic);
        self.0.policy.as_ref().is_none_or(|policy| policy(request, access, topic))
    }
}
