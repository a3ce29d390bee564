//! TLS for each connection that is accepted.
//!
//! Owns the one configuration of `rustls` that all connections of a server share. Leaves a
//! connection to `secured`.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::version::{TLS12, TLS13};

use super::{Tls, TlsError, TlsLayer};
use crate::driver::Config;
use crate::proto::ProtocolLimits;
use crate::session::TlsVersion;

/// Makes the layer of each connection.
pub(crate) struct Acceptor {
    config: Arc<ServerConfig>,
    handshake_timeout: Duration,
    handshake_bytes: usize,
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

    pub(super) fn new(tls: &Tls) -> Result<Self, TlsError> {
        let unusable = |error: rustls::Error| TlsError::new(format!("TLS cannot be used: {error}"));
        let versions = if tls.min_version == TlsVersion::Tls12 { &[&TLS13, &TLS12][..] } else { &[&TLS13] };
        let builder =
            ServerConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions).map_err(unusable)?;
        let builder = match tls.client_certificates.verifier()? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(Arc::new(tls.certificates.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // The session is in the ticket that the client keeps.
        config.ticketer = Ticketer::new().map_err(unusable)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let config = Arc::new(config);
        UnbufferedServerConnection::new(Arc::clone(&config)).map_err(unusable)?;
        let handshake_timeout = tls.handshake_timeout.min(ProtocolLimits::TIMEOUT_MAX);
        Ok(Self { config, handshake_timeout, handshake_bytes: tls.handshake_bytes })
    }

    pub(crate) const fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// The layer of a new connection.
    pub(crate) fn accept(&self) -> TlsLayer {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.config));
        TlsLayer::new(connection.expect("the same configuration was used before"), self.handshake_bytes)
    }
}
