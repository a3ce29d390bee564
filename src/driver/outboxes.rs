//! Empty outboxes, kept to be used again.
//!
//! Owns how many outboxes are kept, and how large they may be. Leaves their use to the connections
//! of the event loop.

use crate::proto::Outbox;

/// The number of outboxes that are kept, and the largest size of one: the fan-out of one turn uses
/// one for each subscriber.
const KEPT: usize = 1_024;
const BYTES_KEPT: usize = 4 * 1_024;
/// One outbox may stay as large as the largest batch of answers, so that a single busy connection
/// does not allocate again.
const FIRST_BYTES_KEPT: usize = 1024 * 1024;

/// The outboxes that no connection uses.
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
