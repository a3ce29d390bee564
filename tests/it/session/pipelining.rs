//! Many requests at once: one by one, in order, and none before the one in front of it is done.
//!
//! Covers: session::session, session::http

use pushlab::proto::ProtocolLimits;
use pushlab::session::{Limits, Response, Settings};

use super::rig::Rig;
use super::wire::{self, Answer, get};

#[test]
fn a_hundred_requests_in_one_input() {
    let mut rig = Rig::new();
    let requests: String = (1..=100).map(|bytes| get(&format!("/large?bytes={bytes}"))).collect();
    let lengths: Vec<_> = rig.ask(requests).iter().map(|answer| answer.body.len()).collect();
    assert_eq!(lengths, (1..=100).collect::<Vec<_>>());
    assert_eq!(rig.stats().requests, 100);
}

#[test]
fn what_is_behind_a_held_request_waits_for_it() {
    let mut rig = Rig::new();
    rig.send([get("/hello"), get("/hold"), get("/hello"), get("/hold"), get("/nothing")].concat());
    assert_eq!(rig.answers().len(), 1);
    assert_eq!(rig.shelf.calls(), ["GET /hello ", "GET /hold "]);

    rig.shelf.held().release(Response::text("released"));
    assert_eq!(rig.answers(), [], "a release is posted, not carried out on the spot");
    rig.deliver();
    assert_eq!(rig.answers().iter().map(Answer::text).collect::<Vec<_>>(), ["released", "hello\n"]);

    rig.pass_secs(25);
    assert_eq!(rig.answers().iter().map(|answer| answer.status).collect::<Vec<_>>(), [204, 404]);
    assert_eq!((rig.stats().hold_timeouts, rig.input_len()), (1, 0));
    drop(rig.shelf.held());
}

#[test]
fn what_is_behind_a_stream_waits_for_its_end() {
    let mut rig = Rig::new();
    rig.send([get("/stream"), get("/short-stream"), get("/hello")].concat());
    let answers = rig.answers();
    assert_eq!((answers.len(), answers[0].is_whole), (1, false));
    rig.shelf.push("third\n");
    rig.shelf.pusher().end();
    rig.shelf.push("late\n");
    rig.deliver();
    let rest = rig.text();
    let (end, rest) = rest.split_at(rest.find("HTTP").unwrap());
    assert_eq!(end, "6\r\nthird\n\r\n0\r\n\r\n");
    let answers = wire::answers(rest.as_bytes());
    assert_eq!(answers.iter().map(Answer::text).collect::<Vec<_>>(), ["all\n", "hello\n"]);
}

#[test]
fn a_client_far_ahead_is_not_read() {
    let protocol = ProtocolLimits { pipeline_bytes: 100, ..ProtocolLimits::default() };
    let settings = Settings { limits: Limits { protocol, ..Limits::default() }, ..Settings::default() };
    let ahead = get("/hello").repeat(9);
    for path in ["/hold", "/stream"] {
        let mut rig = Rig::with(settings.clone());
        rig.send(get(path));
        assert_eq!(rig.wanted_bytes(), 100, "{path}");
        rig.send(&ahead[..99]);
        assert_eq!(rig.wanted_bytes(), 1, "{path}");
        rig.send(&ahead[99..101]);
        assert_eq!((rig.wanted_bytes(), rig.input_len()), (0, 101), "{path}: one byte stays in the system");
        if path == "/hold" {
            rig.shelf.held().release(Response::no_content());
            rig.deliver();
            assert!(rig.wants_read(), "once the hold is over, what waits is worked on");
        }
    }
}

#[test]
fn output_at_the_limit_and_one_below_it() {
    let mut rig = Rig::new();
    rig.send(get("/hello"));
    let len = rig.bytes().len();
    for (output_bytes, worked_on) in [(len, 1), (len + 1, 2)] {
        let mut rig = Rig::with(Settings { limits: Limits { output_bytes, ..Limits::default() }, ..Settings::default() });
        rig.block();
        rig.send(get("/hello").repeat(3));
        assert_eq!(rig.shelf.calls().len(), worked_on);
        rig.unblock();
        assert_eq!(rig.answers().len(), 3);
    }
}

#[test]
fn full_output_stops_the_work_and_room_lets_it_go_on() {
    let settings = Settings { limits: Limits { output_bytes: 1_000, ..Limits::default() }, ..Settings::default() };
    let mut rig = Rig::with(settings);
    rig.block();
    rig.send(get("/large?bytes=400").repeat(10));
    assert_eq!(rig.shelf.calls().len(), 2, "two answers are over the limit");
    assert!(!rig.wants_read() && rig.input_len() > 0 && rig.out_len() >= 1_000);

    rig.take_up_to(10);
    assert_eq!(rig.shelf.calls().len(), 0);
    let room = rig.out_len() - 999;
    rig.take_up_to(room);
    assert_eq!(rig.shelf.calls().len(), 1, "with room for one byte there is room for one more answer");
    rig.unblock();
    assert_eq!(rig.answers().len(), 10);
    assert!(rig.wants_read() && rig.input_len() == 0);
}

#[test]
fn no_more_is_read_ahead_than_can_be_of_use() {
    let protocol = ProtocolLimits { head_bytes: 200, pipeline_bytes: 100, ..ProtocolLimits::default() };
    let with = |protocol: &ProtocolLimits| {
        let limits = Limits { protocol: protocol.clone(), output_bytes: 1_000, ..Limits::default() };
        Rig::with(Settings { limits, ..Settings::default() })
    };
    let mut rig = with(&protocol);
    assert_eq!(rig.wanted_bytes(), 201, "the byte past the largest head refuses it");
    let mut other = with(&protocol);
    other.send(&get(&"/".repeat(150))[..150]);
    assert_eq!(other.wanted_bytes(), 51);
    rig.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
    assert_eq!(rig.wanted_bytes(), 5_100, "the body, and what may wait behind it");
    rig.send("x".repeat(4_999));
    assert_eq!(rig.wanted_bytes(), 101);
    rig.send(["x", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"].concat());
    assert_eq!(rig.wanted_bytes(), usize::MAX, "nobody knows how long chunks go on");
    rig.send("0\r\n\r\n");
    rig.block();
    rig.send(get("/large?bytes=1000"));
    assert_eq!(rig.wanted_bytes(), 0, "the output is full");
    rig.unblock();
    rig.send(get("/hold"));
    assert_eq!(rig.wanted_bytes(), 100);
    rig.send([b'x'; 40]);
    assert_eq!(rig.wanted_bytes(), 60);

    // Many small requests come in few reads where they may wait, too.
    let mut rig = with(&ProtocolLimits { pipeline_bytes: 10_000, ..protocol });
    assert_eq!(rig.wanted_bytes(), 10_000);
}
