//! Masking (RFC 6455, section 5.3).
//!
//! Owns one operation, which is its own inverse. Refuses to choose keys: a server never masks, and a client's keys need a good source of
//! random numbers, which is not here.

/// Masks or unmasks `bytes`, whose first one is byte `offset` of its frame's payload.
///
/// "octet i of the transformed data is the XOR of octet i of the original data with octet at index i modulo 4 of the masking key."
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
    // Whole words, which the compiler turns into vectors; little-endian, so that the byte order is that of the key everywhere.
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}
