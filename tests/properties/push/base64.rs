//! RFC 4648, section 4, digit by digit.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            text.push(if at <= group.len() { char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]) } else { '=' });
        }
    }
    text
}

/// # Panics
/// When the text is not what [`encode`] makes.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for group in text.chunks(4) {
        let digits: Vec<_> = group.iter().map_while(|digit| DIGITS.iter().position(|known| known == digit)).collect();
        let bits = digits.iter().enumerate().fold(0_u32, |bits, (at, digit)| bits | (*digit as u32) << (18 - 6 * at));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..digits.len().max(1)]);
    }
    assert_eq!(encode(&bytes).as_bytes(), text);
    bytes
}
