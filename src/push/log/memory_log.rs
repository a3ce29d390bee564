//! The log in the memory of the process.
//!
//! Owns the histories by topic, and the order in which topics must be searched for expired messages.
//! Its epoch lasts as long as the process. Leaves the bounds of one topic to `history`, and the
//! order of messages of several topics to `merge`.
//!
//! No operation looks at all topics: each takes constant or logarithmic time in their number.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::history::{History, HistoryBounds};
use super::merge::Merge;
use crate::push::model::{Cursor, Id, Payload, Replay, TopicMessage};

/// The log of one hub.
pub(crate) struct MemoryLog {
    epoch: u64,
    /// The sequence number of the last message of all topics.
    sequence: u64,
    bounds: HistoryBounds,
    /// The topics by slot. The slot of a topic that was closed has an empty history.
    topics: Vec<Entry>,
    /// For each topic with messages, the time of the next look at its oldest message. The time may
    /// be too early, because the history may drop that message for another reason.
    expiries: BTreeSet<(Instant, usize)>,
    /// The highest sequence number of a message in a closed topic. The log does not remember closed
    /// topics, so a topic that is opened later may have had messages up to it.
    closed_to: u64,
    backing: Backing,
}

/// Whether there is a log behind the one in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    /// The log in memory is all that there is.
    None,
    /// A log outside the process gives out the ids, and keeps no messages.
    Relay,
    /// A log outside the process gives out the ids, and keeps messages that are gone from memory.
    Store,
}

/// What a read has found.
#[derive(Debug)]
pub(crate) enum Found {
    /// The messages.
    Here(Replay),
    /// The cursor is of this epoch, and the log in memory has not reached it.
    Ahead(Id),
    /// Messages up to `until` are gone from memory. The log behind it may have them.
    Older { after: Id, until: u64 },
}

/// The log's part of a topic.
#[derive(Debug, Default)]
struct Entry {
    history: History,
    /// The topic's entry in `expiries`; `None` while there are no messages.
    expires_at: Option<Instant>,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) cursor: Cursor,
    /// The reader was told of gaps up to this sequence number.
    pub(crate) gaps_told_to: u64,
    /// The reader also asks for topics that are not open. They may have had messages.
    pub(crate) includes_closed: bool,
    /// The bytes of payload of the result. At least one message always fits.
    pub(crate) limit_bytes: usize,
    pub(crate) now: Instant,
    pub(crate) patience: Patience,
}

/// For what a reader waits, if a log outside the process is behind the one in memory. It gets a gap
/// where it does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Patience {
    None,
    /// Until the log in memory has reached the cursor.
    UntilReached,
    /// Also until messages that are gone from memory were read. The reader may learn of a gap only
    /// then.
    UntilRead,
}

/// What the log retains of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The id of the topic's last message, retained or gone; sequence number 0 if there was none.
    pub(crate) last: Id,
    pub(crate) messages: usize,
    /// Bytes of payload.
    pub(crate) bytes: usize,
}

impl MemoryLog {
    /// An empty log. Each log must have a different epoch.
    pub(crate) const fn new(epoch: u64, bounds: HistoryBounds, backing: Backing) -> Self {
        Self { epoch, sequence: 0, bounds, topics: Vec::new(), expiries: BTreeSet::new(), closed_to: 0, backing }
    }

    /// Begins another epoch, behind the message with this sequence number. All messages are
    /// dropped.
    pub(crate) fn begin_epoch(&mut self, epoch: u64, sequence: u64) {
        self.epoch = epoch;
        self.closed_to = 0;
        self.pass_over(sequence);
    }

    /// Continues behind the message with this sequence number, although messages before it are
    /// missing. All messages are dropped: a reader gets either all messages after its cursor, or a
    /// gap first.
    pub(crate) fn pass_over(&mut self, sequence: u64) {
        self.sequence = sequence;
        self.closed_to = sequence;
        self.expiries.clear();
        for entry in &mut self.topics {
            *entry = Entry::default();
            entry.history.set_gone_to(sequence);
        }
    }

    /// Counts the sequence numbers up to this one as given out to no message.
    pub(crate) const fn skip_to(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// Notes that the last message was given an id, and that it cannot be kept.
    pub(crate) const fn lose_last(&mut self) {
        self.closed_to = self.sequence;
    }

    /// The epoch of all ids of this log.
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The id of the last message of all topics; sequence number 0 if there was none.
    pub(crate) const fn last(&self) -> Id {
        self.id(self.sequence)
    }

    const fn id(&self, sequence: u64) -> Id {
        Id { epoch: self.epoch, sequence }
    }

    /// Begins a topic. Slots must be small numbers, because the log has an entry for each slot up to
    /// the highest one.
    pub(crate) fn open(&mut self, slot: usize) {
        if slot >= self.topics.len() {
            self.topics.resize_with(slot + 1, Entry::default);
        }
        self.topics[slot].history.set_gone_to(self.closed_to);
    }

    /// Ends a topic, and drops its messages.
    pub(crate) fn close(&mut self, slot: usize) {
        let entry = &mut self.topics[slot];
        self.closed_to = self.closed_to.max(entry.history.last());
        entry.history = History::default();
        if let Some(at) = entry.expires_at.take() {
            self.expiries.remove(&(at, slot));
        }
    }

    /// Gives a payload the next id, and retains it as the topic's newest message.
    pub(crate) fn append(&mut self, slot: usize, topic: &Arc<str>, payload: Payload, now: Instant) -> Arc<TopicMessage> {
        self.sequence += 1;
        let message = Arc::new(TopicMessage::new(self.last(), Arc::clone(topic), payload, now));
        let entry = &mut self.topics[slot];
        entry.history.append(Arc::clone(&message), &self.bounds);
        if entry.expires_at.is_none() {
            self.schedule_expiry(slot);
        }
        message
    }

    /// Drops the messages of all topics that are too old. Looks only at topics whose time of the
    /// next look has come.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(&(at, slot)) = self.expiries.first()
            && at <= now
        {
            self.expiries.pop_first();
            self.topics[slot].history.expire(now, self.bounds.age);
            self.schedule_expiry(slot);
        }
    }

