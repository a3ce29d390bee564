//! The names of topics.
//!
//! Owns what a name may be, and lists of names. Refuses what is published under them.

use std::fmt;
use std::sync::Arc;

/// Of a name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// Ends the name of the topic on which joining and leaving of another is published.
pub(crate) const PRESENCE: &str = ".presence";

/// What is wrong with a topic's name or a list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTopic {
    /// Not 1 to 64 characters of letters, digits, `_`, `.` and `-`.
    Name,
    /// More names than a request may have.
    TooMany(usize),
}

impl fmt::Display for BadTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => {
                write!(f, "a topic's name must have 1 to {NAME_BYTES_MAX} characters of A-Z, a-z, 0-9, `_`, `.` and `-`")
            }
            Self::TooMany(most) => write!(f, "a request may name at most {most} topics"),
        }
    }
}

impl std::error::Error for BadTopic {}

/// Whether a text has 1 to 64 characters of `A-Z a-z 0-9 _ . -`: the rule for topics, for events' names and for clients' tokens.
pub(crate) fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Whether a name is a topic's, be it one for presence.
pub(crate) fn check(name: &str) -> Result<(), BadTopic> {
    if is_name(name.strip_suffix(PRESENCE).unwrap_or(name)) { Ok(()) } else { Err(BadTopic::Name) }
}

/// A list of topics, each once, in the order in which they were named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topics(List);

/// Most lists have one name, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum List {
    One(Arc<str>),
    Several(Arc<[Arc<str>]>),
}

impl Topics {
    /// Reads names joined by commas.
    ///
    /// # Errors
    /// When a name is none, or there are more than `most`.
    ///
    /// ```
    /// use pushlab::push::{BadTopic, Topics};
    /// assert_eq!(Topics::parse("news,sport", 2)?.names().collect::<Vec<_>>(), ["news", "sport"]);
    /// assert_eq!(Topics::parse("news,,", 9), Err(BadTopic::Name));
    /// # Ok::<(), BadTopic>(())
    /// ```
    pub fn parse(list: &str, most: usize) -> Result<Self, BadTopic> {
        if !list.contains(',') && most > 0 {
            check(list)?;
            return Ok(Self(List::One(list.into())));
        }
        let mut names: Vec<Arc<str>> = Vec::new();
        for (count, name) in list.split(',').enumerate() {
            check(name)?;
            if count >= most {
                return Err(BadTopic::TooMany(most));
            }
            if !names.iter().any(|known| &**known == name) {
                names.push(name.into());
            }
        }
        Ok(Self::of(names))
    }

    /// Equal lists are equal, whatever they were made of.
    fn of(names: Vec<Arc<str>>) -> Self {
        match <[_; 1]>::try_from(names) {
            Ok([name]) => Self(List::One(name)),
            Err(names) => Self(List::Several(names.into())),
        }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shared().iter().map(|name| &**name)
    }

    pub(crate) fn shared(&self) -> &[Arc<str>] {
        match &self.0 {
            List::One(name) => std::slice::from_ref(name),
            List::Several(names) => names,
        }
    }

    pub(crate) fn first(&self) -> &Arc<str> {
        &self.shared()[0]
    }

    /// These topics, and those on which their presence is published.
    pub(crate) fn with_presence(&self) -> Self {
        let mut names = self.shared().to_vec();
        for name in self.shared().iter().filter(|name| !name.ends_with(PRESENCE)) {
            let companion = format!("{name}{PRESENCE}");
            if !self.names().any(|known| known == companion) {
                names.push(companion.into());
            }
        }
        Self::of(names)
    }
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            f.write_str(if at > 0 { "," } else { "" })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}
