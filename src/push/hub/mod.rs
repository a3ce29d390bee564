//! The hub: topics, subscriptions, presence and waiting polls, under one lock.
//!
//! Owns the operations of the hub and the state that the lock protects. Leaves requests to `http`,
//! and values that need no lock to `model`.

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
mod subscription;
mod topic;
mod topic_table;

pub use clock::Clock;
pub use config::HubConfig;
pub use hub::{Access, Hub, TopicInfo};
pub use publish::{PublishError, Published};
pub use stats::HubStats;
pub use subscription::{SubscribeError, Subscription, SubscriptionStatus};

pub(crate) use subscribe::{HoldOutcome, SubscribeParameters, SubscriptionGuard};
pub(crate) use subscription::{EncodeGap, PushConnection};
