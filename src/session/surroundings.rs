//! What a session uses and does not own.
//!
//! Owns references to the time, the settings, the counters and the source of addresses, and the way
//! to run code of the application that may panic. Leaves the application to
//! [`Context`](super::Context), so that a file below the handler needs nothing above it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{RemoteSource, Settings, Stats};
use crate::proto::Now;

/// What a session uses during one call, except the application. The example of
/// [`Context`](super::Context) makes one.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The time of this call, as the driver read it last.
    pub now: &'a Now,
    /// The server's settings.
    pub settings: &'a Settings,
    /// The server's counters.
    pub stats: &'a Stats,
    /// The source of addresses for handles of this connection.
    pub remote: &'a dyn RemoteSource,
}

impl Surroundings<'_> {
    /// Runs code of the application at a connection's end. A panic in it is counted and goes no
    /// further, because the driver has other connections to serve.
    pub(super) fn contain(&self, call: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            self.stats.panics.add(1);
        }
    }
}
