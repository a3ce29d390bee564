//! The certificates of clients.
//!
//! Owns whether a client is asked for a certificate, and which authorities may certify it. Leaves
//! the check itself to `rustls`, and what a certificate allows to the application.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::TlsError;
use super::certificates::{certificates, read};

/// Whether clients are asked for a certificate. What a client has proved to own is in
/// [`Request::tls`](crate::Request::tls). A certificate that no authority certifies, or that has
/// expired, ends the handshake. A server that asks for certificates lets no client resume a
/// session, because a session that is resumed skips this check.
///
/// ```no_run
/// use pushlab::tls::{Authorities, Certificates, ClientCertificates, Tls};
/// let certificates = Certificates::load(&[("push.example.pem", "push.example.key")])?;
/// let devices = Authorities::load("devices.pem")?;
/// let client_certificates = ClientCertificates::Required(devices);
/// let tls = Tls { client_certificates, ..Tls::new(certificates) };
/// # Ok::<(), pushlab::tls::TlsError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Clients are not asked.
    #[default]
    NotAsked,
    /// A client may have a certificate that one of these authorities certifies.
    Optional(Authorities),
    /// A client must have a certificate that one of these authorities certifies.
    Required(Authorities),
}

/// Authorities that certify clients.
///
/// [`ClientCertificates`] has an example.
#[derive(Clone)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// Reads the certificates of authorities from a file in PEM.
    ///
    /// # Errors
    /// When the file cannot be read, has no certificate, or has one that is not valid.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::named(&read(path.as_ref())?, &path.as_ref().display())
    }

    /// Takes the certificates of authorities in PEM.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_pem(text: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::named(text.as_ref(), &"the text")
    }

    fn named(text: &[u8], name: &dyn fmt::Display) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(text, name)? {
            store.add(certificate).map_err(|error| TlsError::new(format!("{name} has a certificate that is not valid: {error}")))?;
        }
        Ok(Self(Arc::new(store)))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorities").field(&self.0.len()).finish()
    }
}

impl ClientCertificates {
    /// `None` if clients are not asked.
    pub(super) fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let builder = |authorities: &Authorities| {
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities.0), Arc::new(default_provider()))
        };
        let builder = match self {
            Self::NotAsked => return Ok(None),
            Self::Optional(authorities) => builder(authorities).allow_unauthenticated(),
            Self::Required(authorities) => builder(authorities),
        };
        let verifier = builder.build().map_err(|error| TlsError::new(format!("the authorities of clients cannot be used: {error}")))?;
        Ok(Some(verifier))
    }
}
