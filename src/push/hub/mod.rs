//! The hub: everything under the one lock.
//!
//! Owns topics, subscriptions, presence and waiting polls. Leaves requests to `http`, and the values that it works on to `model`.

mod clock;
mod config;
#[expect(clippy::module_inception, reason = "a file is named like its central type")]
mod hub;
mod idle;
mod polls;
mod presence;
mod publish;
mod state;
mod stats;
mod subscribe;
mod topic;
mod topic_table;

pub use clock::Clock;
pub use config::HubConfig;
pub use hub::{Access, Hub, TopicInfo};
pub use publish::{PublishError, Published};
pub use stats::HubStats;

pub(crate) use state::Sink;
pub(crate) use subscribe::{HoldOutcome, SubscribeOutcome, Subscription, SubscriptionGuard};
