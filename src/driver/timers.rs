//! Deadlines of many connections.
//!
//! Owns a heap with at most one live entry per connection. Refuses exactness: an entry may come up before its connection is due, because a
//! deadline that moved later touched nothing; the loop then puts it in again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// A heap of (due, slot).
#[derive(Debug)]
pub(crate) struct Timers {
    /// Milliseconds are counted from here: 16 bytes an entry instead of 24.
    start: Instant,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
}

/// Entries that are not worth sweeping.
const SWEEP_ABOVE: usize = 4_096;

/// Not armed.
pub(crate) const NEVER: u64 = u64::MAX;

impl Timers {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, heap: BinaryHeap::new() }
    }

    /// Sees to it that `slot` comes up at `deadline` at the latest. `armed` is the connection's own note of when it will come up.
    #[inline]
    pub(crate) fn arm(&mut self, slot: u32, deadline: Instant, armed: &mut u64) {
        // Rounded up: a timer never comes up before its deadline by rounding.
        let due = deadline.saturating_duration_since(self.start).as_millis() as u64 + 1;
        if due < *armed {
            *armed = due;
            self.heap.push(Reverse((due, slot)));
        }
    }

    /// Forgets the entries that are nobody's any more, once they outnumber those of `live` connections: otherwise many short connections
    /// would leave theirs here until their deadlines.
    #[inline]
    pub(crate) fn sweep(&mut self, live: usize, is_live: impl Fn(u64, u32) -> bool) {
        if self.heap.len() > 4 * live + SWEEP_ABOVE {
            self.heap.retain(|Reverse((due, slot))| is_live(*due, *slot));
        }
    }

    /// Time from `now` to the first entry.
    pub(crate) fn next_in(&self, now: Instant) -> Option<Duration> {
        let Reverse((due, _)) = self.heap.peek()?;
        Some((self.start + Duration::from_millis(*due)).saturating_duration_since(now))
    }

    /// Takes the next entry that is due: when, and which slot.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(u64, u32)> {
        let Reverse(entry) = *self.heap.peek()?;
        if self.start + Duration::from_millis(entry.0) > now {
            return None;
        }
        self.heap.pop();
        Some(entry)
    }
}
