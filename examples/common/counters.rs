//! The counters that an example's `/stats` shows.
//!
//! Owns the server's counters together with the bounds that a reader needs to judge them. Refuses a format: each example writes its own JSON.

use std::sync::Arc;

use pushlab::proto::RemoteError;
use pushlab::session::Stats;
use pushlab::{Config, IoModel};

pub(crate) struct Counters {
    stats: Arc<Stats>,
    /// Bounds on threads. The event loop has none.
    bounds: Vec<(&'static str, u64)>,
}

impl Counters {
    pub(super) fn new(io: IoModel, config: &Config, stats: Arc<Stats>) -> Self {
        let bounds = match io {
            IoModel::EventLoop => Vec::new(),
            IoModel::ThreadPerConnection => {
                vec![("max_threads", config.max_threads as u64), ("max_pushed_connections", config.max_pushed_connections() as u64)]
            }
        };
        Self { stats, bounds }
    }

    /// Every counter with its name, then the bounds.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counters: Vec<_> = self.stats.snapshot().entries().collect();
        counters.into_iter().chain(self.bounds.iter().copied())
    }

    /// How often each rule was broken.
    #[allow(dead_code, reason = "not every example shows them")]
    pub(crate) fn broken_rules(&self) -> impl Iterator<Item = (RemoteError, u64)> {
        self.stats.broken_rules()
    }
}
