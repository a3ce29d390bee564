//! Streamed responses and event streams.
//!
//! Covers: session::stream, session::link

use std::sync::Arc;

use pushlab::proto::{Frame, LocalError, sse};
use pushlab::session::{Ending, Limits, Pusher, Reply, Request, Response, Settings, SlowConsumer};

use super::rig::Rig;
use super::wire::get;

#[test]
fn a_stream_goes_on_after_the_call() {
    let mut rig = Rig::new();
    rig.send(get("/stream"));
    rig.shelf.push("third\n");
    Pusher::push_all([&rig.shelf.pusher(), &rig.shelf.pusher()], &Frame::text("more\n"));
    rig.shelf.push("");
    assert_eq!(rig.deliver(), 4);
    let answer = rig.answer();
    assert_eq!((answer.text(), answer.is_whole), ("first\nsecond\nthird\nmore\nmore\n", false));
    assert_eq!(answer.field("Transfer-Encoding"), Some("chunked"));
    assert_eq!((rig.stats().streams, rig.due_secs()), (1, None), "a plain stream has no heartbeat");
    rig.shelf.pusher().end();
    rig.deliver();
    assert_eq!((rig.text().as_str(), rig.stats().streams, rig.shelf.alive()), ("0\r\n\r\n", 0, 0));
    assert_eq!(rig.due_secs(), Some(75));
}

#[test]
fn a_stream_ignores_the_code_of_a_close() {
    let mut rig = Rig::new();
    rig.send(get("/stream"));
    rig.answer();
    rig.shelf.pusher().close(4000);
    rig.deliver();
    assert_eq!((rig.text().as_str(), rig.stats().streams, rig.stats().local_errors), ("0\r\n\r\n", 0, 0));
}

#[test]
fn a_stream_can_end_in_the_call() {
    let mut rig = Rig::new();
    let answer = rig.get("/short-stream").remove(0);
    assert_eq!((answer.text(), answer.is_whole, rig.ending()), ("all\n", true, None));
}

#[test]
fn a_stream_to_http_1_0_ends_with_the_connection() {
    let mut rig = Rig::new();
    rig.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    rig.shelf.push("third\n");
    rig.deliver();
    let answer = rig.answer();
    assert_eq!((answer.text(), answer.field("Transfer-Encoding")), ("first\nsecond\nthird\n", None));
    assert!(answer.announces_close());
    rig.shelf.pusher().end();
    rig.deliver();
    assert_eq!((rig.text().as_str(), rig.ending()), ("", Some(Ending::Linger)), "what was sent before may be on its way");
}

/// The next message is the last one then. An empty one is none, and does not leave a stream that neither takes a message nor ends.
#[test]
fn a_stream_that_ends_after_no_bytes() {
    let mut rig = Rig::serving(|_: &Request<'_>, reply: Reply<'_>| {
        let mut stream = reply.stream(Response::text("before\n"));
        stream.end_after(0);
        drop(stream.pusher());
    });
    rig.send(get("/"));
    for text in ["", "last", "x"] {
        rig.burst(rig.last_serial(), &[Frame::chunk(text.as_bytes())]);
    }
    let answer = rig.answer();
    assert_eq!((answer.text(), answer.is_whole, rig.stats().streams), ("before\nlast", true, 0));
}

/// What was dropped was not sent, wherever it was dropped, and does not bring the end nearer; and behind the end comes nothing that waits.
#[test]
fn a_stream_that_ends_after_what_was_sent() {
    let limits = Limits { output_bytes: 10, queue_bytes: 30, ..Limits::default() };
    let settings = Settings { limits, slow_consumer: SlowConsumer::DropOldest, ..Settings::default() };
    let mut rig = Rig::serving_with(settings, Arc::default(), |_: &Request<'_>, reply: Reply<'_>| {
        let mut stream = reply.stream(Response::text("before\n"));
        stream.end_after(49);
        drop(stream.pusher());
    });
    rig.send(get("/"));
    let push = |rig: &mut Rig, numbers: std::ops::Range<u32>| {
        for n in numbers {
            rig.burst(rig.last_serial(), &[Frame::chunk(format!("{n:010}").as_bytes())]);
        }
    };
    rig.block();
    push(&mut rig, 0..10);
    rig.unblock();
    assert_eq!((rig.stats().streams, rig.stats().dropped), (1, 7), "30 bytes were sent");
    rig.block();
    push(&mut rig, 10..13);
    rig.unblock();
    let answer = rig.answer();
    assert_eq!(
        (answer.text(), answer.is_whole, rig.stats().streams),
        ("before\n00000000000000000008000000000900000000100000000011", true, 0)
    );
}

