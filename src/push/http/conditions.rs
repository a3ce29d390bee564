//! The cursors in request fields.
//!
//! Owns the reading of `Last-Event-ID` (WHATWG HTML, section 9.2.4) and of `If-None-Match` (RFC
//! 9110, section 13.1.2). Leaves the cursors of the query to `query`, and the choice between a
//! field and the query to `call`.

use crate::push::model::Id;

/// The value of `Last-Event-ID`, or of a parameter with the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastEventId {
    /// All retained messages. No message has this id; a client sends it to ask for the whole
    /// history.
    Earliest,
    /// A text that has the form of a message's id.
    Id(Id),
    /// A text that does not have the form of a message's id. The client has read another stream, or
    /// a proxy has changed the field.
    Foreign,
}

impl LastEventId {
    /// Reads all values of the field. Empty values count as absent. Equal values count as one,
    /// because a proxy may have doubled the field. Different values are `Foreign`, because they do
    /// not tell which message the client has received last.
    pub(crate) fn read<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut values = values.filter(|value| !value.is_empty());
        let first = values.next()?;
        if values.any(|value| value != first) {
            return Some(Self::Foreign);
        }
        let text = std::str::from_utf8(first).unwrap_or_default();
        Some(match text {
            "earliest" => Self::Earliest,
            text => text.parse().map_or(Self::Foreign, Self::Id),
        })
    }
}

/// The value of `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IfNoneMatch {
    /// There is no field, or the field has no element.
    Absent,
    /// `*`, which matches every representation.
    Any,
    /// The ids of messages in a list of entity tags. Tags that are not ids are left out. The list
    /// is empty for a list of foreign tags, and for a field that is not a valid list: neither
    /// matches a message.
    Ids(Vec<Id>),
}

impl IfNoneMatch {
    /// Reads all values of the field, which together are one list (RFC 9110, section 5.3).
    pub(crate) fn read<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut read = Self::Absent;
        for mut rest in values {
            loop {
                rest = skip_separators(rest);
                if rest.is_empty() {
                    break;
                }
                let Some((element, behind)) = Element::first(rest) else { return Self::Ids(Vec::new()) };
                rest = behind;
                match (element, &mut read) {
                    (Element::Any, Self::Absent) => read = Self::Any,
                    (Element::Tag(id), Self::Absent) => read = Self::Ids(id.into_iter().collect()),
                    (Element::Tag(id), Self::Ids(ids)) => ids.extend(id),
                    // `*` stands alone: "If-None-Match = "*" / #entity-tag".
                    _ => return Self::Ids(Vec::new()),
                }
            }
        }
        read
    }
}

enum Element {
    Any,
    /// An entity tag, with its id if the tag is an id.
    Tag(Option<Id>),
}

impl Element {
    /// The first element, and the text after it. `None` if the text does not begin with an element,
    /// or if something other than a comma follows the element.
    fn first(text: &[u8]) -> Option<(Self, &[u8])> {
        let (element, rest) = if let [b'*', rest @ ..] = text {
            (Self::Any, rest)
        } else {
            // `If-None-Match` uses the weak comparison, for which weak and strong tags are the same
            // (RFC 9110, section 8.8.3.2).
            let quoted = text.strip_prefix(b"W/").unwrap_or(text).strip_prefix(b"\"")?;
            let len = quoted.iter().position(|byte| *byte == b'"')?;
            if !quoted[..len].iter().all(|byte| matches!(byte, 0x21..=0x7E | 0x80..)) {
                return None;
            }
            (Self::Tag(id_of(&quoted[..len])), &quoted[len + 1..])
        };
        matches!(skip_space(rest), [] | [b',', ..]).then_some((element, rest))
    }
}

/// The id in an entity tag, also if a proxy that compresses answers has added a suffix.
///
/// Such proxies append `-gzip`, `-br`, `-df`, `--gzip` or `;gzip`. The rule here: a suffix begins
/// with `-` or `;`, consists of these characters and ASCII letters, and ends with a letter. A
/// suffix with digits is refused, because most tags of other servers are hexadecimal and could
/// otherwise be taken for ids.
fn id_of(tag: &[u8]) -> Option<Id> {
    let text = std::str::from_utf8(tag).ok()?;
    let dash = text.find('-')?;
    let digits = text[dash + 1..].bytes().take_while(u8::is_ascii_digit).count();
    let (id, suffix) = text.split_at(dash + 1 + digits);
    let is_suffix = suffix.is_empty()
        || suffix.starts_with(['-', ';'])
            && suffix.ends_with(|last: char| last.is_ascii_alphabetic())
            && suffix.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b';'));
    if is_suffix { id.parse().ok() } else { None }
}

