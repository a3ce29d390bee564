//! Deadlines of many connections.
//!
//! Owns a heap with at most one live entry for each connection, and how exact entries are. Leaves
//! it to the event loop to compare an entry with the connection's deadline.
//!
//! An entry can come up early, because moving a deadline to a later time does not touch the heap;
//! the loop then adds an entry again. An entry can also come up late, by one eighth of its time and
//! by one second at most: far deadlines come up at full seconds. So the heartbeats of ten thousand
//! idle connections wake the loop once per second, and not four hundred times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// A heap of (due, slot).
#[derive(Debug)]
pub(crate) struct Timers {
    /// The zero of the heap's milliseconds. An entry takes 16 bytes instead of 24.
    start: Instant,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
}

/// A connection's copy of its live entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed {
    /// The deadline, in milliseconds.
    due: u64,
    /// Whether the entry may come up late, at the next full second.
    is_late: bool,
}

impl Armed {
    const fn comes_up(self) -> u64 {
        if self.is_late { self.due.next_multiple_of(LATE_MAX_MS) } else { self.due }
    }
}

/// Below this number of entries, sweeping the heap is not worth its cost.
const SWEEP_ABOVE: usize = 4_096;
/// How late an entry may come up at most. Late entries come up at multiples of this time.
const LATE_MAX_MS: u64 = 1_000;
/// An entry may come up late by this part of the time to its deadline.
const LATE_PART: u64 = 8;
/// Deadlines after this time come up early: 34 years.
const DUE_MAX_MS: u64 = 1 << 40;

