//! Shutdown in every state of a connection.
//!
//! Covers: session::session, session::http, session::websocket

use pushlab::session::{Ending, Response};

use super::rig::Rig;
use super::wire::{close_frame, close_with, get, post, upgrade};

#[test]
fn idle() {
    for before in ["", "/hello"] {
        let mut rig = Rig::new();
        if !before.is_empty() {
            rig.get(before);
        }
        rig.shut_down();
        assert_eq!((rig.ending(), rig.text().as_str()), (Some(Ending::Flush), ""));
    }
}

#[test]
fn a_request_on_its_way_is_answered() {
    let request = post("/echo", "body");
    for at in 1..request.len() {
        let mut rig = Rig::new();
        rig.send(&request[..at]);
        rig.shut_down();
        assert_eq!(rig.ending(), None, "after {at} bytes");
        let answers = rig.ask(&request[at..]);
        assert_eq!((answers[0].text(), answers[0].announces_close()), ("body", true), "after {at} bytes");
        assert_eq!(rig.ending(), Some(Ending::Flush), "after {at} bytes");
    }
}

#[test]
fn a_request_on_its_way_that_never_comes() {
    let mut rig = Rig::new();
    rig.send("GET /hel");
    rig.shut_down();
    rig.pass_secs(20);
    assert_eq!((rig.answer().status, rig.ending()), (408, Some(Ending::Linger)));
}

#[test]
fn what_a_request_on_its_way_begins_is_ended_at_once() {
    for (path, status) in [("/hold", 503), ("/stream", 200), ("/events", 200), ("/short-stream", 200), ("/dropped", 500)] {
        let request = post(path, "body");
        let mut rig = Rig::new();
        rig.send(&request[..request.len() - 1]);
        rig.shut_down();
        rig.send(&request[request.len() - 1..]);
        let answer = rig.answer();
        assert_eq!((answer.status, answer.is_whole, answer.announces_close()), (status, true, true), "{path}");
        assert_eq!((rig.ending(), rig.shelf.alive()), (Some(Ending::Flush), 0), "{path}");
        if path == "/events" {
            assert!(answer.text().ends_with("retry: 1500\n\n"));
        }
    }
    let request = upgrade("/ws");
    let mut rig = Rig::new();
    rig.send(&request[..20]);
    rig.shut_down();
    rig.send(&request[20..]);
    assert!(rig.bytes().ends_with(b"\r\n\r\n\x88\x18\x03\xe9this server shuts down"));
    assert_eq!((rig.ending(), rig.due_secs()), (None, Some(5)));
    rig.send(close_frame(1001));
    assert_eq!(rig.ending(), Some(Ending::Flush));
}

#[test]
fn held() {
    let mut rig = Rig::new();
    rig.send([get("/hold"), get("/hello")].concat());
    rig.shut_down();
    let answer = rig.answer();
    assert_eq!((answer.status, answer.field("Retry-After"), answer.announces_close()), (503, Some("2"), true));
    assert_eq!((rig.ending(), rig.stats().held, rig.shelf.alive()), (Some(Ending::Linger), 0, 0), "another request came behind it");
    rig.shelf.held().release(Response::text("late"));
    rig.deliver();
    assert_eq!(rig.text(), "");
}

#[test]
fn streams() {
    for (path, expected) in [("/stream", "0\r\n\r\n"), ("/events", "d\r\nretry: 1500\n\n\r\n0\r\n\r\n")] {
        let mut rig = Rig::new();
        rig.send(get(path));
        rig.bytes();
        rig.shut_down();
        assert_eq!((rig.text().as_str(), rig.ending()), (expected, Some(Ending::Flush)), "{path}");
        assert_eq!((rig.stats().streams, rig.shelf.alive()), (0, 0), "{path}");
    }
}

#[test]
fn websocket() {
    let mut rig = Rig::new();
    rig.open();
    rig.shut_down();
    assert_eq!((rig.frames(), rig.ending(), rig.due_secs()), (vec![close_with(1001, "this server shuts down")], None, Some(5)));
    rig.shut_down();
    rig.send(close_frame(1001));
    assert_eq!((rig.ending(), rig.frames()), (Some(Ending::Flush), vec![]));
    assert_eq!(rig.shelf.calls().pop().as_deref(), Some("closed Local(1001)"));

    let mut rig = Rig::new();
    rig.open();
    rig.shut_down();
    rig.pass_secs(5);
    assert_eq!(rig.ending(), Some(Ending::Abort));
}

#[test]
fn twice_and_after_the_end() {
    for path in ["", "/hold", "/stream", "/events"] {
        let mut rig = Rig::new();
        if !path.is_empty() {
            rig.send(get(path));
        }
        rig.shut_down();
        rig.bytes();
        rig.shut_down();
        assert_eq!((rig.text().as_str(), rig.ending()), ("", Some(Ending::Flush)), "{path}");
    }
}
