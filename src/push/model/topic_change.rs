//! The body of a control request.
//!
//! Owns the strict reading of one JSON shape, and the sentences that say what is wrong with a body.
//! Leaves strings and white space to `json_reader`, and the change itself to the hub.

use std::fmt;

use super::cursor::Cursor;
use super::id::BadCursor;
use super::json_reader::{JsonReader, NotJson};
use super::topic_name::{BadTopic, Topics, check_topic_name};

/// What a client asks of its open connection: topics to leave, and topics to join from a cursor.
///
/// The topics are left first, and then joined. A topic in both lists is joined anew, and messages
/// of it that are on their way may then come behind those of its replay.
///
/// ```
/// use pushlab::push::{Cursor, Leave, TopicChange};
/// let change = TopicChange::parse(br#"{"join":["news","sport"],"after":"9f3a0c-17","leave":["chat"]}"#, 32)?;
/// assert_eq!(change.join, ["news", "sport"]);
/// assert!(matches!(change.after, Cursor::After(id) if id.sequence == 17));
/// assert_eq!(change.leave, Leave::These(vec!["chat".to_owned()]));
/// assert_eq!(TopicChange::parse(br#"{"leave":"all"}"#, 32)?.leave, Leave::All);
/// let error = TopicChange::parse(br#"{"joins":[]}"#, 32).expect_err("no such member");
/// assert_eq!(error.to_string(), "the members of a control request are `join`, `leave` and `after`; there is another one");
/// # Ok::<(), pushlab::push::BadChange>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicChange {
    /// The topics to join, without duplicates.
    pub join: Vec<String>,
    /// The position from which the joined topics are replayed.
    pub after: Cursor,
    /// The topics to leave.
    pub leave: Leave,
}

/// The topics to leave. [`TopicChange`] has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leave {
    /// These topics, without duplicates.
    These(Vec<String>),
    /// All topics that the connection has.
    All,
}

impl Default for Leave {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// Why the body of a control request is refused.
///
/// ```
/// use pushlab::push::{BadChange, BadTopic, TopicChange};
/// for (body, error) in [
///     ("", BadChange::NotJson(0)),
///     (r#"{"join":"news"}"#, BadChange::NoList("join")),
///     (r#"{"join":[],"join":[]}"#, BadChange::Twice("join")),
///     (r#"{"leave":["a b"]}"#, BadChange::Topic(BadTopic::Name)),
/// ] {
///     assert_eq!(TopicChange::parse(body.as_bytes(), 32), Err(error));
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadChange {
    /// The text is not JSON (RFC 8259) from this byte on.
    NotJson(usize),
    /// The text is JSON, and not an object.
    NoObject,
    /// The object has a member of another name.
    UnknownMember,
    /// The object has this member twice.
    Twice(&'static str),
    /// The value of this member is not a list of strings.
    NoList(&'static str),
    /// The value of `leave` is neither a list of strings nor the string `all`.
    NoLeave,
    /// A name in a list is not a topic's name, or a list has too many.
    Topic(BadTopic),
    /// The value of `after` is not a cursor.
    After(BadCursor),
}

impl fmt::Display for BadChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(at) => write!(f, "the body is not JSON from byte {at} on; it must be like {{\"join\":[\"news\"],\"leave\":[]}}"),
            Self::NoObject => f.write_str("the body must be a JSON object, such as {\"join\":[\"news\"],\"leave\":[]}"),
            Self::UnknownMember => f.write_str("the members of a control request are `join`, `leave` and `after`; there is another one"),
            Self::Twice(name) => write!(f, "`{name}` is given twice"),
            Self::NoList(name) => write!(f, "`{name}` must be a list of topics' names, which are strings"),
            Self::NoLeave => f.write_str("`leave` must be a list of topics' names, which are strings, or the string \"all\""),
            Self::Topic(error) => error.fmt(f),
            Self::After(error) => write!(f, "`after` is not a cursor: {error}"),
        }
    }
}

impl std::error::Error for BadChange {}

impl From<NotJson> for BadChange {
    fn from(NotJson(at): NotJson) -> Self {
        Self::NotJson(at)
    }
}

