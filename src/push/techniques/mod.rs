//! The techniques of server push, one file each.
//!
//! Each file has `PARAMETERS`, the query parameters that only this technique has, and `serve`,
//! which answers a request. `jsonp` has neither, because JSONP is a form of the answers of
//! `short_poll` and `long_poll`. Owns what differs between techniques: heads, framing, the encoding
//! of gaps, and when a response ends. Leaves access checks to `http`, and the encoding of messages
//! to `model`.

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
