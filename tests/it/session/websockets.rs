//! A connection after its upgrade: messages, pings, the close handshake from either side.
//!
//! Covers: session::websocket, session::socket

use std::io::ErrorKind;
use std::time::Duration;

use pushlab::proto::{CloseReason, Frame, RemoteError};
use pushlab::session::{Command, Ending, Limits, Settings};

use super::rig::Rig;
use super::wire::{self, CLOSE, PING, PONG, close, close_frame, close_with, frame, text, text_frame};

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.open();
    rig.shelf.calls();
    rig
}

#[test]
fn messages_both_ways() {
    let mut rig = rig();
    rig.send([text_frame("one"), frame(0x82, &vec![0; 70_000]), frame(0x01, b"fr"), frame(0x80, b"ag")].concat());
    assert_eq!(rig.frames(), [text("one"), (2, vec![0; 70_000]), text("frag")]);
    rig.shelf.pusher().push(&Frame::text("pushed"));
    rig.shelf.pusher().push(&Frame::chunk(b"a chunk"));
    rig.shelf.pusher().push(&Frame::binary(b"\xff"));
    rig.deliver();
    assert_eq!(rig.frames(), [text("pushed"), text("a chunk"), (2, vec![0xff])]);
    assert_eq!(rig.shelf.calls(), ["message one", "binary 70000", "message frag"]);
    assert_eq!((rig.stats().messages_in, rig.stats().messages_out), (3, 6));
}

/// After a large message the next ones are expected to be as large: reads end where messages end, so that they need no
/// assembly. If the guess is wrong, nothing but the number of reads changes.
#[test]
fn reads_end_between_large_messages() {
    let mut rig = Rig::new();
    rig.buffer_bytes = 64 * 1024;
    rig.open();
    rig.reads();
    let large = frame(0x82, &vec![b'x'; 20_000]); // 20,008 bytes
    rig.send(large.repeat(10));
    assert_eq!(rig.reads(), [(65_536, 65_536), (54_512, 54_512), (60_024, 60_024), (60_024, 20_008)]);
    // Smaller ones, one that the room does not hold, and the large ones again, whose reads are not cut at first.
    rig.send([frame(0x82, &[b'x'; 9_000]).repeat(4), frame(0x82, &vec![b'x'; 100_000]), large.repeat(4)].concat());
    assert_eq!(rig.reads(), [(60_024, 60_024), (65_536, 65_536), (10_486, 10_486), (65_536, 65_536), (54_512, 14_496)]);
    let sizes = [20_000; 10].into_iter().chain([9_000; 4]).chain([100_000]).chain([20_000; 4]);
    let answers: Vec<usize> = rig.frames().into_iter().map(|(_, payload)| payload.len()).collect();
    assert_eq!(answers, sizes.collect::<Vec<_>>());
}

/// A large message that goes out again is written from the receive buffer: a head and a payload, without a copy. The
/// buffer is used again, so what the system does not take is copied.
#[test]
fn a_large_echo_is_not_copied() {
    let payload: Vec<u8> = (0..20_000_u32).map(|number| (number % 251) as u8).collect();
    let mut rig = rig();
    rig.buffer_bytes = 64 * 1024;
    rig.writes();
    rig.send(frame(0x82, &payload).repeat(2));
    assert_eq!((rig.writes(), rig.frames()), (vec![4], vec![(2, payload.clone()); 2]));
    // Small messages are copied into one piece, at whichever size they are read.
    rig.send([frame(0x82, &payload[..2_048]), text_frame("small")].concat());
    assert_eq!((rig.writes(), rig.frames()), (vec![1], vec![(2, payload[..2_048].to_vec()), text("small")]));
    for taken in [0, 1, 4, 5, 10_000, 20_004, 20_005, 30_000] {
        rig.take_only(taken);
        rig.send(frame(0x82, &payload).repeat(2));
        // This overwrites the buffer while the rest of the echoes waits.
        rig.send(text_frame("behind them"));
        rig.unblock();
        assert_eq!(rig.frames(), [(2, payload.clone()), (2, payload.clone()), text("behind them")], "{taken}");
    }
}

