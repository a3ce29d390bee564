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

impl Timers {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, heap: BinaryHeap::new() }
    }

    /// Sees to it that `slot` comes up at `deadline` at the latest. `armed` is the connection's own note of when it will come up.
    #[inline]
    pub(crate) fn arm(&mut self, slot: u32, deadline: Instant, armed: &mut Option<Instant>) {
        if armed.is_none_or(|armed| deadline < armed) {
            *armed = Some(deadline);
            self.heap.push(Reverse((self.due(deadline), slot)));
        }
    }

    /// Rounded up: a timer never comes up before its deadline by rounding.
    fn due(&self, deadline: Instant) -> u64 {
        deadline.saturating_duration_since(self.start).as_millis() as u64 + 1
    }

    /// Whether an entry is the one that a connection noted.
    pub(crate) fn is_armed(&self, due: u64, armed: Option<Instant>) -> bool {
        armed.is_some_and(|armed| self.due(armed) == due)
    }

    /// Forgets the entries that are nobody's any more, once they outnumber those of `live` connections: otherwise many short connections
    /// would leave theirs here until their deadlines.
    #[inline]
    pub(crate) fn sweep(&mut self, live: usize, armed: impl Fn(u32) -> Option<Instant>) {
        if self.heap.len() > 4 * live + SWEEP_ABOVE {
            let mut heap = std::mem::take(&mut self.heap);
            heap.retain(|Reverse((due, slot))| self.is_armed(*due, armed(*slot)));
            self.heap = heap;
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
