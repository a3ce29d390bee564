//! From requests to operations of the hub.
//!
//! Owns what all techniques read from a request and have in their answers. Leaves what differs between techniques to `techniques`.

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