impl Timers {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, heap: BinaryHeap::new() }
    }

    /// Makes sure that `slot` comes up at `deadline` or not much later. `armed` is the connection's
    /// copy of its live entry.
    #[inline]
    pub(crate) fn arm(&mut self, slot: u32, deadline: Instant, now: Instant, armed: &mut Option<Armed>) {
        let due = self.due(deadline);
        // The live entry of a far deadline may come up too late for a nearer deadline.
        if armed.is_none_or(|armed| due < armed.due || (armed.due < due && due < armed.comes_up())) {
            let left_ms = due.saturating_sub(self.due(now));
            let entry = Armed { due, is_late: left_ms / LATE_PART >= LATE_MAX_MS };
            if armed.is_none_or(|armed| due < armed.due || entry.comes_up() < armed.comes_up()) {
                *armed = Some(entry);
                self.heap.push(Reverse((entry.comes_up(), slot)));
            }
        }
    }

    /// A deadline in milliseconds, rounded up, so that rounding never makes a timer early. Only a
    /// deadline beyond [`DUE_MAX_MS`] comes up early.
    fn due(&self, deadline: Instant) -> u64 {
        let after = deadline.saturating_duration_since(self.start).as_millis();
        u64::try_from(after).map_or(DUE_MAX_MS, |after| after.min(DUE_MAX_MS)) + 1
    }

    /// Whether an entry of the heap is the connection's live one.
    pub(crate) fn is_armed(due: u64, armed: Option<Armed>) -> bool {
        armed.is_some_and(|armed| armed.comes_up() == due)
    }

    /// Removes stale entries, once they outnumber those of `live` connections. Otherwise, many
    /// short connections would leave entries that stay until their deadlines.
    #[inline]
    pub(crate) fn sweep(&mut self, live: usize, armed: impl Fn(u32) -> Option<Armed>) {
        if self.heap.len() > 4 * live + SWEEP_ABOVE {
            let mut heap = std::mem::take(&mut self.heap);
            heap.retain(|Reverse((due, slot))| Self::is_armed(*due, armed(*slot)));
            self.heap = heap;
        }
    }

    /// The time from `now` to the first entry.
    pub(crate) fn next_in(&self, now: Instant) -> Option<Duration> {
        let Reverse((due, _)) = self.heap.peek()?;
        Some((self.start + Duration::from_millis(*due)).saturating_duration_since(now))
    }

    /// Takes the next due entry: its time and its slot.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(u64, u32)> {
        let Reverse(entry) = *self.heap.peek()?;
        if self.start + Duration::from_millis(entry.0) > now {
            return None;
        }
        self.heap.pop();
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arms slot 7 for a time from now, in a loop that has run for about a second. Returns after
    /// how many milliseconds the entry comes up.
    fn comes_up_after(timers: &mut Timers, left_ms: u64, armed: &mut Option<Armed>) -> u128 {
        let now = timers.start + Duration::from_millis(1_234);
        timers.arm(7, now + Duration::from_millis(left_ms), now, armed);
        let up = timers.next_in(now).expect("an entry");
        assert_eq!(timers.pop_due(now + up.saturating_sub(Duration::from_nanos(1))), None);
        up.as_millis()
    }

    #[test]
    fn what_is_near_is_exact_and_what_is_far_is_at_full_seconds() {
        for (left_ms, up_ms) in [(0, 1), (50, 51), (7_999, 8_000), (8_000, 8_766), (8_765, 8_766), (8_766, 9_766), (25_000, 25_766)] {
            let mut timers = Timers::new(Instant::now());
            assert_eq!(comes_up_after(&mut timers, left_ms, &mut None), up_ms, "{left_ms}");
        }
    }

    #[test]
    fn far_deadlines_share_a_turn() {
        let mut timers = Timers::new(Instant::now());
        let now = timers.start;
        for slot in 0..1_000 {
            timers.arm(slot, now + Duration::from_millis(25_000 + u64::from(slot) % 999), now, &mut None);
        }
        let up = now + timers.next_in(now).expect("an entry");
        assert_eq!((0..1_000).filter(|_| timers.pop_due(up).is_some()).count(), 1_000);
        assert!(up <= now + Duration::from_secs(26));
    }

    #[test]
    fn a_deadline_that_moves() {
        let mut timers = Timers::new(Instant::now());
        let mut armed = None;
        assert_eq!(comes_up_after(&mut timers, 25_000, &mut armed), 25_766);
        for later in [25_000, 25_001, 60_000] {
            assert_eq!(comes_up_after(&mut timers, later, &mut armed), 25_766);
            assert_eq!(timers.heap.len(), 1, "it touches nothing");
        }
        assert_eq!(comes_up_after(&mut timers, 100, &mut armed), 101);
        assert_eq!(timers.heap.len(), 2, "the first entry is nobody's any more");
        timers.sweep(0, |_| armed);
        assert_eq!(timers.heap.len(), 2, "not worth it");
        for _ in 0..SWEEP_ABOVE {
            timers.heap.push(Reverse((30_000, 7)));
        }
        timers.sweep(0, |_| armed);
        assert_eq!(timers.heap.into_vec(), [Reverse((1_335, 7))]);
    }

    /// The entry of a far deadline comes up late. A near deadline behind it is met in time.
    #[test]
    fn a_near_deadline_behind_a_far_one() {
        let mut timers = Timers::new(Instant::now());
        let mut armed = None;
        let start = timers.start;
        timers.arm(7, start + Duration::from_millis(10_001), start, &mut armed);
        let now = start + Duration::from_millis(9_900);
        for later_ms in [200, 201, 900] {
            timers.arm(7, now + Duration::from_millis(later_ms), now, &mut armed);
            assert_eq!((timers.next_in(now), timers.heap.len()), (Some(Duration::from_millis(201)), 2), "once");
        }
    }

    #[test]
    fn a_deadline_beyond_all_others() {
        let mut timers = Timers::new(Instant::now());
        let now = timers.start + Duration::from_millis(1_234);
        timers.arm(7, now + Duration::from_millis(u64::MAX), now, &mut None);
        assert!(timers.next_in(now).expect("an entry") > Duration::from_secs(365 * 86_400));
    }

    #[test]
    fn whose_entry_it_is() {
        let (exact, late) = (Armed { due: 25_301, is_late: false }, Armed { due: 25_301, is_late: true });
        for (due, is_exact, is_late) in [(25_300, false, false), (25_301, true, false), (26_000, false, true), (27_000, false, false)] {
            assert_eq!((Timers::is_armed(due, Some(exact)), Timers::is_armed(due, Some(late))), (is_exact, is_late), "{due}");
        }
        assert!(!Timers::is_armed(26_000, None));
    }
}
