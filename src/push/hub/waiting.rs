//! The requests that wait for the hub to reach their cursors.
//!
//! Owns their order and their deadlines. Leaves what they do then to `lookup`.

use std::collections::BTreeMap;
use std::time::Instant;

/// What a request does when the hub has reached its cursor (`true`), or when its time is over
/// (`false`). It is called without the hub's lock.
pub(crate) type OnReached = Box<dyn FnOnce(bool) + Send>;

/// The requests that wait, by the sequence number that they wait for.
#[derive(Default)]
pub(crate) struct Waiting {
    by_sequence: BTreeMap<(u64, u64), (Instant, OnReached)>,
    /// Makes equal sequence numbers distinct.
    last_key: u64,
}

impl Waiting {
    pub(crate) fn add(&mut self, sequence: u64, deadline: Instant, call: OnReached) {
        self.last_key += 1;
        self.by_sequence.insert((sequence, self.last_key), (deadline, call));
    }

    /// Takes the requests that wait for this sequence number or a lower one.
    pub(crate) fn take_reached(&mut self, sequence: u64) -> Vec<OnReached> {
        // There is nearly never one.
        if self.by_sequence.first_key_value().is_none_or(|((first, _), _)| *first > sequence) {
            return Vec::new();
        }
        let rest = self.by_sequence.split_off(&(sequence, u64::MAX));
        std::mem::replace(&mut self.by_sequence, rest).into_values().map(|(_, call)| call).collect()
    }

    /// Takes the requests whose time is over.
    pub(crate) fn take_late(&mut self, now: Instant) -> Vec<OnReached> {
        let is_late = |(key, (deadline, _)): (&(u64, u64), &(Instant, OnReached))| (*deadline <= now).then_some(*key);
        let late: Vec<_> = self.by_sequence.iter().filter_map(is_late).collect();
        late.iter().filter_map(|key| self.by_sequence.remove(key)).map(|(_, call)| call).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_sequence.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_request_waits_for_its_sequence_number_or_its_deadline() {
        let start = Instant::now();
        let (calls, called) = mpsc::channel();
        let mut waiting = Waiting::default();
        for (sequence, seconds) in [(5, 1), (3, 2), (5, 3), (u64::MAX, 4)] {
            let calls = calls.clone();
            let deadline = start + Duration::from_secs(seconds);
            waiting.add(sequence, deadline, Box::new(move |reached| calls.send((sequence, seconds, reached)).expect("the test receives")));
        }
        let tell = |taken: Vec<OnReached>, reached| {
            for call in taken {
                call(reached);
            }
            called.try_iter().collect::<Vec<_>>()
        };
        assert_eq!(tell(waiting.take_reached(2), true), []);
        assert_eq!(tell(waiting.take_reached(4), true), [(3, 2, true)]);
        assert_eq!(tell(waiting.take_late(start), false), []);
        assert_eq!(tell(waiting.take_late(start + Duration::from_secs(1)), false), [(5, 1, false)]);
        assert_eq!(tell(waiting.take_reached(5), true), [(5, 3, true)]);
        assert_eq!(waiting.len(), 1);
        assert_eq!(tell(waiting.take_reached(u64::MAX), true), [(u64::MAX, 4, true)]);
    }
}
