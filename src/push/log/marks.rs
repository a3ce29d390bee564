//! Which records of each origin were applied.
//!
//! Owns a high-water mark per origin, so that a record that was appended twice counts once. An
//! origin appends its records in the order of their numbers, so one number per origin is enough.
//! Leaves the records to `hub`.

use std::collections::{BTreeMap, HashMap};

/// The origins that are remembered. Each start of a server is a new origin.
const ORIGINS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// For each origin, the highest number, and when it was set.
    highest: HashMap<u64, (u64, u64)>,
    /// The origins in the order in which their marks were set. The origin that was silent for the
    /// longest time is forgotten first. The order depends on the records alone, so every hub
    /// forgets the same origins.
    order: BTreeMap<u64, u64>,
    sets: u64,
}

impl Marks {
    /// Notes a record. Returns whether it is new.
    pub(crate) fn note(&mut self, origin: u64, number: u64) -> bool {
        let before = self.highest.get(&origin).copied();
        if before.is_some_and(|(highest, _)| number <= highest) {
            return false;
        }
        if let Some((_, set)) = before {
            self.order.remove(&set);
        }
        self.sets += 1;
        self.highest.insert(origin, (number, self.sets));
        self.order.insert(self.sets, origin);
        if self.highest.len() > ORIGINS_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.highest.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_once() {
        let mut marks = Marks::default();
        let noted = [(1, 1), (1, 1), (1, 3), (1, 2), (2, 1), (1, 3), (1, 4)].map(|(origin, number)| marks.note(origin, number));
        assert_eq!(noted, [true, false, true, false, true, false, true]);
    }

    #[test]
    fn the_origin_that_was_silent_longest_is_forgotten_at_the_bound() {
        let mut marks = Marks::default();
        for origin in 0..ORIGINS_MAX as u64 {
            assert!(marks.note(origin, 1));
        }
        assert!(marks.note(0, 2));
        assert!(marks.note(u64::MAX, 1), "one past the bound");
        assert_eq!((marks.highest.len(), marks.order.len()), (ORIGINS_MAX, ORIGINS_MAX));
        assert!(!marks.note(0, 2), "it was not silent");
        assert!(marks.note(1, 1), "it was forgotten");
    }
}