/// Skips commas and white space: empty elements do not count (RFC 9110, section 5.6.1.2).
fn skip_separators(text: &[u8]) -> &[u8] {
    skip_while(text, |byte| matches!(byte, b',' | b' ' | b'\t'))
}

fn skip_space(text: &[u8]) -> &[u8] {
    skip_while(text, |byte| matches!(byte, b' ' | b'\t'))
}

fn skip_while(text: &[u8], is_skipped: fn(u8) -> bool) -> &[u8] {
    let len = text.iter().take_while(|byte| is_skipped(**byte)).count();
    &text[len..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(values: &[&[u8]]) -> IfNoneMatch {
        IfNoneMatch::read(values.iter().copied())
    }

    fn id(text: &str) -> Id {
        text.parse().expect("an id")
    }

    #[test]
    fn lists_of_tags() {
        for values in [&[][..], &[&b""[..]], &[b"", b" , ,"], &[b",,"]] {
            assert_eq!(ids(values), IfNoneMatch::Absent, "{values:?}");
        }
        for values in [&[&b"*"[..]][..], &[b" * "], &[b"", b",*,"]] {
            assert_eq!(ids(values), IfNoneMatch::Any, "{values:?}");
        }
        for (values, expected) in [
            (&[&b"\"a-1\""[..]][..], &["a-1"][..]),
            (&[b"W/\"a-1\""], &["a-1"]),
            (&[b"\"a-1\",\"a-2\" , W/\"b-3\","], &["a-1", "a-2", "b-3"]),
            (&[b"\"a-1\"", b"", b"\"x\", \"a-2\""], &["a-1", "a-2"]),
            (&[b"\"x,y\", \"a-1\""], &["a-1"]),
            (&[b"\"\", \"\xff\", \"a-1\""], &["a-1"]),
            (&[b"\"a-1-gzip\""], &["a-1"]),
            (&[b"\"a-1;gzip\""], &["a-1"]),
            (&[b"\"a-1--gzip\", \"a-2-br\", W/\"a-3-df\", \"a-4-gzip-gzip\""], &["a-1", "a-2", "a-3", "a-4"]),
        ] {
            assert_eq!(ids(values), IfNoneMatch::Ids(expected.iter().copied().map(id).collect()), "{values:?}");
        }
    }

    #[test]
    fn what_matches_nothing() {
        for value in [
            &b"\"x\""[..],
            b"\"earliest\"",
            b"\"17\"",
            b"\"a-1-\"",
            b"\"a-1gzip\"",
            b"\"a-1-2\"",
            b"\"a-01\"",
            b"\"A-1\"",
            b"\"a-1:gzip\"",
            b"\"550e8400-1234-41d4-a716-446655440000\"",
            b"a-1",
            b"\"a-1",
            b"a-1\"",
            b"'a-1'",
            b"w/\"a-1\"",
            b"W/a-1",
            b"W/ \"a-1\"",
            b"\"a 1\"",
            b"\"a-1\" \"a-2\"",
            b"\"a-1\"x",
            b"\"a-1\", x",
            b"\"a-1\", \"a-2",
            b"*, \"a-1\"",
            b"\"a-1\", *",
            b"*, *",
            b"**",
            b"\xff",
        ] {
            assert_eq!(ids(&[value]), IfNoneMatch::Ids(Vec::new()), "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(ids(&[b"\"a-1\"", b"\"a-2"]), IfNoneMatch::Ids(Vec::new()));
        assert_eq!(ids(&[b"*", b"\"a-1\""]), IfNoneMatch::Ids(Vec::new()));
    }

    #[test]
    fn last_event_ids() {
        let read = |values: &[&'static [u8]]| LastEventId::read(values.iter().copied());
        assert_eq!((read(&[]), read(&[b"", b""])), (None, None));
        for values in [&[&b"a-1"[..]][..], &[b"", b"a-1"], &[b"a-1", b"a-1"]] {
            assert_eq!(read(values), Some(LastEventId::Id(id("a-1"))), "{values:?}");
        }
        assert_eq!(read(&[b"earliest"]), Some(LastEventId::Earliest));
        for value in [&b"17"[..], b"word", "\u{e9}".as_bytes(), b"\xff", b"a-1, a-2", b"a-1,a-1", b"\"a-1\"", b"W/\"a-1\"", b"a-1-gzip"] {
            assert_eq!(read(&[value]), Some(LastEventId::Foreign), "{value:?}");
        }
        assert_eq!(read(&[b"a-1", b"a-2"]), Some(LastEventId::Foreign));
    }
}
