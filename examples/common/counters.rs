//! The counters that an example's `/stats` shows.
//!
//! Owns the server's counters together with the limits that a reader needs to judge them. Leaves
//! the JSON to each example.

use std::sync::Arc;

use pushlab::proto::RemoteError;
use pushlab::session::Stats;
use pushlab::{Config, IoModel};

pub(crate) struct Counters {
    stats: Arc<Stats>,
    /// The limits on threads. Empty for the event loop, which has one thread.
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

    /// Every counter with its name, then the limits.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counters: Vec<_> = self.stats.snapshot().entries().collect();
        counters.into_iter().chain(self.bounds.iter().copied())
    }

    /// How many times each rule was broken.
    #[allow(dead_code, reason = "not every example shows them")]
    pub(crate) fn broken_rules(&self) -> impl Iterator<Item = (RemoteError, u64)> {
        self.stats.broken_rules()
    }
}
