//! Compressed messages to a client, and the compressed form that WebSockets share.
//!
//! Covers: proto::ws::deflate, proto::ws::pool

use std::sync::Arc;

use pushlab::Deflate;
use pushlab::proto::ws::{Agreement, FrameHead, Writer};
use pushlab::proto::{Frame, Outbox};

use crate::support::deflate::{Codec, inflated, inflated_with, noise, repetitive};

fn agree(config: Deflate, offer: &str) -> Agreement {
    config.agree([offer.as_bytes()]).unwrap()
}

fn writer(config: Deflate, offer: &str) -> Writer {
    Writer::with_agreement(Some(agree(config, offer)))
}

fn plain_offer(config: Deflate) -> Writer {
    writer(config, "permessage-deflate")
}

fn sent(out: &Outbox) -> Vec<u8> {
    out.chunks().collect::<Vec<_>>().concat()
}

/// The frames of a server: the first byte, and the payload.
fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut rest, mut frames) = (bytes, Vec::new());
    while let [first, ..] = rest {
        let plain = [&[first & !0x40][..], &rest[1..]].concat();
        let (head_len, head) = FrameHead::decode(&plain).unwrap().unwrap();
        let end = head_len + usize::try_from(head.payload_len).unwrap();
        frames.push((*first, rest[head_len..end].to_vec()));
        rest = &rest[end..];
    }
    frames
}

/// The one frame that `send` makes.
fn one(writer: &mut Writer, send: impl FnOnce(&mut Writer, &mut Outbox)) -> (u8, Vec<u8>) {
    let mut out = Outbox::new();
    send(writer, &mut out);
    let [frame] = &frames(&sent(&out))[..] else { panic!("one frame") };
    frame.clone()
}

fn text(writer: &mut Writer, text: &str) -> (u8, Vec<u8>) {
    one(writer, |writer, out| writer.send_text(text, out).unwrap())
}

#[test]
fn a_message_is_compressed_if_that_makes_it_smaller() {
    let message = repetitive(5_000);
    let mut writer = plain_offer(Deflate::default());
    let (first, payload) = text(&mut writer, &message);
    assert!(first == 0xC1 && payload.len() < 1_000 && inflated(&payload) == message.as_bytes(), "{} bytes", payload.len());
    let (first, payload) = one(&mut writer, |writer, out| writer.send_binary(message.as_bytes(), out).unwrap());
    assert!(first == 0xC2 && inflated(&payload) == message.as_bytes());
    let noise = noise(5_000);
    assert_eq!(one(&mut writer, |writer, out| writer.send_binary(&noise, out).unwrap()), (0x82, noise), "it would not get smaller");
    for opcode in [0x89_u8, 0x88] {
        let ping = |writer: &mut Writer, out: &mut Outbox| writer.send_ping(&[b'x'; 125], out).unwrap();
        let close = |writer: &mut Writer, out: &mut Outbox| writer.send_close(1000, &"x".repeat(123), out).unwrap();
        let (first, payload) = if opcode == 0x89 { one(&mut writer, ping) } else { one(&mut writer, close) };
        assert_eq!((first, payload.len()), (opcode, 125), "control frames are never compressed");
    }
}

#[test]
fn the_threshold() {
    for threshold_bytes in [0, 1, 100, 256, 65_535, 100_000] {
        let mut writer = plain_offer(Deflate { threshold_bytes, ..Deflate::default() });
        let counts = threshold_bytes.min(65_535);
        for len in [counts.saturating_sub(1), counts, counts + 1] {
            let (first, payload) = text(&mut writer, &"x".repeat(len));
            // A few bytes cannot get smaller.
            let expected = if len >= counts && len > 8 { 0xC1 } else { 0x81 };
            if (4..=8).contains(&len) {
                continue;
            }
            assert_eq!(first, expected, "{len} bytes, threshold {threshold_bytes}");
            assert!(first == 0x81 || inflated(&payload) == "x".repeat(len).as_bytes());
        }
    }
    let mut writer = plain_offer(Deflate { threshold_bytes: 0, ..Deflate::default() });
    assert_eq!(text(&mut writer, ""), (0x81, vec![]));
}

/// Each level and window, against an inflater with just that window.
#[test]
fn windows_and_levels() {
    let message = repetitive(70_000);
    for bits in 9..=15 {
        for level in [0, 1, 6, 9] {
            let config = Deflate { level, ..Deflate::default() };
            let mut writer = writer(config, &format!("permessage-deflate; server_max_window_bits={bits}"));
            let (first, payload) = text(&mut writer, &message);
            assert_eq!(first, if level == 0 { 0x81 } else { 0xC1 }, "level 0 does not make it smaller");
            assert!(level == 0 || inflated_with(bits, &payload) == message.as_bytes(), "{bits} bits, level {level}");
        }
    }
}

