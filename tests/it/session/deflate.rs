//! Compressed messages through a session: who shares bytes, and what waits for a slow reader.

use std::sync::Arc;

use pushlab::proto::Frame;
use pushlab::session::{Limits, Settings, SlowConsumer};

use super::rig::Rig;
use super::wire;
use crate::support::deflate::{Codec, deflated, inflated, noise, repetitive};

const BROWSER: &str = "permessage-deflate; client_max_window_bits";

/// Opens a WebSocket with this offer, and returns the answer to the offer.
fn open_on(rig: &mut Rig, path: &str, offer: &str) -> Option<String> {
    let request = wire::upgrade(path);
    rig.send(format!("{}Sec-WebSocket-Extensions: {offer}\r\n\r\n", request.strip_suffix("\r\n").unwrap()));
    let answer = rig.answers().remove(0);
    assert_eq!(answer.status, 101);
    rig.shelf.calls();
    answer.field("Sec-WebSocket-Extensions").map(str::to_owned)
}

fn open(path: &str, offer: &str) -> Rig {
    let mut rig = Rig::new();
    assert!(open_on(&mut rig, path, offer).is_some());
    rig
}

/// The frames of a server: the first byte, and the payload.
fn frames(rig: &mut Rig) -> Vec<(u8, Vec<u8>)> {
    let (bytes, mut frames) = (rig.bytes(), Vec::new());
    let mut rest = &bytes[..];
    while let [first, ..] = rest {
        // `wire::frames` knows no compressed frames, and one frame at a time has no others behind it.
        let (head, len) = match rest[1] {
            127 => (10, u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize),
            126 => (4, u16::from_be_bytes(rest[2..4].try_into().unwrap()).into()),
            len => (2, len.into()),
        };
        frames.push((*first, rest[head..head + len].to_vec()));
        rest = &rest[head + len..];
    }
    frames
}

#[test]
fn messages_both_ways() {
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let mut rig = Rig::new();
    assert_eq!(open_on(&mut rig, "/deflate", BROWSER).as_deref(), Some(both));
    let message = repetitive(2_000);
    rig.send(wire::frame(0xC1, &deflated(message.as_bytes())));
    rig.send(wire::frame(0xC2, &deflated(b"\xff\xfe")));
    rig.send(wire::text_frame("plain"));
    let echoed = frames(&mut rig);
    assert_eq!((echoed[0].0, &echoed[1], &echoed[2]), (0xC1, &(0x82, vec![0xFF, 0xFE]), &(0x81, b"plain".to_vec())));
    assert_eq!(inflated(&echoed[0].1), message.as_bytes());
    assert_eq!(rig.stats().messages_in, 3);
    assert_eq!(rig.shelf.calls(), [&format!("message {message}"), "binary 2", "message plain"]);
}

/// Off unless asked for, by both sides.
#[test]
fn without_an_agreement_nothing_changes() {
    let message = Frame::text(&repetitive(2_000));
    for (path, offer) in [("/ws", BROWSER), ("/deflate", "permessage-deflate; unknown"), ("/deflate", "x")] {
        let mut rig = Rig::new();
        assert_eq!(open_on(&mut rig, path, offer), None, "{path} {offer}");
        rig.shelf.pusher().push(&message);
        rig.deliver();
        assert_eq!(rig.bytes(), *message.wire());
        rig.send(wire::frame(0xC1, &deflated(b"x")));
        assert_eq!(rig.shelf.calls(), ["closed Remote(ReservedBits)"]);
        rig.bytes();
    }
}

/// One message, many WebSockets: the bytes are the same ones, as for WebSockets without compression.
#[test]
fn a_message_is_compressed_once_and_shared() {
    let letters: String = noise(10_000).into_iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    let frame = Frame::text(&letters);
    let open_all = |path, offer| [(); 3].map(|()| open(path, offer));
    let mut addresses = Vec::new();
    for offer in
        ["permessage-deflate", BROWSER, "permessage-deflate; server_max_window_bits=14", "permessage-deflate; server_max_window_bits=9"]
    {
        addresses.extend(open_all("/deflate", offer).iter_mut().map(|rig| rig.shared_address(&frame).expect("shared bytes")));
    }
    let window = |nth: usize| if nth < 6 { 0 } else { nth / 3 * 3 };
    assert!(addresses.iter().enumerate().all(|(nth, address)| *address == addresses[window(nth)]));
    assert!(addresses[0] != addresses[6] && addresses[0] != addresses[9] && addresses[6] != addresses[9], "one form for each window");
    let plain = open("/deflate", BROWSER).shared_address(&Frame::text("short")).is_some();
    assert!(plain, "a plain message is shared as before");
    let random = Frame::binary(&noise(10_000));
    let address = open("/deflate", BROWSER).shared_address(&random);
    assert_eq!(address, Some(random.wire_parts()[1].as_ptr()), "one that does not get smaller, too");
    assert_eq!(open("/takeover", BROWSER).shared_address(&frame), None, "a window of its own makes bytes of its own");
}

