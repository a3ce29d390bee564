//! The connections of a thread-per-connection server whose queues have overflowed.
//!
//! Owns the list of their slots, and waking the server's thread. A connection's own threads cannot
//! end it in time: its reader waits in a read, and its writer in a write. Leaves the queue to
//! `mailbox`, and the end of a connection to `thread_per_conn`.

use std::sync::{Arc, PoisonError};

use super::stop::Stop;
use super::sync::Mutex;

pub(crate) struct Overflows {
    slots: Mutex<Vec<u32>>,
    stop: Arc<Stop>,
}

impl Overflows {
    pub(crate) fn new(stop: Arc<Stop>) -> Self {
        Self { slots: Mutex::new(Vec::new()), stop }
    }

    /// Reports that the policy ends the connection in this slot.
    pub(crate) fn report(&self, slot: u32) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.push(slot);
        let is_first = slots.len() == 1;
        drop(slots);
        if is_first {
            self.stop.wake();
        }
    }

    /// Takes all slots that were reported.
    pub(crate) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
