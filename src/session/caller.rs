//! The other end of a connection, and how the connection is secured, as an exchange sees them.
//!
//! Owns the public facts about TLS that a handler can ask for. Leaves TLS itself to the layer below
//! the session, and the rules that depend on the scheme to `origin` and `authority`.

use super::Peer;
use super::peer::KeptPeer;
use crate::proto::http1::Scheme;

/// The version of TLS that a connection speaks. [`TlsInfo`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// The facts about the TLS of a connection. [`Request::tls`](super::Request::tls) returns them.
///
/// ```
/// use pushlab::{Reply, Request, Response};
/// fn app(request: &Request<'_>, reply: Reply<'_>) {
///     let Some(tls) = request.tls() else { return reply.send(Response::text("not secured\n")) };
///     let bytes = tls.client_certificates.first().map_or(0, |certificate| certificate.len());
///     reply.send(Response::text(format!("{:?}, a certificate of {bytes} bytes\n", tls.version)));
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// The version.
    pub version: TlsVersion,
    /// The certificates that the client has proved to own, each in DER (RFC 5280). The first one is
    /// the client's own, and those that certify it follow. Empty if the server has not asked for
    /// one, or if the client has none.
    pub client_certificates: Vec<Box<[u8]>>,
}

/// The other end of a connection, and how the connection is secured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) peer: &'a KeptPeer,
    pub(super) tls: Option<&'a TlsInfo>,
}

impl Caller<'_> {
    #[inline]
    pub(super) const fn peer(self) -> Peer {
        self.peer.get()
    }

    pub(super) const fn scheme(self) -> Scheme {
        if self.tls.is_some() { Scheme::Https } else { Scheme::Http }
    }
}
