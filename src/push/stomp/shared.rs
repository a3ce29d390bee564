//! What all connections of an endpoint share.
//!
//! Owns nothing but the list. Leaves each part to its own file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::config::{StompConfig, StompPolicy};
use super::queues::Queues;
use crate::push::hub::Hub;

/// What all connections of an endpoint share.
pub(super) struct Shared {
    pub(super) hub: Hub,
    pub(super) config: StompConfig,
    pub(super) queues: Arc<Queues>,
    pub(super) policy: Box<dyn StompPolicy>,
    pub(super) connections: AtomicUsize,
    pub(super) frames: AtomicU64,
    pub(super) errors: AtomicU64,
}
