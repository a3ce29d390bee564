//! Pages of other origins.
//!
//! Owns the fields that every answer of a hub has, and those that let a page of a listed origin read it (WHATWG Fetch, section 3.2). Refuses to
//! echo an origin that is not listed, and to combine `*` with credentials.

use std::sync::Arc;

use super::HubConfig;
use crate::proto::ws::origin::is_allowed;
use crate::session::{Request, Response};

/// What an answer says about who may read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cors {
    /// The value of `Access-Control-Allow-Origin`.
    allowed: Option<Arc<str>>,
    credentials: bool,
}

impl Cors {
    pub(super) fn of(request: &Request<'_>, config: &HubConfig) -> Self {
        let Some(origin) = request.field_text("Origin") else { return Self::default() };
        let is_listed = |entry: &String| is_allowed(Some(origin), None, std::slice::from_ref(entry));
        if config.allow_origins.iter().any(|entry| entry != "*" && is_listed(entry)) {
            return Self { allowed: Some(origin.into()), credentials: config.allow_credentials };
        }
        let allowed = config.allow_origins.iter().any(|entry| entry == "*").then(|| "*".into());
        Self { allowed, credentials: false }
    }

    /// Whether a page may have sent this request in order to change something: a form or a script of any page can post text without being
    /// asked for a preflight.
    pub(super) fn may_change(&self, request: &Request<'_>) -> bool {
        self.allowed.is_some() || is_allowed(request.field_text("Origin"), request.host(), &[])
    }

    /// Adds the fields of every answer. Caches do not store it, proxies neither buffer nor compress
    /// it, and browsers do not take it for another type.
    pub(super) fn dress(&self, response: Response) -> Response {
        self.dress_stream(response, false)
    }

    /// As [`dress`](Self::dress), for a stream, which may have the first of these fields already.
    pub(super) fn dress_stream(&self, response: Response, has_some: bool) -> Response {
        let response = if has_some { response } else { response.unbuffered() };
        let response = response.field("X-Content-Type-Options", "nosniff").field("Vary", "Origin");
        let Some(origin) = &self.allowed else { return response };
        let response = response.field("Access-Control-Allow-Origin", origin);
        let response = response.field("Access-Control-Expose-Headers", "ETag, Pushlab-Gap, Pushlab-Resumed");
        if self.credentials { response.field("Access-Control-Allow-Credentials", "true") } else { response }
    }

    /// The answer to OPTIONS, which is also a browser's question before a request that is not simple.
    pub(super) fn preflight(&self, allow: &str) -> Response {
        let response = self.dress(Response::no_content()).field("Allow", allow);
        if self.allowed.is_none() {
            return response;
        }
        let response = response.field("Access-Control-Allow-Methods", allow).field("Access-Control-Max-Age", "600");
        response.field("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match, Last-Event-ID")
    }
}
