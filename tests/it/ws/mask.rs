//! Masking against the loop of the RFC.
//!
//! Covers: proto::ws::mask

use pushlab::proto::ws::mask;

#[test]
fn every_offset_and_length_is_as_the_rfc_says() {
    let key = [0x12, 0x9F, 0x00, 0xE7];
    let bytes: Vec<u8> = (0..96).map(|n: u8| n.wrapping_mul(37)).collect();
    for start in 0..9 {
        for offset in (0..9).chain([usize::MAX, usize::MAX - 2]) {
            for len in 0..=80 {
                let mut masked = bytes.clone();
                mask::apply(key, offset, &mut masked[start..start + len]);
                let mut expected = bytes.clone();
                for (i, byte) in expected[start..start + len].iter_mut().enumerate() {
                    *byte ^= key[(offset % 4 + i) % 4];
                }
                assert_eq!(masked, expected, "{len} bytes from {start}, offset {offset}");
            }
        }
    }
}

#[test]
fn masking_twice_is_nothing() {
    let mut bytes = *b"any bytes at all";
    mask::apply(*b"\x01\x02\x03\x04", 3, &mut bytes);
    assert_ne!(&bytes, b"any bytes at all");
    mask::apply(*b"\x01\x02\x03\x04", 3, &mut bytes);
    assert_eq!(&bytes, b"any bytes at all");
}
