//! Requests with bodies: however they are cut, the handler sees the same and the client gets the same.
//!
//! Covers: session::http, session::exchange

use pushlab::proto::{CloseReason, ProtocolLimits};
use pushlab::session::{Ending, Limits, Settings};

use super::rig::Rig;
use super::wire::{Answer, get, post, text_frame, upgrade};
use crate::support::splits::splits;

/// Conversations in which nothing depends on time or on another thread.
fn conversations() -> Vec<Vec<u8>> {
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        post("/echo", "0123456789").into_bytes(),
        post("/echo", "").into_bytes(),
        [&post("/echo", "one"), &get("/hello")[..], &post("/echo", "two")].concat().into_bytes(),
        format!("{chunked}3\r\none\r\n6;x=y\r\n, two,\r\n0\r\nX-Trailer: z\r\n\r\n{}", get("/hello")).into_bytes(),
        format!("{chunked}0\r\n\r\n{}", get("/hello")).into_bytes(),
        "PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody".into(),
        "PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n".into(),
        "\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok\r\nGET /hello HTTP/1.0\r\n\r\n".into(),
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nendGET / {}", get("/hello")).into_bytes(),
        format!("{chunked}3\r\nonex\r\n").into_bytes(),
        [post("/short-stream", "body"), get("/short-stream"), get("/hello")].concat().into_bytes(),
        [get("/bad"), get("/dropped"), "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(), get("/nothing")].concat().into_bytes(),
        [upgrade("/ws").into_bytes(), text_frame("one"), text_frame(&"long".repeat(60)), text_frame("close 1000"), text_frame("two")]
            .concat(),
    ]
}

#[test]
fn however_it_is_cut_it_is_the_same() {
    for conversation in conversations() {
        let mut expected = None;
        for pieces in splits(conversation.len(), 20) {
            let (mut rig, mut at) = (Rig::new(), 0);
            for len in &pieces {
                rig.send(&conversation[at..at + len]);
                at += len;
            }
            rig.eof();
            rig.close(CloseReason::Transport);
            // How many writes it takes does depend on the cuts.
            let mut stats = rig.stats();
            stats.writes = 0;
            let seen = (rig.shelf.calls(), rig.text_lossy(), stats);
            let expected = expected.get_or_insert_with(|| seen.clone());
            assert_eq!(&seen, expected, "{:?} cut as {pieces:?}", String::from_utf8_lossy(&conversation));
        }
    }
}

/// With a layer between the transport and the system, the bytes come and go in other parts at other times.
#[test]
fn a_layer_in_between_changes_nothing() {
    for conversation in conversations() {
        let run = |mut rig: Rig| {
            rig.send(&conversation);
            rig.eof();
            rig.close(CloseReason::Transport);
            let mut stats = rig.stats();
            stats.writes = 0;
            (rig.shelf.calls(), rig.text_lossy(), stats)
        };
        let expected = run(Rig::new());
        for seed in 1..=40 {
            assert_eq!(run(Rig::new().layered(seed)), expected, "{:?}, seed {seed}", String::from_utf8_lossy(&conversation));
        }
    }
}

#[test]
fn cut_at_every_byte_once() {
    let conversation = format!("{}{}", post("/echo", "body"), get("/hello"));
    for at in 0..=conversation.len() {
        let mut rig = Rig::new();
        rig.send(&conversation[..at]);
        rig.send(&conversation[at..]);
        let answers = rig.answers();
        assert_eq!(answers.iter().map(Answer::text).collect::<Vec<_>>(), ["body", "hello\n"], "cut at {at}");
        assert_eq!(rig.shelf.calls(), ["POST /echo body", "GET /hello "]);
    }
}

#[test]
fn expect_is_answered_before_the_body_comes() {
    let mut rig = Rig::new();
    let answers = rig.ask("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(answers[0].status, 100);
    assert_eq!(rig.shelf.calls(), [""; 0]);
    assert_eq!(rig.ask("body")[0].text(), "body");

    let mut rig = Rig::new();
    assert_eq!(rig.ask("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\nContent-Length: 4\r\n\r\nbody")[0].status, 417);
}

#[test]
fn a_body_at_the_limit_and_one_past_it() {
    let limits = Limits { protocol: ProtocolLimits { body_bytes: 10, ..ProtocolLimits::default() }, ..Limits::default() };
    let settings = || Settings { limits: limits.clone(), ..Settings::default() };
    assert_eq!(Rig::with(settings()).ask(post("/echo", "0123456789"))[0].text(), "0123456789");
    assert_eq!(Rig::with(settings()).ask(post("/echo", "0123456789x"))[0].status, 413);
    let chunked = |chunks: &str| format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    assert_eq!(Rig::with(settings()).ask(chunked("6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n"))[0].text(), "0123456789");
    assert_eq!(Rig::with(settings()).ask(chunked("6\r\n012345\r\n5\r\n6789x\r\n0\r\n\r\n"))[0].status, 413);
}

#[test]
fn an_end_of_file_within_a_request_is_an_error() {
    for (request, is_error) in [("", false), ("GET", true), ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo", true)] {
        let mut rig = Rig::new();
        rig.send(request);
        rig.eof();
        assert_eq!(rig.ending(), Some(Ending::Flush), "{request}: there is nothing to linger for");
        assert_eq!(rig.stats().remote_errors, u64::from(is_error), "{request}");
        assert_eq!(rig.answers().iter().map(|answer| answer.status).collect::<Vec<_>>(), vec![400; usize::from(is_error)], "{request}");
        assert_eq!(rig.shelf.calls(), [""; 0]);
    }
}
