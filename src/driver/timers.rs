//! Deadlines of many connections.
//!
//! Owns a list with at most one live entry for each connection, and how exact entries are. Leaves
//! it to the event loop to compare an entry with the connection's deadline.
//!
//! An entry can come up early, because moving a deadline to a later time does not touch the list;
//! the loop then adds an entry again. An entry can also come up late, by one eighth of its time and
//! by one second at most: far deadlines come up at full seconds. So the heartbeats of ten thousand
//! idle connections wake the loop once per second, and not four hundred times. What is left is one
//! `send` for each heartbeat: `strace -c` counts 123 of them for each `epoll_wait`, and `perf`
//! finds 95 % of the time in the system. Fewer wake-ups would save nothing.
//!
//! The entries of far deadlines are the slots alone, in one list for each second: 4 bytes for an
//! idle connection, and no search. Near deadlines, which are exact and few, are in a heap of 16
//! bytes for each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// The entries of all connections.
#[derive(Debug)]
pub(crate) struct Timers {
    /// The zero of the milliseconds.
    start: Instant,
    /// The time of the turn in milliseconds, rounded as deadlines are.
    now: u64,
    /// The last deadline that was armed, and its milliseconds. All answers of a turn move their
    /// connections' deadlines to the same time, and the computation takes 100 instructions.
    last: (Instant, u64),
    /// The exact entries: (due, slot).
    exact: BinaryHeap<Reverse<(u64, u32)>>,
    /// The late entries, by the full second at which they come up, in milliseconds.
    late: BTreeMap<u64, Vec<u32>>,
    /// The number of late entries.
    late_len: usize,
}

/// A connection's copy of its live entry: the deadline in milliseconds, doubled, and 1 more if the
/// entry may come up late, at the next full second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed(NonZeroU64);

impl Armed {
    /// An entry that is due at least a millisecond after the start.
    fn new(due: u64, is_late: bool) -> Option<Self> {
        NonZeroU64::new(due << 1 | u64::from(is_late)).map(Self)
    }

    const fn due(self) -> u64 {
        self.0.get() >> 1
    }

    const fn is_late(self) -> bool {
        self.0.get() & 1 == 1
    }

    const fn comes_up(self) -> u64 {
        if self.is_late() { self.due().next_multiple_of(LATE_MAX_MS) } else { self.due() }
    }
}

/// Below this number of entries, sweeping is not worth its cost.
const SWEEP_ABOVE: usize = 4_096;
/// How late an entry may come up at most. Late entries come up at multiples of this time.
const LATE_MAX_MS: u64 = 1_000;
/// An entry may come up late by this part of the time to its deadline.
const LATE_PART: u64 = 8;
/// Deadlines after this time come up early: 34 years.
const DUE_MAX_MS: u64 = 1 << 40;

