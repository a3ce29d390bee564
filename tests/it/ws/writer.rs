//! What the server sends: RFC 6455, sections 5.5, 5.7, 6.1 and 7.1.
//!
//! Covers: proto::ws::writer

use pushlab::proto::ws::{FrameHead, Opcode, Writer};
use pushlab::proto::{Frame, LocalError, Outbox, RemoteError};

fn output(out: &Outbox) -> Vec<u8> {
    out.chunks().collect::<Vec<_>>().concat()
}

#[test]
fn messages_of_all_sizes_are_one_unmasked_frame() {
    for len in [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000] {
        let (mut writer, mut out) = (Writer::new(), Outbox::new());
        let payload = vec![b'x'; len];
        writer.send_binary(&payload, &mut out).unwrap();
        writer.send_text(str::from_utf8(&payload).unwrap(), &mut out).unwrap();
        let mut wire = output(&out);
        for opcode in [Opcode::Binary, Opcode::Text] {
            let (head_len, head) = FrameHead::decode(&wire).unwrap().unwrap();
            assert_eq!(head, FrameHead::server(opcode, len as u64));
            assert_eq!(wire[head_len..head_len + len], payload);
            wire.drain(..head_len + len);
        }
        assert!(wire.is_empty());
    }
}

#[test]
fn shared_frames_are_sent_as_they_are_or_encoded_again() {
    let large = "x".repeat(5000);
    let table = [
        (Frame::text("tick"), b"\x81\x04tick".to_vec()),
        (Frame::binary(b"\x00\xff"), b"\x82\x02\x00\xff".to_vec()),
        (Frame::chunk(b"tick"), b"\x81\x04tick".to_vec()),
        (Frame::chunk(b"\xff"), b"\x82\x01\xff".to_vec()),
        (Frame::text(&large), [b"\x81\x7e\x13\x88", large.as_bytes()].concat()),
        (Frame::chunk(large.as_bytes()), [b"\x81\x7e\x13\x88", large.as_bytes()].concat()),
    ];
    for (frame, wire) in &table {
        let (mut writer, mut out) = (Writer::new(), Outbox::new());
        writer.send_frame(frame, &mut out).unwrap();
        assert_eq!(output(&out), *wire);
    }
    let (mut writer, mut out) = (Writer::new(), Outbox::new());
    writer.send_frame(&table[4].0, &mut out).unwrap();
    assert_eq!(out.capacity(), 0, "a large frame is shared, not copied");
}

#[test]
fn pings_at_the_limit_and_one_past_it() {
    let (mut writer, mut out) = (Writer::new(), Outbox::new());
    assert_eq!(writer.send_ping(&[7; 126], &mut out), Err(LocalError::BadCloseCode));
    assert!(out.is_empty());
    writer.send_ping(&[7; 125], &mut out).unwrap();
    assert_eq!(output(&out), [&[0x89, 125][..], &[7; 125]].concat());
}

#[test]
fn nothing_is_sent_after_a_close() {
    let (mut writer, mut out) = (Writer::new(), Outbox::new());
    assert!(!writer.is_closing() && !writer.close_sent());
    writer.send_close(1001, "going", &mut out).unwrap();
    assert!(writer.is_closing() && writer.close_sent() && !writer.close_received() && !writer.is_closed());
    let wrong = Err(LocalError::WrongState);
    assert_eq!(writer.send_text("x", &mut out), wrong);
    assert_eq!(writer.send_binary(b"x", &mut out), wrong);
    assert_eq!(writer.send_ping(b"x", &mut out), wrong);
    assert_eq!(writer.send_close(1000, "", &mut out), wrong);
    for frame in [Frame::text("x"), Frame::binary(b"x"), Frame::chunk(b"x")] {
        assert_eq!(writer.send_frame(&frame, &mut out), wrong);
    }
    writer.fail(RemoteError::InvalidUtf8, &mut out);
    assert_eq!(output(&out), b"\x88\x07\x03\xe9going");
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let table = [
        ("x".repeat(123), 123),
        ("x".repeat(124), 123),
        ("ω".repeat(62), 122),
        (format!("x{}", "ω".repeat(61)), 123),
        ("😀".repeat(40), 120),
    ];
    for (reason, len) in table {
        let (mut writer, mut out) = (Writer::new(), Outbox::new());
        writer.send_close(4000, &reason, &mut out).unwrap();
        assert_eq!(output(&out), [&[0x88, 2 + len as u8, 0x0F, 0xA0], &reason.as_bytes()[..len]].concat());
    }
}

#[test]
fn a_failure_names_its_code_and_rule() {
    let table = [
        (RemoteError::ReservedBits, 1002),
        (RemoteError::InvalidUtf8, 1007),
        (RemoteError::TooManyFragments, 1008),
        (RemoteError::MessageTooLarge, 1009),
    ];
    for (error, code) in table {
        let (mut writer, mut out) = (Writer::new(), Outbox::new());
        writer.fail(error, &mut out);
        let wire = output(&out);
        assert_eq!(wire[..2], [0x88, wire.len() as u8 - 2]);
        assert_eq!(u16::from_be_bytes([wire[2], wire[3]]), code);
        assert_eq!(str::from_utf8(&wire[4..]).unwrap(), error.to_string());
        assert!(writer.close_sent());
    }
}
