//! TLS for each connection that is accepted.
//!
//! Owns the one configuration of `rustls` that all connections of a server share. Leaves a
//! connection to `secured`.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::version::{TLS12, TLS13};

use super::{Tls, TlsError, TlsLayer};
use crate::driver::Config;
use crate::session::TlsVersion;

/// Makes the layer of each connection. The drivers of this crate make one for
/// [`Config::tls`](crate::Config::tls). A driver of your own can put the same TLS between its
/// transport and its sessions, which it then makes with
/// [`Session::securing`](crate::session::Session::securing).
///
/// ```
/// use std::io::{self, Read};
/// use std::time::Duration;
/// use pushlab::driver::drive::{Input, Transport};
/// use pushlab::proto::{Outbox, RemoteError};
/// use pushlab::session::{Ready, Sent};
/// use pushlab::tls::{Acceptor, Certificates, Tls};
/// /// A peer that has sent some bytes.
/// struct Peer(&'static [u8]);
/// impl Transport for Peer {
///     fn read(&mut self, room: &mut [u8], _: Option<Duration>) -> io::Result<Input> {
///         Ok(match self.0.read(room)? {
///             0 => Input::End,
///             len => Input::Bytes(len, Ready::Perhaps),
///         })
///     }
///     fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
///         let len = out.len();
///         out.advance(len);
///         Ok((len, Ready::Perhaps))
///     }
///     fn end_sending(&mut self, _: Sent) -> io::Result<()> {
///         Ok(())
///     }
/// }
/// # let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
/// let acceptor = Acceptor::new(&Tls::new(Certificates::from_pem(&[(certificate, key)])?))?;
/// let (layer, mut peer) = (acceptor.accept(), Peer(b"GET / HTTP/1.1\r\n"));
/// let input = layer.over(&mut peer).read(&mut [0; 1024], None)?;
/// assert_eq!(input, Input::Failed(RemoteError::PlainHttp, Ready::Perhaps));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Acceptor {
    config: Arc<ServerConfig>,
    handshake_timeout: Duration,
    handshake_bytes: usize,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("handshake_timeout", &self.handshake_timeout).finish_non_exhaustive()
    }
}

impl Acceptor {
    /// `None` if the server does not speak TLS.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub(crate) fn of(config: &Config) -> io::Result<Option<Self>> {
        let Some(tls) = &config.tls else { return Ok(None) };
        let acceptor = Self::new(tls).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        Ok(Some(acceptor))
    }

    /// TLS with this configuration.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn new(tls: &Tls) -> Result<Self, TlsError> {
        let unusable = |error: rustls::Error| TlsError::new(format!("TLS cannot be used: {error}"));
        let versions = if tls.min_version == TlsVersion::Tls12 { &[&TLS13, &TLS12][..] } else { &[&TLS13] };
        let builder =
            ServerConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions).map_err(unusable)?;
        let verifier = tls.client_certificates.verifier()?;
        let asks_clients = verifier.is_some();
        let builder = match verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(Arc::new(tls.certificates.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if asks_clients {
            // A session that is resumed skips the check of the client's certificate, which may have
            // expired since.
            config.send_tls13_tickets = 0;
        } else {
            // The session is in the ticket that the client keeps.
            config.ticketer = Ticketer::new().map_err(unusable)?;
        }
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let config = Arc::new(config);
        UnbufferedServerConnection::new(Arc::clone(&config)).map_err(unusable)?;
        Ok(Self { config, handshake_timeout: tls.handshake_timeout, handshake_bytes: tls.handshake_bytes })
    }

    /// The time after which a session ends a connection whose handshake has not ended.
    pub const fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// The layer of a new connection.
    ///
    /// # Panics
    /// Never: the same configuration was used before.
    pub fn accept(&self) -> TlsLayer {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.config));
        TlsLayer::new(connection.expect("the same configuration was used before"), self.handshake_bytes)
    }
}
