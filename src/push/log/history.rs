//! The retained messages of one topic.
//!
//! Owns the messages and their three bounds: count, bytes and age. Leaves cursors to `memory_log`: a
//! history knows the messages after a sequence number, and the last sequence number whose message
//! is gone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::push::model::TopicMessage;

/// The bounds of a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryBounds {
    pub(crate) messages: usize,
    /// Bytes of payload.
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    messages: VecDeque<Arc<TopicMessage>>,
    bytes: usize,
    /// The history may lack messages up to this sequence number. It has all messages of the topic
    /// after it.
    gone_to: u64,
}

impl History {
    /// Notes that the topic of this empty history may have had messages up to `gone_to`, before it
    /// was evicted.
    pub(crate) const fn set_gone_to(&mut self, gone_to: u64) {
        self.gone_to = gone_to;
    }

    /// Appends a message, and drops the oldest messages until all bounds hold. A message that is
    /// larger than `bounds.bytes` is dropped at once.
    pub(crate) fn append(&mut self, message: Arc<TopicMessage>, bounds: &HistoryBounds) {
        self.expire(message.published_at, bounds.age);
        self.bytes += message.bytes().len();
        self.messages.push_back(message);
        while self.messages.len() > bounds.messages || self.bytes > bounds.bytes {
            self.drop_oldest();
        }
    }

    /// Drops the messages that are as old as `age` or older.
    pub(crate) fn expire(&mut self, now: Instant, age: Duration) {
        while self.messages.front().is_some_and(|oldest| now.saturating_duration_since(oldest.published_at) >= age) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.bytes -= oldest.bytes().len();
            self.gone_to = oldest.id().sequence;
        }
    }

    /// The retained messages after a sequence number, oldest first.
    pub(crate) fn after(&self, sequence: u64) -> impl DoubleEndedIterator<Item = &Arc<TopicMessage>> {
        let start = self.messages.partition_point(|message| message.id().sequence <= sequence);
        self.messages.range(start..)
    }

    /// The time at which the oldest retained message was published.
    pub(crate) fn oldest_published_at(&self) -> Option<Instant> {
        self.messages.front().map(|message| message.published_at)
    }

    /// The sequence number up to which messages may be gone.
    pub(crate) const fn gone_to(&self) -> u64 {
        self.gone_to
    }

    /// The sequence number of the newest message, retained or gone.
    pub(crate) fn last(&self) -> u64 {
        self.messages.back().map_or(self.gone_to, |message| message.id().sequence)
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of payload of the retained messages.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}
