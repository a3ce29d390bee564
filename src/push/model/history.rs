//! What a topic remembers.
//!
//! Owns the retained messages and their three bounds: count, bytes, age. Leaves cursors to others:
//! it has the messages behind a place, and the place up to which messages are gone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::Message;

/// The bounds of what a topic retains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryBounds {
    pub(crate) messages: usize,
    /// Of payload.
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// Messages up to this one of the sequence are gone; those of the topic behind it are all retained.
    gone_to: u64,
}

impl History {
    /// A history whose past up to there is not known.
    pub(crate) fn unknown_to(gone_to: u64) -> Self {
        Self { gone_to, ..Self::default() }
    }

    /// Retains a message. One that is larger than all that may be retained is gone at once.
    pub(crate) fn push(&mut self, message: Arc<Message>, bounds: &HistoryBounds) {
        self.expire(message.published, bounds.age);
        self.bytes += message.bytes().len();
        self.messages.push_back(message);
        while self.messages.len() > bounds.messages || self.bytes > bounds.bytes {
            self.drop_oldest();
        }
    }

    /// Forgets what is as old as `age` or older.
    pub(crate) fn expire(&mut self, now: Instant, age: Duration) {
        while self.messages.front().is_some_and(|oldest| now.saturating_duration_since(oldest.published) >= age) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.bytes -= oldest.bytes().len();
            self.gone_to = oldest.id().sequence;
        }
    }

    /// What is retained behind a place of the sequence, oldest first.
    pub(crate) fn after(&self, sequence: u64) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
        let start = self.messages.partition_point(|message| message.id().sequence <= sequence);
        self.messages.range(start..)
    }

    /// When the oldest message was published.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.messages.front().map(|message| message.published)
    }

    /// The place up to which messages are gone.
    pub(crate) const fn gone_to(&self) -> u64 {
        self.gone_to
    }

    /// The last message's place, or the last that is gone.
    pub(crate) fn last(&self) -> u64 {
        self.messages.back().map_or(self.gone_to, |message| message.id().sequence)
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}
