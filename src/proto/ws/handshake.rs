//! The opening handshake (RFC 6455, section 4).
//!
//! Owns the decision whether a request becomes a WebSocket, and the fields of the 101 that are
//! specific to WebSocket. Leaves heads to `http1`, which parses the fields and writes the status
//! line, `Connection` and `Upgrade` of the 101. Leaves the decision about an `Origin` (section
//! 10.2) to the caller, who passes its result in the policy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};

use super::super::error::RemoteError;
use super::super::http1::{Method, Version};
use super::extension::{Agreement, Deflate};
use super::lists::{ListGrammar, elements, is_extension, is_token};

/// The text that is hashed after the client's key. The hash proves that the server understands
/// WebSocket (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A field that may appear once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Single<'a> {
    #[default]
    Missing,
    Given(&'a [u8]),
    Repeated,
}

impl<'a> Single<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = if *self == Self::Missing { Self::Given(value) } else { Self::Repeated };
    }
}

/// The information of a request that the handshake needs. It is collected in one pass over the
/// fields.
///
/// ```
/// use pushlab::proto::http1::{Method, Version};
/// use pushlab::proto::ws::{HandshakePolicy, HandshakeRequest, OriginVerdict, negotiate};
/// let fields: [(&str, &[u8]); 4] = [
///     ("Upgrade", b"websocket"),
///     ("Connection", b"keep-alive, Upgrade"),
///     ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
///     ("Sec-WebSocket-Version", b"13"),
/// ];
/// let request = HandshakeRequest::from_fields(Method::Get, Version::Http11, fields.into_iter());
/// let policy = HandshakePolicy { origin: OriginVerdict::Allowed, protocols: &[], deflate: None };
/// let mut out = Vec::new();
/// negotiate(&request, &policy)?.fields(&mut out);
/// assert_eq!(out, b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
/// # Ok::<_, pushlab::proto::RemoteError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct HandshakeRequest<'a> {
    /// Whether the request is a GET of HTTP/1.1.
    may_upgrade: bool,
    /// Whether `Connection` lists `upgrade`.
    connection_upgrade: bool,
    /// Whether `Upgrade` lists `websocket`.
    upgrade_websocket: bool,
    version: Single<'a>,
    key: Single<'a>,
    /// The value of each `Sec-WebSocket-Protocol` field, in order. Together they form one list.
    protocols: Vec<&'a [u8]>,
    protocol_list: ListGrammar,
    extension_list: ListGrammar,
    /// The value of each `Sec-WebSocket-Extensions` field, in order. Together they form one list.
    #[cfg(feature = "deflate")]
    extensions: Vec<&'a [u8]>,
}

impl<'a> HandshakeRequest<'a> {
    /// Collects the information. `fields` are all fields of the request. Names may be in any case.
    /// Values have no surrounding white space.
    pub fn from_fields(method: Method, version: Version, fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut request = Self { may_upgrade: method == Method::Get && version == Version::Http11, ..Self::default() };
        for (name, value) in fields {
            request.add(name, value);
        }
        request
    }

    fn add(&mut self, name: &str, value: &'a [u8]) {
        // The length rules out most names before the comparison.
        match name.len() {
            7 if name.eq_ignore_ascii_case("Upgrade") => self.upgrade_websocket |= elements(value).any(is("websocket")),
            10 if name.eq_ignore_ascii_case("Connection") => self.connection_upgrade |= elements(value).any(is("upgrade")),
            17 if name.eq_ignore_ascii_case("Sec-WebSocket-Key") => self.key.add(value),
            21 if name.eq_ignore_ascii_case("Sec-WebSocket-Version") => self.version.add(value),
            22 if name.eq_ignore_ascii_case("Sec-WebSocket-Protocol") => {
                self.protocol_list.add(value, is_token);
                self.protocols.push(value);
            }
            24 if name.eq_ignore_ascii_case("Sec-WebSocket-Extensions") => {
                self.extension_list.add(value, is_extension);
                #[cfg(feature = "deflate")]
                self.extensions.push(value);
            }
            _ => {}
        }
    }

    /// Whether the request asks for an upgrade to a WebSocket: it is a GET of HTTP/1.1 with both
    /// tokens. The request may still be unacceptable.
    pub const fn is_upgrade(&self) -> bool {
        self.may_upgrade && self.connection_upgrade && self.upgrade_websocket
    }
}

/// The server's decision about the `Origin` of a handshake (RFC 6455, section 10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginVerdict {
    /// The origin may connect.
    Allowed,
    /// The origin may not connect.
    Refused,
}

/// The handshakes that this server accepts. There is no default, so that each server must decide
/// about the `Origin`. [`HandshakeRequest`] has an example.
#[derive(Clone, Copy, Debug)]
pub struct HandshakePolicy {
    /// The decision about the request's `Origin`. [`session::Origin`](crate::session::Origin) is
    /// the rule of this crate's server.
    pub origin: OriginVerdict,
    /// The subprotocols that the application supports. The first one in the client's order is
    /// selected.
    pub protocols: &'static [&'static str],
    /// The configuration of permessage-deflate. With `None`, every offer of it is declined.
    pub deflate: Option<Deflate>,
}

