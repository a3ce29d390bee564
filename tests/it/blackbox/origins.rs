//! One rule for every origin and every host, whatever a page asks for.
//!
//! Covers: session::origin, session::authority, session::cors, session::peer

use super::{Client, IoModel, Lab, both_plain};

const UPGRADE: &str =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
const PREFLIGHT: &str = "Access-Control-Request-Method: POST\r\n";

/// The list of origins, the `Origin` lines of a request for the host `a:8080`, and what becomes of
/// the request.
type Row = (&'static [&'static str], &'static [u8], Verdict);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Acts,
    /// It may not act. A page may send a GET, and its browser keeps the answer from it.
    Foreign,
    /// It gets 403, whatever it asks for.
    Malformed,
}
use Verdict::{Acts, Foreign, Malformed};

const ONE: &[&str] = &["https://one.example"];

const TABLE: &[Row] = &[
    (&[], b"", Acts),
    (&[], b"Origin: http://a:8080\r\n", Acts),
    (&[], b"Origin: https://A:8080\r\n", Acts),
    (&[], b"Origin: http://a\r\n", Foreign),
    (&[], b"Origin: http://evil.example\r\n", Foreign),
    (&[], b"Origin: http://a:8080.evil.example\r\n", Malformed),
    (&[], b"Origin: null\r\n", Foreign),
    (&[], b"Origin: file://\r\n", Foreign),
    (ONE, b"", Acts),
    (ONE, b"Origin: https://one.example\r\n", Acts),
    (ONE, b"origin: HTTPS://ONE.example:443\r\n", Acts),
    (ONE, b"Origin: http://a:8080\r\n", Acts),
    (ONE, b"Origin: http://one.example\r\n", Foreign),
    (ONE, b"Origin: https://one.example:8443\r\n", Foreign),
    (ONE, b"Origin: https://one.example.evil\r\n", Foreign),
    (ONE, b"Origin: null\r\n", Foreign),
    (&["null"], b"Origin: null\r\n", Acts),
    (&["null"], b"Origin: file://\r\n", Foreign),
    (&["file://"], b"Origin: file://\r\n", Acts),
    (&["file://"], b"Origin: null\r\n", Foreign),
    (&["*"], b"Origin: http://evil.example\r\n", Acts),
    (&["*"], b"Origin: null\r\n", Acts),
    (&[], b"Origin: http://evil\xFF.example\r\n", Malformed),
    (&["*"], b"Origin: http://evil\xFF.example\r\n", Malformed),
    (&[], b"Origin: http://a:8080\xFF\r\n", Malformed),
    (&[], b"Origin: \xFF\r\n", Malformed),
    (&[], b"Origin:\r\n", Malformed),
    (&[], b"Origin: a:8080\r\n", Malformed),
    (&[], b"Origin: http://a:8080/\r\n", Malformed),
    (&[], b"Origin: http://a:8080, http://evil.example\r\n", Malformed),
    (&[], b"Origin: http://a:8080\r\nOrigin: http://a:8080\r\n", Malformed),
    (ONE, b"Origin: https://one.example\r\nX: y\r\nOrigin: http://evil.example\r\n", Malformed),
    (&["*"], b"Origin: null\r\nOrigin: null\r\n", Malformed),
];

/// Asks on a connection of its own, and returns the status and whether a page may read the answer.
fn ask(lab: &Lab, line: &str, fields: &str, origin: &[u8], body: &[u8]) -> (u16, bool) {
    let mut client = lab.connect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    client.send([format!("{line} HTTP/1.1\r\nHost: a:8080\r\n{fields}{length}").as_bytes(), origin, b"\r\n", body].concat());
    let answer = client.answer_head();
    (answer.status, answer.field("Access-Control-Allow-Origin").is_some())
}

fn with_hosts(model: IoModel, hosts: &[&str]) -> Lab {
    Lab::with(model, |config| config.settings.allow_hosts = hosts.iter().map(ToString::to_string).collect())
}

fn status(mut client: Client, request: &str) -> u16 {
    client.send(request);
    client.answer().status
}

