//! The hub: topics, subscriptions, presence and waiting polls, under one lock.
//!
//! Owns the operations of the hub and the state that the lock protects. Leaves requests to `http`,
//! and values that need no lock to `model`.

mod apply;
mod build;
mod channel_feed;
mod channels;
mod clock;
mod config;
mod control;
mod follow;
#[expect(clippy::module_inception, reason = "a file is named like its central type")]
mod hub;
mod idle;
mod log_stats;
mod lookup;
mod outside;
mod polls;
mod presence;
mod publish;
mod push_connection;
mod random_source;
mod replica;
mod revoke;
mod room;
mod roster;
#[cfg(test)]
mod simulation;
mod state;
mod stats;
mod subscribe;
mod subscribe_error;
mod subscribers;
mod subscription;
mod topic;
mod topic_table;
mod waiting;

pub use clock::Clock;
pub use config::HubConfig;
pub use hub::{Access, Hub, TopicInfo};
pub use log_stats::{LogState, LogStats};
pub use publish::{PublishError, Published};
pub use random_source::RandomSource;
pub use revoke::Subscriber;
pub use stats::HubStats;
pub use subscribe_error::{SubscribeError, SubscriptionStatus};
pub use subscription::Subscription;

pub(crate) use channel_feed::{ChannelFeed, FeedPlan};
pub(crate) use control::ChangeError;
pub(crate) use lookup::{Lookup, Search};
pub(crate) use publish::Publishing;
pub(crate) use push_connection::{HubNotices, PushConnection};
pub(crate) use subscribe::{HoldOutcome, SubscribeParameters, SubscriptionGuard};
