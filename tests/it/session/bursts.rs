//! Messages that are taken together.
//!
//! Covers: session::burst

use pushlab::proto::Frame;
use pushlab::session::{Burst, Command, Limits, Settings};

use super::rig::Rig;
use super::wire::{self, get, text_frame};

fn texts(texts: &[&str]) -> Vec<Frame> {
    texts.iter().map(|text| Frame::text(text)).collect()
}

fn chunks(texts: &[&str]) -> Vec<Frame> {
    texts.iter().map(|text| Frame::chunk(text.as_bytes())).collect()
}

#[test]
fn joining() {
    assert_eq!(Burst::join(&[]), None);
    assert_eq!(Burst::join(&texts(&["one is whole as it is"])), None);
    assert_eq!(Burst::join(&chunks(&["ab", "", "c"])).unwrap()[..], *b"2\r\nab\r\n1\r\nc\r\n");
    assert_eq!(Burst::join(&[Frame::text("a"), Frame::binary(b"b")]).unwrap()[..], *b"\x81\x01a\x82\x01b");
    assert_eq!(Burst::join(&[Frame::text("a"), Frame::chunk(b"b")]), None);
    let half = Frame::binary(&vec![0; 32 * 1024 - 4]);
    assert_eq!(half.wire_len(), 32 * 1024);
    assert_eq!(Burst::join(&[half.clone(), half.clone()]).unwrap().len(), 64 * 1024);
    assert!(Burst::join(&[half.clone(), half, Frame::text("")]).is_none(), "64 KiB and 2 bytes");
}

/// A message of two parts goes to a free WebSocket, to one that waits, among others, and to a stream.
#[test]
fn a_message_of_two_parts_arrives_whole() {
    for len in [13, 3_000] {
        let shared: std::sync::Arc<[u8]> = "s".repeat(len).into_bytes().into();
        let frame = Frame::text_in_parts("own ", &shared);
        let whole = format!("own {}", "s".repeat(len));
        assert_eq!(Burst::one(&frame).wire().is_some(), len == 13, "a copy is one piece");
        let joined = Burst::join(&[frame.clone(), Frame::text("x")]).unwrap();
        assert_eq!(joined[..], [&*Frame::text(&whole).wire(), b"\x81\x01x"].concat());
        let mut rig = Rig::new();
        rig.open();
        rig.burst(rig.last_serial(), std::slice::from_ref(&frame));
        rig.burst(rig.last_serial(), &[Frame::text("before"), frame.clone()]);
        let text = wire::text(&whole);
        assert_eq!(rig.frames(), [text.clone(), wire::text("before"), text.clone()]);
        rig.block();
        let large = Frame::text(&"x".repeat(1024 * 1024));
        rig.burst(rig.last_serial(), std::slice::from_ref(&large));
        rig.burst(rig.last_serial(), std::slice::from_ref(&frame));
        rig.unblock();
        assert_eq!(rig.frames()[1], text);

        let mut rig = Rig::new();
        rig.send(get("/events"));
        rig.bytes();
        rig.burst(rig.last_serial(), std::slice::from_ref(&frame));
        assert_eq!(rig.text(), format!("{:x}\r\n{whole}\r\n", whole.len()));
        let mut rig = Rig::new();
        rig.send("GET /events HTTP/1.0\r\n\r\n");
        rig.bytes();
        rig.burst(rig.last_serial(), std::slice::from_ref(&frame));
        assert_eq!(rig.text(), whole);
    }
}

