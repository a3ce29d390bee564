//! The cookies of a request (RFC 6265, section 4.2).
//!
//! Owns splitting `Cookie` fields into names and values, as bytes. Leaves decoding cookies, making
//! them, and their meaning to the application.

use crate::proto::http1::{Fields, Head};

/// Iterates over the cookies of a request in order, as pairs of name and value.
/// [`Request::cookies`](super::Request::cookies) makes it.
///
/// A value is everything between the first `=` and the next `;`, without white space around it.
/// Quotes are part of the value, as they are for browsers. A part without `=` has no name and is
/// left out.
///
/// ```
/// use pushlab::{Reply, Request, Response};
/// fn app(request: &Request<'_>, reply: Reply<'_>) {
///     match request.cookie("session") {
///         Some(secret) if secret == b"s3cret" => reply.send(Response::text("welcome back\n")),
///         _ => reply.send(Response::status(403)),
///     }
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
#[derive(Clone, Debug)]
pub struct Cookies<'a> {
    fields: Fields<'a>,
    /// The part of the current field that is still to be split.
    rest: &'a [u8],
}

impl<'a> Cookies<'a> {
    pub(super) fn of(head: &Head<'a>) -> Self {
        Self { fields: head.fields(), rest: b"" }
    }
}

impl<'a> Iterator for Cookies<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                self.rest = self.fields.find(|(name, _)| name.eq_ignore_ascii_case("Cookie"))?.1;
            }
            let mut parts = self.rest.splitn(2, |&byte| byte == b';');
            let pair = parts.next().unwrap_or_default();
            self.rest = parts.next().unwrap_or_default();
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            if let (Some(name), Some(value)) = (halves.next(), halves.next()) {
                return Some((name.trim_ascii(), value.trim_ascii()));
            }
        }
    }
}
