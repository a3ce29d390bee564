//! A request's head: its line and its fields.
//!
//! Owns the validation of a whole head (RFC 9112, sections 2 to 6; RFC 9110, sections 5 to 7 and 10.1.1), strictly: a line feed without a
//! carriage return, which section 2.2 of RFC 9112 lets a recipient accept, is refused as every other shape that two parsers could read in
//! two ways. Refuses to store fields: they are walked again over the validated bytes when somebody asks.

use std::mem::MaybeUninit;

use super::super::{Limits, RemoteError};
use super::fields::{Fields, elements};
use super::framing::{Content, Framing};
use super::method::{Method, Version};
use super::syntax;
use super::target::{Target, is_authority};

/// A validated request head, borrowed from the input.
///
/// ```
/// use pushlab::proto::{Limits, http1::{Content, Head, Method}};
/// let head = Head::parse(b"POST /echo?n=1 HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\n", &Limits::default())?;
/// assert_eq!((head.method(), head.path(), head.query()), (Method::Post, "/echo", Some("n=1")));
/// assert_eq!((head.host(), head.content()), (Some("example.org"), Content::Length(5)));
/// assert_eq!(head.field_text("host"), Some("example.org"));
/// # Ok::<(), pushlab::proto::RemoteError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, not states")]
pub struct Head<'a> {
    raw: &'a [u8],
    target: &'a str,
    content: Content,
    /// The path in the target.
    path: Span,
    /// The host in the whole head.
    host: Span,
    /// Where the first field line stands.
    fields_at: u16,
    method: Method,
    version: Version,
    keep_alive: bool,
    expects_continue: bool,
    upgrade: bool,
    has_origin: bool,
}

/// A part of a head. Two bytes a bound are enough for [`LARGEST`].
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(start: usize, len: usize) -> Self {
        Self { start: start as u16, end: (start + len) as u16 }
    }

    fn range(self) -> std::ops::Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// Fields that nearly every head gets along with. Room for the most that are allowed would take a page of a thread's stack.
const USUAL_FIELDS: usize = 24;

/// The largest head, whatever [`Limits::head_bytes`] says.
const LARGEST: usize = u16::MAX as usize;

impl<'a> Head<'a> {
    /// Parses one whole head with its blank line and nothing behind it.
    ///
    /// # Errors
    /// The first broken rule or limit; a head that is not whole is a [`RemoteError::BadRequestLine`].
    pub fn parse(raw: &'a [u8], limits: &Limits) -> Result<Self, RemoteError> {
        if raw.len() > Self::largest(limits) {
            return Err(Self::too_large(raw, limits));
        }
        match Self::parse_prefix(raw, limits)? {
            Some(head) if head.raw.len() == raw.len() => Ok(head),
            _ => Err(RemoteError::BadRequestLine),
        }
    }

    /// Bytes of the largest head that is accepted.
    #[inline]
    pub(super) fn largest(limits: &Limits) -> usize {
        limits.head_bytes.min(LARGEST)
    }

    /// Parses the head at the front of at most [`largest`](Self::largest) bytes; `None` while it is not whole and nothing is wrong yet.
    #[inline]
    pub(super) fn parse_prefix(input: &'a [u8], limits: &Limits) -> Result<Option<Self>, RemoteError> {
        match input.first() {
            Some(&first) if syntax::is_token_byte(first) => {}
            Some(_) => return Err(RemoteError::BadRequestLine),
            None => return Ok(None),
        }
        let allowed = limits.head_fields.min(Limits::HEAD_FIELDS_MAX);
        match Self::parse_fields::<USUAL_FIELDS>(input, allowed, limits) {
            Err(RemoteError::TooManyFields) if allowed > USUAL_FIELDS => Self::parse_many_fields(input, allowed, limits),
            Err(RemoteError::UnsupportedVersion) => Self::parse_later_version(input, limits),
            result => result,
        }
    }

    #[cold]
    #[inline(never)]
    fn parse_many_fields(input: &'a [u8], allowed: usize, limits: &Limits) -> Result<Option<Self>, RemoteError> {
        Self::parse_fields::<{ Limits::HEAD_FIELDS_MAX }>(input, allowed, limits)
    }