/// The members of the object.
const MEMBERS: [&str; 3] = ["join", "leave", "after"];

impl TopicChange {
    /// The change that leaves these topics.
    pub(crate) fn leave(topics: &Topics) -> Self {
        Self { leave: Leave::These(topics.names().map(str::to_owned).collect()), ..Self::default() }
    }

    /// Reads the body of a control request. Each list may have at most `most` names.
    ///
    /// # Errors
    /// When the body is not valid JSON, or not of the shape that [`TopicChange`] shows.
    pub fn parse(body: &[u8], most: usize) -> Result<Self, BadChange> {
        let text = std::str::from_utf8(body).map_err(|error| BadChange::NotJson(error.valid_up_to()))?;
        let mut reader = JsonReader::new(text);
        if !reader.take(b'{') {
            return Err(other_value(&mut reader, BadChange::NoObject));
        }
        let mut change = Self::default();
        let mut is_given = [false; MEMBERS.len()];
        let mut is_first = true;
        while !reader.take(b'}') {
            if !std::mem::take(&mut is_first) {
                reader.expect(b',')?;
            }
            let name = reader.string()?;
            reader.expect(b':')?;
            let member = MEMBERS.iter().position(|member| *member == name).ok_or(BadChange::UnknownMember)?;
            if std::mem::replace(&mut is_given[member], true) {
                return Err(BadChange::Twice(MEMBERS[member]));
            }
            match MEMBERS[member] {
                "join" => change.join = names(&mut reader, BadChange::NoList("join"), most)?,
                "leave" => change.leave = leave(&mut reader, most)?,
                _ => change.after = after(&mut reader)?,
            }
        }
        reader.expect_end()?;
        Ok(change)
    }
}

/// The error where the shape has a value of another kind: `refused`, or that no value begins here.
fn other_value(reader: &mut JsonReader<'_>, refused: BadChange) -> BadChange {
    reader.begins_value().map_or_else(Into::into, |()| refused)
}

