//! The header fields that every answer of a hub has.
//!
//! Owns the fields about caches, proxies and media types, and the list of the hub's fields that a
//! page of another origin may read. Leaves the decision about origins, and the `Access-Control-*`
//! fields for it, to `session`.

use crate::session::{self, Request, Response};

/// The fields of an answer to one request. They depend on the origin of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerFields(session::Cors);

impl AnswerFields {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self(request.cors())
    }

    /// Adds the fields. With them caches do not store the answer, proxies neither buffer nor
    /// compress it, and browsers do not guess its media type.
    pub(crate) fn apply(&self, response: Response) -> Response {
        self.apply_to_event_stream(response.unbuffered())
    }

    /// Adds the fields to an event stream. The session adds the fields about caches and proxies to
    /// every event stream itself.
    pub(crate) fn apply_to_event_stream(&self, response: Response) -> Response {
        let response = self.0.dress(response.field("X-Content-Type-Options", "nosniff"));
        if !self.0.is_readable() {
            return response;
        }
        response.field("Access-Control-Expose-Headers", "ETag, Pushlab-Gap, Pushlab-Resumed")
    }

    /// The answer to OPTIONS, which is also the answer to a CORS preflight.
    pub(crate) fn options(request: &Request<'_>, allow: &str) -> Response {
        request.options(allow).unbuffered()
    }
}