/// Messages one by one, several at once, and in two parts, to a WebSocket of each kind.
#[test]
fn pushed_messages_arrive_in_order() {
    let message = repetitive(1_500);
    let shared: Arc<[u8]> = repetitive(5_000).into_bytes().into();
    let whole = format!("own {}", repetitive(5_000));
    for path in ["/deflate", "/takeover"] {
        for _ in 0..2 {
            let mut rig = open(path, BROWSER);
            let mut codec = Codec::new(15);
            for round in 0..4 {
                let pusher = rig.shelf.pusher();
                let small = round.to_string();
                for frame in [
                    &Frame::text(&message),
                    &Frame::text(&small),
                    &Frame::text_in_parts("own ", &shared),
                    &Frame::chunk(message.as_bytes()),
                ] {
                    pusher.push(frame);
                }
                rig.deliver();
                let seen = frames(&mut rig).into_iter().map(|(first, payload)| match (first, path) {
                    (0x81, _) => payload,
                    (0xC1, "/deflate") => inflated(&payload),
                    (0xC1, _) => codec.inflate(&payload),
                    other => panic!("{other:?}"),
                });
                assert_eq!(
                    seen.collect::<Vec<_>>(),
                    [message.as_bytes(), small.as_bytes(), whole.as_bytes(), message.as_bytes()],
                    "{path}"
                );
            }
        }
    }
}

/// Several messages of one turn: those below the threshold stay one shared piece.
#[test]
fn bursts() {
    let mut rig = open("/deflate", BROWSER);
    let small = ["one", "two", "three"].map(Frame::text);
    assert!(rig.burst(rig.last_serial(), &small), "taken together");
    assert_eq!(frames(&mut rig).len(), 3);
    let large = [repetitive(300), repetitive(400)].map(|text| Frame::text(&text));
    assert!(!rig.burst(rig.last_serial(), &large));
    let seen: Vec<_> = frames(&mut rig).into_iter().map(|(first, payload)| (first, inflated(&payload).len())).collect();
    assert_eq!(seen, [(0xC1, 300), (0xC1, 400)]);
}

/// A queue counts messages at their plain size. With takeover, dropped messages are no part of the window.
#[test]
fn a_slow_reader() {
    for path in ["/deflate", "/takeover"] {
        let text = |number: usize| format!("{number}{}", repetitive(999));
        let limits = Limits { output_bytes: 10, queue_bytes: 4 * Frame::text(&text(0)).wire_len(), ..Limits::default() };
        let mut rig = Rig::with(Settings { limits, slow_consumer: SlowConsumer::DropOldest, ..Settings::default() });
        open_on(&mut rig, path, BROWSER);
        rig.block();
        for number in 0..9 {
            rig.shelf.pusher().push(&Frame::text(&text(number)));
        }
        rig.deliver();
        assert_eq!(rig.stats().dropped, 4, "{path}: one is on its way, and four fit");
        rig.unblock();
        let mut codec = Codec::new(15);
        let seen = frames(&mut rig).into_iter().filter(|(first, _)| *first == 0xC1);
        let seen: Vec<_> =
            seen.map(|(_, payload)| if path == "/takeover" { codec.inflate(&payload) } else { inflated(&payload) }).collect();
        assert!(seen == [0, 5, 6, 7, 8].map(|number| text(number).into_bytes()), "{path}");
    }
}

#[test]
fn a_shutdown_sends_what_waits_first() {
    let mut rig = open("/deflate", BROWSER);
    rig.block();
    let text = repetitive(1_000);
    rig.shelf.pusher().push(&Frame::text(&text));
    rig.deliver();
    rig.shut_down();
    rig.unblock();
    let frames = frames(&mut rig);
    assert_eq!((frames.len(), inflated(&frames[0].1).len()), (2, 1_000));
    let (first, close) = &frames[1];
    assert_eq!((*first, &close[..2]), (0x88, &1001_u16.to_be_bytes()[..]), "a control frame is never compressed");
}

#[test]
fn broken_messages() {
    for (sent, code, rule) in [
        (wire::frame(0xC1, b"\xff\xff"), 1007, "BadCompression"),
        (wire::frame(0xC1, &deflated(b"\xff")), 1007, "InvalidUtf8"),
        (wire::frame(0xC2, &deflated(&vec![0; 1024 * 1024 + 1])), 1009, "MessageTooLarge"),
        (wire::frame(0xC9, b""), 1002, "ReservedBits"),
        (wire::frame(0xC0, b""), 1002, "ReservedBits"),
    ] {
        for path in ["/deflate", "/takeover"] {
            let mut rig = open(path, BROWSER);
            rig.send([sent.clone(), wire::text_frame("late")].concat());
            let frames = frames(&mut rig);
            assert_eq!((frames.len(), frames[0].0, &frames[0].1[..2]), (1, 0x88, &u16::to_be_bytes(code)[..]), "{rule}");
            assert_eq!(rig.shelf.calls(), [format!("closed Remote({rule})")]);
        }
    }
}