/// The answer to an accepted handshake. [`HandshakeRequest`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accept {
    /// The value of `Sec-WebSocket-Accept`. It is ASCII.
    pub key: [u8; 28],
    /// The selected subprotocol, if both sides support one.
    pub protocol: Option<&'static str>,
    /// The agreement about permessage-deflate, if both sides support it.
    pub deflate: Option<Agreement>,
}

impl Accept {
    /// Appends the field lines of the 101 that are specific to WebSocket, without the blank line.
    pub fn fields(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Sec-WebSocket-Accept: ");
        out.extend_from_slice(&self.key);
        out.extend_from_slice(b"\r\n");
        if let Some(protocol) = self.protocol {
            out.extend_from_slice(b"Sec-WebSocket-Protocol: ");
            out.extend_from_slice(protocol.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        #[cfg(feature = "deflate")]
        if let Some(agreement) = self.deflate {
            agreement.field(out);
        }
    }
}

/// Decides whether a request becomes a WebSocket (RFC 6455, section 4.2).
///
/// The rules are checked in this order:
/// - [`NotAWebSocketRequest`](RemoteError::NotAWebSocketRequest) if the request does not ask for an
///   upgrade.
/// - [`UnsupportedWebSocketVersion`](RemoteError::UnsupportedWebSocketVersion) unless the version
///   is given once and is 13.
/// - [`BadHandshake`](RemoteError::BadHandshake) if the key is invalid, or a list violates its
///   grammar.
/// - [`ForbiddenOrigin`](RemoteError::ForbiddenOrigin) if the policy refuses the origin.
///
/// The first acceptable offer of permessage-deflate is accepted if the policy has a configuration
/// for it. All other offers of extensions are declined. If there is no common subprotocol, the
/// handshake succeeds without one: the client decides whether to continue (section 4.1).
pub fn negotiate(request: &HandshakeRequest<'_>, policy: &HandshakePolicy) -> Result<Accept, RemoteError> {
    if !request.is_upgrade() {
        return Err(RemoteError::NotAWebSocketRequest);
    }
    if request.version != Single::Given(b"13") {
        return Err(RemoteError::UnsupportedWebSocketVersion);
    }
    let Single::Given(key) = request.key else { return Err(RemoteError::BadHandshake) };
    let key = std::str::from_utf8(key).ok().filter(|key| is_nonce(key)).ok_or(RemoteError::BadHandshake)?;
    // "If the server, while reading the handshake, finds that the client did not send a handshake
    // that matches the description below [...], including but not limited to any violations of the
    // ABNF grammar specified for the components of the handshake, the server MUST stop processing
    // the client's handshake" (RFC 6455, section 4.2.1; section 9.1 repeats this for extensions).
    if request.protocol_list.is_broken() || request.extension_list.is_broken() {
        return Err(RemoteError::BadHandshake);
    }
    if policy.origin == OriginVerdict::Refused {
        return Err(RemoteError::ForbiddenOrigin);
    }
    let mut offered = request.protocols.iter().flat_map(|value| elements(value));
    // The names of subprotocols are case-sensitive, unlike the other tokens (RFC 6455, section
    // 11.3.4).
    let protocol = offered.find_map(|offer| policy.protocols.iter().copied().find(|known| known.as_bytes() == offer));
    #[cfg(feature = "deflate")]
    let deflate = policy.deflate.and_then(|deflate| deflate.agree(request.extensions.iter().copied()));
    #[cfg(not(feature = "deflate"))]
    let deflate = None;
    Ok(Accept { key: accept_key(key), protocol, deflate })
}

/// The value of `Sec-WebSocket-Accept` for this key (RFC 6455, section 4.2.2).
///
/// ```
/// use pushlab::proto::ws::accept_key;
/// assert_eq!(&accept_key("dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> [u8; 28] {
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut encoded = [0; 28];
    let len = BASE64.encode_slice(hash, &mut encoded);
    debug_assert_eq!(len, Ok(28), "20 bytes are 28 characters of base64");
    encoded
}

/// Whether the key is "a base64-encoded value that, when decoded, is 16 bytes in length" (RFC 6455,
/// section 4.2.1), in canonical form.
fn is_nonce(key: &str) -> bool {
    // The decoder estimates 18 bytes for 24 characters, and needs room for its estimate.
    let mut nonce = [0; 18];
    key.len() == 24 && BASE64.decode_slice(key, &mut nonce) == Ok(16)
}

fn is(token: &str) -> impl Fn(&[u8]) -> bool {
    move |element| element.eq_ignore_ascii_case(token.as_bytes())
}
