//! The fields of an answer about the pages of other origins (WHATWG Fetch, section 3.2).
//!
//! Owns the `Access-Control-*` fields, `Vary`, and the answer to `OPTIONS`, which is also the
//! answer to a preflight. An answer names only the server's own or a listed origin, and never
//! combines `*` or `null` with credentials. Leaves the decision about an origin to `origin`.

use std::sync::Arc;

use super::forwarded::Forwarded;
use super::{Origin, Response, Settings};
use crate::proto::http1::{Head, Method};

/// Seconds for which a browser may keep the answer to a preflight. Chromium keeps it for 7,200 s at
/// most. With 600 s, a changed list takes effect within ten minutes.
const MAX_AGE_SECONDS: &str = "600";

/// The fields that let the page behind a request read the answer.
/// [`Request::cors`](super::Request::cors) makes them.
/// They own their values, so that they can wait with a held reply.
///
/// ```
/// use pushlab::{Reply, Request, Response};
/// fn app(request: &Request<'_>, reply: Reply<'_>) {
///     reply.send(request.cors().dress(Response::json("{}")));
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// The value of `Access-Control-Allow-Origin`.
    allowed: Option<Arc<str>>,
    has_credentials: bool,
}

impl Cors {
    pub(super) fn of(head: &Head<'_>, forwarded: &Forwarded<'_>, settings: &Settings) -> Self {
        match Origin::of(head, forwarded, settings) {
            Origin::Listed(origin) => {
                Self { allowed: Some(origin.into()), has_credentials: settings.allow_credentials && names_a_page(origin) }
            }
            // A page that was loaded with the other scheme has another origin for the browser.
            Origin::Own(origin) => Self { allowed: Some(origin.into()), has_credentials: false },
            Origin::Any => Self { allowed: Some("*".into()), has_credentials: false },
            Origin::Absent | Origin::Foreign | Origin::Malformed => Self::default(),
        }
    }

    /// Whether a page of another origin may read the answer. `false` if the request has no
    /// `Origin`: a page of the same origin may always read the answer.
    pub const fn is_readable(&self) -> bool {
        self.allowed.is_some()
    }

    /// Adds the fields to a response. Every answer gets `Vary: Origin`, even one that no page of
    /// another origin may read, because a cache must not give the answer for one origin to another
    /// (WHATWG Fetch, section 3.2.5).
    #[must_use]
    pub fn dress(&self, response: Response) -> Response {
        let response = response.field("Vary", "Origin");
        let Some(origin) = &self.allowed else { return response };
        let response = response.field("Access-Control-Allow-Origin", origin);
        if self.has_credentials { response.field("Access-Control-Allow-Credentials", "true") } else { response }
    }
}

/// Every site can put a page into a sandboxed frame, whose origin is `null`. So an entry `null`
/// lets in any site, as `*` does.
fn names_a_page(origin: &str) -> bool {
    !origin.eq_ignore_ascii_case("null")
}

/// As [`Request::options`](super::Request::options).
pub(super) fn options(head: &Head<'_>, forwarded: &Forwarded<'_>, settings: &Settings, allow: &str) -> Response {
    let cors = Cors::of(head, forwarded, settings);
    let response = cors.dress(Response::no_content()).field("Allow", allow);
    let is_preflight = head.method() == Method::Options && head.field_bytes("Access-Control-Request-Method").is_some();
    if !is_preflight || !cors.is_readable() {
        return response;
    }
    let response = response.field("Access-Control-Allow-Methods", allow).field("Access-Control-Max-Age", MAX_AGE_SECONDS);
    let fields = &settings.allow_request_fields;
    let response = if fields.is_empty() { response } else { response.field("Access-Control-Allow-Headers", &fields.join(", ")) };
    // A public page that reaches into a private network needs the consent of the server in that
    // network. A list gives this consent to the origins that it names. `*` and `null` do not name
    // the pages that they let in.
    let asks_for_network = head.field_bytes("Access-Control-Request-Private-Network") == Some(b"true");
    match Origin::of(head, forwarded, settings) {
        Origin::Listed(origin) if asks_for_network && names_a_page(origin) => {
            response.field("Access-Control-Allow-Private-Network", "true")
        }
        _ => response,
    }
}
