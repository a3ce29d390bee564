//! What a hub remembers of the log that it follows.
//!
//! Owns the epoch, the records that were applied, the requests that wait for the next ones, and the
//! figures. Leaves applying a record to `apply`.

use std::time::Instant;

use super::waiting::Waiting;
use crate::push::log::Marks;

/// What a hub remembers of the log that it follows.
#[derive(Default)]
pub(crate) struct Replica {
    /// The epoch of the log, once the hub has learned it.
    pub(super) epoch: Option<u64>,
    pub(super) marks: Marks,
    /// The hub has read all positions behind this sequence number. Before it, there may be records
    /// that the hub does not know.
    pub(super) certain_from: u64,
    /// The origin and the number of the last record that was applied.
    pub(super) last_record: Option<(u64, u64)>,
    /// The time at which the last message counts as published. It never decreases.
    pub(super) last_published_at: Option<Instant>,
    pub(super) waiting: Waiting,
    pub(super) counts: Counts,
}

/// What the hub has counted since the last look.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) repeated: u64,
    pub(super) passed_over: u64,
    pub(super) gaps: u64,
}
