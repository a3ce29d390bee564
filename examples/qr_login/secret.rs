//! Secrets: 128 random bits from the system, as 22 characters of base64url (RFC 4648, section 5).
//!
//! Owns making and comparing secrets. Leaves the random bits to the operating system: the numbers
//! of a generator with a seed can be predicted from the seed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Makes a secret. Its characters are valid in topics, cookies and paths.
pub(crate) fn make() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("a system without random bytes can log nobody in");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether two texts are the same. The comparison takes the same time wherever they differ, so that
/// the time of an answer does not help to guess a secret.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b));
    one.len() == other.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_plain_and_different() {
        let (one, other) = (make(), make());
        for secret in [&one, &other] {
            assert_eq!(secret.len(), 22);
            assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{secret}");
        }
        assert!(!is_same(&one, &other));
        assert!(is_same(&one, &one.clone()));
    }

    #[test]
    fn a_part_is_not_the_whole() {
        for (one, other) in [("", "a"), ("a", ""), ("ab", "a"), ("a", "b"), ("ab", "aB")] {
            assert!(!is_same(one, other), "{one} {other}");
        }
        assert!(is_same("", ""));
    }
}
