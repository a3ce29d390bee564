//! The deadlines of a connection that speaks HTTP, on a clock that only the test moves.
//!
//! Covers: session::session, session::http, session::rare

use std::time::Duration;

use pushlab::proto::CloseReason;
use pushlab::session::Ending;

use super::rig::Rig;
use super::wire::get;

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn idle_connections_end_without_a_word() {
    for first in ["", "/hello"] {
        let mut rig = Rig::new();
        if !first.is_empty() {
            rig.pass_secs(70);
            rig.get(first);
        }
        rig.pass(Duration::from_millis(74_999));
        assert_eq!(rig.ending(), None);
        rig.pass(MILLISECOND);
        assert_eq!((rig.ending(), rig.text().as_str(), rig.stats().remote_errors), (Some(Ending::Flush), "", 0));
    }
}

#[test]
fn a_head_has_its_time() {
    let mut rig = Rig::new();
    rig.pass_secs(70);
    for byte in b"GET /hello HTTP/1.1\r" {
        rig.send([*byte]);
        rig.pass(Duration::from_millis(999));
    }
    assert_eq!((rig.ending(), rig.due_secs()), (None, Some(0)), "its bytes do not prolong it");
    rig.pass_secs(1);
    assert_eq!((rig.answer().status, rig.ending(), rig.stats().remote_errors), (408, Some(Ending::Linger), 1));
}

#[test]
fn a_body_has_its_time_and_more_for_what_comes() {
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    let mut rig = Rig::new();
    rig.send(request);
    rig.pass(Duration::from_millis(19_999));
    assert_eq!(rig.ending(), None);
    rig.pass(MILLISECOND);
    assert_eq!((rig.answer().status, rig.ending()), (408, Some(Ending::Linger)));

    let mut rig = Rig::new();
    rig.send(request);
    rig.send([b'x'; 5_000]);
    assert_eq!(rig.due_secs(), Some(30), "ten seconds more at 500 bytes a second");
    assert_eq!(rig.shelf.calls(), [""; 0]);
}

#[test]
fn lingering_has_its_time() {
    let mut rig = Rig::new();
    rig.send("BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.pass(Duration::from_millis(4_999));
    rig.send(get("/hello"));
    assert_eq!(rig.ending(), Some(Ending::Linger));
    rig.pass(MILLISECOND);
    assert_eq!(rig.ending(), Some(Ending::Abort));
}

#[test]
fn an_end_of_file_ends_lingering() {
    let mut rig = Rig::new();
    rig.send("BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.eof();
    assert_eq!((rig.ending(), rig.due_secs()), (Some(Ending::Flush), None));
}

#[test]
fn called_too_early_it_does_nothing() {
    for request in ["", "GET", "/hold", "/stream", "/events"] {
        let mut rig = Rig::new();
        rig.send(if request.starts_with('/') { get(request) } else { request.to_owned() });
        rig.bytes();
        for _ in 0..3 {
            rig.time_out();
        }
        assert_eq!((rig.text().as_str(), rig.ending()), ("", None), "{request}");
    }
    let mut rig = Rig::new();
    rig.open();
    rig.time_out();
    assert_eq!((rig.text().as_str(), rig.ending()), ("", None));
}

#[test]
fn a_connection_that_is_only_flushed_has_no_deadline() {
    let mut rig = Rig::new();
    rig.block();
    rig.send("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!((rig.ending(), rig.due_secs()), (Some(Ending::Flush), None));
    rig.pass_secs(20);
    rig.time_out();
    assert_eq!(rig.ending(), Some(Ending::Flush), "how long the peer may take is the write time-out's business");
    rig.unblock();
    assert_eq!(rig.answer().text(), "hello\n");
}

#[test]
fn a_gauge_goes_down_once_whoever_ends_the_connection() {
    for path in ["", "/hello", "/hold", "/stream", "/events"] {
        let mut rig = Rig::new();
        rig.send(get(path));
        rig.close(CloseReason::Transport);
        rig.close(CloseReason::Idle);
        let stats = rig.stats();
        assert_eq!((stats.open, stats.held, stats.streams), (0, 0, 0), "{path}");
    }
}

/// A machine that was suspended makes up for nothing: each connection does once what was due.
#[test]
fn a_clock_that_has_jumped_ahead() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut rig = Rig::new();
    rig.oversleep(DAY);
    assert_eq!((rig.ending(), rig.text().as_str()), (Some(Ending::Flush), ""));

    let mut rig = Rig::new();
    rig.send("GET /hello HTTP/1.1\r\n");
    rig.oversleep(DAY);
    assert_eq!((rig.answer().status, rig.ending()), (408, Some(Ending::Linger)));

    let mut rig = Rig::new();
    rig.send(get("/hold"));
    rig.oversleep(DAY);
    assert_eq!((rig.answer().status, rig.ending(), rig.stats().hold_timeouts), (204, None, 1));
    assert_eq!(rig.due_secs(), Some(75), "from now on it is idle");

    let mut rig = Rig::new();
    rig.send(get("/events"));
    rig.bytes();
    rig.oversleep(DAY);
    assert_eq!((rig.text().as_str(), rig.ending(), rig.due_secs()), ("3\r\n:\n\n\r\n", None, Some(25)));

    let mut rig = Rig::new();
    rig.open();
    rig.oversleep(DAY);
    assert_eq!(rig.frames(), [(9, Vec::new())], "one ping");
    assert_eq!(rig.ending(), None, "it has not had the time to answer");
    rig.oversleep(DAY);
    assert_eq!(rig.ending(), Some(Ending::Abort));
}
