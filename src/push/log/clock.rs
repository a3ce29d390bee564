//! The wall clock, and random numbers.
//!
//! Owns the two facts that a hub takes from its surroundings. Leaves the monotonic time to the
//! callers.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::SystemTime;

/// The Unix time in milliseconds.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A random number, which is never 0. It is a hash of the wall clock with a random key: two
/// processes that start at the same moment get different numbers.
pub(crate) fn random_number() -> u64 {
    #[cfg(test)]
    if let Some(number) = seeded::next() {
        return number;
    }
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    RandomState::new().hash_one(nanos).max(1)
}

/// Numbers for a simulation that must be repeatable.
#[cfg(test)]
pub(crate) mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }

    /// From now on, the random numbers of this thread follow from a seed, which is not 0.
    pub(crate) fn begin(seed: u64) {
        STATE.set(seed);
    }

    /// The next number (splitmix64, Steele 2014); `None` without a seed.
    pub(super) fn next() -> Option<u64> {
        let state = STATE.get();
        if state == 0 {
            return None;
        }
        let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        STATE.set(state.max(1));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some((mixed ^ (mixed >> 31)).max(1))
    }
}
