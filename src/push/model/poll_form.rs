//! Answers to polls.
//!
//! Owns their body and head, for one message and for many, in each format. Refuses to wait.

use std::fmt::Write;
use std::sync::Arc;

use super::answer_fields::Cors;
use super::id::Id;
use super::message::Message;
use super::replay::Replay;
use super::wire_form::Format;
use crate::session::Response;

/// How a poll wants its answer. Polls of equal shape share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) format: Format,
    pub(crate) callback: Option<Arc<str>>,
    pub(crate) cors: Cors,
}

impl Shape {
    /// All messages of a replay, and whether there are more; in raw format the first message.
    pub(crate) fn many(&self, replay: &Replay) -> Response {
        if self.format == Format::Raw {
            let response = replay.messages.first().map_or_else(|| self.empty(replay.last), |message| self.raw(message));
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
        text.push_str(if replay.is_whole { "}" } else { ",\"more\":true}" });
        self.json(text.into_bytes().into(), replay.last)
    }

    /// One message, behind which the client has everything.
    pub(crate) fn one(&self, message: &Message) -> Response {
        match self.format {
            Format::Raw => self.raw(message),
            Format::Json => self.json(Arc::clone(message.answer()), message.id()),
        }
    }

    /// Nothing new: the cursor stays.
    pub(crate) fn empty(&self, cursor: Id) -> Response {
        match self.format {
            Format::Raw => self.dress(Response::no_content(), cursor),
            Format::Json => self.json(format!(r#"{{"messages":[],"last":"{cursor}","gap":false}}"#).into_bytes().into(), cursor),
        }
    }

    /// Nothing new, in a head alone.
    pub(crate) fn not_modified(&self, cursor: Id) -> Response {
        self.dress(Response::status(304), cursor)
    }

    fn raw(&self, message: &Message) -> Response {
        let response = match message.text() {
            Some(text) => Response::text(text.to_owned()),
            None => Response::new("application/octet-stream", message.bytes().to_vec()),
        };
        self.dress(response, message.id())
    }

    fn json(&self, text: Arc<[u8]>, last: Id) -> Response {
        let response = match &self.callback {
            Some(callback) => call(callback, &text),
            None => Response::json(text),
        };
        self.dress(response, last)
    }

    fn dress(&self, response: Response, last: Id) -> Response {
        self.cors.dress(response).field("ETag", &format!("\"{last}\""))
    }
}

/// A JSON text as the argument of a call. Without a charset a script is read in the encoding of the page around it (WHATWG HTML, section 8.1.4.2).
fn call(callback: &str, json: &[u8]) -> Response {
    Response::new("application/javascript; charset=utf-8", [b"/**/", callback.as_bytes(), b"(", json, b");"].concat())
}