    /// A recipient "SHOULD process the message as if it were in the highest minor version within that major version to which the recipient
    /// is conformant" (RFC 9110, section 2.5). `httparse` knows no version behind 1.1, so that it is given a copy that says 1.1.
    #[cold]
    #[inline(never)]
    fn parse_later_version(input: &'a [u8], limits: &Limits) -> Result<Option<Self>, RemoteError> {
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
            content: head.content,
            path: head.path,
            host: head.host,
            fields_at: head.fields_at,
            method: head.method,
            version: head.version,
            keep_alive: head.keep_alive,
            expects_continue: head.expects_continue,
            upgrade: head.upgrade,
            has_origin: head.has_origin,
        }))
    }

    #[inline]
    fn parse_fields<const N: usize>(input: &'a [u8], allowed: usize, limits: &Limits) -> Result<Option<Self>, RemoteError> {
        let mut fields = [const { MaybeUninit::uninit() }; N];
        let mut request = httparse::Request::new(&mut []);
        let used = match request.parse_with_uninit_headers(input, &mut fields[..allowed.min(N)]) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(refusal(input, &request, error)),
        };
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
            return Err(RemoteError::BadRequestLine);
        };
        if target.len() > limits.target_bytes {
            return Err(RemoteError::TargetTooLong);
        }
        let raw = &input[..used];
        let target_at = method.len() + 1;
        let method = Method::from_name(method).ok_or(RemoteError::UnknownMethod)?;
        let version = if version == 0 { Version::Http10 } else { Version::Http11 };
        let parts = Target::parse(target, method)?;

        let mut facts = Facts::default();
        let mut fields_at = raw.len() - 2;
        for (index, field) in request.headers.iter().enumerate() {
            let at = field.name.as_ptr().addr() - raw.as_ptr().addr();
            if raw[at - 2] != b'\r' {
                return Err(if index == 0 { RemoteError::BadRequestLine } else { RemoteError::BadField });
            }
            fields_at = if index == 0 { at } else { fields_at };
            facts.note(field, raw)?;
        }
        if !raw.ends_with(b"\r\n\r\n") {
            return Err(if request.headers.is_empty() { RemoteError::BadRequestLine } else { RemoteError::BadField });
        }
        let content = facts.framing.content(version)?;
        let expects_continue = version == Version::Http11 && facts.expects()?;
        // An absolute target's authority replaces Host, which must be there all the same (RFC 9112, section 3.2.2).
        let host = match facts.host {
            None if version == Version::Http11 => return Err(RemoteError::BadHost),
            _ if !parts.authority.is_empty() => Span::new(target_at + parts.authority.start, parts.authority.len()),
            host => host.unwrap_or_default(),
        };
        Ok(Some(Self {
            raw,
            target,
            content,
            path: Span::new(parts.path.start, parts.path.len()),
            host,
            fields_at: fields_at as u16,
            method,
            version,
            keep_alive: !facts.close && (version == Version::Http11 || facts.keep_alive),
            expects_continue,
            upgrade: facts.upgrade && version == Version::Http11,
            has_origin: facts.has_origin,
        }))
    }

    /// What a head that has passed [`largest`](Self::largest) without its blank line is told: which of the limits it is about. Only the
    /// bytes up to the limit decide, so that the answer does not depend on how much came at once.
    #[cold]
    pub(super) fn too_large(input: &[u8], limits: &Limits) -> RemoteError {
        let seen = &input[..input.len().min(Self::largest(limits))];
        let line = seen.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|&byte| byte == b' ');
        match (words.next(), words.next(), words.next()) {
            (_, Some(target), _) if target.len() > limits.target_bytes => RemoteError::TargetTooLong,
            _ if line.len() < seen.len() => RemoteError::HeadTooLarge,
            (_, Some(_), None) => RemoteError::TargetTooLong,
            // "A server that receives a method longer than any that it implements SHOULD respond with a 501" (RFC 9112, section 3).
            (Some(method), None, _) if syntax::is_token(method) => RemoteError::UnknownMethod,
            _ => RemoteError::BadRequestLine,
        }
    }

    /// The method.
    #[inline]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The version.
    #[inline]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The request target as sent.
    #[inline]
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The path as sent, not decoded, without the query: it starts with `/`, or is `*` (`OPTIONS` alone). It is ASCII, and each `%` has two
    /// hexadecimal digits behind it (RFC 3986, section 2.1), which may stand for any byte: NUL, a slash, what is no UTF-8. The absolute form
    /// without a path means `/`, but "when not being used as the target of an OPTIONS request" only (RFC 9110, section 4.2.3): there it means
    /// `*` (RFC 9112, section 3.2.4).
    #[inline]
    pub fn path(&self) -> &'a str {
        match &self.target[self.path.range()] {
            "" if self.method == Method::Options && self.query().is_none() => "*",
            "" => "/",
            path => path,
        }
    }

    /// The query as sent, not decoded, without the `?`. It is ASCII; a `%` may have anything behind it.
    #[inline]
    pub fn query(&self) -> Option<&'a str> {
        self.target[usize::from(self.path.end)..].strip_prefix('?')
    }

    /// The authority that the request is for: that of an absolute target, else `Host`. `None` when it is empty, or absent in HTTP/1.0.
    pub fn host(&self) -> Option<&'a str> {
        std::str::from_utf8(&self.raw[self.host.range()]).ok().filter(|host| !host.is_empty())
    }

    /// How the body is framed.
    #[inline]
    pub fn content(&self) -> Content {
        self.content
    }

    /// Whether the request asks to keep the connection (RFC 9112, section 9.3).
    #[inline]
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the peer awaits `100 Continue` before it sends the body (RFC 9110, section 10.1.1). Never without a body.
    #[inline]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue && self.content != Content::None
    }

    /// As [`expects_continue`](Self::expects_continue), with a body or without one.
    #[inline]
    pub(super) fn names_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether the request asks to go on as a WebSocket: HTTP/1.1, `Connection: Upgrade` and `Upgrade: websocket` (RFC 6455, section
    /// 4.2.1, items 3 and 4). The rest of the handshake is not looked at.
    #[inline]
    pub fn upgrades_to_websocket(&self) -> bool {
        self.upgrade && self.list_has("Upgrade", "websocket")
    }

    /// Whether there is an `Origin`. Most requests have none, and then nobody needs to look for its
    /// value.
    #[inline]
    pub(crate) fn has_origin(&self) -> bool {
        self.has_origin
    }

    /// The fields, in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(&self.raw[usize::from(self.fields_at)..])
    }

    /// The value of the first field of this name, whatever its case. Values are opaque bytes (RFC 9110, section 5.5).
    pub fn field_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.field_values(name).next()
    }

    /// The values of all fields of this name, in order.
    pub fn field_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields().named(name)
    }

    /// As [`field_bytes`](Self::field_bytes), when the value is UTF-8. `None` stands for an absent field and for a value that is not UTF-8: a check
    /// that decides about access reads the bytes.
    pub fn field_text(&self, name: &str) -> Option<&'a str> {
        self.field_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the comma-separated lists of all fields of this name have this element, whatever its case.
    pub fn list_has(&self, name: &str, token: &str) -> bool {
        self.fields().named(name).any(|list| elements(list).any(|element| element.eq_ignore_ascii_case(token.as_bytes())))
    }

    /// The whole head as sent.
    #[inline]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }
}

