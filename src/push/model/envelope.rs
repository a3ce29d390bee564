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

/// The gap that a subscriber receives after its queue has dropped messages. It has no `from`: the
/// missing messages are those between the ids before and after the gap.
pub(crate) const DROPPED_GAP: &str = r#"{"gap":true}"#;

/// The gap that a subscriber receives when messages before `from` are missing. All messages after
/// `from` follow.
pub(crate) fn gap_envelope(from: Id) -> String {
    format!(r#"{{"gap":true,"from":"{from}"}}"#)
}
