//! Handles of one connection: what they post waits until the property takes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use pushlab::session::{Address, Command, Post, RemoteSource};

const SLOT: u32 = 7;

#[derive(Default)]
struct Queue {
    commands: Mutex<VecDeque<(Address, Command)>>,
    serial: AtomicU64,
}

struct Mailbox(Arc<Queue>);

impl Post for Mailbox {
    fn post(&self, address: Address, command: Command) {
        assert_eq!(address.slot, SLOT);
        self.0.commands.lock().unwrap_or_else(PoisonError::into_inner).push_back((address, command));
    }
}

/// The commands that were posted and not taken.
#[derive(Default)]
pub(super) struct Remote(Arc<Queue>);

impl Remote {
    /// The command that was posted first, and whom it is for.
    pub(super) fn take(&self) -> Option<(u64, Command)> {
        let taken = self.0.commands.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        taken.map(|(address, command)| (address.serial, command))
    }
}

impl RemoteSource for Remote {
    fn post(&self) -> Arc<dyn Post> {
        Arc::new(Mailbox(Arc::clone(&self.0)))
    }

    fn slot(&self) -> u32 {
        SLOT
    }

    fn issue_serial(&self) -> u64 {
        self.0.serial.fetch_add(1, Relaxed) + 1
    }
}
