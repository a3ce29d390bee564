//! Commands from other threads to the event loop.
//!
//! Owns the queue and the decision to wake. Refuses to look into commands.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::server::Stop;
use crate::proto::Frame;
use crate::session::{Address, Command, Post};

/// One posting.
pub(crate) enum Posting {
    One(Address, Command),
    Many(Vec<Address>, Frame),
}

/// The loop's inbox. A poster that finds the loop awake, or that is not the first to post since it went to sleep, makes no system call.
pub(crate) struct Inbox {
    /// `None` once the loop is over: handles may outlive it by far.
    queue: Mutex<Option<Vec<Posting>>>,
    /// The loop is about to sleep, or asleep, and nobody has woken it yet.
    asleep: AtomicBool,
    stop: Arc<Stop>,
}

impl Inbox {
    pub(crate) fn new(stop: Arc<Stop>) -> Self {
        Self { queue: Mutex::new(Some(Vec::new())), asleep: AtomicBool::new(false), stop }
    }

    /// The loop announces that it goes to sleep. Returns whether it may: nothing was posted before the announcement.
    ///
    /// Either the poster's push comes before this look at the queue, and the loop sees it; or it comes after the announcement, and the poster
    /// sees that.
    pub(crate) fn go_to_sleep(&self) -> bool {
        self.asleep.store(true, SeqCst);
        let may_sleep = self.queue().as_ref().is_none_or(Vec::is_empty);
        if !may_sleep {
            self.asleep.store(false, SeqCst);
        }
        may_sleep
    }

    /// The loop woke up.
    pub(crate) fn wake_up(&self) {
        self.asleep.store(false, SeqCst);
    }

    /// Takes everything that was posted, leaving `empty` in its place so that both buffers are used again and again.
    pub(crate) fn take(&self, empty: &mut Vec<Posting>) {
        if let Some(queue) = &mut *self.queue() {
            std::mem::swap(queue, empty);
        }
    }

    /// The loop is over: what was posted and what will be is dropped.
    pub(crate) fn close(&self) {
        // Outside the lock.
        let _left = self.queue().take();
    }

    fn push(&self, postings: impl IntoIterator<Item = Posting>) {
        match &mut *self.queue() {
            Some(queue) => queue.extend(postings),
            None => return,
        }
        if self.asleep.load(SeqCst) && self.asleep.swap(false, SeqCst) {
            self.stop.wake();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Option<Vec<Posting>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post for Inbox {
    fn post(&self, address: Address, command: Command) {
        self.push([Posting::One(address, command)]);
    }

    fn post_many(&self, addresses: &[Address], frame: &Frame) {
        self.push([Posting::Many(addresses.to_vec(), frame.clone())]);
    }

    fn post_each(&self, commands: Vec<(Address, Command)>) {
        self.push(commands.into_iter().map(|(address, command)| Posting::One(address, command)));
    }
}
