//! What a layer reports that agrees on TLS with the client.
//!
//! Covers: session::caller, session::layer

use std::time::Duration;

use pushlab::driver::drive::Input;
use pushlab::proto::{CloseReason, RemoteError};
use pushlab::session::{Ready, TlsInfo, TlsVersion};
use pushlab::{Reply, Request, Response};

use super::rig::Rig;
use super::wire;

const TIMEOUT: Duration = Duration::from_secs(10);
const ALMOST: Duration = Duration::from_millis(9_999);

fn secured() -> Input {
    Input::Secured(Box::new(TlsInfo { version: TlsVersion::Tls13, client_certificates: Vec::new() }), 0, Ready::No)
}

fn rig() -> Rig {
    let app = |request: &Request<'_>, reply: Reply<'_>| match request.path() {
        "/hold" => std::mem::forget(reply.hold(Duration::MAX, Response::no_content())),
        _ => reply.send(Response::text(format!("{} {:?}", request.is_secure(), request.tls().map(|tls| tls.version)))),
    };
    Rig::serving(app).securing(TIMEOUT)
}

#[test]
fn http_begins_when_the_layer_has_agreed() {
    let mut rig = rig();
    assert_eq!(rig.layer_says(Input::Nothing(300, Ready::No)), None);
    assert_eq!(rig.layer_says(secured()), None);
    assert_eq!(rig.stats().tls_handshakes, 1);
    let answers = rig.get("/");
    assert_eq!(answers[0].body, b"true Some(Tls13)");
    let mut plain = Rig::serving(|request: &Request<'_>, reply: Reply<'_>| {
        reply.send(Response::text(format!("{} {}", request.is_secure(), request.tls().is_none())));
    });
    assert_eq!(plain.get("/")[0].body, b"false true");
}

#[test]
fn the_time_of_the_handshake() {
    let mut rig = rig();
    assert_eq!(rig.due_secs(), Some(10));
    rig.pass(ALMOST);
    assert_eq!(rig.stats().remote_errors, 0);
    // What the layer reads for itself does not put it off.
    rig.layer_says(Input::Nothing(1, Ready::No));
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.work(), Some(CloseReason::Remote(RemoteError::TlsHandshakeTimeout)));
    assert_eq!((rig.stats().remote_errors, rig.bytes().len()), (1, 0));

    let mut rig = self::rig();
    rig.pass(ALMOST);
    rig.layer_says(secured());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.work(), None, "the time ends with the handshake");
}

#[test]
fn a_peer_that_leaves_and_a_shutdown_before_http() {
    let mut left = rig();
    left.eof();
    assert_eq!(left.work(), Some(CloseReason::Transport));
    let mut stopped = rig();
    stopped.shut_down();
    assert_eq!(stopped.work(), Some(CloseReason::Shutdown));
    assert!(left.bytes().is_empty() && stopped.bytes().is_empty());
}

#[test]
fn what_the_layer_finds_wrong() {
    let failed = |error| Input::Failed(error, Ready::No);
    let mut rig = rig();
    rig.layer_says(failed(RemoteError::PlainHttp));
    let answer = String::from_utf8(rig.bytes()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");

    let mut rig = self::rig();
    rig.layer_says(failed(RemoteError::BadTls));
    assert_eq!((rig.stats().remote_errors, rig.bytes().len()), (1, 0), "only the layer has something to say");

    // A client that is idle, or waits for an answer, may end without a word.
    for (begun, is_error) in [("", false), ("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n", false), ("GET / HTTP", true)] {
        let mut rig = self::rig();
        rig.layer_says(secured());
        rig.send(begun);
        let reason = rig.layer_says(failed(RemoteError::TlsTruncated));
        let expected = if is_error { CloseReason::Remote(RemoteError::TlsTruncated) } else { CloseReason::Transport };
        assert_eq!((reason, rig.stats().remote_errors), (Some(expected), u64::from(is_error)), "{begun}");
        assert!(rig.bytes().is_empty(), "{begun}");
    }
}

#[test]
fn a_scheme_that_is_not_that_of_the_connection() {
    for (target, status) in [("https://x/", 200), ("http://x/", 421), ("/", 200)] {
        let mut rig = rig();
        rig.layer_says(secured());
        assert_eq!(rig.ask(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))[0].status, status, "{target}");
    }
    assert_eq!(Rig::new().ask("GET https://x/ HTTP/1.1\r\nHost: x\r\n\r\n")[0].status, 421);
    assert!(!wire::get("/").is_empty());
}
