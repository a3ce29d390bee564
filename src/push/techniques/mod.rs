//! The techniques, a file each, all of the same shape: `PARAMETERS` are the query's, `serve` takes the request.
//!
//! Owns what differs between them: heads, framing, how a gap is told, when a response ends. Refuses messages' contents and who may subscribe.

pub(super) mod iframe;
pub(super) mod jsonp;
pub(super) mod long_poll;
pub(super) mod meta_refresh;
pub(super) mod multipart;
pub(super) mod short_poll;
pub(super) mod sse;
pub(super) mod stream;
pub(super) mod websocket;

/// What every technique takes.
pub(super) const PARAMETERS: &[&str] = &["after", "client", "presence"];