both_plain! {
    fn the_same_origin_gets_the_same_answer_everywhere(model) {
        for &(list, origin, verdict) in TABLE {
            let lab = Lab::with(model, |config| config.settings.allow_origins = list.iter().map(ToString::to_string).collect());
            let what = format!("{list:?} {}", origin.escape_ascii());
            // A page may read what has an origin that may act; without an origin nobody asks.
            let reads = verdict == Acts && !origin.is_empty();
            let (changed, opened, asked, got) = match verdict {
                Acts => (true, 101, 204, 200),
                Foreign => (false, 403, 204, 200),
                Malformed => (false, 403, 403, 403),
            };
            assert_eq!(ask(&lab, "POST /topics/t", "", origin, b"x"), (if changed { 202 } else { 403 }, reads), "publish: {what}");
            assert_eq!(ask(&lab, "POST /act", "", origin, b"x"), (if changed { 200 } else { 403 }, reads), "an endpoint: {what}");
            for path in ["GET /ws", "GET /topics/t/ws"] {
                assert_eq!(ask(&lab, path, UPGRADE, origin, b"").0, opened, "{path}: {what}");
            }
            for path in ["OPTIONS /topics/t", "OPTIONS /topics/t/events"] {
                assert_eq!(ask(&lab, path, PREFLIGHT, origin, b""), (asked, reads), "{path}: {what}");
            }
            for path in ["GET /topics/t", "GET /topics/t/poll", "HEAD /topics/t/events"] {
                assert_eq!(ask(&lab, path, "", origin, b""), (got, reads), "{path}: {what}");
            }
            for method in ["PUT", "PATCH", "DELETE"] {
                assert_eq!(ask(&lab, &format!("{method} /topics/t"), "", origin, b"").0, if changed { 405 } else { 403 }, "{method}: {what}");
            }
        }
    }

    fn a_host_that_is_not_the_servers_gets_421(model) {
        let lab = with_hosts(model, &["push.example", "[::1]:8080"]);
        for (host, is_allowed) in [
            ("push.example", true),
            ("PUSH.example:81", true),
            ("[::1]:8080", true),
            ("[0::1]:8080", true),
            ("[::1]:8081", false),
            ("[::1]", false),
            ("evil.example", false),
            ("push.example.evil", false),
            ("127.0.0.1", false),
            ("", false),
        ] {
            let expect = |status| if is_allowed { status } else { 421 };
            assert_eq!(status(lab.connect(), &format!("GET /hello HTTP/1.1\r\nHost: {host}\r\n\r\n")), expect(200), "{host}");
            assert_eq!(status(lab.connect(), &format!("GET /ws HTTP/1.1\r\nHost: {host}\r\n{UPGRADE}\r\n")), expect(101), "{host}");
            assert_eq!(status(lab.connect(), &format!("POST /topics/t HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\nx")), expect(202));
            assert_eq!(status(lab.connect(), &format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n")), expect(204), "{host}");
        }
        // The authority of an absolute target is what counts.
        assert_eq!(status(lab.connect(), "GET http://push.example/hello HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 200);
        assert_eq!(status(lab.connect(), "GET http://evil.example/hello HTTP/1.1\r\nHost: push.example\r\n\r\n"), 421);
        assert_eq!(status(lab.connect(), "GET /hello HTTP/1.0\r\n\r\n"), 421);
        assert_eq!(status(Lab::start(model).connect(), "GET /hello HTTP/1.0\r\n\r\n"), 200, "an empty list allows any host, and none");

        // The answer is the connection's last one.
        let (before, mut client) = (lab.app.requests.load(std::sync::atomic::Ordering::SeqCst), lab.connect());
        client.send("GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /hello HTTP/1.1\r\nHost: push.example\r\n\r\n");
        assert_eq!(client.answer().status, 421);
        client.expect_end();
        assert_eq!(lab.app.requests.load(std::sync::atomic::Ordering::SeqCst), before, "the handler is not called");
        assert!(lab.broken_rules()["MisdirectedHost"] > 0);
    }

    /// A listener on an IPv6 address sees IPv4 clients as `::ffff:127.0.0.1`.
    fn ipv4_clients_of_an_ipv6_listener_have_their_ipv4_address(model) {
        let address = "[::ffff:127.0.0.1]:0";
        if std::net::TcpListener::bind(address).is_err() {
            println!("skipped: this system has no IPv4-mapped addresses");
            return;
        }
        let lab = Lab::with_on(address, model, |_| {});
        assert_eq!(lab.address.ip().to_string(), "127.0.0.1");
        let mut client = lab.connect();
        client.send("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "127.0.0.1");
    }
}
