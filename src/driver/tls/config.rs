//! The configuration of TLS.
//!
//! Owns the settings and their defaults. Leaves certificates to `certificates`, and their use to
//! `acceptor`.

use std::time::Duration;

use super::{Certificates, ClientCertificates};
use crate::session::TlsVersion;

/// TLS of a server. Both IO models speak it, with the same endpoints and handlers. The server
/// speaks `http/1.1` (ALPN, RFC 7301), and refuses a client that offers only other protocols.
/// Clients resume their sessions by tickets (RFC 8446, section 2.2; RFC 5077), which cost the
/// server no memory, unless it asks for [their certificates](Self::client_certificates).
///
/// A client that speaks HTTP without TLS gets 400 with a sentence that says so.
///
/// An idle connection keeps no buffer. Beside the bounds of a session, a connection keeps up to 128
/// KiB of a message that is not whole, and up to 80 KiB of records that the system has not taken.
///
/// ```
/// use pushlab::tls::{Certificates, Tls};
/// use pushlab::{Config, IoModel, Reply, Request, Response, Server};
/// # let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
/// // The texts of two files, such as those of Let's Encrypt. `Certificates::load` reads them.
/// let tls = Tls::new(Certificates::from_pem(&[(certificate, key)])?);
/// let server = Server::bind("127.0.0.1:0", Config { tls: Some(tls), ..Config::default() })?;
/// let stopper = server.stopper();
/// let running = std::thread::spawn(move || {
///     server.run(IoModel::EventLoop, |request: &Request<'_>, reply: Reply<'_>| {
///         let is_secure = request.is_secure();
///         reply.send(Response::text(format!("over TLS: {is_secure}\n")));
///     })
/// });
/// stopper.stop();
/// running.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificates, which can change while the server runs.
    pub certificates: Certificates,
    /// Whether clients are asked for a certificate. Default no.
    pub client_certificates: ClientCertificates,
    /// The lowest version. Default TLS 1.2 (RFC 9325, section 3.1.1: earlier ones must not be
    /// used).
    pub min_version: TlsVersion,
    /// The time from accepting a connection to the end of its handshake. Default 10 s (a sixth of
    /// nginx's `client_header_timeout` 60 s, because no person types a handshake).
    pub handshake_timeout: Duration,
    /// Bytes that a client may send before the end of its handshake. Default 64 KiB (four records
    /// of the largest size; a client with a list of certificates sends some 10 KiB).
    pub handshake_bytes: usize,
}

impl Tls {
    /// The defaults with these certificates.
    pub const fn new(certificates: Certificates) -> Self {
        Self {
            certificates,
            client_certificates: ClientCertificates::NotAsked,
            min_version: TlsVersion::Tls12,
            handshake_timeout: Duration::from_secs(10),
            handshake_bytes: 64 * 1024,
        }
    }
}
