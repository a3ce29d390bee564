//! A response that a handler makes.
//!
//! Owns the status, the content type, further fields and a whole body. It owns them by value, so
//! that a response can wait in a held request. Leaves framing to `proto::http1`, which adds
//! `Content-Length`, `Transfer-Encoding`, `Connection` and `Date`.

use std::borrow::Cow;

use crate::proto::http1::{Conn, ResponseHead, append_field, is_field_value, reason_phrase};
use crate::proto::{Bytes, LocalError, Now, Outbox};

/// `no-store` keeps caches from storing an answer that is true only for a moment (RFC 9111, section
/// 5.2.2.5). `no-transform` (section 5.2.2.6) keeps proxies from compressing it: a compressor
/// delays small pieces of a stream.
const CACHE_CONTROL: (&str, &str) = ("Cache-Control", "no-store, no-transform");

/// A status, a content type, more fields and a body.
///
/// A response remembers a mistake that is made while it is built, such as a field value with a line
/// break or a status out of range. The request is then answered with 500, and the log gets a line.
/// So no input can make the handler send a split response.
///
/// ```
/// use pushlab::session::Response;
/// let response = Response::json(r#"{"ok":true}"#).with_status(201).field("Location", "/things/7");
/// assert_eq!(response.status_code(), 201);
/// assert!(Response::text("x").field("X-Name", "a\r\nSet-Cookie: b").fault().is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    content_type: Cow<'static, str>,
    fields: Vec<u8>,
    body: Bytes,
    fault: Option<LocalError>,
}

impl Response {
    /// 200 with a body of any media type.
    pub fn new(content_type: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
        let content_type = content_type.into();
        let fault = (!is_field_value(&content_type)).then_some(LocalError::BadField);
        Self { content_type, fault, ..Self::of(200, "", body.into()) }
    }

    /// 200 with `text/plain; charset=utf-8`.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::of(200, "text/plain; charset=utf-8", body.into())
    }

    /// 200 with `text/html; charset=utf-8`.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self::of(200, "text/html; charset=utf-8", body.into())
    }

    /// 200 with `application/json`.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::of(200, "application/json", body.into())
    }

    /// A status with its reason phrase as the body. 204, 205 and 304 have no body.
    pub fn status(status: u16) -> Self {
        match status {
            204 | 205 | 304 => Self::of(status, "", Bytes::default()),
            _ => Self::text(format!("{}\n", format!("{status} {}", reason_phrase(status)).trim_end())).with_status(status),
        }
    }

    /// 204 No Content.
    pub fn no_content() -> Self {
        Self::status(204)
    }

    /// 405 Method Not Allowed. `allow` lists the methods that the path has, such as `GET, HEAD`:
    /// the server "MUST generate an Allow header field" (RFC 9110, section 15.5.6).
    pub fn method_not_allowed(allow: &str) -> Self {
        Self::status(405).field("Allow", allow)
    }

    const fn of(status: u16, content_type: &'static str, body: Bytes) -> Self {
        Self { status, content_type: Cow::Borrowed(content_type), fields: Vec::new(), body, fault: None }
    }

    /// Changes the status: 200 to 599 (RFC 9110, section 15).
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        if !(200..=599).contains(&status) {
            self.fault.get_or_insert(LocalError::BadStatus);
        }
        self
    }

    /// Adds a field. A repeated name adds another field line.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = append_field(&mut self.fields, name, value) {
            self.fault.get_or_insert(error);
        }
        self
    }

    /// Adds `Cache-Control: no-store, no-transform`, for an answer that is true only for a moment.
    #[must_use]
    pub fn no_store(self) -> Self {
        self.field(CACHE_CONTROL.0, CACHE_CONTROL.1)
    }

    /// For streams: as [`no_store`](Self::no_store), and adds `X-Accel-Buffering: no`. Without these
    /// fields, nginx buffers the response, and compressing proxies delay pieces. With both, most
    /// proxies pass on each piece at once. README.md says which ones need a setting.
    ///
    /// ```
    /// use pushlab::{Reply, Request, Response};
    /// fn app(_: &Request<'_>, reply: Reply<'_>) {
    ///     reply.stream(Response::text("first line\n").unbuffered()).end();
    /// }
    /// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
    /// # serve_once(app, &["/"]);
    /// ```
    #[must_use]
    pub fn unbuffered(self) -> Self {
        self.no_store().field("X-Accel-Buffering", "no")
    }

    /// The status.
    pub const fn status_code(&self) -> u16 {
        self.status
    }

    /// The body.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The first mistake that was made while building this response.
    pub const fn fault(&self) -> Option<LocalError> {
        self.fault
    }

    /// The head in the form that `proto::http1` takes.
    pub(crate) fn head(&self) -> ResponseHead<'_> {
        ResponseHead { status: self.status, content_type: &self.content_type, fields: &self.fields }
    }

    /// Sends the response, and its body without a copy if it is large.
    #[inline(always)]
    pub(super) fn send_to(self, conn: &mut Conn, now: &Now, out: &mut Outbox) -> Result<(), LocalError> {
        // By reference, the response is not moved through the layers.
        if self.body.len() <= Outbox::COPY_BYTES {
            return conn.send_small_response(now, &self.head(), self.body.as_bytes(), out);
        }
        let Self { status, content_type, fields, body, .. } = self;
        conn.send_response(now, &ResponseHead { status, content_type: &content_type, fields: &fields }, body, out)
    }
}
