//! The id of a message.
//!
//! Owns `epoch-sequence` and its text form. Leaves the giving out of ids and retained messages to
//! `log`.

use std::fmt;
use std::str::FromStr;

/// A message's id. `epoch` identifies the hub, and `sequence` counts the messages of all topics of
/// that hub. The ids of one hub are in the order of publishing.
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
    /// Each hub has a different epoch, so a hub detects an id from before its restart.
    pub epoch: u64,
    /// The first message has 1. 0 stands for the position before the first message.
    pub sequence: u64,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.sequence)
    }
}

/// The text is not a valid cursor.
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

    /// Accepts exactly the text that `Display` writes, so each id has one text form.
    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (epoch, rest) = hexadecimal(text.as_bytes())?;
        let sequence = rest.strip_prefix(b"-").ok_or(BadCursor)?;
        Ok(Self { epoch, sequence: decimal(sequence)? })
    }
}

const NO_DIGIT: u8 = 16;

/// The value of each lower-case hexadecimal digit.
static DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < NO_DIGIT {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// Reads lower-case hexadecimal digits without leading zeros, and returns what follows them. 16
/// digits are 64 bits. Each poll and each reconnection brings an id, so the digits are read in one
/// pass.
fn hexadecimal(text: &[u8]) -> Result<(u64, &[u8]), BadCursor> {
    let (mut number, mut len) = (0, 0);
    for byte in text {
        let digit = DIGITS[usize::from(*byte)];
        if digit == NO_DIGIT {
            break;
        }
        // Digits that are too many fall out on the left. The length is checked below.
        number = number << 4 | u64::from(digit);
        len += 1;
    }
    let (digits, rest) = text.split_at(len);
    check_length(digits, 16)?;
    Ok((number, rest))
}

/// Reads decimal digits without leading zeros. `u64::MAX` has 20 digits.
fn decimal(digits: &[u8]) -> Result<u64, BadCursor> {
    check_length(digits, 20)?;
    digits.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'9' => number.checked_mul(10).and_then(|number| number.checked_add(u64::from(digit - b'0'))).ok_or(BadCursor),
        _ => Err(BadCursor),
    })
}

fn check_length(digits: &[u8], most: usize) -> Result<(), BadCursor> {
    let is_short = (1..=most).contains(&digits.len());
    if is_short && (digits[0] != b'0' || digits.len() == 1) { Ok(()) } else { Err(BadCursor) }
}
