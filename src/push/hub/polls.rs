//! The polls that wait for a topic's next message.
//!
//! Owns the keys of the polls, in the order in which the polls began. A poll that ends early leaves
//! its key in the list, because a search for the key would take linear time; `add` sweeps such keys
//! out when there are many. Leaves the polls themselves to `state`.

/// So many keys of ended polls are not worth a sweep.
const OVER: usize = 16;

/// The polls of one topic.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    /// The keys of the polls that wait, and of some polls that have ended.
    keys: Vec<u64>,
    /// The polls that wait.
    waiting: usize,
}

impl Polls {
    /// Adds a poll. `is_there` tells whether the poll of a key still waits. A sweep happens only
    /// after at least as many additions as it keeps keys, so an addition takes constant time on
    /// average.
    pub(crate) fn add(&mut self, key: u64, is_there: impl Fn(u64) -> bool) {
        if self.keys.len() >= 2 * self.waiting + OVER {
            self.keys.retain(|key| is_there(*key));
        }
        self.keys.push(key);
        self.waiting += 1;
    }

    /// Counts a poll that has ended. Its key stays in the list.
    pub(crate) fn end_one(&mut self) {
        self.waiting -= 1;
    }

    /// Takes all keys, also those of polls that have ended. The caller ends each poll that waits.
    pub(crate) fn take_all(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.keys)
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
                if key > at_once {
                    polls.end_one();
                }
                polls.add(key, |key| key >= first);
                assert!(polls.keys.len() <= 2 * at_once as usize + OVER + 1, "{} for {at_once}", polls.keys.len());
            }
            let last: Vec<_> = (10_000 - at_once - 1..10_000).collect();
            assert!(polls.take_all().ends_with(&last), "those that wait are there, in order");
            assert!(polls.take_all().is_empty());
        }
    }
}
