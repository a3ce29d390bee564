//! Records of a log outside the process become messages of this hub.
//!
//! Owns the rule that every hub obeys alike: each position counts, a record that was appended twice
//! is delivered once, and a position that is missing is a gap for everybody. Leaves reading the log
//! to `follow`, and delivery to `state`.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::outside::OnPublished;
use super::publish::Published;
use super::replica::Replica;
use super::state::State;
use super::waiting::OnReached;
use crate::push::log::{Entry, Record, unix_ms};
use crate::push::model::come_back;

/// What became of an entry.
pub(super) enum Applied {
    /// The hub is one position further.
    Further(Further),
    /// The hub has applied this position before.
    Before,
    /// The position has another record than the one that the hub has applied: the log has lost its
    /// end, and has taken others since.
    Other,
}

/// What is left to do without the hub's lock.
#[derive(Default)]
pub(super) struct Further {
    /// The outcome of a message of this hub.
    pub(super) confirmed: Option<(OnPublished, Published)>,
    pub(super) is_own: bool,
    pub(super) reached: Vec<OnReached>,
    /// The sequence number that the hub has reached.
    pub(super) sequence: u64,
    /// The record's way to this hub took so long.
    pub(super) delay_ms: u64,
}

impl State {
    /// Applies an entry of the log.
    pub(super) fn apply(&mut self, entry: Entry, now: Instant) -> Applied {
        let sequence = entry.position + 1;
        let last = self.log.last().sequence;
        let key = entry.record.as_ref().map(|record| (record.origin, record.number));
        if sequence <= last {
            return if sequence == last && key != self.replica.last_record { Applied::Other } else { Applied::Before };
        }
        if sequence > last + 1 {
            self.declare_gap(sequence - 1);
        }
        self.log.skip_to(sequence);
        self.replica.last_record = key;
        let mut further = if let Some(record) = entry.record {
            self.apply_record(record, sequence, now)
        } else {
            self.replica.counts.passed_over += 1;
            Further::default()
        };
        self.note_reached(sequence);
        further.sequence = sequence;
        further.reached = self.replica.waiting.take_reached(sequence);
        Applied::Further(further)
    }

    fn apply_record(&mut self, record: Record, sequence: u64, now: Instant) -> Further {
        if record.origin != Record::NO_ORIGIN {
            if !self.replica.marks.note(record.origin, record.number) {
                self.replica.counts.repeated += 1;
                return Further::default();
            }
            if self.may_be_repeated(&record) {
                // Only the log knows: a client that asks for this part gets it from there. The
                // message is not confirmed here, and its publisher learns that in time.
                self.lose_position(sequence);
                return Further::default();
            }
        }
        let on_outcome = self.outside.as_ref().and_then(|outside| outside.confirm(&record));
        let delay_ms = unix_ms().saturating_sub(record.sent_ms);
        let published_at = now.checked_sub(Duration::from_millis(delay_ms)).unwrap_or(now);
        let published_at = self.replica.last_published_at.map_or(published_at, |last| last.max(published_at).min(now));
        self.replica.last_published_at = Some(published_at);
        let is_own = on_outcome.is_some();
        let subscribers = if let Some(slot) = self.topics.get_or_create(&record.topic, &mut self.log) {
            self.log.skip_to(sequence - 1);
            self.publish_to(slot, &record.topic, record.payload, published_at).1
        } else {
            // All hubs give the message its id, and this one has no place for its topic. A client
            // that asks for the topic later is told of a gap.
            self.log.lose_last();
            0
        };
        let published = Published { id: self.log.last(), subscribers };
        Further { confirmed: on_outcome.map(|on_outcome| (on_outcome, published)), is_own, delay_ms, ..Further::default() }
    }

    /// Whether the same message may be in the log before the part that this hub has read, under
    /// another id. A log that keeps nothing has no such part, and its positions count what each hub
    /// has received: the position of the record's hub must not be compared with one of this hub.
    fn may_be_repeated(&self, record: &Record) -> bool {
        let keeps_records = self.outside.as_ref().is_some_and(|outside| outside.shared_log.log.keeps_records());
        keeps_records && record.after < self.replica.certain_from
    }

    /// Notes that the messages up to this sequence number are missing, and lets every client come
    /// back: with its cursor, it is told of the gap.
    pub(super) fn declare_gap(&mut self, sequence: u64) {
        self.lose_position(sequence);
        self.note_reached(sequence);
        self.replica.certain_from = sequence;
        self.replica.last_record = None;
        self.replica.counts.gaps += 1;
    }

    /// Messages of this hub that are published from now on are behind this position.
    fn note_reached(&self, sequence: u64) {
        if let Some(outside) = &self.outside {
            outside.reached.store(sequence, SeqCst);
        }
    }

    /// Drops everything up to this sequence number from memory, and lets every client come back. It
    /// gets what is missing from the log, or is told of a gap.
    fn lose_position(&mut self, sequence: u64) {
        self.log.pass_over(sequence);
        self.send_everybody_back();
    }

    /// Begins another epoch of the log, behind this sequence number. The requests that wait look
    /// again.
    pub(super) fn begin_epoch(&mut self, epoch: u64, sequence: u64) -> Vec<OnReached> {
        self.log.begin_epoch(epoch, sequence);
        if let Some(outside) = &self.outside {
            outside.begin_epoch(sequence);
        }
        let waiting = std::mem::take(&mut self.replica.waiting).take_reached(u64::MAX);
        self.replica =
            Replica { epoch: Some(epoch), certain_from: sequence, counts: std::mem::take(&mut self.replica.counts), ..Replica::default() };
        self.send_everybody_back();
        waiting
    }

    fn send_everybody_back(&mut self) {
        let word = Arc::new(come_back());
        for key in self.subscriber_keys() {
            if !self.end_reader(key, &word) {
                self.end_poll(key);
            }
        }
    }
}
