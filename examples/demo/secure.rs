//! TLS of the demo.
//!
//! Owns the options together, a certificate that the demo makes for itself, and the watch for files
//! that change. Leaves TLS to the library.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime};

use pushlab::Config;
use pushlab::tls::{Certificates, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};

/// How often the files are looked at. A program that renews certificates writes them weeks before
/// the old ones expire.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The names for which the demo's own certificate is valid.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What the options say about TLS.
#[derive(Default)]
pub(crate) struct Secure {
    pub(crate) certificates: Vec<PathBuf>,
    pub(crate) keys: Vec<PathBuf>,
    pub(crate) is_self_signed: bool,
}

impl Secure {
    /// Puts TLS into the configuration, if the options ask for it. Returns the scheme of the
    /// server's address.
    pub(crate) fn apply(self, config: &mut Config) -> Result<&'static str, String> {
        let Self { certificates, keys, is_self_signed } = self;
        let certificates = match (certificates.len(), keys.len(), is_self_signed) {
            (0, 0, false) => return Ok("http"),
            (0, 0, true) => own_certificate()?,
            (_, _, true) => return Err("--tls-self-signed: give either this, or --tls-cert and --tls-key".to_owned()),
            (given, keys, false) if given != keys => {
                return Err(format!("each --tls-cert needs a --tls-key, and they were given {given} and {keys} times"));
            }
            _ => {
                let pairs: Vec<_> = certificates.into_iter().zip(keys).collect();
                let certificates = Certificates::load(&pairs).map_err(|error| format!("--tls-cert: {error}"))?;
                watch(pairs, certificates.clone());
                certificates
            }
        };
        config.tls = Some(Tls::new(certificates));
        Ok("https")
    }
}

fn own_certificate() -> Result<Certificates, String> {
    let names = OWN_NAMES.map(str::to_owned);
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(names).map_err(|error| format!("--tls-self-signed: no certificate can be made: {error}"))?;
    Certificates::from_pem(&[(cert.pem(), signing_key.serialize_pem())]).map_err(|error| format!("--tls-self-signed: {error}"))
}

/// Reads the files again when one of them has changed.
fn watch(pairs: Vec<(PathBuf, PathBuf)>, certificates: Certificates) {
    let changed = move || -> Vec<Option<SystemTime>> {
        let files = pairs.iter().flat_map(|(certificate, key)| [certificate, key]);
        files.map(|file| fs::metadata(file).and_then(|found| found.modified()).ok()).collect()
    };
    let mut last = changed();
    thread::spawn(move || {
        loop {
            thread::sleep(LOOK_EVERY);
            let now = changed();
            if now == last {
                continue;
            }
            // A certificate and its key change one after the other. Then the next look tries again.
            match certificates.reload() {
                Ok(()) => {
                    log::info!("the certificates were read again");
                    last = now;
                }
                Err(error) => log::warn!("the old certificates stay: {error}"),
            }
        }
    });
}
