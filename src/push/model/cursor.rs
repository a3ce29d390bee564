//! The position from which a subscriber continues.
//!
//! Owns the three kinds of cursor and their text form. Leaves the search for the messages after a
//! cursor to `log`.

use std::fmt;
use std::str::FromStr;

use super::id::{BadCursor, Id};

/// A position in the sequence of a hub. One cursor resumes any set of the hub's topics, by any
/// technique.
///
/// ```
/// use pushlab::push::Cursor;
/// assert_eq!("earliest".parse(), Ok(Cursor::Earliest));
/// assert!(matches!("9f3a0c-17".parse(), Ok(Cursor::After(_))));
/// assert!("17".parse::<Cursor>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cursor {
    /// Only messages that are published from now on.
    #[default]
    New,
    /// All retained messages.
    Earliest,
    /// All messages after this one. The client has received this message.
    After(Id),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => Ok(()),
            Self::Earliest => f.write_str("earliest"),
            Self::After(id) => id.fmt(f),
        }
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    /// Reads a cursor. An empty text is [`Cursor::New`]: a client that has received nothing may
    /// send its empty cursor.
    fn from_str(text: &str) -> Result<Self, BadCursor> {
        match text {
            "" => Ok(Self::New),
            "earliest" => Ok(Self::Earliest),
            id => id.parse().map(Self::After),
        }
    }
}
