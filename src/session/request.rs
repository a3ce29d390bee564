//! A request as a handler sees it.
//!
//! Owns the view of the head, the normalized path, the whole body, the query values, and what the
//! server's settings say about them. The view borrows everything for the time of the call. Leaves
//! the rules to `origin`, `cors` and `cookies`, and parsing to `proto::http1`.

use std::borrow::Cow;
use std::net::IpAddr;

use super::caller::Caller;
use super::forwarded::Forwarded;
use super::{Cookies, Cors, Origin, Peer, Response, Settings, TlsInfo, cors};
use crate::proto::http1::{Head, Method, Node, Scheme, find_byte};

/// One request. It borrows from the connection's input for the time of the handler's call.
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
    head: &'a Head<'a>,
    path: &'a str,
    body: &'a [u8],
    caller: Caller<'a>,
    forwarded: &'a Forwarded<'a>,
    settings: &'a Settings,
}

impl<'a> Request<'a> {
    /// `path` is that of the head, [normalized](normalized_path).
    pub(super) const fn new(
        head: &'a Head<'a>,
        path: &'a str,
        body: &'a [u8],
        caller: Caller<'a>,
        forwarded: &'a Forwarded<'a>,
        settings: &'a Settings,
    ) -> Self {
        Self { head, path, body, caller, forwarded, settings }
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.head.method()
    }

