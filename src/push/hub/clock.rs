//! The hub's clock.
//!
//! Owns the one place of `push` that reads a clock, and lets a test put its own in: ages, holds and grace times then pass as it says.
//! Refuses timers: what is due is looked for at the hub's next operation.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Tells the time.
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
    /// A clock of one's own; it must not go back.
    pub fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
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

/// A number that no other hub has: the wall clock, and what the system's random source gives each process, in case two start at once.
pub(crate) fn new_epoch() -> u64 {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    RandomState::new().hash_one(nanos)
}