/// Ten bytes, whatever came before the limit was set; what comes behind the last message goes nowhere.
#[test]
fn a_stream_that_ends_after_some_bytes() {
    let limited = || {
        Rig::serving(|_: &Request<'_>, reply: Reply<'_>| {
            let mut stream = reply.stream(Response::text("before\n"));
            stream.end_after(10);
            // The first handle gives the stream its address.
            drop(stream.pusher());
        })
    };
    let frames = |texts: &[&str]| texts.iter().map(|text| Frame::chunk(text.as_bytes())).collect::<Vec<_>>();
    for (bursts, expected) in [
        (&[&["0123456789"][..]][..], "0123456789"),
        (&[&["0123456789abc"]], "0123456789abc"),
        (&[&["0123", "4567", "89", "x"]], "0123456789"),
        (&[&["0123", "4567"], &["", "8"], &["9", "x"]], "0123456789"),
        (&[&["0123", "4567"], &["89"], &["x"]], "0123456789"),
    ] {
        let mut rig = limited();
        rig.send(get("/"));
        assert_eq!(rig.stats().streams, 1);
        for burst in bursts {
            rig.burst(rig.last_serial(), &frames(burst));
        }
        let answer = rig.answer();
        assert_eq!((answer.text(), answer.is_whole), (&*format!("before\n{expected}"), true), "{bursts:?}");
        assert_eq!((rig.stats().streams, rig.ending()), (0, None), "the next request can come");
    }

    let mut rig = limited();
    rig.send(get("/"));
    assert!(rig.burst(rig.last_serial(), &frames(&["0123", "45678"])), "nine");
    rig.block();
    rig.burst(rig.last_serial(), &frames(&["9"]));
    rig.burst(rig.last_serial(), &frames(&["x"]));
    assert_eq!(rig.stats().streams, 1, "the last message has not been written");
    rig.unblock();
    assert_eq!((rig.answer().text(), rig.stats().streams), ("before\n0123456789", 0));
}

#[test]
fn an_event_stream() {
    let mut rig = Rig::new();
    rig.send(get("/events"));
    rig.shelf.pusher().push(&Frame::event(&sse::Event::data("two\nlines").id("9")).unwrap());
    rig.deliver();
    let answer = rig.answer();
    assert_eq!(answer.text(), "data: welcome\n\nid: 9\ndata: two\ndata: lines\n\n");
    for (name, value) in [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store, no-transform"), ("X-Accel-Buffering", "no")] {
        assert_eq!(answer.field(name), Some(value));
    }
}

#[test]
fn an_event_stream_with_further_fields() {
    let mut rig = Rig::serving(|_: &Request<'_>, reply: Reply<'_>| {
        let mut events = reply.event_stream_with(Response::new("text/event-stream", ": hi\n\n").field("X-Resumed", "1-7"));
        assert_eq!(events.send_event(&sse::Event::data("x").event("a\nb")), Err(LocalError::BadEvent));
        events.send_event(&sse::Event::data("x")).unwrap();
        events.end();
    });
    let answer = rig.get("/").remove(0);
    assert_eq!((answer.text(), answer.field("X-Resumed"), answer.is_whole), (": hi\n\ndata: x\n\n", Some("1-7"), true));
}

#[test]
fn heartbeats_while_idle_and_only_then() {
    let mut rig = Rig::new();
    rig.send(get("/events"));
    rig.bytes();
    rig.pass_secs(24);
    assert_eq!(rig.text(), "");
    rig.pass_secs(1);
    assert_eq!(rig.text(), "3\r\n:\n\n\r\n");
    rig.pass_secs(50);
    assert_eq!(rig.text(), "3\r\n:\n\n\r\n".repeat(2));
    for _ in 0..10 {
        rig.pass_secs(20);
        rig.shelf.push("x");
        rig.deliver();
    }
    assert_eq!(rig.text(), "1\r\nx\r\n".repeat(10), "messages are alive enough");
    rig.pass_secs(25);
    assert_eq!(rig.text(), "3\r\n:\n\n\r\n");
}

