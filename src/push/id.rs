//! The name of a message.
//!
//! Owns `epoch-sequence` as text and back. Refuses to know what is retained.

use std::fmt;
use std::str::FromStr;

/// A message's id: which hub, and which message of it, counted over all of its topics. Ids of one hub are in the order of publishing.
///
/// ```
/// use pushlab::push::Id;
/// let id: Id = "9f3a0c-17".parse()?;
/// assert_eq!((id.epoch, id.sequence), (0x9f_3a0c, 17));
/// assert_eq!(id.to_string(), "9f3a0c-17");
/// # Ok::<(), pushlab::push::BadCursor>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Another for each hub, so that an id from before a restart is known to be foreign.
    pub epoch: u64,
    /// Starts with 1; 0 is the place before the first message.
    pub sequence: u64,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.sequence)
    }
}

/// What was given as a cursor is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCursor;

impl fmt::Display for BadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cursor must be an id as messages have it, such as 9f3a0c-17, or `earliest`")
    }
}

impl std::error::Error for BadCursor {}

impl FromStr for Id {
    type Err = BadCursor;

    /// Takes exactly what `Display` writes, so that one message has one name.
    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let bytes = text.as_bytes();
        let dash = bytes.iter().position(|byte| *byte == b'-').ok_or(BadCursor)?;
        Ok(Self { epoch: number(&bytes[..dash], 16)?, sequence: number(&bytes[dash + 1..], 10)? })
    }
}

/// A number in small digits, without leading zeros.
fn number(digits: &[u8], radix: u128) -> Result<u64, BadCursor> {
    // No number of 64 bits has more than 20 digits, and 20 digits of either radix fit into 128 bits.
    if !(1..=20).contains(&digits.len()) || (digits[0] == b'0' && digits.len() > 1) {
        return Err(BadCursor);
    }
    let mut number = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' if radix == 16 => digit - b'a' + 10,
            _ => return Err(BadCursor),
        };
        number = number * radix + u128::from(value);
    }
    u64::try_from(number).map_err(|_| BadCursor)
}