/// What the fields say that the protocol itself acts on.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, not states")]
struct Facts {
    framing: Framing,
    host: Option<Span>,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    has_origin: bool,
    expects_continue: bool,
    expects_unknown: bool,
}

impl Facts {
    #[inline]
    fn note(&mut self, field: &httparse::Header<'_>, raw: &[u8]) -> Result<(), RemoteError> {
        let (name, value) = (field.name, field.value);
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => {
                if self.host.is_some() || !(value.is_empty() || is_authority(value)) {
                    return Err(RemoteError::BadHost);
                }
                self.host = Some(Span::new(value.as_ptr().addr() - raw.as_ptr().addr(), value.len()));
            }
            6 if name.eq_ignore_ascii_case("expect") => {
                for expectation in elements(value) {
                    let known = expectation.eq_ignore_ascii_case(b"100-continue");
                    self.expects_continue |= known;
                    self.expects_unknown |= !known;
                }
            }
            6 if name.eq_ignore_ascii_case("origin") => self.has_origin = true,
            10 if name.eq_ignore_ascii_case("connection") => self.connection(value),
            14 if name.eq_ignore_ascii_case("content-length") => self.framing.content_length(value)?,
            17 if name.eq_ignore_ascii_case("transfer-encoding") => self.framing.transfer_encoding(value),
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in elements(value) {
            match option.len() {
                5 => self.close |= option.eq_ignore_ascii_case(b"close"),
                7 => self.upgrade |= option.eq_ignore_ascii_case(b"upgrade"),
                10 => self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive"),
                _ => {}
            }
        }
    }

    fn expects(&self) -> Result<bool, RemoteError> {
        if self.expects_unknown { Err(RemoteError::UnknownExpectation) } else { Ok(self.expects_continue) }
    }
}

/// Which rule an input broke that the parser refused. The request line is looked at again, because the parser tells neither its parts nor
/// "no version" and "another version" apart.
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
