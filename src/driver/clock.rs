//! The only reader of the system's clocks.
//!
//! Owns a [`Now`] and its updates. Leaves deadlines to `timers` and to the sessions.

use std::time::{Duration, Instant, SystemTime};

use crate::proto::Now;

/// The current time, as of the last [`CachedClock::read`].
#[derive(Clone, Debug)]
pub(crate) struct CachedClock(Now);

impl CachedClock {
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

    /// The time from the last reading to a deadline, rounded up. A sleep that ends just before the
    /// deadline would be repeated.
    pub(crate) fn until(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.0.instant()) + Duration::from_millis(1)
    }

    /// The time of the last reading.
    pub(crate) const fn now(&self) -> &Now {
        &self.0
    }
}
