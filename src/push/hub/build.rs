//! Making a hub.
//!
//! Owns the choice between a hub that is alone and one that follows a log outside the process.
//! Leaves the operations of a hub to `hub`, and the threads of a log to `follow`.

use std::sync::Arc;

use super::config::HubConfig;
use super::follow;
use super::hub::{Access, Hub, Policy};
use super::outside::Outside;
use super::state::{Constants, State};
use crate::push::log::{Backing, MemoryLog, random_number};
use crate::session::{Request, normalized_path};

impl Default for Hub {
    fn default() -> Self {
        Self::new(HubConfig::default())
    }
}

impl Hub {
    /// A hub that allows every request to publish and to subscribe.
    ///
    /// # Panics
    /// When the hub has a log outside the process, and the system has no thread left for it.
    pub fn new(config: HubConfig) -> Self {
        Self::build(config, None)
    }

    /// A hub that asks the application which requests are allowed.
    ///
    /// The hub calls `policy` for each request and each of its topics, before it does anything else
    /// with the topic. A request that the policy refuses gets 403. For a presence topic, the policy
    /// is asked about the topic whose presence it is. The topics' names are decoded. The request
    /// has the whole query, including parameters that the hub does not know.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn with_policy(config: HubConfig, policy: impl Fn(&Request<'_>, Access, &str) -> bool + Send + Sync + 'static) -> Self {
        Self::build(config, Some(Box::new(policy)))
    }

    fn build(mut config: HubConfig, policy: Option<Policy>) -> Self {
        config.prefix = normalized_path(&config.prefix).into_owned();
        let outside = config.log.clone().map(|shared_log| Arc::new(Outside::new(shared_log)));
        let backing = match &outside {
            None => Backing::None,
            Some(outside) if outside.shared_log.log.keeps_records() => Backing::Store,
            Some(_) => Backing::Relay,
        };
        let log = MemoryLog::new(random_number(), config.history_bounds(), backing);
        let constants = Arc::new(Constants { config, boundary: format!("part-{:016x}", random_number()) });
        let state = State::new(Arc::clone(&constants), log, outside.clone());
        let hub = Self::of(constants, state, policy, outside);
        follow::start(&hub);
        hub
    }
}
