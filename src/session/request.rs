//! A request as a handler sees it.
//!
//! Owns the view: the head's facts, the normalized path, the whole body, query values, and what the
//! server's settings say about them. Leaves the rules to `origin`, `cors` and `cookies`. It owns no
//! bytes: everything is borrowed for the time of the call.

use std::borrow::Cow;
use std::net::SocketAddr;

use super::{Cookies, Cors, Origin, Response, Settings, cors};
use crate::proto::http1::{Head, Method};

/// One request, borrowed from the connection's input for the time of the handler's call.
///
/// ```
/// use pushlab::{Method, Reply, Request, Response};
/// fn app(request: &Request<'_>, reply: Reply<'_>) {
///     match (request.method(), request.path()) {
///         (Method::Get, "/greet") => {
///             let name = request.query_value("name").unwrap_or("you".into());
///             reply.send(Response::text(format!("hello {name}\n")));
///         }
///         (Method::Post, "/length") => reply.send(Response::text(format!("{}\n", request.body().len()))),
///         _ => reply.send(Response::status(404)),
///     }
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/greet?name=Ada", "/length"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    head: Head<'a>,
    path: &'a str,
    body: &'a [u8],
    peer: SocketAddr,
    settings: &'a Settings,
}

impl<'a> Request<'a> {
    /// `path` is that of the head, [normalized](normalized_path).
    pub(crate) const fn new(head: Head<'a>, path: &'a str, body: &'a [u8], peer: SocketAddr, settings: &'a Settings) -> Self {
        Self { head, path, body, peer, settings }
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.head.method()
    }

    /// The path without the query, [normalized](normalized_path): two paths that differ in the
    /// escapes of unreserved characters or in the case of an escape's digits name the same
    /// resource, and are the same text here. Other characters stay percent-encoded. Each `%` has
    /// two hexadecimal digits behind it, which may stand for any other byte, a slash, NUL and bytes
    /// that are not UTF-8 included: a request with a bad escape is answered 400 (RFC 3986, section
    /// 2.1; RFC 9112, section 3.2). `/` for an absolute-form target without a path.
    ///
    /// Dot segments are not removed. A path can contain `..` as a segment, however the client has
    /// written the dots; this library maps no path to a file. The path as sent is
    /// [`head().path()`](Head::path). A check that decides about access and the code that it
    /// protects must read the same one of the two.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The query as sent, without its question mark. Here a `%` may have anything behind it, as browsers send it.
    pub fn query(&self) -> Option<&'a str> {
        self.head.query()
    }

    /// The first value of a query parameter, decoded as `application/x-www-form-urlencoded` (WHATWG URL, section 5.1). Bytes that are not
    /// UTF-8 become U+FFFD, and a `%` without two hexadecimal digits behind it stands for itself.
    pub fn query_value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.query_values().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Every query parameter as sent, `name=value` or `name`, in order. Empty ones are left out.
    pub fn query_pairs(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty())
    }

    /// Every query parameter, decoded, in order: one for each of
    /// [`query_pairs`](Self::query_pairs).
    pub fn query_values(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        self.query_pairs().map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decode(name), form_decode(value))
        })
    }

    /// The host that the request names, with its port if given.
    pub fn host(&self) -> Option<&'a str> {
        self.head.host()
    }

    /// The value of the first field of this name, without white space around it. Names are compared without regard to case. Values are opaque
    /// bytes (RFC 9110, section 5.5).
    pub fn field_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.head.field_bytes(name)
    }

    /// The values of all fields of this name, in order, each as [`field_bytes`](Self::field_bytes) gives it.
    pub fn field_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.head.field_values(name)
    }

    /// The value of the first field of this name, if it is UTF-8. `None` stands for an absent field and for a value that is not UTF-8: a check
    /// that decides about access reads [`field_bytes`](Self::field_bytes).
    pub fn field_text(&self, name: &str) -> Option<&'a str> {
        self.head.field_text(name)
    }

    /// Every cookie of the request, in order, of all `Cookie` fields: a proxy that speaks HTTP/2
    /// may have split them (RFC 9113, section 8.2.3). Names and values are opaque bytes.
    pub fn cookies(&self) -> Cookies<'a> {
        Cookies::of(&self.head)
    }

    /// The value of the first cookie of this name; names are compared with regard to case. The
    /// first one counts, because browsers send the cookie with the longest path first (RFC 6265,
    /// section 5.4): it is the one that is meant for this part of the server.
    pub fn cookie(&self, name: &str) -> Option<&'a [u8]> {
        self.cookies().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// Which page sent this request. A handler that changes something asks [`Origin::may_act`]
    /// first, because a page of any site can send a POST:
    ///
    /// ```
    /// use pushlab::{Reply, Request, Response};
    /// fn change(request: &Request<'_>, reply: Reply<'_>) {
    ///     if !request.origin().may_act() {
    ///         return reply.send(Response::text("pages of this origin may not do this\n").with_status(403));
    ///     }
    ///     reply.send(request.cors().dress(Response::no_content()));
    /// }
    /// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
    /// # serve_once(change, &["/"]);
    /// ```
    pub fn origin(&self) -> Origin<'a> {
        Origin::of(&self.head, self.settings)
    }

    /// The fields that let the page that sent this request read the answer.
    pub fn cors(&self) -> Cors {
        Cors::of(self)
    }

    /// The answer to `OPTIONS` at a path that has the methods `allow`, such as
    /// `GET, HEAD, OPTIONS`: 204 with `Allow` (RFC 9110, section 9.3.7). It is also the answer to a preflight,
    /// which is an `OPTIONS` with `Access-Control-Request-Method`, from a page that may act: it
    /// then names the methods, [`Settings::allow_request_fields`], and 600 s for which the browser
    /// may keep the answer. A listed origin other than `null` may also reach into a private
    /// network.
    ///
    /// ```
    /// use pushlab::{Method, Reply, Request, Response};
    /// fn app(request: &Request<'_>, reply: Reply<'_>) {
    ///     match request.method() {
    ///         Method::Get | Method::Head => reply.send(Response::text("hello\n")),
    ///         Method::Options => reply.send(request.options("GET, HEAD, OPTIONS")),
    ///         _ => reply.send(Response::method_not_allowed("GET, HEAD, OPTIONS")),
    ///     }
    /// }
    /// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
    /// # serve_once(app, &["/"]);
    /// ```
    pub fn options(&self, allow: &str) -> Response {
        cors::options(self, allow)
    }

    pub(super) const fn settings(&self) -> &'a Settings {
        self.settings
    }

    /// The head, with every field.
    pub const fn head(&self) -> &Head<'a> {
        &self.head
    }

    /// The whole body, chunked coding undone.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The peer's address. An IPv4 client of a listener on an IPv6 address has its IPv4 address
    /// here, not `::ffff:192.0.2.1`.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }
}

