//! Frames in their wire form.
//!
//! Covers: proto::frame

use std::sync::Arc;

use pushlab::proto::sse::Event;
use pushlab::proto::{Frame, FrameKind, LocalError};

fn check(frame: &Frame, kind: FrameKind, before: &[u8], payload: &[u8], after: &[u8]) {
    assert_eq!(frame.kind(), kind);
    assert!(frame.payload() == payload, "{} bytes of payload", payload.len());
    assert_eq!(&frame.wire()[..before.len()], before);
    assert!(frame.wire() == [before, payload, after].concat(), "{} bytes of payload", payload.len());
}

#[test]
fn a_chunk_has_its_size_in_hexadecimal() {
    check(&Frame::chunk(b"x"), FrameKind::Chunk, b"1\r\n", b"x", b"\r\n");
    check(&Frame::chunk(&[7; 255]), FrameKind::Chunk, b"ff\r\n", &[7; 255], b"\r\n");
    let large = vec![7; 65_536];
    check(&Frame::chunk(&large), FrameKind::Chunk, b"10000\r\n", &large, b"\r\n");
    check(&Frame::chunk(b"\r\n0\r\n\r\n"), FrameKind::Chunk, b"7\r\n", b"\r\n0\r\n\r\n", b"\r\n");
}

#[test]
fn an_empty_chunk_does_not_end_the_body() {
    check(&Frame::chunk(b""), FrameKind::Chunk, b"", b"", b"");
}

#[test]
fn an_event_is_a_chunk() {
    let frame = Frame::event(&Event::data("tick").id("7")).unwrap();
    check(&frame, FrameKind::Chunk, b"12\r\n", b"id: 7\ndata: tick\n\n", b"\r\n");
    check(&Frame::event(&Event::data("")).unwrap(), FrameKind::Chunk, b"7\r\n", b"data:\n\n", b"\r\n");
    assert_eq!(Frame::event(&Event::data("tick").id("\n")).err(), Some(LocalError::BadEvent));
}

#[test]
fn a_message_has_its_length_in_the_shortest_form() {
    for (length, head) in [
        (0, &[0x00][..]),
        (1, &[0x01]),
        (125, &[0x7D]),
        (126, &[0x7E, 0, 126]),
        (65_535, &[0x7E, 0xFF, 0xFF]),
        (65_536, &[0x7F, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let payload = "x".repeat(length);
        check(&Frame::text(&payload), FrameKind::Text, &[&[0x81], head].concat(), payload.as_bytes(), b"");
        check(&Frame::binary(payload.as_bytes()), FrameKind::Binary, &[&[0x82], head].concat(), payload.as_bytes(), b"");
    }
}

#[test]
fn a_clone_shares_the_bytes() {
    let frame = Frame::text("shared");
    assert_eq!(frame.clone().wire().as_ptr(), frame.wire().as_ptr());
}

#[test]
fn a_message_of_two_parts_shares_the_second() {
    for (own, rest) in [(1, 0), (60, 65), (60, 66), (0, 10), (10, 2_048), (10, 2_049), (100, 65_435), (100, 65_436)] {
        let (first, shared) = ("a".repeat(own), Arc::<[u8]>::from("b".repeat(rest).into_bytes()));
        let payload = format!("{first}{}", "b".repeat(rest));
        for (whole, frame) in [
            (Frame::text(&payload), Frame::text_in_parts(&first, &shared)),
            (Frame::binary(payload.as_bytes()), Frame::binary_in_parts(first.as_bytes(), &shared)),
        ] {
            assert_eq!((frame.kind(), frame.wire_len(), frame.payload_len()), (whole.kind(), whole.wire_len(), payload.len()));
            assert!(frame.wire() == whole.wire() && frame.payload() == whole.payload(), "{own} and {rest} bytes");
            assert_eq!(frame.wire_parts()[1].as_ptr() == shared.as_ptr(), rest > 2_048, "up to 2 KiB are copied");
            assert_eq!(whole.wire_parts()[0], b"");
        }
    }
}
