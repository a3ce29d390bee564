//! The hub: topics, and everybody who listens.
//!
//! Owns the public operations, each under the one lock. Refuses to wait for anybody: a publish costs the publisher the same whoever reads
//! slowly, and what a slow reader cannot take waits in its connection's own queue.

use std::fmt::{self, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock;
use super::config::HubConfig;
use super::publish::{PublishError, Published};
use super::state::{Constants, State};
use super::stats::{HubStats, Refused};
use crate::push::model::{
    BadTopic, Cursor, Id, PRESENCE, Payload, PerTechnique, Replay, Topics, append_json_string, check_topic_name, is_valid_name,
};
use crate::session::{Request, normalized_path};

/// What somebody asks to do to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Send it a message.
    Publish,
    /// Hear its messages, or ask for its figures.
    Subscribe,
}

type Policy = Box<dyn Fn(&Request<'_>, Access, &str) -> bool + Send + Sync>;

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
        let constants = Arc::new(Constants { config, epoch: clock::new_epoch(), boundary: format!("part-{:016x}", clock::new_epoch()) });
        let state = Mutex::new(State::new(Arc::clone(&constants)));
        Self(Arc::new(Inner { constants, state, policy, refused: Refused::default() }))
    }

    /// Publishes to everybody who listens, from any thread.
    ///
    /// # Errors
    /// When a name is none, the payload is too large, or there is no room for one topic more. Nothing was published then.
    pub fn publish(&self, topic: &str, payload: Payload) -> Result<Published, PublishError> {
        self.publish_uncounted(topic, payload).inspect_err(|error| self.count_refused(error.status()))
    }

    /// Publishes without counting what is refused.
    pub(crate) fn publish_uncounted(&self, topic: &str, payload: Payload) -> Result<Published, PublishError> {
        check_topic_name(topic).map_err(PublishError::BadTopic)?;
        if payload.event_name().is_some_and(|name| !is_valid_name(name) || name == "gap") {
            return Err(PublishError::BadEvent);
        }
        if payload.bytes().len() > self.config().payload_bytes {
            return Err(PublishError::TooLarge);
        }
        let mut state = self.lock();
        let now = self.config().clock.now();
        state.expire_presence(now);
        let (id, subscribers) = state.publish(&topic.into(), payload, now)?;
        Ok(Published { id, subscribers })
    }

    /// What is retained behind a cursor, up to [`HubConfig::replay_bytes`].
    pub fn replay(&self, topics: &Topics, cursor: Cursor) -> Replay {
        self.lock().replay(topics, cursor, self.config().replay_bytes, self.config().clock.now())
    }

    /// The newest messages of these topics, up to [`HubConfig::page_messages`] and
    /// [`HubConfig::replay_bytes`].
    pub(crate) fn newest(&self, topics: &Topics) -> Replay {
        let HubConfig { page_messages, replay_bytes, clock, .. } = self.config();
        let now = clock.now();
        self.lock().newest(topics, *page_messages, *replay_bytes, now)
    }

    /// The figures of a topic.
    ///
    /// # Errors
    /// When the name is none.
    pub fn info(&self, topic: &str) -> Result<TopicInfo, BadTopic> {
        check_topic_name(topic)?;
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        let online = state.online(topic);
        let found = state.topics.get_unexpired(topic, now, self.config().history_age);
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

    pub(crate) fn count_refused(&self, status: u16) {
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
        state.expire_presence(now);
        state.topics.expire(now, self.config().history_age);
    }

    /// The configuration.
    pub fn config(&self) -> &HubConfig {
        &self.0.constants.config
    }

    pub(crate) fn constants(&self) -> &Constants {
        &self.0.constants
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn allows(&self, request: &Request<'_>, access: Access, topic: &str) -> bool {
        let topic = topic.strip_suffix(PRESENCE).unwrap_or(topic);
        self.0.policy.as_ref().is_none_or(|policy| policy(request, access, topic))
    }
}
