//! The techniques, a file each, all of the same form: `PARAMETERS` are the query's, `serve` takes the request.
//!
//! Owns what differs between them: heads, framing, how a gap is told, when a response ends. Refuses messages' contents and who may subscribe.

mod endpoints;
mod iframe;
mod jsonp;
mod long_poll;
mod meta_refresh;
mod multipart;
mod short_poll;
mod sse;
mod stream;
mod websocket;
