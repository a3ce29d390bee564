//! An authority of the tests, which certifies servers and clients.

use std::sync::LazyLock;

use pushlab::tls::{Certificates, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::blackbox::NET;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key in PEM.
pub type Pair = (String, String);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The one that certifies the servers of all tests.
    pub fn of_tests() -> &'static Self {
        static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("the tests"));
        &AUTHORITY
    }

    pub fn certify(&self, names: &[&str]) -> Pair {
        self.certify_with(names, |_| {})
    }

    pub fn certify_expired(&self, names: &[&str]) -> Pair {
        self.certify_with(names, |params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    fn certify_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.0.der().to_vec())).unwrap();
        roots
    }
}

/// TLS for a server of the tests. Only tests about the time of a handshake are about it: a loaded machine may need longer for a thousand.
pub fn server_tls() -> Tls {
    static PAIR: LazyLock<Pair> = LazyLock::new(|| Authority::of_tests().certify(&["localhost", "127.0.0.1", "::1"]));
    let certificates = Certificates::from_pem(&[&*PAIR].map(|(certificate, key)| (certificate, key))).unwrap();
    Tls { handshake_timeout: 6 * NET, ..Tls::new(certificates) }
}
