//! What a layer reports that agrees on TLS with the client.
//!
//! Covers: session::caller, session::layer

use std::time::Duration;

use pushlab::driver::drive::Input;
use pushlab::proto::{CloseReason, RemoteError};
use pushlab::session::{Ending, Next, Ready, Sent, TlsInfo, TlsVersion};
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

/// A response is cut if the connection ends before it does. Everything else is whole.
#[test]
fn what_the_peer_was_sent_when_the_session_ended() {
    for (request, sent) in [
        ("", Sent::Whole),
        ("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", Sent::Whole),
        ("GET /hello HTTP/1.1\r\nHost: x\r\n", Sent::Whole),
        ("GET /stream HTTP/1.0\r\n\r\n", Sent::Part),
        ("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", Sent::Part),
    ] {
        let mut rig = Rig::new();
        rig.send(request);
        assert_eq!(rig.sent(), sent, "{request}");
        let mut rig = Rig::new();
        rig.send(request);
        rig.abort(CloseReason::SlowConsumer);
        assert_eq!(rig.sent(), sent, "{request}: it is still known");
        let mut rig = Rig::new();
        rig.send(request);
        rig.shut_down();
        assert_eq!(rig.sent(), Sent::Whole, "{request}: a shutdown ends a stream");
    }
    let mut rig = Rig::new();
    rig.open();
    rig.abort(CloseReason::SlowConsumer);
    assert_eq!(rig.sent(), Sent::Whole, "a WebSocket has an end of its own for each message");
}

/// The thread writes records of the layer. They are not in the output, and they have not left.
#[test]
fn a_connection_is_not_closed_under_a_writer_that_was_lent_no_bytes() {
    let mut rig = Rig::new();
    let lent = rig.lend();
    rig.pass_secs(80);
    assert_eq!(rig.work(), None, "the keep-alive time is over, and the writer is not back");
    rig.give_back(lent);
    assert_eq!(rig.work(), Some(CloseReason::Idle));
}

/// The layer discards what it reads, and there is always more.
#[test]
fn a_flood_that_the_layer_discards_does_not_keep_a_connection() {
    let mut rig = rig();
    rig.layer_says(Input::Failed(RemoteError::BadTls, Ready::No));
    rig.tell_time_after(TIMEOUT);
    let mut flood = || rig.layer_goes_on(Input::Nothing(1024 * 1024, Ready::Perhaps));
    let is_read = (0..7).all(|_| matches!(flood(), Next::Read(_)));
    assert!(is_read, "what had arrived at the deadline is read");
    assert!((0..2).any(|_| flood() == Next::Close(CloseReason::Remote(RemoteError::BadTls))));
}

/// The ping has left the output, and the layer holds it.
#[test]
fn a_ping_that_the_layer_holds_was_not_sent() {
    let mut rig = Rig::new().layered(1);
    rig.open();
    rig.block();
    rig.pass_secs(25 + 20 + 1);
    assert_eq!(rig.ending(), None, "the peer has not got the ping");
    rig.unblock();
    rig.pass_secs(19);
    assert_eq!(rig.ending(), None, "now it has the ping, and the whole time for its answer");
    rig.pass_secs(2);
    assert_eq!(rig.ending(), Some(Ending::Abort));
}
