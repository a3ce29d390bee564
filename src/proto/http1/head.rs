//! The head of a request: the request line and the fields.
//!
//! Owns the validation of a whole head (RFC 9112, sections 2 to 6; RFC 9110, sections 5 to 7 and
//! 10.1.1). The validation is strict: a form that two parsers could read in two ways is rejected.
//! One such form is a line feed without a carriage return, which section 2.2 of RFC 9112 allows a
//! recipient to accept. Leaves the request target to `target`, the framing of the body to
//! `framing`, and the order of requests to [`Conn`](super::Conn). No field is stored: [`Fields`]
//! reads the fields again from the validated bytes.

use std::mem::MaybeUninit;

use super::super::{ProtocolLimits, RemoteError};
use super::facts::{Conclusions, Facts, Names, Span};
use super::fields::{Fields, elements};
use super::framing::Content;
use super::method::{Method, Version};
use super::remembered::Remembered;
use super::scan::find_byte;
use super::syntax;
use super::target::Target;

/// A validated request head. It borrows from the input.
///
/// ```
/// use pushlab::proto::{ProtocolLimits, http1::{Content, Head, Method}};
/// let raw = b"POST /echo?n=1 HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\n";
/// let head = Head::parse(raw, &ProtocolLimits::default())?;
/// assert_eq!((head.method(), head.path(), head.query()), (Method::Post, "/echo", Some("n=1")));
/// assert_eq!((head.host(), head.content()), (Some("example.org"), Content::Length(5)));
/// assert_eq!(head.field_text("host"), Some("example.org"));
/// # Ok::<(), pushlab::proto::RemoteError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    raw: &'a [u8],
    target: &'a str,
    /// The range of the path in `target`.
    path: Span,
    /// The range of the host in `raw`.
    host: Span,
    /// The index of the first field line in `raw`.
    fields_at: u16,
    method: Method,
    has_escaped_path: bool,
    concluded: Conclusions,
}

/// The scheme of a request target (RFC 9110, section 4.2).
///
/// ```
/// use pushlab::proto::{ProtocolLimits, http1::{Head, Scheme}};
/// let raw = b"GET https://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n";
/// let head = Head::parse(raw, &ProtocolLimits::default())?;
/// assert_eq!(head.scheme(), Some(Scheme::Https));
/// # Ok::<(), pushlab::proto::RemoteError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, for connections that are not secured.
    Http,
    /// `https`, for connections over TLS.
    Https,
}

impl Scheme {
    /// The port of a URI that names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The number of fields that is enough for nearly all heads. Room for
/// [`ProtocolLimits::HEAD_FIELDS_MAX`] fields would take a whole page of the thread's stack, so
/// only heads that need it get it.
const USUAL_FIELDS: usize = 24;

/// The size of the largest head in bytes, even if [`ProtocolLimits::head_bytes`] is larger.
const LARGEST: usize = u16::MAX as usize;

impl<'a> Head<'a> {
    /// Parses one whole head. `raw` ends with the blank line of the head.
    ///
    /// # Errors
    /// The first broken rule or limit. If the head is not whole, this is
    /// [`RemoteError::BadRequestLine`].
    pub fn parse(raw: &'a [u8], limits: &ProtocolLimits) -> Result<Self, RemoteError> {
        if raw.len() > Self::largest(limits) {
            return Err(Self::too_large(raw, limits));
        }
        match Self::parse_prefix(raw, limits)? {
            Some(head) if head.raw.len() == raw.len() => Ok(head),
            _ => Err(RemoteError::BadRequestLine),
        }
    }

    /// The size in bytes of the largest head that is accepted.
    #[inline]
    pub(super) fn largest(limits: &ProtocolLimits) -> usize {
        limits.head_bytes.min(LARGEST)
    }

    /// Parses the head at the front of at most [`largest`](Self::largest) bytes. Returns `None`
    /// while the head is not whole and no rule is broken.
    #[inline(always)]
    pub(super) fn parse_prefix(input: &'a [u8], limits: &ProtocolLimits) -> Result<Option<Self>, RemoteError> {
        match input.first() {
            Some(&first) if syntax::is_token_byte(first) => {}
            Some(_) => return Err(RemoteError::BadRequestLine),
            None => return Ok(None),
        }
        let allowed = limits.head_fields.min(ProtocolLimits::HEAD_FIELDS_MAX);
        match Self::parse_fields::<USUAL_FIELDS>(input, allowed, limits) {
            Err(RemoteError::TooManyFields) if allowed > USUAL_FIELDS => Self::parse_many_fields(input, allowed, limits),
            Err(RemoteError::UnsupportedVersion) => Self::parse_later_version(input, limits),
            result => result,
        }
    }

