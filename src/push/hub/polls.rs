//! Polls that wait for a topic's next message.
//!
//! Owns their keys, in the order in which they came. Refuses to hear of each that is over, which would have to be looked for: those are
//! swept out when they are too many. All are taken at once, by the message that they wait for.

/// So many that are over are not worth sweeping.
const OVER: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Polls(Vec<u64>);

impl Polls {
    /// Adds one. Of all that were added, `waiting` still wait, and those are there.
    pub(crate) fn add(&mut self, key: u64, waiting: usize, is_there: impl Fn(u64) -> bool) {
        if self.0.len() >= 2 * waiting + OVER {
            self.0.retain(|key| is_there(*key));
        }
        self.0.push(key);
    }

    /// Takes all, those that are over included.
    pub(crate) fn take_all(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls that come and go while nothing is published take no more room than twice those that wait, and a little.
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
