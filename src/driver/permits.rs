//! The bounded number of threads that serve connections.
//!
//! Owns the count, the gauge, and waking the server's thread when it waits for a permit. Leaves
//! starting threads to the driver.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::stop::Stop;
use super::sync::{AtomicBool, AtomicUsize};
use crate::session::Stats;

/// Gives out at most `most` permits at once.
pub(crate) struct Permits {
    most: usize,
    taken: AtomicUsize,
    /// Whether the server's thread waits for a permit.
    is_awaited: AtomicBool,
    stats: Arc<Stats>,
    stop: Arc<Stop>,
}

/// The right to run one thread. Dropping the permit gives the right back.
pub(crate) struct Permit {
    permits: Arc<Permits>,
    /// Whether it was the last one that there was.
    pub is_last: bool,
}

impl Permits {
    pub(crate) fn new(most: usize, stats: Arc<Stats>, stop: Arc<Stop>) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicUsize::new(0), is_awaited: AtomicBool::new(false), stats, stop })
    }

    pub(crate) fn take(self: &Arc<Self>) -> Option<Permit> {
        let before = self.taken.fetch_update(SeqCst, SeqCst, |taken| (taken < self.most).then_some(taken + 1)).ok()?;
        if before + 1 == self.most
            && let Some(count) = self.stats.accept_pauses.add_and_report()
        {
            log::warn!(
                "all {} threads (`max_threads`) are taken: new connections wait, and further held requests, streams and WebSockets are \
                 refused (pause {count} of accepting)",
                self.most
            );
        }
        self.stats.threads.add(1);
        Some(Permit { permits: Arc::clone(self), is_last: before + 1 == self.most })
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(SeqCst)
    }

    pub(crate) fn are_all_taken(&self) -> bool {
        self.taken() >= self.most
    }

    /// Takes a permit if `there_is_room` for a connection. A thread gives up its connection's room
    /// before its permit, so the end of a thread makes both free. Otherwise, the next permit that
    /// comes back wakes the server's thread.
    pub(crate) fn take_or_be_woken(self: &Arc<Self>, there_is_room: impl FnOnce() -> bool) -> Option<Permit> {
        // The flag is set before the check. So a permit that comes back after the check finds the
        // flag and wakes the thread.
        self.is_awaited.store(true, SeqCst);
        let permit = there_is_room().then(|| self.take()).flatten()?;
        self.is_awaited.store(false, SeqCst);
        Some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let permits = &self.permits;
        permits.stats.threads.subtract(1);
        permits.taken.fetch_sub(1, SeqCst);
        // During a shutdown, the server's thread waits until all permits are back.
        if permits.is_awaited.swap(false, SeqCst) || permits.stop.is_asked() {
            permits.stop.wake();
        }
    }
}