    #[cold]
    #[inline(never)]
    fn parse_many_fields(input: &'a [u8], allowed: usize, limits: &ProtocolLimits) -> Result<Option<Self>, RemoteError> {
        Self::parse_fields::<{ ProtocolLimits::HEAD_FIELDS_MAX }>(input, allowed, limits)
    }

    /// Parses a head of HTTP/1.2 to HTTP/1.9. A recipient "SHOULD process the message as if it were
    /// in the highest minor version within that major version to which the recipient is conformant"
    /// (RFC 9110, section 2.5). `httparse` does not accept a version after 1.1, so it gets a copy
    /// of the head with version 1.1.
    #[cold]
    #[inline(never)]
    fn parse_later_version(input: &'a [u8], limits: &ProtocolLimits) -> Result<Option<Self>, RemoteError> {
        let line_len = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len()).saturating_sub(b"\r".len());
        let mut copy = input.to_vec();
        match copy[..line_len].last_chunk_mut() {
            Some([b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9']) => *minor = b'1',
            _ => return Err(RemoteError::UnsupportedVersion),
        }
        let Some(head) = Head::parse_prefix(&copy, limits)? else { return Ok(None) };
        let target = &input[head.method.as_str().len() + 1..][..head.target.len()];
        Ok(Some(Self {
            raw: &input[..head.raw.len()],
            target: std::str::from_utf8(target).expect("the same target was parsed in the copy"),
            path: head.path,
            host: head.host,
            fields_at: head.fields_at,
            method: head.method,
            has_escaped_path: head.has_escaped_path,
            concluded: head.concluded,
        }))
    }

    #[inline(always)]
    fn parse_fields<const N: usize>(input: &'a [u8], allowed: usize, limits: &ProtocolLimits) -> Result<Option<Self>, RemoteError> {
        let mut fields = [const { MaybeUninit::uninit() }; N];
        let mut request = httparse::Request::new(&mut []);
        let used = match request.parse_with_uninit_headers(input, &mut fields[..allowed.min(N)]) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(refusal(input, &request, error)),
        };
        let line = RequestLine::of(&request, limits)?;
        let raw = &input[..used];
        let (mut facts, mut names) = (Facts::default(), Names::default());
        let offset = |field: &httparse::Header<'_>| field.name.as_ptr().addr() - raw.as_ptr().addr();
        let fields_at = request.headers.first().map_or(raw.len() - 2, offset);
        for field in &*request.headers {
            // `httparse` accepts a lone LF as a line end. The two bytes before a field name are the
            // end of the previous line.
            let at = offset(field);
            if raw[at - 2] != b'\r' {
                return Err(if at == fields_at { RemoteError::BadRequestLine } else { RemoteError::BadField });
            }
            let name = Names::one(field.name.as_bytes());
            names.add(name);
            if name.overlaps(Facts::NEEDED) {
                facts.note(field, raw)?;
            }
        }
        // The last field line and the blank line must also end with CRLF.
        if !raw.ends_with(b"\r\n\r\n") {
            return Err(if request.headers.is_empty() { RemoteError::BadRequestLine } else { RemoteError::BadField });
        }
        let concluded = facts.conclude(line.version, names)?;
        Ok(Some(Self::new(raw, fields_at, &line, facts.host.unwrap_or_default(), concluded)))
    }

    #[inline(always)]
    fn new(raw: &'a [u8], fields_at: usize, line: &RequestLine<'a>, host: Span, concluded: Conclusions) -> Self {
        let RequestLine { method, target, parts, .. } = line;
        // The authority of an absolute target replaces `Host` (RFC 9112, section 3.2.2).
        let host = if parts.authority.is_empty() {
            host
        } else {
            Span::new(target.as_ptr().addr() - raw.as_ptr().addr() + parts.authority.start, parts.authority.len())
        };
        Self {
            raw,
            target,
            path: Span::new(parts.path.start, parts.path.len()),
            host,
            fields_at: fields_at as u16,
            method: *method,
            has_escaped_path: parts.is_escaped,
            concluded,
        }
    }

