//! Messages as JSON text.
//!
//! Owns the escaping of strings and the one envelope that is the same everywhere. Refuses to parse. What it writes is safe as JSON, as
//! JavaScript and inside a script element: no text of a publisher can end the string, the line or the block that it stands in.

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

/// What a subscriber is told when its queue has dropped messages: those between the one before this and the one behind it.
pub(crate) const DROPPED: &str = r#"{"gap":true}"#;

/// What a subscriber is told when messages are missing: those behind `from` are all there.
pub(crate) fn gap(from: Id) -> String {
    format!(r#"{{"gap":true,"from":"{from}"}}"#)
}
