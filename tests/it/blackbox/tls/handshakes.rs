//! Handshakes: what the server agrees to, what it refuses, and peers that do not come to the end of one.
//!
//! Covers: driver::tls::certificates, driver::tls::clients, driver::tls::error

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use pushlab::session::TlsVersion;
use pushlab::tls::{Authorities, Certificates, ClientCertificates, Tls};
use pushlab::{Config, Reply, Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, StreamOwned};

use super::authority::{Authority, Pair, server_tls};
use super::client::trusting;
use crate::blackbox::client::request;
use crate::blackbox::{IoModel, Lab, NET, both_plain, eventually};

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn lab(model: IoModel, tls: Tls) -> Lab {
    Lab::answering_with(model, |config: &mut Config| config.tls = Some(tls), facts)
}

/// Says what the handler knows of TLS.
fn facts(request: &Request<'_>, reply: Reply<'_>) {
    let Some(tls) = request.tls() else { return reply.send(Response::text("none")) };
    assert!(request.is_secure());
    let lens: Vec<_> = tls.client_certificates.iter().map(|certificate| certificate.len()).collect();
    reply.send(Response::text(format!("{:?} {lens:?}", tls.version)));
}

fn connect(lab: &Lab, config: ClientConfig, name: &'static str) -> Stream {
    let tcp = TcpStream::connect(lab.address).unwrap();
    tcp.set_read_timeout(Some(6 * NET)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap(), tcp)
}

/// The body of the answer, or the error of the client.
fn ask(stream: &mut Stream) -> Result<String, String> {
    let ask = |stream: &mut Stream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    };
    ask(stream).map_err(|error: std::io::Error| error.to_string())
}

fn ask_with(lab: &Lab, config: ClientConfig) -> Result<String, String> {
    ask(&mut connect(lab, config, "localhost"))
}

fn client() -> ClientConfig {
    trusting(Authority::of_tests())
}

fn client_with(versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(Authority::of_tests().roots()).with_no_client_auth()
}

fn client_named(pair: &Pair) -> ClientConfig {
    client_named_with(pair, &[&TLS13, &TLS12])
}

fn client_named_with((certificate, key): &Pair, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(Authority::of_tests().roots());
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
}

