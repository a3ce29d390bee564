//! Held requests and the handles that answer them: once, in time, and never somebody else's
//! request.
//!
//! Covers: session::handles, session::link, session::http

use std::sync::Arc;
use std::time::Duration;

use pushlab::driver::drive::Share;
use pushlab::proto::Frame;
use pushlab::session::{Command, Ending, Feed, HalfClose, Reply, Request, Response, Settings, Stream, StreamSource};

use super::rig::Rig;
use super::wire::{Answer, get};

#[test]
fn released() {
    let mut rig = Rig::new();
    rig.send(get("/hold"));
    assert_eq!((rig.stats().held, rig.due_secs(), rig.shelf.alive()), (1, Some(25), 1));
    rig.pass_secs(24);
    rig.shelf.held().release(Response::text("news\n").field("ETag", "\"7\""));
    assert_eq!(rig.deliver(), 1);
    let answer = rig.answer();
    assert_eq!((answer.text(), answer.field("etag")), ("news\n", Some("\"7\"")));
    assert_eq!((rig.stats().held, rig.due_secs(), rig.shelf.alive()), (0, Some(75), 0));
}

#[test]
fn timed_out_and_the_late_release_does_nothing() {
    let mut rig = Rig::new();
    rig.send(get("/hold"));
    rig.pass(Duration::from_millis(24_999));
    assert_eq!(rig.answers(), []);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.answer().status, 204);
    assert_eq!((rig.stats().held, rig.stats().hold_timeouts, rig.shelf.alive()), (0, 1, 0));

    rig.shelf.held().release(Response::text("late"));
    assert_eq!((rig.deliver(), rig.answers()), (1, vec![]));
    assert_eq!(rig.get("/hello").len(), 1);
}

/// A response goes out in the same way whether others share it or not, whatever its body and its
/// mistakes are.
#[test]
fn shared_and_own_responses() {
    let large = "x".repeat(10_000);
    for response in [
        Response::text("static"),
        Response::text("owned".to_owned()).field("ETag", "\"7\""),
        Response::text(large.clone()),
        Response::text(Arc::<[u8]>::from(large.into_bytes())),
        Response::no_content(),
        Response::text("a mistake").field("X-Name", "a\r\nb"),
        Response::text("another").with_status(99),
    ] {
        let mut rig = Rig::new();
        let shared = Arc::new(response.clone());
        let answers = [response.into(), Arc::clone(&shared), shared].map(|response: Arc<Response>| {
            rig.send(get("/hold"));
            rig.shelf.held().release(response);
            rig.deliver();
            rig.bytes()
        });
        assert!(!answers[0].is_empty());
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0], answers[2]);
    }
}

#[test]
fn a_dropped_handle_is_a_500() {
    let mut rig = Rig::new();
    rig.send(get("/hold"));
    drop(rig.shelf.held());
    rig.deliver();
    assert_eq!(rig.answer().status, 500);

    rig.send(get("/forget"));
    assert_eq!(rig.answers(), [], "dropped in the handler's own call, it is posted all the same");
    rig.deliver();
    assert_eq!(rig.answer().status, 500);
}

#[test]
fn a_stale_handle_never_reaches_the_next_exchange() {
    for next in ["/hold", "/stream", "/events", "/hello"] {
        let mut rig = Rig::new();
        rig.send(get("/hold"));
        rig.pass_secs(25);
        rig.send(get(next));
        rig.bytes();
        let stats = rig.stats();
        rig.shelf.held().release(Response::text("a stranger's"));
        rig.deliver();
        assert_eq!((rig.text().as_str(), rig.stats()), ("", stats), "{next}");
    }
    for next in ["/stream", "/events", "/hold", "/hello"] {
        let mut rig = Rig::new();
        rig.send(get("/stream"));
        let old = rig.shelf.pusher();
        old.end();
        rig.deliver();
        rig.send(get(next));
        rig.bytes();
        let stats = rig.stats();
        old.push(&Frame::chunk(b"a stranger's"));
        old.end();
        rig.deliver();
        assert_eq!((rig.text().as_str(), rig.stats()), ("", stats), "{next}");
    }
}

#[test]
fn commands_of_another_kind_do_nothing() {
    let mut rig = Rig::new();
    rig.send(get("/hold"));
    let serial = rig.last_serial();
    rig.apply(serial, Command::Send(Frame::chunk(b"x")));
    rig.apply(serial, Command::Close(1000));
    for other in [0, serial - 1, serial + 1, u64::MAX] {
        rig.apply(other, Command::Release(Some(Response::text("x").into())));
    }
    assert_eq!((rig.text().as_str(), rig.stats().held), ("", 1));
    rig.apply(serial, Command::Release(None));
    rig.apply(serial, Command::Release(None));
    assert_eq!(rig.answer().status, 500, "the second one comes too late");

    rig.send(get("/stream"));
    rig.bytes();
    rig.apply(rig.last_serial(), Command::Release(None));
    rig.apply(0, Command::Send(Frame::chunk(b"x")));
    assert_eq!(rig.text(), "");
}