#[test]
fn a_free_websocket_takes_all() {
    let mut rig = Rig::new();
    rig.open();
    assert!(rig.burst(rig.last_serial(), &texts(&["one", "two"])));
    assert!(rig.burst(rig.last_serial(), &texts(&["three"])));
    assert_eq!(rig.bytes(), b"\x81\x03one\x81\x03two\x81\x05three");
    assert_eq!(rig.stats().messages_out, 3);
    assert!(!rig.burst(rig.last_serial() + 1, &texts(&["a stranger's"])));
    assert!(!rig.burst(rig.last_serial(), &chunks(&["another", "form"])), "they are encoded again");
    assert_eq!((rig.bytes(), rig.stats().messages_out), (b"\x81\x07another\x81\x04form".to_vec(), 5));
    rig.apply(rig.last_serial(), Command::Close(1000));
    assert!(!rig.burst(rig.last_serial(), &texts(&["too late"])));
    assert_eq!(rig.bytes(), b"\x88\x02\x03\xe8");
}

#[test]
fn a_free_stream_takes_all_and_its_heartbeat_moves() {
    let mut rig = Rig::new();
    rig.send(get("/events"));
    rig.bytes();
    rig.pass_secs(20);
    assert!(rig.burst(rig.last_serial(), &chunks(&["one", "two"])));
    assert_eq!((rig.text().as_str(), rig.due_secs()), ("3\r\none\r\n3\r\ntwo\r\n", Some(25)));
    assert!(!rig.burst(rig.last_serial(), &texts(&["another", "form"])));
    assert_eq!(rig.text(), "7\r\nanother\r\n4\r\nform\r\n");
    assert!(!rig.burst(rig.last_serial(), &chunks(&["", ""])), "there is nothing to write");
    rig.apply(rig.last_serial(), Command::Close(0));
    assert!(!rig.burst(rig.last_serial(), &chunks(&["too late"])));
    assert_eq!(rig.text(), "0\r\n\r\n");
}

#[test]
fn what_is_no_chunked_stream_takes_nothing() {
    let mut rig = Rig::new();
    assert!(!rig.burst(1, &chunks(&["nobody asked"])));
    rig.send("GET /stream HTTP/1.0\r\n\r\n");
    rig.bytes();
    assert!(!rig.burst(rig.last_serial(), &chunks(&["one", "two"])));
    assert_eq!(rig.text(), "onetwo", "an HTTP/1.0 client gets no chunks");
}

#[test]
fn a_held_request_takes_nothing() {
    let mut rig = Rig::new();
    rig.send(get("/hold"));
    assert!(!rig.burst(rig.last_serial(), &chunks(&["one"])));
    assert_eq!(rig.bytes(), b"");
    drop(rig.shelf.take_held());
}

/// What the system did not take waits, and what comes then waits behind it.
#[test]
fn a_reader_that_becomes_slow() {
    let limits = Limits { output_bytes: 20, queue_bytes: 100, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.open();
    rig.take_up_to(5);
    assert!(rig.burst(rig.last_serial(), &texts(&["one", "two", "three"])));
    assert_eq!((rig.frames(), rig.out_len()), (vec![(1, b"one".to_vec())], 12));
    for text in ["four", "five", "six", "seven"] {
        assert!(!rig.burst(rig.last_serial(), &texts(&[text])), "{text}");
    }
    assert_eq!(rig.out_len(), 24, "the last two are in the backlog");
    rig.unblock();
    let all: Vec<_> = rig.frames().into_iter().map(|(_, payload)| String::from_utf8(payload).unwrap()).collect();
    assert_eq!(all, ["two", "three", "four", "five", "six", "seven", "drained"]);
    rig.send(text_frame("echo"));
    assert_eq!(rig.frames(), [(1, b"echo".to_vec())]);
}

/// Together they are more than may wait, and so they are looked at one by one; a message alone may be as large as it is.
#[test]
fn more_than_the_output_may_hold() {
    let limits = Limits { output_bytes: 10, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.open();
    assert!(rig.burst(rig.last_serial(), &texts(&["one", "two"])), "10 bytes");
    assert!(!rig.burst(rig.last_serial(), &texts(&["one", "four"])), "11 bytes");
    assert!(rig.burst(rig.last_serial(), &texts(&["more than ten bytes"])));
    assert_eq!(rig.frames().len(), 5);
}
