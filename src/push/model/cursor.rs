//! Where a subscriber wants to go on.
//!
//! Owns the three kinds of cursor. Refuses to resolve them: what is missing behind one is the hub's knowledge.

use std::fmt;
use std::str::FromStr;

use super::id::{BadCursor, Id};

/// A place in the sequence of a hub, which resumes any set of its topics by any technique.
///
/// ```
/// use pushlab::push::Cursor;
/// assert_eq!("earliest".parse(), Ok(Cursor::Earliest));
/// assert!(matches!("9f3a0c-17".parse(), Ok(Cursor::After(_))));
/// assert!("17".parse::<Cursor>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// Only what is published from now on.
    #[default]
    New,
    /// Everything that is retained.
    Earliest,
    /// Everything behind this message, which itself was seen.
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

    /// An empty text is no cursor, as if it were not there: a client that has seen nothing may say so.
    fn from_str(text: &str) -> Result<Self, BadCursor> {
        match text {
            "" => Ok(Self::New),
            "earliest" => Ok(Self::Earliest),
            id => id.parse().map(Self::After),
        }
    }
}