fn names(reader: &mut JsonReader<'_>, refused: BadChange, most: usize) -> Result<Vec<String>, BadChange> {
    if !reader.take(b'[') {
        return Err(other_value(reader, refused));
    }
    let mut names: Vec<String> = Vec::new();
    let mut count = 0;
    while !reader.take(b']') {
        if count > 0 {
            reader.expect(b',')?;
        }
        if !reader.is_at(b'"') {
            return Err(other_value(reader, refused));
        }
        let name = reader.string()?;
        check_topic_name(&name).map_err(BadChange::Topic)?;
        count += 1;
        if count > most {
            return Err(BadChange::Topic(BadTopic::TooMany(most)));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn leave(reader: &mut JsonReader<'_>, most: usize) -> Result<Leave, BadChange> {
    if reader.is_at(b'"') {
        return if reader.string()? == "all" { Ok(Leave::All) } else { Err(BadChange::NoLeave) };
    }
    names(reader, BadChange::NoLeave, most).map(Leave::These)
}

fn after(reader: &mut JsonReader<'_>) -> Result<Cursor, BadChange> {
    if !reader.is_at(b'"') {
        return Err(other_value(reader, BadChange::After(BadCursor)));
    }
    reader.string()?.parse().map_err(BadChange::After)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(names: &[&str]) -> Leave {
        Leave::These(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn bodies_that_are_read() {
        let id = "9f3a0c-17".parse().map(Cursor::After).expect("a cursor");
        for (body, join, after, leave) in [
            ("{}", &[][..], Cursor::New, these(&[])),
            (" \t\r\n{ \n} ", &[], Cursor::New, these(&[])),
            (r#"{"join":[]}"#, &[], Cursor::New, these(&[])),
            (r#"{"join":["a"]}"#, &["a"], Cursor::New, these(&[])),
            (r#"{"join":["a","b","a"],"after":"9f3a0c-17"}"#, &["a", "b"], id, these(&[])),
            (r#"{"leave":["a","a.presence"],"join":["c"]}"#, &["c"], Cursor::New, these(&["a", "a.presence"])),
            (r#"{"leave":"all","after":"earliest"}"#, &[], Cursor::Earliest, Leave::All),
            (r#"{"after":""}"#, &[], Cursor::New, these(&[])),
            (" { \"join\" : [ \"a\" , \"b\" ] , \"leave\" : [ ] } ", &["a", "b"], Cursor::New, these(&[])),
            (r#"{"\u006aoin":["\u0061","\u002d"],"le\u0061ve":"\u0061ll"}"#, &["a", "-"], Cursor::New, Leave::All),
        ] {
            let read = TopicChange::parse(body.as_bytes(), 3);
            let join = join.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(read, Ok(TopicChange { join, after, leave }), "{body}");
        }
    }

    #[test]
    fn bodies_that_are_refused() {
        use BadChange::{After, NoLeave, NoList, NoObject, NotJson, Topic, Twice, UnknownMember};
        for (body, error) in [
            ("", NotJson(0)),
            ("  ", NotJson(2)),
            ("[]", NoObject),
            ("null", NoObject),
            ("true", NoObject),
            ("17", NoObject),
            ("-1", NoObject),
            ("\"join\"", NoObject),
            ("join", NotJson(0)),
            ("\u{feff}{}", NotJson(0)),
            ("{", NotJson(1)),
            ("{}{}", NotJson(2)),
            ("{} x", NotJson(3)),
            ("{,}", NotJson(1)),
            (r#"{"join":[],}"#, NotJson(11)),
            (r#"{"join":[]"after":""}"#, NotJson(10)),
            (r#"{"join"[]}"#, NotJson(7)),
            (r"{join:[]}", NotJson(1)),
            (r"{'join':[]}", NotJson(1)),
            (r#"{"join":}"#, NotJson(8)),
            (r#"{"join":["#, NotJson(9)),
            (r#"{"join":["a"#, NotJson(11)),
            (r#"{"join":["a",]}"#, NotJson(13)),
            (r#"{"join":[,"a"]}"#, NotJson(9)),
            (r#"{"join":["a" "b"]}"#, NotJson(13)),
            (r#"{"join":["a"}"#, NotJson(12)),
            (r#"{"join":["\x61"]}"#, NotJson(11)),
            ("{\"join\":[\"\n\"]}", NotJson(10)),
            (r#"{"join":"a"}"#, NoList("join")),
            (r#"{"join":{}}"#, NoList("join")),
            (r#"{"join":null}"#, NoList("join")),
            (r#"{"join":[1]}"#, NoList("join")),
            (r#"{"join":[["a"]]}"#, NoList("join")),
            (r#"{"leave":true}"#, NoLeave),
            (r#"{"leave":"every"}"#, NoLeave),
            (r#"{"leave":[false]}"#, NoLeave),
            (r#"{"after":17}"#, After(BadCursor)),
            (r#"{"after":"17"}"#, After(BadCursor)),
            (r#"{"after":null}"#, After(BadCursor)),
            (r#"{"join":["a"],"join":[]}"#, Twice("join")),
            (r#"{"leave":"all","leave":[]}"#, Twice("leave")),
            (r#"{"after":"","\u0061fter":""}"#, Twice("after")),
            (r#"{"joins":[]}"#, UnknownMember),
            (r#"{"":[]}"#, UnknownMember),
            (r#"{"join":[""]}"#, Topic(BadTopic::Name)),
            (r#"{"join":["a,b"]}"#, Topic(BadTopic::Name)),
            (r#"{"leave":["\u00e9"]}"#, Topic(BadTopic::Name)),
            (r#"{"join":["a","b","c","d"]}"#, Topic(BadTopic::TooMany(3))),
            (r#"{"leave":["a","a","a","a"]}"#, Topic(BadTopic::TooMany(3))),
        ] {
            assert_eq!(TopicChange::parse(body.as_bytes(), 3), Err(error), "{body}");
        }
        assert_eq!(TopicChange::parse(b"{\"join\":[\"\xff\"]}", 3), Err(NotJson(10)));
    }
}
