//! The fields that every answer of a hub has.
//!
//! Owns those about caches, proxies and types, and which of a hub's own fields a page of another
//! origin may read. Leaves origins and the `Access-Control-*` fields for them to `session`.

use crate::session::{self, Request, Response};

/// What an answer says about who may read it, keep it, and take it for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cors(session::Cors);

impl Cors {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self(request.cors())
    }

    /// Adds the fields of every answer. Caches do not store it, proxies neither buffer nor compress
    /// it, and browsers do not take it for another type.
    pub(crate) fn dress(&self, response: Response) -> Response {
        self.dress_stream(response, false)
    }

    /// As [`dress`](Self::dress), for a stream, which may have the first of these fields already.
    pub(crate) fn dress_stream(&self, response: Response, has_some: bool) -> Response {
        let response = if has_some { response } else { response.unbuffered() };
        let response = self.0.dress(response.field("X-Content-Type-Options", "nosniff"));
        if !self.0.is_readable() {
            return response;
        }
        response.field("Access-Control-Expose-Headers", "ETag, Pushlab-Gap, Pushlab-Resumed")
    }

    /// The answer to OPTIONS, which is also a browser's question before a request that is not simple.
    pub(crate) fn options(request: &Request<'_>, allow: &str) -> Response {
        request.options(allow).unbuffered()
    }
}
