//! Connections after their handshakes: floods, damage, ends that are and are not orderly, and the rules that know the scheme.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use pushlab::Response;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::authority::{Authority, server_tls};
use super::client::trusting;
use crate::blackbox::{IoModel, Lab, NET, both_plain, eventually};

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn lab(model: IoModel) -> Lab {
    Lab::with(model, |config| config.tls = Some(server_tls()))
}

fn connect(lab: &Lab) -> Stream {
    let tcp = TcpStream::connect(lab.address).unwrap();
    tcp.set_read_timeout(Some(NET)).unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(trusting(Authority::of_tests())), name).unwrap(), tcp)
}

/// The head and the body of an answer with a length.
fn answer(stream: &mut Stream) -> String {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).unwrap();
    let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; len];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn ask(stream: &mut Stream, fields: &str) -> String {
    stream.write_all(format!("GET /hello HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap();
    answer(stream)
}

fn broken(lab: &Lab, rule: &str) -> u64 {
    lab.broken_rules().get(rule).copied().unwrap_or(0)
}

/// The records that the client would send next, without sending them.
fn records(stream: &mut Stream) -> Vec<u8> {
    let mut records = Vec::new();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut records).unwrap();
    }
    records
}

both_plain! {
    fn updates_of_keys(model) {
        let lab = lab(model);
        let mut stream = connect(&lab);
        for _ in 0..100 {
            stream.conn.refresh_traffic_keys().ok();
            assert!(ask(&mut stream, "Host: x\r\n").ends_with("hello\n"));
        }
        // Without anything in between, the server gives up after some.
        for _ in 0..100 {
            stream.conn.refresh_traffic_keys().unwrap();
            if stream.conn.write_tls(&mut stream.sock).is_err() {
                break;
            }
        }
        eventually("it is counted", || broken(&lab, "BadTls") == 1 && lab.stats().open == 0);
        assert!(ask(&mut connect(&lab), "Host: x\r\n").ends_with("hello\n"));
    }

    /// Requests in records of one byte.
    fn small_records(model) {
        let lab = lab(model);
        let mut stream = connect(&lab);
        for byte in b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3) {
            stream.conn.writer().write_all(&[byte]).unwrap();
            stream.flush().unwrap();
        }
        for _ in 0..3 {
            assert!(answer(&mut stream).ends_with("hello\n"));
        }
    }

    /// One byte of a record is changed: of its length, its content or its tag. The server does not act on what came.
    fn damaged_records(model) {
        let lab = lab(model);
        for at in [3, 4, 5, 20, 40] {
            let mut stream = connect(&lab);
            ask(&mut stream, "Host: x\r\n");
            let before = lab.stats().requests;
            stream.conn.writer().write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut records = records(&mut stream);
            records[at] ^= if at == 3 { 0x10 } else { 1 };
            stream.sock.write_all(&records).unwrap();
            stream.sock.shutdown(Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            assert!(rest.is_empty(), "{at}: {}", String::from_utf8_lossy(&rest));
            eventually("the connection has ended", || lab.stats().open == 0);
            assert_eq!(lab.stats().requests, before, "{at}");
        }
        // A length that is too large never comes to its end. The client was idle, so that is no error.
        assert_eq!(broken(&lab, "BadTls"), 4, "{:?}", lab.broken_rules());
    }

    /// The end of the connection is that of an attacker, if no `close_notify` came before it.
    fn an_end_without_close_notify(model) {
        let lab = lab(model);
        let mut stream = connect(&lab);
        stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf ").unwrap();
        stream.flush().unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"", "a request that is cut gets no answer");
        eventually("it is counted", || broken(&lab, "TlsTruncated") == 1 && lab.stats().open == 0);
        assert_eq!(lab.stats().requests, 0);

        // Browsers end idle connections in this way.
        let mut stream = connect(&lab);
        ask(&mut stream, "Host: x\r\n");
        drop(stream);
        eventually("it is gone", || lab.stats().open == 0);
        assert_eq!(lab.stats().remote_errors, 1);

        // With `close_notify`, it is the end of a message, as without TLS.
        let mut stream = connect(&lab);
        stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf ").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        assert!(answer(&mut stream).starts_with("HTTP/1.1 400 "));
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the server ends in an orderly way, too");
        assert_eq!(broken(&lab, "UnexpectedEof"), 1);
    }

    /// The end of the connection ends these bodies. It does so only if it comes with `close_notify`.
    fn an_answer_that_is_cut_does_not_look_whole(model) {
        let ask = |stream: &mut Stream, target: &str| {
            stream.write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
        };
        let rest = |stream: &mut Stream| stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());

        let ended = Lab::answering_with(model, |config| config.tls = Some(server_tls()), |_, reply| {
            reply.stream(Response::text("begun"));
        });
        let mut stream = connect(&ended);
        ask(&mut stream, "/");
        assert!(rest(&mut stream).is_ok(), "the handler has ended it");

        let panicking = Lab::answering_with(model, |config| config.tls = Some(server_tls()), |_, reply| {
            reply.stream(Response::text("begun"));
            std::panic::resume_unwind(Box::new("without a message on standard error"));
        });
        let mut stream = connect(&panicking);
        ask(&mut stream, "/");
        assert_eq!(rest(&mut stream), Err(ErrorKind::UnexpectedEof), "the handler has not ended it");
    }

    fn rules_that_know_the_scheme(model) {
        let lab = Lab::with(model, |config| {
            config.tls = Some(server_tls());
            config.settings.allow_hosts = vec!["a.example".to_owned(), "b.example:443".to_owned(), "c.example:80".to_owned()];
        });
        let mut stream = connect(&lab);
        for (target, fields, status) in [
            ("/act", "Host: a.example\r\nOrigin: https://a.example\r\n", "200"),
            ("/act", "Host: a.example:8443\r\nOrigin: https://a.example:8443\r\n", "200"),
            ("/act", "Host: a.example:443\r\nOrigin: https://a.example\r\n", "200"),
            // A page that was loaded without TLS can be anybody's.
            ("/act", "Host: a.example\r\nOrigin: http://a.example\r\n", "403"),
            ("/act", "Host: a.example:80\r\nOrigin: http://a.example\r\n", "403"),
            ("/hello", "Host: b.example\r\n", "200"),
            ("https://a.example/hello", "Host: a.example\r\n", "200"),
            ("HTTPS://b.example/hello", "Host: a.example\r\n", "200"),
        ] {
            stream.write_all(format!("GET {target} HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap();
            let answer = answer(&mut stream);
            assert_eq!(&answer[9..12], status, "{target} {fields}");
        }
        for (target, fields) in [
            ("http://a.example/hello", "Host: a.example\r\n"),
            // Without a port, it is that of https.
            ("/hello", "Host: c.example\r\n"),
        ] {
            let mut stream = connect(&lab);
            stream.write_all(format!("GET {target} HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap();
            assert_eq!(&answer(&mut stream)[9..12], "421", "{target} {fields}");
        }
    }

    /// The server's last word is encrypted and whole, though the client has sent what is never read.
    fn the_last_answer_before_a_close(model) {
        let lab = Lab::answering_with(model, |config| config.tls = Some(server_tls()), |_, reply| {
            reply.send(Response::text("x".repeat(3_000_000)));
        });
        for _ in 0..5 {
            let mut stream = connect(&lab);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let _ = stream.write_all(&vec![b'x'; 50_000]);
            assert!(answer(&mut stream).len() > 3_000_000);
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "with `close_notify`");
        }
    }
}