/// With takeover, a message that was sent before is a few bytes, and one that goes out plain is no part of the window.
#[test]
fn context_takeover() {
    let config = Deflate { server_context_takeover: true, ..Deflate::default() };
    let (mut writer, mut codec) = (plain_offer(config), Codec::new(15));
    let message = String::from_utf8(noise(3_000).into_iter().map(|byte| b'a' + byte % 26).collect()).unwrap();
    let sizes: Vec<_> = (0..3)
        .map(|_| {
            let (first, payload) = text(&mut writer, &message);
            assert!(first == 0xC1 && codec.inflate(&payload) == message.as_bytes());
            payload.len()
        })
        .collect();
    assert!(sizes[0] > 1_500 && sizes[1] < 100 && sizes[2] < 100, "{sizes:?}");
    let random = noise(2_000);
    assert_eq!(one(&mut writer, |writer, out| writer.send_binary(&random, out).unwrap()), (0x82, random));
    let (first, payload) = text(&mut writer, &message);
    assert!(first == 0xC1 && codec.inflate(&payload) == message.as_bytes(), "the client's window has no plain message");
    // Frames take part in the same window.
    for frame in [Frame::text(&message), Frame::text_in_parts(&message[..10], &Arc::from(&message.as_bytes()[10..]))] {
        let (first, payload) = one(&mut writer, |writer, out| writer.send_frame(&frame, out).unwrap());
        assert!(first == 0xC1 && payload.len() < 100 && codec.inflate(&payload) == message.as_bytes(), "{} bytes", payload.len());
    }
    let mut declined = writer_that_declines(config);
    let sizes = [0; 2].map(|_| text(&mut declined, &message).1.len());
    assert_eq!(sizes[0], sizes[1], "the client wants no takeover");
}

fn writer_that_declines(config: Deflate) -> Writer {
    writer(config, "permessage-deflate; server_no_context_takeover")
}

/// The address of the large piece that a frame puts into an outbox.
fn address(writer: &mut Writer, frame: &Frame) -> *const u8 {
    let mut out = Outbox::new();
    writer.send_frame(frame, &mut out).unwrap();
    let chunks: Vec<_> = out.chunks().collect();
    assert_eq!(chunks.len(), 1, "one piece");
    chunks[0].as_ptr()
}

/// All WebSockets with the same window send the same bytes, also those that sent a clone.
#[test]
fn a_frame_is_compressed_once() {
    let noisy: Vec<u8> = noise(40_000).into_iter().map(|byte| b'a' + byte % 26).collect();
    for frame in [
        Frame::binary(&noisy),
        Frame::text(std::str::from_utf8(&noisy).unwrap()),
        Frame::binary_in_parts(&noisy[..100], &Arc::from(&noisy[100..])),
    ] {
        let clone = frame.clone();
        let first = address(&mut plain_offer(Deflate::default()), &frame);
        for config in [Deflate::default(), Deflate { level: 1, ..Deflate::default() }] {
            assert_eq!(address(&mut plain_offer(config), &frame), first);
            assert_eq!(address(&mut plain_offer(config), &clone), first);
        }
        let smaller = |bits: u8| writer(Deflate::default(), &format!("permessage-deflate; server_max_window_bits={bits}"));
        let others = [9, 10, 14].map(|bits| address(&mut smaller(bits), &frame));
        assert!(others.iter().all(|other| *other != first), "another window is another form");
        assert_eq!([9, 10, 14].map(|bits| address(&mut smaller(bits), &clone)), others);
        let (first, payload) = one(&mut smaller(10), |writer, out| writer.send_frame(&frame, out).unwrap());
        assert!(first & 0x40 != 0 && inflated_with(10, &payload) == noisy);
        let plain = Frame::binary(&noisy).wire_len();
        assert_eq!(frame.wire_len(), plain, "the frame itself stays as it is");
    }
}

#[test]
fn frames_that_stay_plain() {
    let small = Frame::text(&"x".repeat(255));
    let noise = Frame::binary(&noise(1_000));
    let mut writer = plain_offer(Deflate::default());
    for frame in [small, noise] {
        let mut out = Outbox::new();
        writer.send_frame(&frame, &mut out).unwrap();
        assert_eq!(sent(&out), *frame.wire());
    }
    // A chunk is encoded for each WebSocket by itself.
    let chunk = Frame::chunk(repetitive(1_000).as_bytes());
    let (first, payload) = one(&mut writer, |writer, out| writer.send_frame(&chunk, out).unwrap());
    assert!(first == 0xC1 && inflated(&payload) == *chunk.payload());
}

/// Compressors and inflaters are shared by all connections of the process. No message sees what another one left.
#[test]
fn many_connections_at_once() {
    std::thread::scope(|scope| {
        for nth in 0..8_u8 {
            scope.spawn(move || {
                for round in 0..50_u8 {
                    let offer = format!("permessage-deflate; server_max_window_bits={}", 9 + (nth + round) % 7);
                    let mut writer = writer(Deflate { level: 1 + nth % 3, ..Deflate::default() }, &offer);
                    let message = format!("{nth}{round}{}", repetitive(500 + usize::from(round)));
                    let (first, payload) = text(&mut writer, &message);
                    assert!(first == 0xC1 && inflated_with(9, &payload) == message.as_bytes());
                    let random = noise(400);
                    assert_eq!(one(&mut writer, |writer, out| writer.send_binary(&random, out).unwrap()), (0x82, random));
                }
            });
        }
    });
}
