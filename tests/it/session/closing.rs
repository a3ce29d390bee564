//! Over is over: no call brings a connection back, softens its end, or makes it speak.
//!
//! Covers: session::session, session::progress

use pushlab::proto::Frame;
use pushlab::session::{Ending, Limits, Response, Settings};

use super::rig::Rig;
use super::wire::{close_frame, get, text_frame};

#[test]
fn an_end_of_file_does_not_soften_an_abort() {
    let limits = Limits { output_bytes: 100, queue_bytes: 100, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.send(get("/stream"));
    rig.block();
    for _ in 0..5 {
        rig.shelf.pusher().push(&Frame::chunk(&[b'x'; 90]));
    }
    rig.deliver();
    assert_eq!(rig.ending(), Some(Ending::Abort));
    rig.eof();
    assert_eq!(rig.ending(), Some(Ending::Abort), "a peer that does not read is not written to");
}

type End = (&'static str, fn(&mut Rig));

#[test]
fn nothing_is_said_after_the_end() {
    let ends: [End; 4] = [
        ("flush", |rig| rig.send("GET /hello HTTP/1.0\r\n\r\n")),
        ("linger", |rig| rig.send("BREW / HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("abort", |rig| {
            rig.send(get("/stream"));
            rig.eof();
        }),
        ("websocket", |rig| {
            rig.open();
            rig.send([0xff, 0xff]);
        }),
    ];
    for (name, end) in ends {
        let mut rig = Rig::new();
        end(&mut rig);
        rig.bytes();
        rig.shelf.calls();
        let ending = match rig.ending() {
            // What comes now would be answered with a reset.
            Some(Ending::Flush) => Some(Ending::Linger),
            ending => ending,
        };
        assert!(ending.is_some(), "{name}");
        rig.send(get("/hello"));
        rig.send(text_frame("x"));
        rig.shut_down();
        rig.pass_secs(1);
        rig.deliver();
        assert_eq!((rig.text().as_str(), rig.ending(), rig.input_len()), ("", ending, 0), "{name}");
        assert_eq!(rig.shelf.calls(), [""; 0], "{name}");
    }
}

fn get_and_close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

type LastAnswer = (&'static str, Ending, fn(&mut Rig));

/// A reset takes along what has not left yet. What leaves at once needs no care, and everything else does.
#[test]
fn only_one_small_answer_is_not_lingered_over() {
    let ends: [LastAnswer; 5] = [
        ("the only answer", Ending::Flush, |rig| rig.send(get_and_close("/hello"))),
        ("one that was held", Ending::Flush, |rig| {
            rig.send(get_and_close("/hold"));
            rig.shelf.held().release(Response::text("x"));
            rig.deliver();
        }),
        ("another one before", Ending::Linger, |rig| {
            rig.get("/large?bytes=100000");
            rig.send(get_and_close("/hello"));
        }),
        ("a stream", Ending::Linger, |rig| rig.send(get_and_close("/short-stream"))),
        ("a WebSocket's close", Ending::Flush, |rig| {
            rig.open();
            rig.send(close_frame(1000));
        }),
    ];
    for (name, ending, end) in ends {
        let mut rig = Rig::new();
        end(&mut rig);
        assert_eq!(rig.ending(), Some(ending), "{name}");
        rig.eof();
        assert_eq!(rig.ending(), Some(Ending::Flush), "{name}: with the client's end there is nothing left to wait for");
    }
}

/// The initial window of RFC 6928, section 2.
#[test]
fn an_answer_leaves_at_once_up_to_14_600_bytes() {
    let answer_of = |bytes: usize| {
        let mut rig = Rig::new();
        rig.send(get_and_close(&format!("/large?bytes={bytes}")));
        (rig.bytes().len(), rig.ending())
    };
    let head_len = answer_of(14_000).0 - 14_000;
    assert_eq!(answer_of(14_600 - head_len), (14_600, Some(Ending::Flush)));
    assert_eq!(answer_of(14_601 - head_len), (14_601, Some(Ending::Linger)));
}

#[test]
fn input_behind_a_held_request_is_lingered_over() {
    let mut rig = Rig::new();
    rig.send(get_and_close("/hold") + &get("/hello"));
    assert_eq!((rig.ending(), rig.input_len()), (None, get("/hello").len()));
    rig.shelf.held().release(Response::text("x"));
    rig.deliver();
    assert_eq!((rig.answer().text(), rig.ending(), rig.input_len()), ("x", Some(Ending::Linger), 0));
}

#[test]
fn input_that_comes_while_the_last_answer_is_written_is_lingered_over() {
    let mut rig = Rig::new();
    rig.block();
    rig.send(get_and_close("/hello"));
    assert_eq!((rig.ending(), rig.wants_read()), (Some(Ending::Flush), true), "it would be read");
    rig.send("x");
    assert_eq!((rig.ending(), rig.wants_read(), rig.input_len()), (Some(Ending::Linger), true, 0));
    rig.unblock();
    assert_eq!((rig.answer().text(), rig.due_secs()), ("hello\n", Some(5)));
}

/// However long a client takes to read its answer: it has its time to end the connection when it was sent it all.
#[test]
fn lingering_begins_behind_the_last_byte() {
    let mut rig = Rig::new();
    rig.block();
    rig.send(get_and_close("/large?bytes=100000"));
    for _ in 0..60 {
        rig.take_up_to(1_000);
        rig.send("more than was asked for");
        rig.pass_secs(20);
        assert_eq!((rig.ending(), rig.due_secs()), (Some(Ending::Linger), None));
    }
    rig.unblock();
    assert_eq!((rig.answer().body.len(), rig.ending()), (100_000, Some(Ending::Linger)));
    rig.pass_secs(4);
    assert_eq!((rig.ending(), rig.due_secs()), (Some(Ending::Linger), Some(1)));
    rig.pass_secs(1);
    assert_eq!(rig.ending(), Some(Ending::Abort));
}

#[test]
fn a_connection_that_was_idle_for_too_long_is_lingered_over_while_its_answer_is_written() {
    for (is_blocked, ending) in [(false, Ending::Flush), (true, Ending::Linger)] {
        let mut rig = Rig::new();
        if is_blocked {
            rig.block();
        }
        rig.send(get("/hello"));
        rig.pass_secs(75);
        assert_eq!(rig.ending(), Some(ending));
    }
}