/// The first bytes that a client sends.
fn hello() -> Vec<u8> {
    let mut client = ClientConnection::new(Arc::new(client()), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// What comes until the server ends the connection.
fn read_all(mut tcp: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = tcp.read_to_end(&mut bytes);
    bytes
}

both_plain! {
    fn versions(model) {
        let both = lab(model, server_tls());
        assert_eq!(ask_with(&both, client_with(&[&TLS12])).unwrap(), "Tls12 []");
        assert_eq!(ask_with(&both, client_with(&[&TLS13])).unwrap(), "Tls13 []");
        let newest = lab(model, Tls { min_version: TlsVersion::Tls13, ..server_tls() });
        assert_eq!(ask_with(&newest, client_with(&[&TLS13, &TLS12])).unwrap(), "Tls13 []");
        assert!(ask_with(&newest, client_with(&[&TLS12])).unwrap_err().contains("ProtocolVersion"));
        eventually("it is counted", || newest.broken_rules().get("BadTls") == Some(&1));
        assert_eq!((both.stats().tls_handshakes, newest.stats().tls_handshakes), (2, 1));
    }

    fn protocols_that_a_client_offers(model) {
        let lab = lab(model, server_tls());
        let offering = |protocols: &[&str]| {
            let mut config = client();
            config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            let mut stream = connect(&lab, config, "localhost");
            ask(&mut stream).map(|_| stream.conn.alpn_protocol().map(<[u8]>::to_vec))
        };
        assert_eq!(offering(&["h2", "http/1.1"]), Ok(Some(b"http/1.1".to_vec())));
        assert_eq!(offering(&[]), Ok(None));
        assert!(offering(&["h2"]).unwrap_err().contains("NoApplicationProtocol"));
    }

    fn several_certificates(model) {
        let authority = Authority::of_tests();
        let pairs = [authority.certify(&["one.example"]), authority.certify(&["two.example", "*.three.example"])];
        let lab = lab(model, Tls::new(Certificates::from_pem(&pairs).unwrap()));
        for name in ["one.example", "two.example", "x.three.example"] {
            assert_eq!(ask(&mut connect(&lab, client(), name)).unwrap(), "Tls13 []", "{name}");
        }
        // The client gets the first one, and does not accept it.
        let error = ask(&mut connect(&lab, client(), "four.example")).unwrap_err();
        assert!(error.contains("NotValidForName") || error.contains("not valid for name"), "{error}");
        assert_eq!(ask(&mut connect(&lab, client(), "one.example")).unwrap(), "Tls13 []");
    }

    fn a_certificate_that_the_client_refuses(model) {
        let pairs = [Authority::of_tests().certify_expired(&["localhost"])];
        let expired = lab(model, Tls::new(Certificates::from_pem(&pairs).unwrap()));
        let error = ask_with(&expired, client()).unwrap_err();
        assert!(error.contains("expired"), "{error}");
        let unknown = lab(model, server_tls());
        let error = ask_with(&unknown, trusting(&Authority::new("another"))).unwrap_err();
        assert!(error.contains("UnknownIssuer"), "{error}");
        for lab in [expired, unknown] {
            eventually("the alert has come", || lab.broken_rules().get("BadTls") == Some(&1) && lab.stats().open == 0);
        }
    }

    fn certificates_that_change(model) {
        let authority = Authority::of_tests();
        let certificates = Certificates::from_pem(&[authority.certify(&["old.example"])]).unwrap();
        let lab = lab(model, Tls::new(certificates.clone()));
        let mut open = connect(&lab, client(), "old.example");
        open.write_all(request("/").as_bytes()).unwrap();
        let mut first = [0; 12];
        open.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        certificates.replace(&[authority.certify(&["new.example"])]).unwrap();
        assert_eq!(ask(&mut connect(&lab, client(), "new.example")).unwrap(), "Tls13 []");
        assert!(ask(&mut connect(&lab, client(), "old.example")).is_err());
        // The old ones stay if the new ones cannot be used.
        assert!(certificates.replace(&[("no certificate", "no key")]).is_err());
        assert_eq!(ask(&mut connect(&lab, client(), "new.example")).unwrap(), "Tls13 []");
        open.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut rest = String::new();
        open.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("Connection: close"), "an open connection goes on");
    }

    fn certificates_of_clients(model) {
        let devices = Authority::new("devices");
        let authorities = Authorities::from_pem(devices.pem()).unwrap();
        let device = devices.certify(&["device"]);
        let (expired, stranger) = (devices.certify_expired(&["device"]), Authority::new("strangers").certify(&["device"]));
        let len = CertificateDer::from_pem_slice(device.0.as_bytes()).unwrap().len();
        let known = Ok(format!("Tls13 [{len}]"));

        let not_asked = lab(model, server_tls());
        assert_eq!(ask_with(&not_asked, client_named(&device)), Ok("Tls13 []".to_owned()));
        let optional = lab(model, Tls { client_certificates: ClientCertificates::Optional(authorities.clone()), ..server_tls() });
        assert_eq!(ask_with(&optional, client()), Ok("Tls13 []".to_owned()));
        let required = lab(model, Tls { client_certificates: ClientCertificates::Required(authorities), ..server_tls() });
        assert!(ask_with(&required, client()).unwrap_err().contains("CertificateRequired"));
        for lab in [&optional, &required] {
            assert_eq!(ask_with(lab, client_named(&device)), known);
            assert!(ask_with(lab, client_named(&expired)).unwrap_err().to_lowercase().contains("expired"));
            assert!(ask_with(lab, client_named(&stranger)).is_err());
            // A session that is resumed would skip the check of the certificate.
            for (version, name) in [(&TLS13, "Tls13"), (&TLS12, "Tls12")] {
                let config = client_named_with(&device, &[version]);
                for _ in 0..2 {
                    let mut stream = connect(lab, config.clone(), "localhost");
                    assert_eq!(ask(&mut stream), Ok(format!("{name} [{len}]")));
                    assert_eq!(stream.conn.handshake_kind(), Some(HandshakeKind::Full));
                }
            }
        }
    }

    fn sessions_are_resumed(model) {
        let lab = lab(model, server_tls());
        for versions in [[&TLS13], [&TLS12]] {
            let config = client_with(&versions);
            let mut kinds = Vec::new();
            for _ in 0..3 {
                let mut stream = connect(&lab, config.clone(), "localhost");
                ask(&mut stream).unwrap();
                kinds.push(stream.conn.handshake_kind());
            }
            assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed), Some(HandshakeKind::Resumed)]);
        }
    }

    /// The hello in two pieces at each place, and in single bytes.
    fn a_handshake_in_pieces(model) {
        let lab = lab(model, server_tls());
        let hello = hello();
        for cut in (0..hello.len()).step_by(7).chain([usize::MAX]) {
            let mut stream = connect(&lab, client(), "localhost");
            let mut hello = Vec::new();
            stream.conn.write_tls(&mut hello).unwrap();
            stream.sock.set_nodelay(true).unwrap();
            if cut == usize::MAX {
                for byte in &hello {
                    stream.sock.write_all(&[*byte]).unwrap();
                }
            } else {
                let (first, second) = hello.split_at(cut.min(hello.len()));
                stream.sock.write_all(first).unwrap();
                stream.sock.write_all(second).unwrap();
            }
            assert_eq!(ask(&mut stream), Ok("Tls13 []".to_owned()), "cut at {cut}");
        }
    }

    /// A peer that leaves at any place of its hello leaves nothing behind.
    fn a_handshake_that_is_cut(model) {
        let lab = lab(model, server_tls());
        let hello = hello();
        for cut in (0..=hello.len()).step_by(5) {
            let mut tcp = TcpStream::connect(lab.address).unwrap();
            tcp.write_all(&hello[..cut]).unwrap();
            tcp.shutdown(Shutdown::Write).unwrap();
            read_all(&tcp);
        }
        eventually("all are gone", || lab.stats().open == 0);
        assert_eq!((lab.stats().tls_handshakes, lab.stats().remote_errors), (0, 0));
        assert_eq!(ask_with(&lab, client()), Ok("Tls13 []".to_owned()));
    }

    fn a_handshake_that_does_not_end(model) {
        let lab = lab(model, Tls { handshake_timeout: Duration::from_millis(200), ..server_tls() });
        let mut silent = TcpStream::connect(lab.address).unwrap();
        let mut half = TcpStream::connect(lab.address).unwrap();
        half.write_all(&hello()[..100]).unwrap();
        let whole = TcpStream::connect(lab.address).unwrap();
        (&whole).write_all(&hello()).unwrap();
        assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
        read_all(&half);
        read_all(&whole);
        eventually("each is counted", || lab.broken_rules().get("TlsHandshakeTimeout") == Some(&3));
        // The time is that of the handshake, and not of what comes after it.
        let mut stream = connect(&lab, client(), "localhost");
        stream.write_all(request("/").as_bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        std::thread::park_timeout(Duration::from_millis(300));
        assert_eq!(ask(&mut stream).unwrap().lines().last(), Some("Tls13 []"));
    }

    fn a_handshake_with_too_many_bytes(model) {
        let lab = lab(model, Tls { handshake_bytes: 4_000, ..server_tls() });
        assert_eq!(ask_with(&lab, client()), Ok("Tls13 []".to_owned()));
        let mut tcp = TcpStream::connect(lab.address).unwrap();
        // The head of a handshake message of 64 KiB, in records of 1 KiB.
        let mut message = vec![1, 0, 0xff, 0];
        message.resize(0xff00, 0);
        for part in message.chunks(1_024) {
            let record: Vec<u8> = [22, 3, 1].into_iter().chain((part.len() as u16).to_be_bytes()).chain(part.iter().copied()).collect();
            if tcp.write_all(&record).is_err() {
                break;
            }
        }
        read_all(&tcp);
        eventually("it is counted", || lab.broken_rules().get("BadTls") == Some(&1) && lab.stats().open == 0);
    }

    /// Bytes that are no TLS get an alert, and bytes of HTTP an answer that a person can read.
    fn what_is_not_tls(model) {
        let lab = lab(model, server_tls());
        let answer_to = |bytes: &[u8]| {
            let mut tcp = TcpStream::connect(lab.address).unwrap();
            tcp.set_read_timeout(Some(NET)).unwrap();
            tcp.write_all(bytes).unwrap();
            tcp.shutdown(Shutdown::Write).unwrap();
            read_all(&tcp)
        };
        for text in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"P", b"OPTIONS * HTTP/1.1\r\n"] {
            let answer = String::from_utf8(answer_to(text)).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\nthis port speaks TLS: the address must begin with https:// or wss://\n"), "{answer}");
        }
        eventually("each is counted", || lab.broken_rules().get("PlainHttp") == Some(&3));
        for junk in [&b"\0\0\0\0\0\0"[..], &[22, 3, 1, 0xff, 0xff, 0], &[22, 3, 1, 0, 4, 1, 0, 0, 0], &[0x80, 0x2e, 1, 3, 1, 0]] {
            let answer = answer_to(junk);
            assert_eq!((answer[0], answer[5]), (21, 2), "a fatal alert: {answer:?}");
        }
        eventually("each is counted", || lab.broken_rules().get("BadTls") == Some(&4) && lab.stats().open == 0);
        assert_eq!(lab.stats().tls_handshakes, 0);
    }

    /// One more than a thousand handshakes at once, and each of them gets its answer.
    fn a_thousand_connections_at_once(model) {
        let lab = lab(model, server_tls());
        let config = client();
        let mut streams: Vec<_> = (0..1_000)
            .map(|n| {
                let mut stream = connect(&lab, config.clone(), "localhost");
                stream.conn.writer().write_all(request("/").as_bytes()).unwrap();
                // The hello leaves, and nothing is read.
                stream.conn.write_tls(&mut stream.sock).unwrap();
                if n % 50 == 49 {
                    eventually("connections are accepted", || lab.stats().accepted > n);
                }
                stream
            })
            .collect();
        for stream in &mut streams {
            let mut first = [0; 12];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
        }
        let stats = lab.stats();
        assert_eq!((stats.open, stats.tls_handshakes, stats.requests), (1_000, 1_000, 1_000));
        drop(streams);
        eventually("all are gone", || lab.stats().open == 0);
    }
}

