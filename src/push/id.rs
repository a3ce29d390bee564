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
        let (epoch, sequence) = text.split_once('-').ok_or(BadCursor)?;
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| BadCursor)?;
        let id = Self { epoch, sequence: sequence.parse().map_err(|_| BadCursor)? };
        if id.to_string() == text { Ok(id) } else { Err(BadCursor) }
    }
}
