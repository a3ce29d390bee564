//! The messages after a cursor.
//!
//! Owns the result of a replay. Leaves the search for the messages to `log`.

use std::sync::Arc;

use super::id::Id;
use super::topic_message::TopicMessage;

/// The messages after a cursor.
///
/// ```
/// use pushlab::push::{Cursor, Hub, HubConfig, Payload, Topics};
/// let hub = Hub::new(HubConfig { history_messages: 2, ..HubConfig::default() });
/// let ids = ["one", "two", "three", "four"].map(|text| hub.publish("news", Payload::text(text)).expect("a valid name").id);
/// let topics = Topics::parse("news", 1)?;
/// // The hub has dropped "two", which the client has not received.
/// let replay = hub.replay(&topics, Cursor::After(ids[0]));
/// assert_eq!((replay.gap, replay.from, replay.last, replay.messages.len()), (true, ids[1], ids[3], 2));
/// assert!(!hub.replay(&topics, Cursor::After(replay.last)).gap);
/// # Ok::<(), pushlab::push::BadTopic>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replay {
    /// Whether messages between the cursor and `from` may be missing.
    pub gap: bool,
    /// `messages` has all messages after this id, up to `last`.
    pub from: Id,
    /// The cursor from which the client continues.
    pub last: Id,
    /// The messages, oldest first.
    pub messages: Vec<Arc<TopicMessage>>,
    /// `false` if there are more messages after `last`, because the replay has reached its limit of
    /// bytes.
    pub is_whole: bool,
}

impl Replay {
    /// No messages, for a client that has all messages up to this id.
    pub(crate) const fn nothing_after(id: Id) -> Self {
        Self { gap: false, from: id, last: id, messages: Vec::new(), is_whole: false }
    }

    /// Tells of a gap up to this id, and leaves out the messages before it.
    pub(crate) fn begin_behind(&mut self, from: Id) {
        self.gap = true;
        self.from = from;
        self.last = from;
        self.messages.clear();
    }
}