impl Timers {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, now: 1, last: (start, 1), exact: BinaryHeap::new(), late: BTreeMap::new(), late_len: 0 }
    }

    /// Takes the time of a turn. Its milliseconds are computed once, and not for each connection.
    #[inline]
    pub(crate) fn begin_turn(&mut self, now: Instant) {
        self.now = self.due(now);
    }

    /// Makes sure that `slot` comes up at `deadline` or not much later. `armed` is the connection's
    /// copy of its live entry.
    #[inline]
    pub(crate) fn arm(&mut self, slot: u32, deadline: Instant, armed: &mut Option<Armed>) {
        if self.last.0 != deadline {
            self.last = (deadline, self.due(deadline));
        }
        let due = self.last.1;
        // The usual case: an answer has moved the deadline to a later time. A far deadline that
        // moves comes up no earlier than before.
        let left_ms = due.saturating_sub(self.now);
        let is_late = left_ms / LATE_PART >= LATE_MAX_MS;
        if armed.is_some_and(|armed| due >= armed.due() && (is_late && armed.is_late() || due >= armed.due() + LATE_MAX_MS)) {
            return;
        }
        // The live entry of a far deadline may come up too late for a nearer deadline.
        if armed.is_none_or(|armed| due < armed.due() || (armed.due() < due && due < armed.comes_up())) {
            let Some(entry) = Armed::new(due, is_late) else { return };
            // The entry in the list is good for each deadline at which it comes up.
            let is_listed = armed.is_some_and(|armed| armed.comes_up() == entry.comes_up());
            if armed.is_none_or(|armed| due < armed.due() || entry.comes_up() < armed.comes_up()) {
                *armed = Some(entry);
                if !is_listed {
                    self.add(slot, entry);
                }
            }
        }
    }

    fn add(&mut self, slot: u32, entry: Armed) {
        if entry.is_late() {
            self.late.entry(entry.comes_up()).or_default().push(slot);
            self.late_len += 1;
        } else {
            self.exact.push(Reverse((entry.due(), slot)));
        }
    }

    /// A deadline in milliseconds, rounded up, so that rounding never makes a timer early. Only a
    /// deadline beyond [`DUE_MAX_MS`] comes up early.
    #[inline]
    fn due(&self, deadline: Instant) -> u64 {
        let after = deadline.saturating_duration_since(self.start);
        // Not `as_millis`, which computes with 128 bits.
        let after_ms = after.as_secs().saturating_mul(1_000).saturating_add(after.subsec_millis().into());
        after_ms.min(DUE_MAX_MS) + 1
    }

    /// Whether an entry is the connection's live one.
    pub(crate) fn is_armed(due: u64, armed: Option<Armed>) -> bool {
        armed.is_some_and(|armed| armed.comes_up() == due)
    }

    /// Removes stale entries, once they outnumber those of `live` connections. Otherwise, many
    /// short connections would leave entries that stay until their deadlines.
    #[inline]
    pub(crate) fn sweep(&mut self, live: usize, armed: impl Fn(u32) -> Option<Armed>) {
        if self.len() > 4 * live + SWEEP_ABOVE {
            self.exact.retain(|Reverse((due, slot))| Self::is_armed(*due, armed(*slot)));
            self.exact.shrink_to(2 * self.exact.len());
            self.late.retain(|due, slots| {
                slots.retain(|slot| Self::is_armed(*due, armed(*slot)));
                slots.shrink_to_fit();
                !slots.is_empty()
            });
            self.late_len = self.late.values().map(Vec::len).sum();
        }
    }

    fn len(&self) -> usize {
        self.exact.len() + self.late_len
    }

    /// When the first entry comes up, in milliseconds, and whether it is a late one.
    fn first(&self) -> Option<(u64, bool)> {
        let exact = self.exact.peek().map(|Reverse((due, _))| (*due, false));
        let late = self.late.first_key_value().map(|(due, _)| (*due, true));
        [exact, late].into_iter().flatten().min()
    }

    /// The time from `now` to the first entry.
    pub(crate) fn next_in(&self, now: Instant) -> Option<Duration> {
        let (due, _) = self.first()?;
        Some((self.start + Duration::from_millis(due)).saturating_duration_since(now))
    }

    /// Takes the next due entry: its time and its slot.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(u64, u32)> {
        let (due, is_late) = self.first()?;
        if self.start + Duration::from_millis(due) > now {
            return None;
        }
        if !is_late {
            return self.exact.pop().map(|Reverse(entry)| entry);
        }
        let mut slots = self.late.first_entry()?;
        let slot = slots.get_mut().pop();
        if slots.get().is_empty() {
            slots.remove();
        }
        self.late_len -= 1;
        Some((due, slot?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(due: u64, is_late: bool) -> Armed {
        Armed::new(due, is_late).expect("a deadline behind the start")
    }

    /// Arms slot 7 for a time from now, in a loop that has run for about a second. Returns after
    /// how many milliseconds the entry comes up.
    fn comes_up_after(timers: &mut Timers, left_ms: u64, armed: &mut Option<Armed>) -> u128 {
        let now = timers.start + Duration::from_millis(1_234);
        timers.begin_turn(now);
        timers.arm(7, now + Duration::from_millis(left_ms), armed);
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
            timers.arm(slot, now + Duration::from_millis(25_000 + u64::from(slot) % 999), &mut None);
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
            assert_eq!(timers.len(), 1, "it touches nothing");
        }
        assert_eq!(comes_up_after(&mut timers, 100, &mut armed), 101);
        assert_eq!(timers.len(), 2, "the first entry is nobody's any more");
        timers.sweep(0, |_| armed);
        assert_eq!(timers.len(), 2, "not worth it");
        for number in 0..SWEEP_ABOVE as u64 {
            timers.add(7, entry(30_000 + number, number % 2 == 0));
        }
        timers.sweep(0, |_| armed);
        assert_eq!((timers.len(), timers.exact.into_vec(), timers.late.len()), (1, vec![Reverse((1_335, 7))], 0));
    }

    /// The entry of a far deadline comes up late. A near deadline behind it is met in time.
    #[test]
    fn a_near_deadline_behind_a_far_one() {
        let mut timers = Timers::new(Instant::now());
        let mut armed = None;
        let start = timers.start;
        timers.arm(7, start + Duration::from_millis(10_001), &mut armed);
        let now = start + Duration::from_millis(9_900);
        timers.begin_turn(now);
        for later_ms in [200, 201, 900] {
            timers.arm(7, now + Duration::from_millis(later_ms), &mut armed);
            assert_eq!((timers.next_in(now), timers.len()), (Some(Duration::from_millis(201)), 2), "once");
        }
    }

    /// Each connection has one entry, also if its far deadline comes nearer within a second.
    #[test]
    fn a_far_deadline_that_comes_nearer() {
        let mut timers = Timers::new(Instant::now());
        let (start, mut armed) = (timers.start, None);
        for (due_ms, entries) in [(25_900, 1), (25_500, 1), (25_100, 1), (24_900, 2)] {
            timers.arm(7, start + Duration::from_millis(due_ms), &mut armed);
            assert_eq!((timers.len(), armed.map(Armed::due)), (entries, Some(due_ms + 1)), "{due_ms}");
        }
    }

    #[test]
    fn a_deadline_beyond_all_others() {
        let mut timers = Timers::new(Instant::now());
        let now = timers.start + Duration::from_millis(1_234);
        timers.arm(7, now + Duration::from_millis(u64::MAX), &mut None);
        assert!(timers.next_in(now).expect("an entry") > Duration::from_secs(365 * 86_400));
    }

    #[test]
    fn whose_entry_it_is() {
        let (exact, late) = (entry(25_301, false), entry(25_301, true));
        for (due, is_exact, is_late) in [(25_300, false, false), (25_301, true, false), (26_000, false, true), (27_000, false, false)] {
            assert_eq!((Timers::is_armed(due, Some(exact)), Timers::is_armed(due, Some(late))), (is_exact, is_late), "{due}");
        }
        assert!(!Timers::is_armed(26_000, None));
    }

    /// Exact and late entries come up in the order of their times, and each of them once.
    #[test]
    fn in_order() {
        let mut timers = Timers::new(Instant::now());
        let now = timers.start;
        for slot in 0..2_000 {
            timers.arm(slot, now + Duration::from_millis(u64::from(slot) * 7_919 % 20_000), &mut None);
        }
        let (mut seen, mut last) = (vec![0; 2_000], 0);
        while let Some((due, slot)) = timers.pop_due(now + Duration::from_secs(21)) {
            assert!(due >= last, "{due} behind {last}");
            last = due;
            seen[slot as usize] += 1;
        }
        assert!(seen.iter().all(|times| *times == 1) && timers.len() == 0 && timers.next_in(now).is_none());
    }
}
