//! Empty outboxes, to be used again.
//!
//! Owns how many are kept, and how large. Refuses to know whose they were.

use crate::proto::Outbox;

/// Outboxes that are kept, and the largest that is: a fan-out of one turn uses one for each subscriber.
const KEPT: usize = 1_024;
const BYTES_KEPT: usize = 4 * 1_024;
/// One outbox may stay as large as the largest batch of answers.
const FIRST_BYTES_KEPT: usize = 1024 * 1024;

/// The outboxes that nobody uses at the moment.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "a connection keeps its outbox in a box, to be small without one")]
pub(crate) struct Outboxes(Vec<Box<Outbox>>);

impl Outboxes {
    #[expect(clippy::unnecessary_box_returns, reason = "the box is used again, too")]
    pub(crate) fn take(&mut self) -> Box<Outbox> {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&mut self, mut outbox: Box<Outbox>) {
        outbox.clear();
        let bytes_kept = if self.0.is_empty() { FIRST_BYTES_KEPT } else { BYTES_KEPT };
        if self.0.len() < KEPT && outbox.capacity() <= bytes_kept {
            self.0.push(outbox);
        }
    }
}
