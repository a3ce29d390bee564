//! The secret of a control channel.
//!
//! Owns its length, its text form and its comparison. Leaves the random bytes to the hub, and the
//! connection that a secret belongs to, too.

use std::fmt;
use std::hint::black_box;

/// The length of a secret: "The probability of an attacker guessing generated tokens ... MUST be less
/// than or equal to 2^(-128)" (RFC 6749, section 10.10).
const BYTES: usize = 16;

/// What a client must know to change the topics of a connection. It has no `PartialEq`, because an
/// ordinary comparison ends at the first byte that differs, and its time tells where that is.
#[derive(Clone, Copy)]
pub(crate) struct Secret([u8; BYTES]);

impl Secret {
    pub(crate) const fn new(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads 32 lower-case hexadecimal digits, which is the form that `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * BYTES {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// Whether two secrets are equal. It takes the same time wherever they differ.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |found, (a, b)| black_box(found | (a ^ b)));
        differences == 0
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A secret must not get into a log by accident.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_read_back() {
        let secret = Secret::new(*b"\x00\x01\x0f\x10\x7f\x80\xff\xab\0\0\0\0\0\0\0\x09");
        let text = secret.to_string();
        assert_eq!(text, "00010f107f80ffab0000000000000009");
        assert!(Secret::parse(&text).is_some_and(|read| read.matches(&secret)));
        assert_eq!(format!("{secret:?}"), "Secret");
        let shorter = &text[1..];
        let upper = text.to_uppercase();
        for other in ["", "1", shorter, &format!("{text}0"), &upper, &text.replace('7', "g"), &text.replace("7f", "\u{e9}")] {
            assert!(Secret::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn each_bit_counts() {
        let bytes = *b"0123456789abcdef";
        for bit in 0..8 * BYTES {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!Secret::new(bytes).matches(&Secret::new(other)), "{bit}");
        }
        assert!(Secret::new(bytes).matches(&Secret::new(bytes)));
    }
}
