//! The names of topics.
//!
//! Owns the rule for names, and lists of names. Leaves the messages of a topic to `hub`.

use std::fmt;
use std::sync::Arc;

/// The maximum length of a name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// The suffix of a presence topic. The hub publishes to `news.presence` when a client joins or
/// leaves `news`.
pub(crate) const PRESENCE: &str = ".presence";

/// Why a topic's name, or a list of names, is refused.
///
/// ```
/// use pushlab::push::{BadTopic, Topics};
/// assert_eq!(Topics::parse("a,b c", 2), Err(BadTopic::Name));
/// assert_eq!(Topics::parse("a,b,c", 2), Err(BadTopic::TooMany(2)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadTopic {
    /// The name does not have 1 to 64 characters of letters, digits, `_`, `.` and `-`.
    Name,
    /// The list has more names than this maximum.
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

/// Returns whether a text has 1 to 64 characters of `A-Z a-z 0-9 _ . -`. The rule holds for names
/// of topics, names of events and tokens of clients.
pub(crate) fn is_valid_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Checks the name of a topic or of a presence topic. The suffix of a presence topic does not count
/// towards the length.
pub(crate) fn check_topic_name(name: &str) -> Result<(), BadTopic> {
    if is_valid_name(name.strip_suffix(PRESENCE).unwrap_or(name)) { Ok(()) } else { Err(BadTopic::Name) }
}

/// A JSON list of topics' names, which have no characters to escape.
pub(crate) fn names_json(names: &[Arc<str>]) -> String {
    let mut text = String::from("[");
    for (at, name) in names.iter().enumerate() {
        text.push_str(if at > 0 { ",\"" } else { "\"" });
        text.push_str(name);
        text.push('"');
    }
    text + "]"
}

/// A list of topics without duplicates, in the order in which the topics were named.
/// [`parse`](Self::parse) has an example.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topics(List);

/// Most lists have one name, and `One` needs one allocation less.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum List {
    One(Arc<str>),
    Several(Arc<[Arc<str>]>),
}

impl Topics {
    /// Reads names separated by commas.
    ///
    /// # Errors
    /// When a name is not a valid topic name, or when the list has more than `most` names.
    ///
    /// ```
    /// use pushlab::push::{BadTopic, Topics};
    /// assert_eq!(Topics::parse("news,sport", 2)?.names().collect::<Vec<_>>(), ["news", "sport"]);
    /// assert_eq!(Topics::parse("news,,", 9), Err(BadTopic::Name));
    /// # Ok::<(), BadTopic>(())
    /// ```
    pub fn parse(list: &str, most: usize) -> Result<Self, BadTopic> {
        if !list.contains(',') && most > 0 {
            check_topic_name(list)?;
            return Ok(Self(List::One(list.into())));
        }
        let mut names: Vec<Arc<str>> = Vec::new();
        for (count, name) in list.split(',').enumerate() {
            check_topic_name(name)?;
            if count >= most {
                return Err(BadTopic::TooMany(most));
            }
            if !names.iter().any(|known| &**known == name) {
                names.push(name.into());
            }
        }
        Ok(Self::from_names(names))
    }

    /// Makes a list. A list of one name is always `One`, so that equal lists compare as equal.
    fn from_names(names: Vec<Arc<str>>) -> Self {
        match <[_; 1]>::try_from(names) {
            Ok([name]) => Self(List::One(name)),
            Err(names) => Self(List::Several(names.into())),
        }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shared_names().iter().map(|name| &**name)
    }

    /// The names, as references that can be cloned without a copy of the text.
    pub(crate) fn shared_names(&self) -> &[Arc<str>] {
        match &self.0 {
            List::One(name) => std::slice::from_ref(name),
            List::Several(names) => names,
        }
    }

    pub(crate) fn first(&self) -> &Arc<str> {
        &self.shared_names()[0]
    }

    /// A list of these names, which are valid and without duplicates. `None` if `names` is empty.
    pub(crate) fn of(names: Vec<Arc<str>>) -> Option<Self> {
        (!names.is_empty()).then(|| Self::from_names(names))
    }

    /// The other topics, or `None` if none is left.
    pub(crate) fn without(&self, is_left_out: impl Fn(&str) -> bool) -> Option<Self> {
        Self::of(self.shared_names().iter().filter(|name| !is_left_out(name)).cloned().collect())
    }

    /// These topics and their presence topics.
    pub(crate) fn with_presence(&self) -> Self {
        let mut names = self.shared_names().to_vec();
        for name in self.shared_names().iter().filter(|name| !name.ends_with(PRESENCE)) {
            let companion = format!("{name}{PRESENCE}");
            if !self.names().any(|known| known == companion) {
                names.push(companion.into());
            }
        }
        Self::from_names(names)
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
