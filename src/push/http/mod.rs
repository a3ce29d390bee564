//! From requests to operations of the hub.
//!
//! Owns what is the same for all techniques: the routing, the reading of requests, the catching up
//! of streams, and refusals. Leaves what differs between techniques to `techniques`, and the
//! operations to `hub`.

mod body;
mod call;
mod catch_up;
mod conditions;
mod query;
mod rejection;
mod router;

pub use router::Mounted;

pub(crate) use call::{Call, StreamPlan, Unchanged};
pub(crate) use catch_up::{CatchUp, CatchUpStatus, EncodeGap};
pub(crate) use rejection::Rejection;
pub(crate) use router::{Endpoint, Router};