#[test]
fn what_cannot_be_used_is_said() {
    let authority = Authority::of_tests();
    let (one, other) = (authority.certify(&["one"]), authority.certify(&["two"]));
    let error = |certificate: &str, key: &str| Certificates::from_pem(&[(certificate, key)]).unwrap_err().to_string();
    assert_eq!(error(&one.0, &other.1), "the key in the key does not belong to the certificate");
    assert_eq!(error("", &one.1), "the certificate has no certificate: a line `-----BEGIN CERTIFICATE-----` is expected");
    assert_eq!(error(&one.0, ""), "the key has no key: a line `-----BEGIN PRIVATE KEY-----` is expected, without a password");
    assert!(error("-----BEGIN CERTIFICATE-----\n", &one.1).starts_with("the certificate is not valid PEM: "));
    let none: [(&str, &str); 0] = [];
    assert_eq!(Certificates::from_pem(&none).unwrap_err().to_string(), "TLS needs at least one certificate");
    assert!(Authorities::from_pem("").unwrap_err().to_string().starts_with("the text has no certificate"));
    assert!(Certificates::load(&[("/no/such/file", "/x")]).unwrap_err().to_string().starts_with("cannot read /no/such/file: "));
    assert_eq!(ProtocolVersion::TLSv1_3.as_str(), Some("TLSv1_3"));
}