    /// Parses the head at the front of `input`, if its fields are the `known` ones. `None` means that
    /// [`parse_prefix`](Self::parse_prefix) is to be asked, which also finds what is wrong.
    #[inline(always)]
    pub(super) fn parse_known(input: &'a [u8], known: &Remembered, limits: &ProtocolLimits) -> Option<Self> {
        if known.len() == 0 {
            return None;
        }
        let (line, rest) = input.split_at(find_byte(input, b'\n')? + 1);
        let concluded = known.concluded_by(rest)?;
        let mut request = httparse::Request::new(&mut []);
        // No fields follow in this slice, so the head is not whole for `httparse`.
        let Ok(httparse::Status::Partial) = request.parse_with_uninit_headers(line, &mut []) else { return None };
        let parsed = RequestLine::of(&request, limits).ok()?;
        if parsed.version != concluded.version || !line.ends_with(b"\r\n") {
            return None;
        }
        Some(Self::new(&input[..line.len() + known.len()], line.len(), &parsed, known.host(line.len()), concluded))
    }

    /// Decides which limit is broken by a head that has more than [`largest`](Self::largest) bytes
    /// without a blank line. Only the bytes up to that size count, so that the answer does not
    /// depend on how many bytes arrive at once.
    #[cold]
    pub(super) fn too_large(input: &[u8], limits: &ProtocolLimits) -> RemoteError {
        let seen = &input[..input.len().min(Self::largest(limits))];
        let line = seen.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|&byte| byte == b' ');
        match (words.next(), words.next(), words.next()) {
            (_, Some(target), _) if target.len() > limits.target_bytes => RemoteError::TargetTooLong,
            _ if line.len() < seen.len() => RemoteError::HeadTooLarge,
            (_, Some(_), None) => RemoteError::TargetTooLong,
            // "A server that receives a method longer than any that it implements SHOULD respond
            // with a 501" (RFC 9112, section 3).
            (Some(method), None, _) if syntax::is_token(method) => RemoteError::UnknownMethod,
            _ => RemoteError::BadRequestLine,
        }
    }

    /// The method of the request.
    #[inline]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The version of the request.
    #[inline]
    pub fn version(&self) -> Version {
        self.concluded.version
    }

    /// The request target as it was sent.
    #[inline]
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The path as it was sent, without the query. It is not decoded. It begins with `/`, or it is
    /// `*` (only with OPTIONS). It is ASCII. Two hexadecimal digits follow each `%` (RFC 3986,
    /// section 2.1). They may stand for any byte, for example NUL, a slash, or a byte that is not
    /// UTF-8.
    ///
    /// An absolute form without a path means `/`, but only "when not being used as the target of an
    /// OPTIONS request" (RFC 9110, section 4.2.3). With OPTIONS it means `*` (RFC 9112, section
    /// 3.2.4).
    #[inline]
    pub fn path(&self) -> &'a str {
        match &self.target[self.path.range()] {
            "" if self.method == Method::Options && self.query().is_none() => "*",
            "" => "/",
            path => path,
        }
    }

    /// The query as it was sent, without the `?`. It is not decoded. It is ASCII. Any bytes may
    /// follow a `%`.
    #[inline]
    pub fn query(&self) -> Option<&'a str> {
        self.target[usize::from(self.path.end)..].strip_prefix('?')
    }

    /// The scheme of an absolute target. The other forms have none.
    #[inline]
    pub fn scheme(&self) -> Option<Scheme> {
        match self.target.as_bytes() {
            [b'/' | b'*', ..] => None,
            [_, _, _, _, b's' | b'S', ..] => Some(Scheme::Https),
            _ => Some(Scheme::Http),
        }
    }

    /// The authority that the request names: the authority of an absolute target, or else the value
    /// of `Host`. It is `None` if that is empty, or if an HTTP/1.0 request has no `Host`.
    pub fn host(&self) -> Option<&'a str> {
        std::str::from_utf8(&self.raw[self.host.range()]).ok().filter(|host| !host.is_empty())
    }

    /// The framing of the body.
    #[inline]
    pub fn content(&self) -> Content {
        self.concluded.content
    }

    /// Whether the request allows the connection to stay open after the response (RFC 9112, section
    /// 9.3).
    #[inline]
    pub fn keep_alive(&self) -> bool {
        self.concluded.keep_alive
    }

    /// Whether the peer waits for `100 Continue` before it sends the body (RFC 9110, section
    /// 10.1.1). It is false for a request without a body.
    #[inline]
    pub fn expects_continue(&self) -> bool {
        self.concluded.expects_continue && self.concluded.content != Content::None
    }

    /// Like [`expects_continue`](Self::expects_continue), but also true for a request without a
    /// body.
    #[inline]
    pub(super) fn names_continue(&self) -> bool {
        self.concluded.expects_continue
    }

    /// Whether the request asks for an upgrade to WebSocket: it is HTTP/1.1 with `Connection:
    /// Upgrade` and `Upgrade: websocket` (RFC 6455, section 4.2.1, items 3 and 4). The other fields
    /// of the handshake are not checked.
    #[inline]
    pub fn upgrades_to_websocket(&self) -> bool {
        self.concluded.upgrade && self.list_has("Upgrade", "websocket")
    }

    /// Whether the path has a percent sign. Most paths have none, and for them no search is needed.
    #[inline]
    pub(crate) fn has_escaped_path(&self) -> bool {
        self.has_escaped_path
    }

    /// The fields in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(&self.raw[usize::from(self.fields_at)..])
    }

    /// The value of the first field of this name. The comparison ignores case. Values are opaque
    /// bytes (RFC 9110, section 5.5).
    pub fn field_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.field_values(name).next()
    }

    /// The values of all fields of this name, in order.
    #[inline]
    pub fn field_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = if self.may_have(name) { self.fields() } else { Fields::new(b"") };
        fields.named(name)
    }

    /// Whether there may be a field of this name. For nearly all absent names, the answer is no.
    #[inline]
    pub(crate) fn may_have(&self, name: &str) -> bool {
        self.concluded.names.overlaps(Names::one(name.as_bytes()))
    }

    /// Like [`field_bytes`](Self::field_bytes), if the value is UTF-8. The result is `None` for an
    /// absent field and also for a value that is not UTF-8. A check that decides about access must
    /// therefore use `field_bytes`.
    pub fn field_text(&self, name: &str) -> Option<&'a str> {
        self.field_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the comma-separated lists in all fields of this name contain this element. The
    /// comparison ignores case.
    pub fn list_has(&self, name: &str, token: &str) -> bool {
        self.field_values(name).any(|list| elements(list).any(|element| element.eq_ignore_ascii_case(token.as_bytes())))
    }

    /// The field lines and the blank line, what was concluded from them, and the range of the host.
    /// `None` if the host is that of an absolute target.
    pub(super) fn section(&self) -> Option<(&'a [u8], Conclusions, Span)> {
        let at = usize::from(self.fields_at);
        self.target.starts_with('/').then(|| (&self.raw[at..], self.concluded, self.host.moved_back(at)))
    }

    /// The whole head as it was sent.
    #[inline]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }
}

