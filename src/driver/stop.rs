//! The end of a running server.
//!
//! Owns the wish to stop, and waking the thread that is to fulfil it. Refuses signals: the application turns whatever it likes into
//! [`Stopper::stop`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::sync::{AtomicBool, Waker};

/// The shared wish to stop.
pub(super) struct Stop {
    asked: AtomicBool,
    now: AtomicBool,
    waker: Waker,
}

impl Stop {
    pub(super) fn new(waker: Waker) -> Self {
        Self { asked: AtomicBool::new(false), now: AtomicBool::new(false), waker }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(SeqCst)
    }

    pub(super) fn is_now(&self) -> bool {
        self.now.load(SeqCst)
    }

    #[cfg(all(test, loom))]
    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the server's thread cannot be woken: {error}");
        }
    }
}

/// Ends a running server from any thread.
#[derive(Clone)]
pub struct Stopper(Arc<Stop>);

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("asked", &self.0.is_asked()).finish_non_exhaustive()
    }
}

impl Stopper {
    pub(super) const fn new(stop: Arc<Stop>) -> Self {
        Self(stop)
    }

    /// Shuts down gracefully: no more connections; requests on their way are answered; held ones get 503 with `Retry-After`, event streams
    /// `retry:`, `WebSockets` close code 1001; what is left after [`Config::shutdown_grace`](super::Config::shutdown_grace) is cut.
    pub fn stop(&self) {
        self.0.asked.store(true, SeqCst);
        self.0.wake();
    }

    /// Cuts every connection at once.
    pub fn stop_now(&self) {
        self.0.now.store(true, SeqCst);
        self.stop();
    }
}
