//! The envelope: a message as a JSON object.
//!
//! Owns the fields of an envelope and of a gap. Leaves the escaping of strings to `json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::id::Id;
use super::json::append_json_string;
use super::payload::Payload;

/// Appends the envelope of a message, without a line end.
pub(crate) fn append_envelope(id: Id, topic: &str, payload: &Payload, out: &mut String) {
    out.push_str("{\"id\":\"");
    out.push_str(&id.to_string());
    out.push_str("\",\"topic\":");
    append_json_string(topic, out);
    if let Some(event) = payload.event_name() {
        out.push_str(",\"event\":");
        append_json_string(event, out);
    }
    out.push_str(",\"data\":");
    if let Some(text) = payload.as_text() {
        append_json_string(text, out);
        out.push('}');
    } else {
        out.push('"');
        STANDARD.encode_string(payload.bytes(), out);
        out.push_str("\",\"encoding\":\"base64\"}");
    }
}

/// Messages that are missing, as a subscriber is told in their place.
///
/// ```
/// use pushlab::push::Gap;
/// assert_eq!(Gap { from: "9f3a0c-17".parse().ok() }.json(), r#"{"gap":true,"from":"9f3a0c-17"}"#);
/// assert_eq!(Gap { from: None }.json(), r#"{"gap":true}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// All messages after this id follow. `None` if the subscriber's queue has dropped messages: the
    /// missing messages are those between the ids before and after the gap.
    pub from: Option<Id>,
}

impl Gap {
    /// The gap as a JSON object, in which form the hub's own techniques send it.
    pub fn json(self) -> String {
        match self.from {
            Some(from) => format!(r#"{{"gap":true,"from":"{from}"}}"#),
            None => r#"{"gap":true}"#.to_owned(),
        }
    }
}