/// A write that fails gives the receive buffer back, too, and one that was interrupted begins again.
#[test]
fn a_failed_write_of_a_large_echo() {
    let payload = vec![b'x'; 20_000];
    for (kind, end) in [(ErrorKind::ConnectionReset, Some(CloseReason::Transport)), (ErrorKind::Interrupted, None)] {
        let mut rig = rig();
        rig.buffer_bytes = 64 * 1024;
        rig.break_write(kind);
        assert_eq!(rig.send_and_look(frame(0x82, &payload)), end, "{kind:?}");
        let echoes = if end.is_none() { vec![(2, payload.clone())] } else { vec![] };
        assert_eq!(rig.frames(), echoes, "{kind:?}");
        // The payload was in the receive buffer, which the output has no more.
        assert!(rig.output().len() < 16, "{kind:?}");
    }
}

/// Short messages of one read are handled in one batch. It ends at a message that ends the connection, with the answers
/// to those before.
#[test]
fn a_batch_of_short_messages_ends_early() {
    let cases = [
        (text_frame("close 1000"), "message close 1000", vec![close_with(1000, "bye")]),
        (frame(0x81, b"\xff"), "closed Remote(InvalidUtf8)", vec![close_with(1007, &RemoteError::InvalidUtf8.to_string())]),
        (frame(0x82, &[0; 126]), "binary 126", vec![(2, vec![0; 126]), text("late")]),
    ];
    for (third, call, answers) in cases {
        let mut rig = rig();
        rig.send([text_frame("one"), text_frame(""), third, text_frame("late")].concat());
        let frames = rig.frames();
        assert_eq!(frames[..2], [text("one"), text("")], "{call}");
        assert_eq!(frames[2..], answers, "{call}");
        let calls = rig.shelf.calls();
        assert_eq!(calls[..3], ["message one", "message ", call]);
        assert_eq!(calls.contains(&"message late".to_owned()), call == "binary 126");
    }
}