/// A validated request line.
struct RequestLine<'a> {
    method: Method,
    target: &'a str,
    parts: Target,
    version: Version,
}

impl<'a> RequestLine<'a> {
    #[inline(always)]
    fn of(request: &httparse::Request<'_, 'a>, limits: &ProtocolLimits) -> Result<Self, RemoteError> {
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
            return Err(RemoteError::BadRequestLine);
        };
        if target.len() > limits.target_bytes {
            return Err(RemoteError::TargetTooLong);
        }
        // Nearly all requests are GET, and then there is one comparison.
        let method = if method == "GET" { Method::Get } else { Method::from_name(method).ok_or(RemoteError::UnknownMethod)? };
        let version = if version == 0 { Version::Http10 } else { Version::Http11 };
        Ok(Self { method, target, parts: Target::parse(target, method)?, version })
    }
}

/// Decides which rule is broken by a head that `httparse` rejected. This function reads the request
/// line again, because `httparse` does not return its parts, and does not distinguish "no version"
/// from "another version".
#[cold]
fn refusal(input: &[u8], request: &httparse::Request<'_, '_>, error: httparse::Error) -> RemoteError {
    let line = input.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let words = [words.next(), words.next(), words.next(), words.next()];
    let [Some(method), Some(target), Some(version), None] = words else { return RemoteError::BadRequestLine };
    if !syntax::is_token(method) || target.is_empty() {
        return RemoteError::BadRequestLine;
    }
    let Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]) = version.strip_suffix(b"\r") else { return RemoteError::BadRequestLine };
    match (major, minor) {
        (b'1', b'0' | b'1') => {}
        (b'0'..=b'9', b'0'..=b'9') => return RemoteError::UnsupportedVersion,
        _ => return RemoteError::BadRequestLine,
    }
    match error {
        httparse::Error::TooManyHeaders => RemoteError::TooManyFields,
        httparse::Error::Token if request.path.is_none() => RemoteError::BadTarget,
        _ => RemoteError::BadField,
    }
}
