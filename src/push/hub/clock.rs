//! The hub's clock.
//!
//! Owns the only place in `push` that reads a clock. A test can replace the clock, and ages, holds
//! and grace times then pass as the test says. Leaves timers to `session`: the hub has no timer,
//! and each operation looks for what is due.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

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

/// A number that differs for each hub. It is a hash of the wall clock, with the random key that the
/// system gives each process: two processes that start at the same moment get different numbers.
pub(crate) fn new_epoch() -> u64 {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    RandomState::new().hash_one(nanos)
}
