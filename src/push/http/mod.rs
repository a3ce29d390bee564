//! From requests to operations of the hub.
//!
//! Owns what is the same for all techniques: the routing, the reading of requests, the beginning of
//! streams, and refusals. Leaves what differs between techniques to `techniques`, and the
//! operations to `hub`.

mod body;
mod call;
mod checks;
mod conditions;
mod control;
mod query;
mod rejection;
mod router;
mod technique;

pub use rejection::Rejection;
pub use router::Mounted;
pub use technique::{Call, Endpoint, Form, GapForm, Technique};

pub(crate) use call::{StreamPlan, Unchanged};
pub(crate) use query::Control;
pub(crate) use router::Router;
