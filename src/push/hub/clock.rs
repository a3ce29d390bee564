//! The hub's clock.
//!
//! Owns the only place in which a hub reads the monotonic clock. A test can replace the clock, and
//! ages, holds and grace times then pass as the test says. Leaves the time limits of a broker to
//! `log`. Leaves timers to `session`: the hub has no timer,
//! and each operation looks for what is due.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// A source of the current time.
///
/// ```
/// use std::time::Instant;
/// use pushlab::push::Clock;
/// let start = Instant::now();
/// assert_eq!(Clock::new(move || start).now(), start);
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Clock {
    /// A clock that calls `now`. The time that it returns must never decrease.
    pub fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
    pub fn now(&self) -> Instant {
        (self.0)()
    }
}

/// The system's monotonic clock.
impl Default for Clock {
    fn default() -> Self {
        Self::new(Instant::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
