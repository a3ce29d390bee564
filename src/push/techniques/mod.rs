//! The techniques of server push, one file each, and their list.
//!
//! Each file has `TECHNIQUE`, the descriptor of the technique, and `serve`, which answers a request.
//! `jsonp` has no `serve`, because JSONP is a form of the answers of `short_poll` and `long_poll`.
//! Owns what differs between techniques: heads, framing, the encoding of gaps, and when a response
//! ends. Owns `Hub::handle`, too, by which requests enter the hub. Leaves access checks to `http`,
//! and the encoding of messages to `model`.

mod iframe;
mod jsonp;
mod long_poll;
mod meta_refresh;
mod multipart;
mod short_poll;
mod sse;
mod stream;
mod websocket;

use crate::push::http::{Mounted, Router, Technique};
use crate::push::hub::Hub;
use crate::session::{Reply, Request};

/// The techniques of every hub. Error messages and counters list them in this order.
pub const TECHNIQUES: &[&Technique] = &[
    &meta_refresh::TECHNIQUE,
    &short_poll::TECHNIQUE,
    &long_poll::TECHNIQUE,
    &jsonp::TECHNIQUE,
    &stream::TECHNIQUE,
    &iframe::TECHNIQUE,
    &multipart::TECHNIQUE,
    &sse::TECHNIQUE,
    &websocket::TECHNIQUE,
];

impl Hub {
    /// Serves a request below the hub's prefix: `POST` and `GET {prefix}/{topic}`, `GET
    /// {prefix}/{topics}/{technique}`, and `OPTIONS` on both paths.
    ///
    /// [`Settings::allow_origins`](crate::Settings::allow_origins) decides which pages of other
    /// origins may use the hub. A request of another page that publishes gets 403, and so does its
    /// WebSocket handshake. A GET of such a page is answered without the fields that would let the
    /// page read the answer.
    pub fn handle<'r>(&self, request: &Request<'_>, reply: Reply<'r>) -> Mounted<'r> {
        self.handle_with(&[], request, reply)
    }

    /// As [`handle`](Self::handle), with further techniques, which get the same checks and counters.
    /// A technique whose path one of [`TECHNIQUES`] has is never called.
    pub fn handle_with<'r>(&self, techniques: &[&Technique], request: &Request<'_>, reply: Reply<'r>) -> Mounted<'r> {
        Router { hub: self, own: TECHNIQUES, added: techniques }.handle(request, reply)
    }
}
