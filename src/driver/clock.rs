//! The one place that reads the clocks.
//!
//! Owns a [`Now`] that is kept up to date. Refuses timers.

use std::time::{Duration, Instant, SystemTime};

use crate::proto::Now;

/// The current time, as of the last [`Clock::read`].
#[derive(Debug)]
pub(crate) struct Clock(Now);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Now::new(Instant::now(), SystemTime::now()))
    }

    /// Reads the monotonic clock, and the wall clock only when its second has passed.
    #[inline]
    pub(crate) fn read(&mut self) -> &Now {
        if self.0.set_instant(Instant::now()) {
            self.0.set_system(SystemTime::now());
        }
        &self.0
    }

    /// Time from the last reading to a deadline, rounded up: nobody is to wake up just before it, again and again.
    pub(crate) fn until(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.0.instant()) + Duration::from_millis(1)
    }

    /// The reading of this turn.
    pub(crate) const fn now(&self) -> &Now {
        &self.0
    }
}
