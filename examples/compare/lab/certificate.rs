//! A certificate for the servers that the lab starts, and the clients that trust it.
//!
//! Owns its two files, which exist for as long as this value does. Leaves TLS to the servers and the
//! clients.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::Result;

/// The name in the certificate.
pub(crate) const NAME: &str = "compare.test";

/// A self-signed certificate for [`NAME`] with a key on the curve P-256. Dropping it removes its
/// files.
pub(crate) struct Certificate {
    directory: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    pub(crate) fn generate() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()])?;
        let name = format!("pushlab-certificate-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let made = Self { directory: std::env::temp_dir().join(name), der: cert.der().clone() };
        fs::create_dir_all(&made.directory)?;
        fs::write(made.chain(), cert.pem())?;
        fs::write(made.key(), signing_key.serialize_pem())?;
        Ok(made)
    }

    /// The file of the certificate.
    pub(crate) fn chain(&self) -> PathBuf {
        self.directory.join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.directory.join("key.pem")
    }

    /// Clients that trust this certificate alone. Each connection does a whole handshake.
    pub(crate) fn clients(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone())?;
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // An error means that the files were removed already.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