/// Keeps a stream open, and sends nothing.
struct Quiet;

impl StreamSource for Quiet {
    fn feed(&mut self, _: &mut Stream<'_>) -> Feed {
        Feed::Continue
    }
}

#[test]
fn nothing_is_addressed_before_a_handle_is_given_out() {
    let mut rig = Rig::serving(|_: &Request<'_>, reply: Reply<'_>| {
        reply.stream(Response::text("x")).feed(Quiet);
    });
    rig.send(get("/"));
    rig.bytes();
    assert_eq!(rig.last_serial(), 0);
    rig.apply(0, Command::Send(Frame::chunk(b"x")));
    rig.apply(0, Command::Close(0));
    assert_eq!((rig.text().as_str(), rig.stats().streams), ("", 1));
}

#[test]
fn a_client_that_goes_away_ends_the_hold() {
    let mut rig = Rig::new();
    rig.send(get("/hold"));
    rig.eof();
    assert_eq!((rig.ending(), rig.stats().held, rig.shelf.alive()), (Some(Ending::Abort), 0, 0));
    rig.shelf.held().release(Response::text("nobody"));
    rig.deliver();
    assert_eq!(rig.text(), "");
}

#[test]
fn a_hold_without_an_end_of_its_own() {
    let mut rig = Rig::serving(|_: &Request<'_>, reply: Reply<'_>| {
        std::mem::forget(reply.hold(Duration::MAX, Response::no_content()));
    });
    rig.send(get("/"));
    assert_eq!((rig.stats().panics, rig.stats().held, rig.due_secs()), (0, 1, None));
    rig.pass_secs(1_000_000);
    rig.apply(rig.last_serial(), Command::Release(Some(Response::text("at last").into())));
    assert_eq!(rig.answer().text(), "at last");
}

#[test]
fn a_hold_of_no_time() {
    let mut rig = Rig::serving(|_: &Request<'_>, reply: Reply<'_>| {
        std::mem::forget(reply.hold(Duration::ZERO, Response::no_content()));
    });
    rig.send(get("/"));
    assert_eq!(rig.answers(), []);
    rig.pass_secs(0);
    assert_eq!(rig.answer().status, 204);
}

#[test]
fn the_last_request_of_a_connection_can_be_held() {
    let mut rig = Rig::new();
    rig.send("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(rig.ending(), None);
    rig.shelf.held().release(Response::text("bye"));
    rig.deliver();
    let answer = rig.answer();
    assert_eq!((answer.text(), answer.announces_close(), rig.ending()), ("bye", true, Some(Ending::Flush)));
}

/// The peer ends its sending side while its request is held (RFC 9112, section 9.6).
#[test]
fn half_close() {
    for half_close in [HalfClose::Leaves, HalfClose::Waits] {
        let mut rig = Rig::with(Settings { half_close, ..Settings::default() });
        rig.send(get("/hold") + &get("/hello"));
        rig.eof();
        if half_close == HalfClose::Leaves {
            assert_eq!((rig.ending(), rig.stats().held, rig.shelf.alive()), (Some(Ending::Abort), 0, 0));
            continue;
        }
        assert_eq!((rig.ending(), rig.stats().held, rig.due_secs()), (None, 1, Some(25)));
        rig.shelf.held().release(Response::text("news\n"));
        rig.deliver();
        let answers = rig.answers();
        assert_eq!(answers.iter().map(Answer::text).collect::<Vec<_>>(), ["news\n", "hello\n"], "also what came behind it");
        rig.eof();
        assert_eq!(rig.ending(), Some(Ending::Flush));
    }
}

/// Requests that are left for the next turn of their connection are answered before the peer's end.
#[test]
fn half_close_with_more_requests_than_a_turn_has() {
    const BEHIND: usize = 7;
    let mut rig = Rig::with(Settings { half_close: HalfClose::Waits, ..Settings::default() });
    rig.share = Share::new(usize::MAX, usize::MAX, 2);
    rig.send(get("/hold") + &get("/hello").repeat(BEHIND));
    rig.eof();
    rig.shelf.held().release(Response::text("news\n"));
    rig.deliver();
    assert_eq!(rig.answers().len(), 1 + BEHIND);
    rig.eof();
    assert_eq!(rig.ending(), Some(Ending::Flush));
}

/// Nobody answers a request whose client waits: it is answered in its time, and that is the end.
#[test]
fn half_close_and_out_of_time() {
    let mut rig = Rig::with(Settings { half_close: HalfClose::Waits, ..Settings::default() });
    rig.send(get("/hold"));
    rig.eof();
    rig.pass_secs(25);
    assert_eq!((rig.answer().status, rig.stats().hold_timeouts), (204, 1));
    rig.eof();
    assert_eq!(rig.ending(), Some(Ending::Flush));
}
