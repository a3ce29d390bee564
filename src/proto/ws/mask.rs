//! Masking (RFC 6455, section 5.3).
//!
//! Owns the masking of payloads. Masking is its own inverse. Leaves the choice of keys to the
//! caller: a server never masks, and a client needs a good source of random numbers for its keys.

/// Masks or unmasks `bytes`. Their first byte is byte `offset` of the payload of the frame.
///
/// "octet i of the transformed data is the XOR of octet i of the original data with octet at index
/// i modulo 4 of the masking key."
///
/// ```
/// use pushlab::proto::ws::mask;
/// let mut bytes = *b"\x7f\x9f\x4d\x51\x58";
/// mask::apply(*b"\x37\xfa\x21\x3d", 0, &mut bytes);
/// assert_eq!(&bytes, b"Hello");
/// ```
#[inline]
pub fn apply(key: [u8; 4], offset: usize, bytes: &mut [u8]) {
    let key = u32::from_le_bytes(key).rotate_right(8 * (offset as u32 & 3));
    let wide = u64::from(key) << 32 | u64::from(key);
    // The compiler turns the loop over whole words into vector instructions. The words are
    // little-endian, so that the order of the key's bytes is correct on every machine.
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}