    /// The path without the query, [normalized](normalized_path). Two paths name the same resource
    /// if they differ only in the escapes of unreserved characters or in the case of hexadecimal
    /// digits; here they are the same text. All other escapes stay. Each `%` is followed by two
    /// hexadecimal digits, because a request with a bad escape is answered 400 (RFC 3986, section
    /// 2.1; RFC 9112, section 3.2). An escape can stand for a slash, for NUL, or for a byte that is
    /// not UTF-8. The path of an absolute-form target without a path is `/`.
    ///
    /// Dot segments are not removed. A path can contain `..` as a segment, in whatever way the
    /// client wrote the dots; this library maps no path to a file. [`head().path()`](Head::path) is
    /// the path as sent. A check that decides about access must read the same of the two paths as
    /// the code that it protects.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The query as sent, without its question mark. A `%` in it need not begin a valid escape,
    /// because browsers send such queries.
    pub fn query(&self) -> Option<&'a str> {
        self.head.query()
    }

    /// The first value of a query parameter, decoded as `application/x-www-form-urlencoded` (WHATWG
    /// URL, section 5.1). Bytes that are not UTF-8 become U+FFFD. A `%` that is not followed by two
    /// hexadecimal digits stays a `%`.
    pub fn query_value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.query_values().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Every query parameter as sent, `name=value` or `name`, in order. Empty parameters are left
    /// out.
    pub fn query_pairs(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.query().unwrap_or_default();
        // Without the general search of `split`, which costs 100 instructions for each pair.
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let len = find_byte(rest.as_bytes(), b'&').unwrap_or(rest.len());
                let pair = &rest[..len];
                rest = rest.get(len + 1..).unwrap_or_default();
                if !pair.is_empty() {
                    return Some(pair);
                }
            }
            None
        })
    }

    /// Every query parameter, decoded, in order: one for each of the
    /// [`query_pairs`](Self::query_pairs).
    pub fn query_values(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        // One search through the whole query, and not one for each name and each value.
        let is_coded = self.query().is_some_and(is_form_coded);
        self.query_pairs().map(move |pair| {
            let (name, value) = find_byte(pair.as_bytes(), b'=').map_or((pair, ""), |at| (&pair[..at], &pair[at + 1..]));
            if is_coded { (form_decode(name), form_decode(value)) } else { (Cow::Borrowed(name), Cow::Borrowed(value)) }
        })
    }

    /// The host that the client named, with its port if it gave one. A trusted proxy may forward
    /// it ([`Settings::forwarding`]). It is `None` if that proxy forwards a value that is not a
    /// host. [`head().host()`](Head::host) is the host that this request names.
    pub fn host(&self) -> Option<&'a str> {
        self.forwarded.host(self.head)
    }

    /// The value of the first field with this name, without white space around it. Names are
    /// compared without regard to case. Values are opaque bytes (RFC 9110, section 5.5).
    pub fn field_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.head.field_bytes(name)
    }

    /// The values of all fields with this name, in order, each in the form of
    /// [`field_bytes`](Self::field_bytes).
    pub fn field_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.head.field_values(name)
    }

    /// The value of the first field with this name, if it is UTF-8. `None` means that the field is
    /// absent or that its value is not UTF-8. A check that decides about access must therefore read
    /// [`field_bytes`](Self::field_bytes).
    pub fn field_text(&self, name: &str) -> Option<&'a str> {
        self.head.field_text(name)
    }

    /// Every cookie of the request, in order. All `Cookie` fields are read, because a proxy that
    /// speaks HTTP/2 may have split the field (RFC 9113, section 8.2.3). Names and values are
    /// opaque bytes.
    pub fn cookies(&self) -> Cookies<'a> {
        Cookies::of(self.head)
    }

    /// The value of the first cookie with this name; case matters in names. The first cookie
    /// counts, because browsers send the cookie with the longest path first (RFC 6265, section
    /// 5.4). It is the cookie that is meant for this part of the server.
    pub fn cookie(&self, name: &str) -> Option<&'a [u8]> {
        self.cookies().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// Which page sent this request. A page of any site can send a POST. So a handler that changes
    /// something asks [`Origin::may_act`] first:
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
        Origin::of(self.head, self.forwarded, self.settings)
    }

    /// The fields that let the page behind this request read the answer.
    pub fn cors(&self) -> Cors {
        Cors::of(self.head, self.forwarded, self.settings)
    }

    /// The answer to `OPTIONS` at a path with the methods `allow`, such as `GET, HEAD, OPTIONS`:
    /// 204 with `Allow` (RFC 9110, section 9.3.7).
    ///
    /// It is also the answer to a preflight, which is an `OPTIONS` with
    /// `Access-Control-Request-Method`. If the page may act, the answer names the methods,
    /// [`Settings::allow_request_fields`], and 600 s as the time for which the browser may keep it.
    /// A listed origin other than `null` also gets access to a private network if it asks for that.
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
        cors::options(self.head, self.forwarded, self.settings, allow)
    }

    /// The head with every field.
    pub const fn head(&self) -> &Head<'a> {
        self.head
    }

    /// The whole body. A chunked body is decoded.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The other end of the connection. Behind a proxy, this is the proxy.
    pub const fn peer(&self) -> Peer {
        self.caller.peer()
    }

    /// The address of the client: the one for which the trusted proxies forward the request, or
    /// else that of the [`peer`](Self::peer). [`Settings::forwarding`] lists these proxies, and by
    /// default there are none.
    ///
    /// It is `None` if the outermost trusted proxy hides its client or names it by something that
    /// is not an address, and for a Unix socket without a trusted proxy. So an application that
    /// limits the rate of each address must limit `None`, too.
    ///
    /// ```
    /// use pushlab::{Reply, Request, Response};
    /// fn app(request: &Request<'_>, reply: Reply<'_>) {
    ///     let client = request.client_ip().map_or("unknown".to_owned(), |ip| ip.to_string());
    ///     reply.send(Response::text(format!("{client} by {}, secure: {}\n", request.peer(), request.is_secure())));
    /// }
    /// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
    /// # serve_once(app, &["/"]);
    /// ```
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.forwarded.client_ip(self.caller)
    }

    /// The node for which the outermost trusted proxy forwards the request (RFC 7239, section 5.2),
    /// with its port or its obfuscated name. `None` if the request comes from no trusted proxy, or
    /// if the proxy does not write a field about its client.
    pub const fn forwarded_for(&self) -> Option<&'a Node> {
        self.forwarded.node.as_ref()
    }

    /// Whether the client sent the request over TLS: to this server, or to a trusted proxy that says
    /// so ([`Settings::forwarding`]). Behind a proxy that ends TLS and is not trusted, this is
    /// `false`. If a trusted proxy says `http`, this is `false`, even if the proxy itself connects
    /// over TLS.
    pub fn is_secure(&self) -> bool {
        self.forwarded.scheme == Scheme::Https
    }

    /// The facts about the connection's TLS; `None` for a connection that is not secured. Behind a
    /// proxy, this is the connection of the proxy.
    pub const fn tls(&self) -> Option<&'a TlsInfo> {
        self.caller.tls
    }
}

/// Normalizes a path, so that two equivalent paths become the same text (RFC 3986, sections 6.2.2.1
/// and 6.2.2.2). Escapes of unreserved characters are decoded: letters, digits, `-`, `.`, `_` and
/// `~`. All other escapes stay, with upper-case digits. Nothing is decoded twice. A path without
/// `%` is not copied.
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

/// Whether decoding a form changes the text.
fn is_form_coded(text: &str) -> bool {
    find_byte(text.as_bytes(), b'%').or_else(|| find_byte(text.as_bytes(), b'+')).is_some()
}

fn form_decode(text: &str) -> Cow<'_, str> {
    if !is_form_coded(text) {
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
