//! The polls that wait for a topic's next message.
//!
//! Owns the keys of the polls, in the order in which the polls began. A poll that ends early leaves
//! its key in the list, because a search for the key would take linear time; `add` sweeps such keys
//! out when there are many. Leaves the polls themselves to `state`.

/// So many keys of ended polls are not worth a sweep.
const OVER: usize = 16;

/// The keys of one topic.
#[derive(Debug, Default)]
pub(crate) struct Polls(Vec<u64>);

impl Polls {
    /// Adds a key. `waiting` is the number of polls in the list that still wait, and `is_there`
    /// tells whether a poll still waits. A sweep happens only after at least as many additions as
    /// it keeps keys, so an addition takes constant time on average.
    pub(crate) fn add(&mut self, key: u64, waiting: usize, is_there: impl Fn(u64) -> bool) {
        if self.0.len() >= 2 * waiting + OVER {
            self.0.retain(|key| is_there(*key));
        }
        self.0.push(key);
    }

    /// Takes all keys, also those of polls that have ended.
    pub(crate) fn take_all(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// While nothing is published, the list is at most twice as long as the number of waiting polls,
    /// plus a constant.
    #[test]
    fn those_that_are_over_go() {
        for at_once in [0, 1, 100] {
            let mut polls = Polls::default();
            for key in 0..10_000 {
                let first = u64::saturating_sub(key, at_once);
                polls.add(key, (key - first) as usize, |key| key >= first);
                assert!(polls.0.len() <= 2 * at_once as usize + OVER + 1, "{} for {at_once}", polls.0.len());
            }
            let last: Vec<_> = (10_000 - at_once - 1..10_000).collect();
            assert!(polls.take_all().ends_with(&last), "those that wait are there, in order");
            assert!(polls.take_all().is_empty());
        }
    }
}
