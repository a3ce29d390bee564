//! Deadlines of many connections.
//!
//! Owns a heap with at most one live entry per connection. Refuses exactness: an entry may come up before its connection is due, because a
//! deadline that moved later touched nothing; the loop then puts it in again. And it may come up late, by an eighth of the time that it had
//! and by a second at the most: what is far away comes up at full seconds, so that the heartbeats of ten thousand idle connections wake the
//! loop once a second, and not four hundred times.

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

/// A connection's note of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed {
    /// When the deadline is.
    due: u64,
    /// It may come up late.
    is_late: bool,
}

impl Armed {
    const fn comes_up(self) -> u64 {
        if self.is_late { self.due.next_multiple_of(LATE_MAX_MS) } else { self.due }
    }
}

/// Entries that are not worth sweeping.
const SWEEP_ABOVE: usize = 4_096;
/// The longest that an entry may come up late, which is also how far apart those are that may be as late as that.
const LATE_MAX_MS: u64 = 1_000;
/// An entry may come up late by this part of the time to its deadline.
const LATE_PART: u64 = 8;
/// Later deadlines come up early: 34 years.
const DUE_MAX_MS: u64 = 1 << 40;

impl Timers {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, heap: BinaryHeap::new() }
    }

    /// Sees to it that `slot` comes up not much later than at `deadline`. `armed` is the connection's own note of when it will come up.
    #[inline]
    pub(crate) fn arm(&mut self, slot: u32, deadline: Instant, now: Instant, armed: &mut Option<Armed>) {
        let due = self.due(deadline);
        // An entry of a far deadline may come up too late for a near one behind that.
        if armed.is_none_or(|armed| due < armed.due || (armed.due < due && due < armed.comes_up())) {
            let left_ms = due.saturating_sub(self.due(now));
            let entry = Armed { due, is_late: left_ms / LATE_PART >= LATE_MAX_MS };
            if armed.is_none_or(|armed| due < armed.due || entry.comes_up() < armed.comes_up()) {
                *armed = Some(entry);
                self.heap.push(Reverse((entry.comes_up(), slot)));
            }
        }
    }

    /// Rounded up: a timer never comes up before its deadline by rounding. But it does where the deadline is beyond all that a server lives.
    fn due(&self, deadline: Instant) -> u64 {
        let after = deadline.saturating_duration_since(self.start).as_millis();
        u64::try_from(after).map_or(DUE_MAX_MS, |after| after.min(DUE_MAX_MS)) + 1
    }

    /// Whether an entry is the one that a connection noted.
    pub(crate) fn is_armed(due: u64, armed: Option<Armed>) -> bool {
        armed.is_some_and(|armed| armed.comes_up() == due)
    }

    /// Forgets the entries that are nobody's any more, once they outnumber those of `live` connections: otherwise many short connections
    /// would leave theirs here until their deadlines.
    #[inline]
    pub(crate) fn sweep(&mut self, live: usize, armed: impl Fn(u32) -> Option<Armed>) {
        if self.heap.len() > 4 * live + SWEEP_ABOVE {
            let mut heap = std::mem::take(&mut self.heap);
            heap.retain(|Reverse((due, slot))| Self::is_armed(*due, armed(*slot)));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Arms slot 7 in a second-old loop for a time from now, and says after how many milliseconds it comes up.
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

    /// A connection that waits long comes up late; what it has to do in a moment is not late because of that.
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