/// The bound of the output holds within a batch, too.
#[test]
fn a_batch_of_short_messages_stops_when_the_output_is_full() {
    let limits = Limits { output_bytes: 300, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.open();
    rig.block();
    rig.send(text_frame(&"x".repeat(98)).repeat(10));
    assert_eq!((rig.out_len(), rig.stats().messages_in), (300, 3));
    rig.unblock();
    assert_eq!(rig.frames(), vec![text(&"x".repeat(98)); 10]);
    assert_eq!((rig.stats().messages_in, rig.stats().messages_out), (10, 10));
}

#[test]
fn a_ping_is_answered() {
    let mut rig = rig();
    rig.send(frame(0x89, b"are you there?"));
    assert_eq!(rig.frames(), [(PONG, b"are you there?".into())]);
    assert_eq!(rig.shelf.calls(), [""; 0]);
}

/// RFC 6455, section 5.5.2 wants an answer for each, and section 10.4 wants this side to protect itself.
#[test]
fn a_flood_of_pings_that_reads_nothing_waits() {
    let limits = Limits { output_bytes: 1_000, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.open();
    rig.block();
    let ping = frame(0x89, &[b'x'; 100]);
    for _ in 0..50 {
        rig.send(ping.repeat(20));
        assert!(rig.out_len() <= 1_000 + 102, "{} bytes of pongs wait", rig.out_len());
    }
    assert!(!rig.wants_read(), "nothing more is read from such a peer");
    rig.unblock();
    assert_eq!(rig.frames(), vec![(PONG, vec![b'x'; 100]); 1_000]);
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let mut rig = rig();
    rig.pass(Duration::from_millis(24_999));
    assert_eq!(rig.frames(), []);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.frames(), [(PING, vec![])]);
    rig.pass(Duration::from_millis(19_999));
    assert_eq!(rig.ending(), None);
    rig.pass(Duration::from_millis(1));
    assert_eq!((rig.ending(), rig.stats().remote_errors), (Some(Ending::Abort), 1));
    assert_eq!(rig.shelf.calls(), ["closed Remote(Silent)"]);
}

#[test]
fn whatever_comes_counts_as_alive() {
    let signs: [(&str, Vec<u8>); 4] = [
        ("pong", frame(0x8a, b"")),
        ("ping", frame(0x89, b"")),
        ("message", text_frame("x")),
        ("part of a frame", frame(0x81, b"part")[..8].to_vec()),
    ];
    for (name, sign) in signs {
        let mut rig = rig();
        rig.pass_secs(25);
        assert_eq!(rig.frames(), [(PING, vec![])]);
        rig.pass_secs(19);
        rig.send(&sign);
        rig.bytes();
        rig.pass_secs(5);
        assert_eq!((rig.frames(), rig.ending()), (vec![], None), "{name}");
        rig.pass_secs(1);
        assert_eq!(rig.frames(), [(PING, vec![])], "{name}: 25 s after the first ping");
        rig.pass_secs(20);
        assert_eq!(rig.ending(), Some(Ending::Abort), "{name}: what came before the ping does not count");
    }
}

#[test]
fn what_came_long_ago_and_says_nothing_yet_does_not_count() {
    let mut rig = rig();
    rig.send([0x81]);
    rig.pass_secs(45);
    assert_eq!(rig.ending(), Some(Ending::Abort), "the first byte of a head waits to be given again, and that is no sign of life");
}

#[test]
fn heartbeats_shorter_than_the_time_for_an_answer_and_none() {
    let limits = Limits { heartbeat: Some(Duration::from_secs(2)), pong_timeout: Duration::from_secs(10), ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.open();
    rig.pass_secs(2);
    rig.send(frame(0x8a, b""));
    assert_eq!(rig.frames(), [(PING, vec![])]);
    rig.pass_secs(10);
    assert_eq!((rig.frames(), rig.ending()), (vec![(PING, vec![])], None));

    let mut rig = Rig::with(Settings { limits: Limits { heartbeat: None, ..Limits::default() }, ..Settings::default() });
    rig.open();
    rig.pass_secs(100_000);
    assert_eq!((rig.due_secs(), rig.ending(), rig.text().as_str()), (None, None, ""));
}

#[test]
fn a_peer_that_still_takes_output_is_not_given_up() {
    let mut rig = rig();
    rig.block();
    rig.shelf.pusher().push(&Frame::binary(&vec![0; 1_000_000]));
    rig.deliver();
    for _ in 0..100 {
        rig.take_up_to(5_000);
        rig.pass_secs(1);
    }
    assert_eq!(rig.ending(), None, "the ping is still behind half of the message");
    rig.unblock();
    assert_eq!(rig.frames().len(), 2);
    rig.pass_secs(19);
    assert_eq!(rig.ending(), None, "now it has the ping, and the whole time for its answer");
    rig.pass_secs(1);
    assert_eq!(rig.ending(), Some(Ending::Abort));
}

/// With threads the output that is being written is out of the session's sight.
#[test]
fn a_peer_is_not_given_up_while_output_is_on_its_way_to_it() {
    let mut rig = rig();
    rig.pass_secs(25);
    assert_eq!(rig.frames(), [(PING, vec![])]);
    rig.block();
    rig.apply(rig.last_serial(), Command::Send(Frame::text("x")));
    let lent = rig.lend();
    rig.pass_secs(100);
    assert_eq!(rig.ending(), None, "the ping may be behind what is written");
    rig.give_back(lent);
    rig.unblock();
    rig.pass_secs(20);
    assert_eq!(rig.ending(), Some(Ending::Abort));
}

#[test]
fn the_peer_closes() {
    for (sent, code) in [(close_frame(1000), 1000), (close_frame(4711), 4711), (frame(0x88, b""), 1005)] {
        let mut rig = rig();
        rig.send(&sent);
        let echo = if code == 1005 { (CLOSE, vec![]) } else { close(code) };
        assert_eq!((rig.frames(), rig.ending()), (vec![echo], Some(Ending::Flush)));
        assert_eq!(rig.shelf.calls(), [format!("closed Peer({code})")]);
        assert_eq!(rig.stats().remote_errors, 0);
    }
    let mut rig = rig();
    rig.send([close_frame(1000), text_frame("late")].concat());
    assert_eq!((rig.frames(), rig.ending()), (vec![close(1000)], Some(Ending::Linger)));
}

#[test]
fn the_handler_closes() {
    let mut rig = rig();
    rig.send([text_frame("close 4000"), text_frame("ignored"), text_frame("close 4001")].concat());
    assert_eq!(rig.frames(), [(CLOSE, b"\x0f\xa0bye".into())]);
    assert_eq!((rig.ending(), rig.due_secs()), (None, Some(5)));
    rig.shelf.pusher().push(&Frame::text("too late"));
    rig.shelf.pusher().close(1000);
    rig.deliver();
    assert_eq!(rig.frames(), []);
    rig.send(close_frame(4000));
    assert_eq!((rig.ending(), rig.frames()), (Some(Ending::Flush), vec![]));
    assert_eq!(rig.shelf.calls(), ["message close 4000", "Ok(())", "closed Local(4000)"]);
}

#[test]
fn a_pusher_closes_and_the_first_code_counts() {
    let mut rig = rig();
    rig.shelf.pusher().push(&Frame::text("last"));
    rig.shelf.pusher().close(3000);
    rig.shelf.pusher().push(&Frame::text("too late"));
    rig.shelf.pusher().close(3001);
    rig.deliver();
    assert_eq!(rig.frames(), [text("last"), close(3000)]);
    rig.send(close_frame(3000));
    assert_eq!(rig.shelf.calls(), ["closed Local(3000)"]);
}

#[test]
fn the_end_of_a_pusher_is_the_normal_closure() {
    let mut rig = rig();
    rig.shelf.pusher().push(&Frame::text("last"));
    rig.shelf.pusher().end();
    rig.deliver();
    assert_eq!(rig.frames(), [text("last"), close(1000)]);
    assert_eq!(rig.stats().local_errors, 0);
}

#[test]
fn a_peer_that_does_not_answer_the_close() {
    let mut rig = rig();
    rig.shelf.pusher().close(1000);
    rig.deliver();
    rig.pass(Duration::from_millis(4_999));
    rig.send(text_frame("not a close frame"));
    assert_eq!(rig.ending(), None);
    rig.pass(Duration::from_millis(1));
    assert_eq!((rig.ending(), rig.stats().remote_errors), (Some(Ending::Abort), 1));
    assert_eq!(rig.shelf.calls(), ["closed Remote(Silent)"]);
}

#[test]
fn a_code_that_must_not_be_sent() {
    let mut rig = rig();
    rig.send(text_frame("close 1006"));
    assert_eq!((rig.frames(), rig.shelf.calls().pop().as_deref()), (vec![], Some("Err(BadCloseCode)")));
    rig.shelf.pusher().close(1005);
    rig.deliver();
    assert_eq!((rig.frames(), rig.stats().local_errors), (vec![close(1000)], 1));
}

#[test]
fn broken_frames() {
    for (sent, code) in [
        (b"\x81\x01x".to_vec(), 1002),
        (frame(0xc1, b"x"), 1002),
        (frame(0x83, b"x"), 1002),
        (frame(0x81, b"\xff"), 1007),
        (frame(0x82, &vec![0; 1024 * 1024 + 1]), 1009),
        (frame(0x80, b"x"), 1002),
        (close_frame(1006), 1002),
    ] {
        let mut rig = rig();
        rig.send([sent.clone(), text_frame("late")].concat());
        let frames = rig.frames();
        assert_eq!((frames.len(), frames[0].0, &frames[0].1[..2]), (1, CLOSE, &u16::to_be_bytes(code)[..]));
        assert_eq!((rig.ending(), rig.input_len(), rig.stats().remote_errors), (Some(Ending::Linger), 0, 1));
        let calls = rig.shelf.calls();
        assert!(calls.len() == 1 && calls[0].starts_with("closed Remote("), "{calls:?}");
    }
}

#[test]
fn an_end_of_file_without_a_close_frame() {
    let mut rig = rig();
    rig.eof();
    assert_eq!((rig.ending(), rig.shelf.calls()), (Some(Ending::Abort), vec!["closed Peer(1006)".to_owned()]));
}

#[test]
fn the_driver_lets_go() {
    let mut rig = rig();
    rig.close(CloseReason::WriteStalled);
    assert_eq!((rig.shelf.calls(), rig.stats().write_stalls), (vec!["closed WriteStalled".to_owned()], 1));
    assert_eq!(rig.shelf.alive(), 0);
}

#[test]
fn a_release_is_nothing_to_a_websocket() {
    let mut rig = rig();
    rig.apply(rig.last_serial(), Command::Release(None));
    assert_eq!((rig.text().as_str(), rig.ending()), ("", None));
}

/// A pusher wakes the handler as written output does, but not before messages that wait, and not
/// after the close.
#[test]
fn a_handler_is_woken() {
    let mut rig = Rig::new();
    rig.send(wire::upgrade("/ws"));
    rig.deliver();
    rig.shelf.calls();
    rig.shelf.pusher().wake();
    rig.deliver();
    assert_eq!(rig.shelf.calls(), ["drained"]);
    let pusher = rig.shelf.pusher();
    pusher.close(1000);
    pusher.wake();
    rig.deliver();
    assert!(rig.shelf.calls().is_empty(), "the connection closes");
}
