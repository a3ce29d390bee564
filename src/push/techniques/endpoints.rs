//! The endpoints of the techniques.
//!
//! Owns the table of endpoints, and `Hub::handle`, by which requests enter the hub. Leaves
//! everything that endpoints have in common to `http::router`.

use super::{iframe, long_poll, meta_refresh, multipart, short_poll, sse, stream, websocket};
use crate::push::http::{Endpoint, Mounted, Router};
use crate::push::hub::Hub;
use crate::session::{Reply, Request};

/// The endpoints, in the order in which an error message lists them.
const ENDPOINTS: [Endpoint; 8] = [
    Endpoint { name: "page", parameters: meta_refresh::PARAMETERS, serve: meta_refresh::serve },
    Endpoint { name: "poll", parameters: short_poll::PARAMETERS, serve: short_poll::serve },
    Endpoint { name: "long-poll", parameters: long_poll::PARAMETERS, serve: long_poll::serve },
    Endpoint { name: "stream", parameters: stream::PARAMETERS, serve: stream::serve },
    Endpoint { name: "iframe", parameters: iframe::PARAMETERS, serve: iframe::serve },
    Endpoint { name: "multipart", parameters: multipart::PARAMETERS, serve: multipart::serve },
    Endpoint { name: "events", parameters: sse::PARAMETERS, serve: sse::serve },
    Endpoint { name: "ws", parameters: websocket::PARAMETERS, serve: websocket::serve },
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
        Router { hub: self, endpoints: &ENDPOINTS }.handle(request, reply)
    }
}