    /// Schedules the next look at a topic for the time at which its oldest message expires. The
    /// schedule stays as it is if the history drops that message earlier.
    fn schedule_expiry(&mut self, slot: usize) {
        let entry = &mut self.topics[slot];
        entry.expires_at = entry.history.oldest_published_at().and_then(|published| published.checked_add(self.bounds.age));
        self.expiries.extend(entry.expires_at.map(|at| (at, slot)));
    }

    /// What the log retains of a topic, after messages that are too old were dropped.
    pub(crate) fn kept(&mut self, slot: usize, now: Instant) -> Kept {
        let history = self.unexpired(slot, now);
        let (sequence, messages, bytes) = (history.last(), history.len(), history.bytes());
        Kept { last: self.id(sequence), messages, bytes }
    }

    fn unexpired(&mut self, slot: usize, now: Instant) -> &History {
        let history = &mut self.topics[slot].history;
        history.expire(now, self.bounds.age);
        history
    }

    /// The messages of these topics after a cursor.
    pub(crate) fn read(&mut self, slots: &[usize], reading: &Reading) -> Found {
        let Reading { cursor, gaps_told_to, includes_closed, limit_bytes, now, patience } = *reading;
        let mut gone_to = if includes_closed { self.closed_to } else { 0 };
        for slot in slots {
            gone_to = gone_to.max(self.unexpired(*slot, now).gone_to());
        }
        let (after, is_known) = match cursor {
            Cursor::New => (self.sequence, true),
            Cursor::Earliest => (0, true),
            Cursor::After(id) if id.epoch != self.epoch => (0, false),
            Cursor::After(id) if id.sequence > self.sequence => match self.backing {
                Backing::Relay | Backing::Store if patience >= Patience::UntilReached => return Found::Ahead(id),
                _ => (0, false),
            },
            Cursor::After(id) if id.sequence.max(gaps_told_to) >= gone_to => (id.sequence, true),
            Cursor::After(id) if patience == Patience::UntilRead && self.backing == Backing::Store => {
                return Found::Older { after: id, until: gone_to };
            }
            Cursor::After(id) => (id.sequence, false),
        };
        let from = if cursor == Cursor::Earliest || !is_known { gone_to.max(after) } else { after };
        // Nearly every poll asks for nothing but the next message. The merge below costs it 200
        // instructions, most of them for an allocation.
        if slots.iter().all(|slot| self.topics[*slot].history.last() <= after) {
            let from = self.id(from);
            return Found::Here(Replay { gap: !is_known, from, last: from, messages: Vec::new(), is_whole: true });
        }
        // The histories are merged lazily: the read stops at its limit, however many messages the
        // topics retain.
        let histories = slots.iter().map(|slot| self.topics[*slot].history.after(after));
        let mut rest = Merge::new(histories).peekable();
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while let Some(message) = rest.next_if(|message| bytes == 0 || bytes + message.bytes().len() <= limit_bytes) {
            // An empty payload counts as one byte, so that `bytes == 0` holds only for the first
            // message.
            bytes += message.bytes().len().max(1);
            messages.push(Arc::clone(message));
        }
        let is_whole = rest.peek().is_none();
        let from = self.id(from);
        let last = messages.last().map_or(from, |message| message.id());
        Found::Here(Replay { gap: !is_known, from, last, messages, is_whole })
    }

    /// The newest messages of these topics, at most `most` and up to a number of bytes. The result
    /// has at least one message if there are any.
    pub(crate) fn newest(&mut self, slots: &[usize], most: usize, limit_bytes: usize, now: Instant) -> Replay {
        let mut from = 0;
        let mut messages = Vec::new();
        for slot in slots {
            let history = self.unexpired(*slot, now);
            from = from.max(history.gone_to());
            messages.extend(history.after(0).rev().take(most.saturating_add(1)).cloned());
        }
        messages.sort_unstable_by_key(|message| message.id());
        let mut bytes = 0_usize;
        let fits = |message: &&Arc<TopicMessage>| {
            let is_first = bytes == 0;
            bytes += message.bytes().len().max(1);
            is_first || bytes <= limit_bytes
        };
        let len = messages.iter().rev().take(most).take_while(fits).count();
        let left_out = messages.len() - len;
        from = messages[..left_out].last().map_or(from, |message| message.id().sequence);
        messages.drain(..left_out);
        let from = self.id(from);
        Replay { gap: false, from, last: messages.last().map_or(from, |message| message.id()), messages, is_whole: true }
    }
}

#[cfg(test)]
impl MemoryLog {
    /// The number of messages of a topic, without a look at their age. Checks that each topic with
    /// messages has an entry in `expiries`, and that there are no other entries.
    pub(crate) fn len_of(&self, slot: usize) -> usize {
        let topics = self.topics.iter().enumerate();
        let noted = topics.filter_map(|(slot, entry)| Some((entry.expires_at?, slot)));
        assert_eq!(self.expiries, noted.collect());
        let Entry { history, expires_at } = &self.topics[slot];
        assert!(expires_at.is_some() || history.len() == 0);
        history.len()
    }
}
