//! The certificates of a server, and which of them a client gets.
//!
//! Owns reading certificates and keys, the choice by the name that the client asks for (SNI, RFC
//! 6066, section 3), and the change of certificates while the server runs. Leaves signing to
//! `rustls`, and the certificates of clients to `clients`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::TlsError;

/// The certificates of a server, each with the certificates that certify it and with its key.
/// Clones share them, so that a clone that the application keeps changes those of the server.
///
/// A client gets the first certificate that is valid for the name that it asks for and whose key it
/// can check. A client that asks for no name or for an unknown one gets the first certificate whose
/// key it can check. It then finds that the name is not the one it wanted, which is its decision.
///
/// The files are in PEM (RFC 7468): the server's own certificate first, and then those that certify
/// it. The key is in PKCS #8, PKCS #1 or SEC 1, and is not encrypted.
///
/// ```no_run
/// use pushlab::tls::{Certificates, Tls};
/// use pushlab::{Config, Server};
/// let certificates = Certificates::load(&[("push.example.pem", "push.example.key")])?;
/// let config = Config { tls: Some(Tls::new(certificates.clone())), ..Config::default() };
/// let server = Server::bind("127.0.0.1:8443", config)?;
/// // Later, when the files have changed: the next connections get the new certificates.
/// if let Err(error) = certificates.reload() {
///     eprintln!("the old certificates stay: {error}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Certificates(Arc<Shared>);

struct Shared {
    /// The files, each certificate with its key. Certificates that were given as text have no
    /// files.
    files: Vec<(PathBuf, PathBuf)>,
    keys: RwLock<Vec<Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Reads certificates and their keys from files. Each pair is a file with a certificate and a
    /// file with its key. The same file may have both.
    ///
    /// # Errors
    /// When there is no pair, when a file cannot be read or has no certificate or key, or when a
    /// key does not belong to its certificate.
    pub fn load(pairs: &[(impl AsRef<Path>, impl AsRef<Path>)]) -> Result<Self, TlsError> {
        let files: Vec<_> = pairs.iter().map(|(certificate, key)| (certificate.as_ref().into(), key.as_ref().into())).collect();
        let keys = read_files(&files)?;
        Self::with(files, keys)
    }

    /// Takes certificates and their keys in PEM. Each pair is a certificate and its key.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_pem(pairs: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Result<Self, TlsError> {
        Self::with(Vec::new(), read_pairs(pairs)?)
    }

    fn with(files: Vec<(PathBuf, PathBuf)>, keys: Vec<Arc<CertifiedKey>>) -> Result<Self, TlsError> {
        if keys.is_empty() {
            return Err(TlsError::new("TLS needs at least one certificate"));
        }
        Ok(Self(Arc::new(Shared { files, keys: RwLock::new(keys) })))
    }

    /// Reads the files again. New connections get the new certificates. Open connections keep what
    /// they have. Without files, nothing changes.
    ///
    /// # Errors
    /// As [`load`](Self::load). The old certificates then stay.
    pub fn reload(&self) -> Result<(), TlsError> {
        if !self.0.files.is_empty() {
            self.set(read_files(&self.0.files)?);
        }
        Ok(())
    }

    /// As [`reload`](Self::reload), with other certificates in PEM.
    ///
    /// # Errors
    /// As [`load`](Self::load). The old certificates then stay.
    pub fn replace(&self, pairs: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Result<(), TlsError> {
        let other = Self::from_pem(pairs)?;
        self.set(other.keys());
        Ok(())
    }

    fn keys(&self) -> Vec<Arc<CertifiedKey>> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, keys: Vec<Arc<CertifiedKey>>) {
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.0.files).field("count", &self.keys().len()).finish()
    }
}

fn read_files(files: &[(PathBuf, PathBuf)]) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    files.iter().map(|(certificate, key)| certified(&read(certificate)?, &read(key)?, &certificate.display(), &key.display())).collect()
}

fn read_pairs(pairs: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    pairs.iter().map(|(certificate, key)| certified(certificate.as_ref(), key.as_ref(), &"the certificate", &"the key")).collect()
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::new(format!("cannot read {}: {error}", path.display())))
}

/// The certificates of a text in PEM. There is at least one.
pub(super) fn certificates(text: &[u8], name: &dyn fmt::Display) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| not_pem(name, &error))?;
    if found.is_empty() {
        return Err(TlsError::new(format!("{name} has no certificate: a line `-----BEGIN CERTIFICATE-----` is expected")));
    }
    Ok(found)
}

fn not_pem(name: &dyn fmt::Display, error: &pem::Error) -> TlsError {
    TlsError::new(format!("{name} is not valid PEM: {error}"))
}

fn certified(
    certificate: &[u8],
    key: &[u8],
    certificate_name: &dyn fmt::Display,
    key_name: &dyn fmt::Display,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(certificate, certificate_name)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            TlsError::new(format!("{key_name} has no key: a line `-----BEGIN PRIVATE KEY-----` is expected, without a password"))
        }
        error => not_pem(key_name, &error),
    })?;
    let certified = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::new(format!("the key in {key_name} does not belong to {certificate_name}")),
        error => TlsError::new(format!("{certificate_name} cannot be used with the key in {key_name}: {error}")),
    })?;
    Ok(Arc::new(certified))
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let can_check = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        // With one certificate, the name decides nothing.
        let name = hello.server_name().filter(|_| keys.len() > 1).and_then(|name| ServerName::try_from(name).ok());
        let by_name = name.and_then(|name| keys.iter().filter(can_check).find(|key| is_valid_for(key, &name)));
        by_name.or_else(|| keys.iter().find(can_check)).cloned()
    }
}

fn is_valid_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    certificate.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}
