//! Compressors and inflaters that no message uses at the moment.
//!
//! Owns at most four of each kind for the whole process: at most 1.3 MB of compressors and 0.2 MB
//! of inflaters. A connection without context takeover takes one for the time of a message, and
//! keeps none. Leaves the reset to the users.
//!
//! To make a compressor costs only 2.5 us more than to reset one, beside 5 to 20 us for the work
//! itself. But with a thread for each connection, the allocator would keep 200 KiB for each thread
//! that has made and freed one. So the threads share a few, and a lock is needed here, below the
//! drivers. Nothing waits for it: if it is taken, a new compressor is made, or a used one is freed.

use std::sync::Mutex;

/// More than are in use at once on an event loop, or by the threads of a few processors.
const KEPT: usize = 4;

/// A few unused values.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Takes a value that fits, if there is one.
    pub(super) fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut unused = self.0.try_lock().ok()?;
        let at = unused.iter().rposition(fits)?;
        Some(unused.remove(at))
    }

    /// Gives a value back. It replaces the one that was unused for the longest time.
    pub(super) fn give(&self, value: T) {
        let Ok(mut unused) = self.0.try_lock() else { return };
        if unused.len() == KEPT {
            unused.remove(0);
        }
        unused.push(value);
    }
}
