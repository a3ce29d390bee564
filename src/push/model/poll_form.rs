//! The form of answers to polls.
//!
//! Owns the head and the body of an answer, for one message, for many and for the end, in each
//! format. Leaves holding to `hub`, and the choice of a form to the techniques.

use std::fmt::Write;
use std::sync::Arc;

use super::answer_fields::AnswerFields;
use super::id::Id;
use super::note::{Note, status_of};
use super::replay::Replay;
use super::topic_message::TopicMessage;
use super::wire_form::Format;
use crate::session::{HoldAnswers, LastWord, Response};

/// The form in which one poll is answered. Polls with equal forms that receive the same message
/// share one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PollForm {
    pub(crate) format: Format,
    pub(crate) callback: Option<Arc<str>>,
    pub(crate) fields: AnswerFields,
}

impl PollForm {
    /// The answer with the messages of a replay, or with a last word.
    pub(crate) fn answer(&self, found: Result<&Replay, &LastWord>) -> Response {
        match found {
            Ok(replay) => self.answer_replay(replay),
            Err(word) => self.answer_end(word),
        }
    }

    /// The answer with all messages of a replay. In raw format it has the first message alone,
    /// because a raw body cannot separate two messages.
    pub(crate) fn answer_replay(&self, replay: &Replay) -> Response {
        self.answer_replay_with(replay, "")
    }

    /// As [`answer_replay`](Self::answer_replay), with further members of the JSON object, each with
    /// a comma before it. A raw answer does not have them.
    pub(crate) fn answer_replay_with(&self, replay: &Replay, members: &str) -> Response {
        if self.format == Format::Raw {
            let response = replay.messages.first().map_or_else(|| self.answer_empty(replay.last), |message| self.raw_answer(message));
            return if replay.gap { response.field("Pushlab-Gap", &replay.from.to_string()) } else { response };
        }
        let mut text = String::from("{\"messages\":[");
        for (at, message) in replay.messages.iter().enumerate() {
            text.push_str(if at > 0 { "," } else { "" });
            text.push_str(message.json());
        }
        let _ = write!(text, "],\"last\":\"{}\",\"gap\":{}", replay.last, replay.gap);
        if replay.gap {
            let _ = write!(text, ",\"from\":\"{}\"", replay.from);
        }
        text.push_str(if replay.is_whole { "" } else { ",\"more\":true" });
        text.push_str(members);
        text.push('}');
        self.json_answer(text.into_bytes().into(), replay.last)
    }

    /// The answer with one message, for a client that has all messages before it.
    pub(crate) fn answer_message(&self, message: &TopicMessage) -> Response {
        match self.format {
            Format::Raw => self.raw_answer(message),
            Format::Json => self.json_answer(Arc::clone(message.poll_body()), message.id()),
        }
    }

    /// The answer without messages. The client keeps its cursor.
    pub(crate) fn answer_empty(&self, cursor: Id) -> Response {
        match self.format {
            Format::Raw => self.finish(Response::no_content(), cursor),
            Format::Json => self.json_answer(format!(r#"{{"messages":[],"last":"{cursor}","gap":false}}"#).into_bytes().into(), cursor),
        }
    }

    /// The answer of a server that ends the poll on purpose. A browser does not run a script with
    /// another status than 200, so a callback gets the last word with 200.
    pub(crate) fn answer_end(&self, word: &LastWord) -> Response {
        let json = Note::End(word).json().into_bytes();
        let response = match &self.callback {
            Some(callback) => script_call(callback, &json),
            None => Response::json(json).with_status(status_of(word)),
        };
        let response = match word.retry_after() {
            Some(seconds) => response.field("Retry-After", &seconds),
            None => response,
        };
        self.fields.apply(response)
    }

    /// The answer 304, which has a head alone.
    pub(crate) fn answer_not_modified(&self, cursor: Id) -> Response {
        self.finish(Response::status(304), cursor)
    }

    fn raw_answer(&self, message: &TopicMessage) -> Response {
        let response = match message.text() {
            Some(text) => Response::text(text.to_owned()),
            None => Response::new("application/octet-stream", message.bytes().to_vec()),
        };
        self.finish(response, message.id())
    }

    fn json_answer(&self, text: Arc<[u8]>, last: Id) -> Response {
        let response = match &self.callback {
            Some(callback) => script_call(callback, &text),
            None => Response::json(text),
        };
        self.finish(response, last)
    }

    /// Adds the common fields, and the cursor as the entity tag.
    fn finish(&self, response: Response, last: Id) -> Response {
        self.fields.apply(response).field("ETag", &format!("\"{last}\""))
    }
}

/// JavaScript that calls a function with a JSON text. The charset is necessary: without it a
/// browser reads the script in the encoding of the page (WHATWG HTML, section 8.1.4.2).
/// `techniques::jsonp` explains the empty comment.
fn script_call(callback: &str, json: &[u8]) -> Response {
    Response::new("application/javascript; charset=utf-8", [b"/**/", callback.as_bytes(), b"(", json, b");"].concat())
}

/// The answers of a held poll that no message gives. Nearly all polls wait after the same message
/// with the same form, and share them.
#[derive(Debug)]
pub(crate) struct PollAnswers {
    form: PollForm,
    cursor: Id,
    /// The answer without messages, with the cursor with which the poll came.
    empty: Arc<Response>,
}

impl PollAnswers {
    pub(crate) fn new(form: &PollForm, cursor: Id) -> Self {
        Self { form: form.clone(), cursor, empty: form.answer_empty(cursor).into() }
    }

    pub(crate) const fn form(&self) -> &PollForm {
        &self.form
    }

    /// The cursor with which the poll came.
    pub(crate) const fn cursor(&self) -> Id {
        self.cursor
    }

    pub(crate) const fn empty(&self) -> &Arc<Response> {
        &self.empty
    }

    /// Whether these are the answers in this form to a poll with this cursor.
    pub(crate) fn are_for(&self, form: &PollForm, cursor: Id) -> bool {
        self.cursor == cursor && self.form == *form
    }
}

impl HoldAnswers for PollAnswers {
    fn timed_out(self: Arc<Self>) -> Arc<Response> {
        Arc::clone(&self.empty)
    }

    fn ended(&self, word: &LastWord) -> Response {
        self.form.answer_end(word)
    }
}
