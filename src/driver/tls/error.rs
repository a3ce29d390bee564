//! Why a certificate, a key or a configuration of TLS cannot be used.
//!
//! Owns the error and its sentence. Leaves errors of connections to the session.

use std::fmt;

/// Why a certificate, a key or a configuration cannot be used: a sentence for the person who runs
/// the server. It names the file.
///
/// ```
/// use pushlab::tls::Certificates;
/// let error = Certificates::load(&[("no-such-file.pem", "key.pem")]).unwrap_err();
/// assert!(error.to_string().starts_with("cannot read no-such-file.pem: "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(Box<str>);

impl TlsError {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into().into_boxed_str())
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}
