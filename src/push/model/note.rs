//! What a subscriber is told in the place of a message.
//!
//! Owns the kinds of notes, their JSON texts, and the last words of a hub with their codes. Leaves
//! the form of a note to the techniques, and the last words of a server to `session`.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::envelope::Gap;
use super::id::Id;
use super::json::append_json_string;
use super::secret::Secret;
use super::topic_name::{Topics, names_json};
use crate::proto::Frame;
use crate::session::LastWord;

/// Something that is no message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note<'a> {
    /// Messages are missing here.
    Gap(Gap),
    /// Messages of topics that the client has joined are missing here. Its other topics have no gap.
    GapOf(Gap, &'a Topics),
    /// The connection ends.
    End(&'a LastWord),
    /// The connection has a control channel with this secret.
    Secret(&'a Secret),
    /// The client has joined topics, and has the messages of all its topics up to this id.
    Joined(&'a Topics, Id),
    /// The client has left topics. The last word of these topics says why, if the client has not asked
    /// for it.
    Left(&'a [Arc<str>], Option<&'a LastWord>),
}

/// Encodes a note in the form of a technique. `None` if the form cannot express it.
///
/// Each subscriber has one. Most forms depend on nothing, so that no subscriber needs an allocation
/// for its own.
#[derive(Clone)]
pub(crate) enum EncodeNote {
    Plain(fn(Note<'_>) -> Option<Frame>),
    /// The form depends on the request.
    OfRequest(Arc<dyn Fn(Note<'_>) -> Option<Frame> + Send + Sync>),
}

impl EncodeNote {
    pub(crate) fn of_request(encode: impl Fn(Note<'_>) -> Option<Frame> + Send + Sync + 'static) -> Self {
        Self::OfRequest(Arc::new(encode))
    }

    pub(crate) fn encode(&self, note: Note<'_>) -> Option<Frame> {
        match self {
            Self::Plain(encode) => encode(note),
            Self::OfRequest(encode) => encode(note),
        }
    }
}

impl Note<'_> {
    /// The name of the note in forms that name what they send.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gap(_) | Self::GapOf(..) => "gap",
            Self::End(_) => "end",
            Self::Secret(_) | Self::Joined(..) | Self::Left(..) => "control",
        }
    }

    /// The position that the client has reached with the note, if the note changes it.
    pub(crate) const fn reached(self) -> Option<Id> {
        match self {
            Self::Gap(gap) | Self::GapOf(gap, _) => gap.from,
            Self::Joined(_, last) => Some(last),
            Self::End(_) | Self::Secret(_) | Self::Left(..) => None,
        }
    }

    /// The note as a JSON object.
    pub(crate) fn json(self) -> String {
        match self {
            Self::Gap(gap) => gap.json(),
            Self::GapOf(gap, topics) => {
                let mut text = gap.json();
                text.insert_str(text.len() - 1, &format!(r#","topics":{}"#, names_json(topics.shared_names())));
                text
            }
            Self::End(word) => format!(r#"{{"end":true{}}}"#, word_members(word)),
            Self::Secret(secret) => format!(r#"{{"control":"{secret}"}}"#),
            Self::Joined(topics, last) => format!(r#"{{"joined":{},"last":"{last}"}}"#, names_json(topics.shared_names())),
            Self::Left(names, word) => {
                format!(r#"{{"left":{}{}}}"#, names_json(names), word.map(word_members).unwrap_or_default())
            }
        }
    }
}

/// The members of a JSON object that stand for a last word, each with a comma before it.
fn word_members(word: &LastWord) -> String {
    let mut text = format!(r#","code":{},"sentence":"#, word.code());
    append_json_string(word.sentence(), &mut text);
    if let Some(ms) = word.come_back_ms() {
        let _ = write!(text, r#","retry":{ms}"#);
    }
    text
}

/// "Policy violation" (RFC 6455, section 7.4.1).
const POLICY: u16 = 1_008;
/// "Service restart" (IANA, "WebSocket Close Code Number Registry").
const COME_BACK: u16 = 1_012;
/// "Try again later" (IANA).
const TRY_AGAIN: u16 = 1_013;
/// A private code (RFC 6455, section 7.4.2): 4000 and the status 410, "Gone".
const GONE: u16 = 4_410;

/// A bound of the hub is reached.
pub(crate) fn try_again(sentence: impl Into<Cow<'static, str>>) -> LastWord {
    LastWord::new(TRY_AGAIN, sentence)
}

/// The log outside the process is away or behind. A broker that starts again needs 5 to 10 s, and one
/// that is behind some milliseconds.
pub(crate) fn log_unavailable(sentence: impl Into<Cow<'static, str>>) -> LastWord {
    try_again(sentence).come_back_after(Duration::from_secs(2))
}

/// Messages after the cursor are gone, and the form cannot tell of a gap.
pub(crate) fn gone() -> LastWord {
    LastWord::new(GONE, "messages are missing")
}

/// The client may not receive these messages any more.
pub(crate) fn revoked() -> LastWord {
    LastWord::new(POLICY, "the access to these topics was withdrawn")
}

/// Access was withdrawn from some clients, and only a new request shows whether this is one of them.
pub(crate) fn access_changed() -> LastWord {
    LastWord::new(COME_BACK, "access to topics has changed: come back with your cursor")
}

/// The next connection is told of a gap.
pub(crate) fn come_back() -> LastWord {
    LastWord::new(COME_BACK, "this server has lost messages of the log: come back with your cursor")
}

/// The status of an answer with a last word.
pub(crate) const fn status_of(word: &LastWord) -> u16 {
    match word.code() {
        POLICY => 403,
        GONE => 410,
        _ => 503,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_as_json() {
        let word = LastWord::new(1_001, "good \"bye\"").come_back_after(Duration::from_millis(1_500));
        assert_eq!(Note::End(&word).json(), r#"{"end":true,"code":1001,"sentence":"good \"bye\"","retry":1500}"#);
        assert_eq!(Note::End(&revoked()).json(), r#"{"end":true,"code":1008,"sentence":"the access to these topics was withdrawn"}"#);
        assert_eq!(Note::Gap(Gap { from: None }).json(), r#"{"gap":true}"#);
        let (topics, id) = (Topics::parse("a,b", 2).expect("names"), Id { epoch: 0x9f, sequence: 17 });
        assert_eq!(Note::GapOf(Gap { from: Some(id) }, &topics).json(), format!(r#"{{"gap":true,"from":"{id}","topics":["a","b"]}}"#));
        assert_eq!(Note::Secret(&Secret::new([0xa5; 16])).json(), format!(r#"{{"control":"{}"}}"#, "a5".repeat(16)));
        assert_eq!(Note::Joined(&topics, id).json(), format!(r#"{{"joined":["a","b"],"last":"{id}"}}"#));
        assert_eq!(Note::Left(topics.shared_names(), None).json(), r#"{"left":["a","b"]}"#);
        let (names, word) = (&topics.shared_names()[..1], log_unavailable("away"));
        assert_eq!(Note::Left(names, Some(&word)).json(), r#"{"left":["a"],"code":1013,"sentence":"away","retry":2000}"#);
    }

    /// A WebSocket's reason has at most 123 bytes (RFC 6455, section 5.5). More would be cut.
    #[test]
    fn sentences_fit_into_a_close_frame() {
        for word in [gone(), revoked(), access_changed(), come_back()] {
            assert!(word.sentence().len() <= 123, "{word:?}");
        }
    }
}
