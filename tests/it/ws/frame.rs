//! Frame heads: RFC 6455, sections 5.2 and 5.7.
//!
//! Covers: proto::ws::frame

use pushlab::proto::RemoteError::UnmaskedFrame;
use pushlab::proto::ws::{FrameHead, Opcode};

#[test]
fn examples_of_the_rfc() {
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
fn opcodes_up_to_seven_carry_data() {
    let control = [Opcode::Close, Opcode::Ping, Opcode::Pong];
    assert!(control.iter().all(|opcode| opcode.is_control()));
    assert!([Opcode::Continuation, Opcode::Text, Opcode::Binary].iter().all(|opcode| !opcode.is_control()));
}
