//! The checks that endpoints share.
//!
//! Owns the question to the application's policy, and the reading of a query with the hub's rule for
//! unknown parameters. Leaves single parameters to `query`, and methods and paths to `router`.

use super::query::{Query, UnknownParameters};
use super::rejection::Rejection;
use crate::push::hub::{Access, Hub};
use crate::session::Request;

/// Asks the application's policy.
pub(super) fn check_access(hub: &Hub, request: &Request<'_>, access: Access, topic: &str) -> Result<(), Rejection> {
    if hub.allows(request, access, topic) {
        return Ok(());
    }
    let verb = if access == Access::Publish { "publish to" } else { "subscribe to" };
    Err(Rejection::new(403, format!("this request may not {verb} {topic}")))
}

/// Reads the query of a request. `known` has the parameters of its endpoint.
pub(super) fn query<'a>(hub: &Hub, request: &Request<'a>, known: &[&[&str]]) -> Result<Query<'a>, Rejection> {
    Query::read(request, known, if hub.config().strict_parameters { UnknownParameters::Refused } else { UnknownParameters::Ignored })
}