/// Nothing is put on the wire for them, in whatever way they come.
#[test]
fn empty_pieces_are_no_signs_of_life() {
    let mut rig = Rig::new();
    rig.send(get("/events"));
    rig.bytes();
    let before = rig.stats().messages_out;
    for frames in [&[Frame::chunk(b"")][..], &[Frame::text("")], &[Frame::chunk(b""), Frame::chunk(b"")]] {
        rig.pass_secs(20);
        assert!(!rig.burst(rig.last_serial(), frames));
        rig.pass_secs(4);
        assert_eq!((rig.text().as_str(), rig.due_secs()), ("", Some(1)), "{frames:?}");
        rig.pass_secs(1);
        assert_eq!(rig.text(), "3\r\n:\n\n\r\n", "{frames:?}");
    }
    assert_eq!(rig.stats().messages_out, before);
    rig.pass_secs(20);
    assert!(rig.burst(rig.last_serial(), &[Frame::chunk(b""), Frame::chunk(b"x"), Frame::chunk(b"")]));
    assert_eq!((rig.text().as_str(), rig.due_secs(), rig.stats().messages_out), ("1\r\nx\r\n", Some(25), before + 1));
}

/// A slow reader's queue has nothing to keep of them.
#[test]
fn empty_pieces_do_not_wait() {
    let limits = Limits { output_bytes: 10, queue_bytes: 30, ..Limits::default() };
    for slow_consumer in [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::KeepLatest] {
        let mut rig = Rig::with(Settings { limits: limits.clone(), slow_consumer, ..Settings::default() });
        rig.send(get("/stream"));
        rig.bytes();
        rig.block();
        for text in ["0123456789", "waits"] {
            rig.shelf.push(text);
        }
        for _ in 0..100 {
            rig.shelf.push("");
        }
        rig.deliver();
        rig.unblock();
        assert_eq!(rig.text(), "a\r\n0123456789\r\n5\r\nwaits\r\n", "{slow_consumer}");
        assert_eq!((rig.stats().dropped, rig.stats().slow_disconnects), (0, 0));
    }
}

#[test]
fn a_plain_stream_with_a_heartbeat_of_its_own() {
    let mut rig = Rig::new();
    rig.send(get("/beating-stream"));
    assert!(rig.text().ends_with("\r\n\r\n8\r\nreplayed\r\n"));
    rig.pass_secs(25);
    assert_eq!(rig.text(), "1\r\n\n\r\n");
}

#[test]
fn no_heartbeat_into_a_full_output_and_none_at_all_if_none_is_wanted() {
    let mut rig = Rig::new();
    rig.send(get("/events"));
    rig.bytes();
    rig.block();
    rig.shelf.push("x");
    rig.deliver();
    rig.pass_secs(500);
    rig.unblock();
    assert_eq!(rig.text(), "1\r\nx\r\n", "heartbeats do not pile up");

    let settings = Settings { limits: Limits { heartbeat: None, ..Limits::default() }, ..Settings::default() };
    let mut rig = Rig::with(settings);
    rig.send(get("/events"));
    rig.bytes();
    rig.pass_secs(1_000);
    assert_eq!((rig.due_secs(), rig.text().as_str(), rig.stats().streams), (None, "", 1));
}

#[test]
fn a_client_that_goes_away_ends_the_stream() {
    for path in ["/stream", "/events"] {
        let mut rig = Rig::new();
        rig.send(get(path));
        assert_eq!(rig.shelf.alive(), 2);
        rig.bytes();
        rig.eof();
        assert_eq!((rig.ending(), rig.stats().streams, rig.shelf.alive()), (Some(Ending::Abort), 0, 0), "{path}");
        rig.shelf.push("nobody");
        rig.deliver();
        assert_eq!(rig.text(), "");
    }
}
