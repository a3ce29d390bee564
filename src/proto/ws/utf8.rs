//! Validation of UTF-8 that arrives in parts (RFC 3629; RFC 6455, section 8.1).
//!
//! Owns the bytes of an incomplete character at the end of a part, at most three. Leaves the
//! decoding to the standard library, which distinguishes invalid sequences from incomplete ones.

/// The bytes are not UTF-8, and no further bytes can make them UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

impl std::fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the bytes are not UTF-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

/// Validates UTF-8 part by part. It fails at the first byte that makes the text invalid.
///
/// ```
/// use pushlab::proto::ws::{InvalidUtf8, Utf8Validator};
/// let mut utf8 = Utf8Validator::new();
/// assert_eq!(utf8.check(b"caf\xc3"), Ok(()));
/// assert_eq!(utf8.finish(), Err(InvalidUtf8)); // inside a character
/// assert_eq!(utf8.check(b"\xa9"), Ok(()));
/// assert_eq!(utf8.finish(), Ok(()));
/// // A surrogate. Its first two bytes are enough to detect it.
/// assert_eq!(utf8.check(b"\xed\xa0"), Err(InvalidUtf8));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Validator {
    /// The beginning of an incomplete character, at most three bytes.
    carry: [u8; 3],
    carry_len: u8,
}

impl Utf8Validator {
    /// A validator at the beginning of a text.
    pub const fn new() -> Self {
        Self { carry: [0; 3], carry_len: 0 }
    }

    /// Checks the next part, of any length. After an error, the results of this validator have no
    /// meaning.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        self.decode(bytes).map(drop)
    }

    /// Checks that the text may end here, that is, not inside a character.
    pub const fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.carry_len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// The number of bytes of an incomplete character, at most three.
    pub const fn pending(&self) -> usize {
        self.carry_len as usize
    }

    /// Takes the next part and returns the text that is complete: the character that began in an
    /// earlier part, and then the text of this part.
    pub(super) fn decode<'b>(&mut self, mut bytes: &'b [u8]) -> Result<(Option<char>, &'b str), InvalidUtf8> {
        let mut completed = None;
        while self.carry_len > 0 && completed.is_none() {
            let Some((&next, rest)) = bytes.split_first() else { return Ok((None, "")) };
            completed = self.complete(next)?;
            bytes = rest;
        }
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return Ok((completed, text)),
            Err(error) => error,
        };
        // `error_len` gives a length if no further bytes can make the sequence valid. It gives none
        // if the part ended inside a character.
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        let (text, pending) = bytes.split_at(error.valid_up_to());
        self.carry[..pending.len()].copy_from_slice(pending);
        self.carry_len = pending.len() as u8;
        let text = std::str::from_utf8(text).expect("the standard library found it valid up to here");
        Ok((completed, text))
    }

    /// Adds one byte to the incomplete character, and returns the character if this byte completes
    /// it.
    fn complete(&mut self, next: u8) -> Result<Option<char>, InvalidUtf8> {
        let carried = self.pending();
        let mut bytes = [0; 4];
        bytes[..carried].copy_from_slice(&self.carry[..carried]);
        bytes[carried] = next;
        match std::str::from_utf8(&bytes[..=carried]) {
            Ok(character) => {
                self.carry_len = 0;
                Ok(character.chars().next())
            }
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8),
            Err(_) => {
                self.carry[carried] = next;
                self.carry_len += 1;
                Ok(None)
            }
        }
    }
}
