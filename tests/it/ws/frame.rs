//! Frame heads: RFC 6455, sections 5.2 and 5.7.
//!
//! Covers: proto::ws::frame

use pushlab::proto::RemoteError::{self, BadControlFrame, BadPayloadLength, ReservedBits, ReservedOpcode, UnmaskedFrame};
use pushlab::proto::ws::{FrameHead, Opcode};

use super::peer::{Seen, run, seen};

#[test]
fn examples_of_the_rfc() {
    // A single-frame masked text message.
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(run(&hello), (vec![Seen::Text("Hello".into())], vec![]));
    // Unmasked frames, as a client reads them.
    let table: &[(&[u8], usize, FrameHead)] = &[
        (&[0x81, 0x05], 2, FrameHead::server(Opcode::Text, 5)),
        (&[0x01, 0x03], 2, FrameHead { fin: false, ..FrameHead::server(Opcode::Text, 3) }),
        (&[0x80, 0x02], 2, FrameHead::server(Opcode::Continuation, 2)),
        (&[0x89, 0x05], 2, FrameHead::server(Opcode::Ping, 5)),
        (&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d], 6, FrameHead::client(Opcode::Pong, 5, [0x37, 0xfa, 0x21, 0x3d])),
        (&[0x82, 0x7E, 0x01, 0x00], 4, FrameHead::server(Opcode::Binary, 256)),
        (&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0], 10, FrameHead::server(Opcode::Binary, 65536)),
    ];
    for (bytes, len, head) in table {
        assert_eq!(FrameHead::decode(bytes), Ok(Some((*len, *head))), "{bytes:x?}");
        assert_eq!(*head.encode(), **bytes);
    }
}

#[test]
fn every_length_form_goes_both_ways() {
    for len in [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, u64::from(u32::MAX), u64::MAX >> 1] {
        for head in [FrameHead::server(Opcode::Binary, len), FrameHead::client(Opcode::Text, len, *b"mask")] {
            let wire = head.encode();
            assert_eq!(FrameHead::decode(&wire), Ok(Some((wire.len(), head))));
            for short in 0..wire.len() {
                assert_eq!(FrameHead::decode(&wire[..short]), Ok(None), "{short} bytes of {wire:x?}");
            }
            let expected = if head.mask.is_some() { Ok(Some((wire.len(), head))) } else { Err(UnmaskedFrame) };
            assert_eq!(FrameHead::decode_client(&wire), expected);
        }
    }
}

#[test]
fn broken_rules_are_found_at_the_first_byte_that_breaks_them() {
    let table: &[(&[u8], RemoteError)] = &[
        (&[0xC1], ReservedBits),
        (&[0xA1], ReservedBits),
        (&[0x91], ReservedBits),
        (&[0x70], ReservedBits),
        (&[0x83], ReservedOpcode),
        (&[0x07], ReservedOpcode),
        (&[0x8B], ReservedOpcode),
        (&[0x8F], ReservedOpcode),
        (&[0x08], BadControlFrame),
        (&[0x09], BadControlFrame),
        (&[0x0A], BadControlFrame),
        (&[0x88, 0xFE], BadControlFrame),
        (&[0x89, 0xFF], BadControlFrame),
        (&[0x8A, 0xFE], BadControlFrame),
        (&[0x81, 0xFE, 0, 125], BadPayloadLength),
        (&[0x82, 0xFE, 0, 0], BadPayloadLength),
        (&[0x81, 0xFF, 0, 0, 0, 0, 0, 0], BadPayloadLength),
        (&[0x81, 0xFF, 0x80], BadPayloadLength),
        (&[0x81, 0xFF, 0xFF], BadPayloadLength),
    ];
    for (bytes, error) in table {
        let (last, before) = (bytes.len() - 1, Ok(None));
        assert_eq!(FrameHead::decode(&bytes[..last]), before, "{bytes:x?} but the last");
        assert_eq!(FrameHead::decode(bytes), Err(*error), "{bytes:x?}");
        assert_eq!(seen(bytes), [Seen::Error(*error)]);
        let longer = [bytes, &[0; 20][..]].concat();
        assert_eq!(FrameHead::decode_client(&longer), Err(*error), "{bytes:x?} and more");
    }
}

#[test]
fn clients_mask() {
    for second in [0x00, 0x05, 0x7E, 0x7F] {
        assert_eq!(FrameHead::decode_client(&[0x81]), Ok(None));
        assert_eq!(FrameHead::decode_client(&[0x81, second]), Err(UnmaskedFrame));
        assert_eq!(seen(&[0x81, second, 0, 0, 0, 0]), [Seen::Error(UnmaskedFrame)]);
    }
}

#[test]
fn opcodes_up_to_seven_carry_data() {
    let control = [Opcode::Close, Opcode::Ping, Opcode::Pong];
    assert!(control.iter().all(|opcode| opcode.is_control()));
    assert!([Opcode::Continuation, Opcode::Text, Opcode::Binary].iter().all(|opcode| !opcode.is_control()));
}
