//! Stopping a running server.
//!
//! Owns the flags that ask for a stop, and waking the server's thread. Leaves the shutdown itself
//! to the drivers, and signals to the application, which calls [`Stopper::stop`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::sync::{AtomicBool, Waker};

/// The flags that ask for a stop, and the waker of the server's thread.
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

/// Stops a running server from any thread. The example of [`Server`](crate::Server) has one.
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

    /// Shuts down gracefully. The server accepts no more connections. It answers requests that have
    /// begun to arrive. Held requests get 503 with `Retry-After`, event streams get `retry:`, and
    /// `WebSockets` get close code 1001. Streams get a last word if the application has a form for
    /// it ([`Notices`](crate::session::Notices)). Connections that are left after
    /// [`Config::shutdown_grace`](super::Config::shutdown_grace) are cut.
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
