//! Every way to dispose of a request at once.
//!
//! Covers: session::reply, session::handler, session::http, session::exchange

use pushlab::session::{Ending, Reply, Request, Response};

use super::rig::Rig;
use super::wire::{self, get};

#[test]
fn answered_at_once() {
    let mut rig = Rig::new();
    rig.send(get("/hello"));
    assert_eq!(rig.shelf.alive(), 0, "carried to the end of the response");
    assert_eq!(
        rig.text(),
        "HTTP/1.1 200 OK\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n\r\nhello\n"
    );
    assert_eq!(rig.get("/nothing")[0].status, 404);
    assert_eq!((rig.stats().requests, rig.ending()), (2, None));
}

#[test]
fn a_dropped_reply_is_a_500_and_the_connection_goes_on() {
    let mut rig = Rig::new();
    let answers = rig.ask([get("/dropped"), get("/hello")].concat());
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [500, 200]);
    assert!(!answers[0].announces_close());
    assert_eq!(rig.stats().local_errors, 0);
}

type Mistake = (&'static str, fn() -> Response);

#[test]
fn what_must_not_be_sent_is_a_500() {
    let cases: [Mistake; 9] = [
        ("a line break in a value", || Response::text("x").field("X-Name", "a\r\nSet-Cookie: b")),
        ("a name that is no token", || Response::text("x").field("X Name", "a")),
        ("a reserved field", || Response::text("x").field("Content-Length", "5")),
        ("a status below 200", || Response::text("x").with_status(101)),
        ("a status above 599", || Response::text("x").with_status(600)),
        ("a content type with a line break", || Response::new("text/plain\r\nX: y", "x")),
        ("a static body where none may be", || Response::text("x").with_status(204)),
        ("an owned body where none may be", || Response::text("x".to_owned()).with_status(304)),
        ("a shared body where none may be", || Response::new("text/plain", std::sync::Arc::<[u8]>::from(*b"x")).with_status(205)),
    ];
    for (name, response) in cases {
        for way in ["send", "hold", "time-out", "stream"] {
            let mut rig = Rig::serving(move |request: &Request<'_>, reply: Reply<'_>| match request.path() {
                "/send" => reply.send(response()),
                "/hold" => reply.hold(super::app::HOLD, Response::text("late")).release(response()),
                "/time-out" => std::mem::forget(reply.hold(super::app::HOLD, response())),
                "/stream" => drop(reply.stream(response()).send(b"piece")),
                _ => reply.send(Response::text("next")),
            });
            rig.send([get(&format!("/{way}")), get("/next")].concat());
            rig.deliver();
            rig.pass_secs(25);
            let answers = rig.answers();
            let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [500, 200], "{name}, {way}");
            assert!(!answers[0].fields.iter().any(|(_, value)| value.contains("Set-Cookie")), "{name}, {way}");
            assert_eq!(rig.stats().local_errors, 1, "{name}, {way}");
        }
    }
}

#[test]
fn every_status_without_content_can_be_answered() {
    for status in [204, 205, 304] {
        let mut rig = Rig::serving(move |_: &Request<'_>, reply: Reply<'_>| reply.send(Response::status(status)));
        let answers = rig.ask([get("/"), get("/")].concat());
        assert_eq!(answers.iter().map(|answer| (answer.status, answer.text())).collect::<Vec<_>>(), [(status, ""); 2]);
    }
}

#[test]
fn head_gets_heads_only() {
    for (path, status) in [
        ("/hello", 200),
        ("/large?bytes=100000", 200),
        ("/dropped", 500),
        ("/nothing", 404),
        ("/stream", 200),
        ("/events", 200),
        ("/ws", 426),
    ] {
        let mut rig = Rig::new();
        rig.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n{}", get("/hello")));
        let bytes = rig.bytes();
        let (answer, rest) = wire::answer(&bytes, true);
        assert_eq!(answer.status, status, "{path}");
        let rest = wire::answers(rest);
        assert_eq!((rest.len(), rest[0].text()), (1, "hello\n"), "{path}: the next request is answered, and nothing stands between");
        assert_eq!((rig.stats().streams, rig.shelf.alive()), (0, 0), "{path}");
    }
}

#[test]
fn head_of_a_held_request() {
    let mut rig = Rig::new();
    rig.send("HEAD /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.shelf.held().release(Response::text("four"));
    rig.deliver();
    let bytes = rig.bytes();
    let (answer, rest) = wire::answer(&bytes, true);
    assert_eq!((answer.field("Content-Length"), rest), (Some("4"), &b""[..]));
}

#[test]
fn pushing_to_a_stream_that_needs_no_body_does_nothing() {
    let mut rig = Rig::new();
    rig.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.bytes();
    rig.shelf.push("late");
    rig.shelf.pusher().end();
    assert_eq!(rig.deliver(), 2);
    assert_eq!((rig.text().as_str(), rig.ending()), ("", None));
}

#[test]
fn options_for_the_whole_server() {
    let mut rig = Rig::new();
    let answers = rig.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answers[0].status, answers[0].field("Allow").is_some()), (204, true));
    assert_eq!(rig.shelf.calls(), [""; 0], "it is about no resource");
}

#[test]
fn absolute_form() {
    let mut rig = Rig::serving(|request: &Request<'_>, reply: Reply<'_>| {
        reply.send(Response::text(format!("{} {} {:?}", request.host().unwrap(), request.path(), request.query())));
    });
    for (target, expected) in [
        ("http://b.example/c?d=e", "b.example /c Some(\"d=e\")"),
        ("http://b.example:8080", "b.example:8080 / None"),
        ("http://b.example?q", "b.example / Some(\"q\")"),
    ] {
        assert_eq!(rig.get(target)[0].text(), expected);
    }
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    let mut rig = Rig::new();
    let answers = rig.ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((answers[0].field("Connection"), rig.ending()), (Some("keep-alive"), None));
    let answers = rig.ask("GET /hello HTTP/1.0\r\n\r\n");
    assert!(answers[0].announces_close());
    assert!(rig.ending().is_some());
}

#[test]
fn connection_close() {
    let mut rig = Rig::new();
    let answers = rig.ask("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answers[0].announces_close());
    assert_eq!((rig.ending(), rig.due_secs()), (Some(Ending::Flush), None));

    let mut rig = Rig::new();
    let answers = rig.ask(format!("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{}", get("/hello")));
    assert_eq!(answers.len(), 1, "what comes after the last request is not worked on");
    assert_eq!((rig.ending(), rig.input_len()), (Some(Ending::Linger), 0), "nor does it reset the connection");
}

#[test]
fn broken_requests_are_told_why_and_the_connection_ends() {
    for (request, status) in [
        ("GET  / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx", 400),
    ] {
        let mut rig = Rig::new();
        let answers = rig.ask(format!("{request}{}", get("/hello")));
        assert_eq!((answers.len(), answers[0].status), (1, status), "{request}");
        assert!(answers[0].announces_close(), "{request}");
        assert_eq!((rig.ending(), rig.wants_read(), rig.input_len()), (Some(Ending::Linger), true, 0), "{request}");
        assert_eq!((rig.stats().remote_errors, rig.stats().requests), (1, 0), "{request}");
        assert_eq!(rig.due_secs(), Some(5), "{request}: lingering has its time");
    }
}