/// A path in the form in which two equivalent ones are the same text (RFC 3986, sections 6.2.2.1
/// and 6.2.2.2). Escapes of unreserved characters, that is letters, digits, `-`, `.`, `_` and `~`,
/// are decoded. All other escapes stay, with upper-case digits. Nothing is decoded twice, and a
/// path without `%` is not copied.
///
/// ```
/// use pushlab::session::normalized_path;
/// assert_eq!(normalized_path("/%7Eada/%6eotes"), "/~ada/notes");
/// assert_eq!(normalized_path("/a%2fb%c3%a9"), "/a%2Fb%C3%A9");
/// assert_eq!(normalized_path("/%2541"), "/%2541");
/// ```
pub fn normalized_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut normalized = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('%') {
        normalized.push_str(before);
        rest = behind;
        let [high, low, ..] = *rest.as_bytes() else {
            normalized.push('%');
            continue;
        };
        if !(high.is_ascii_hexdigit() && low.is_ascii_hexdigit()) {
            normalized.push('%');
            continue;
        }
        let byte = hex_value(high) << 4 | hex_value(low);
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            normalized.push(byte.into());
        } else {
            normalized.push('%');
            normalized.extend([high, low].map(|digit| char::from(digit.to_ascii_uppercase())));
        }
        rest = &rest["00".len()..];
    }
    normalized.push_str(rest);
    Cow::Owned(normalized)
}

fn form_decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        decoded.push(match (first, rest) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes = after;
                hex_value(*high) << 4 | hex_value(*low)
            }
            _ => *first,
        });
    }
    match String::from_utf8(decoded) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

const fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
