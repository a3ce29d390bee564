//! The hub's wire forms: payloads and names that are anything, and back by other implementations.
//!
//! The JSON alone is here; what techniques put around it is below.

mod base64;
mod changes;
mod html;
mod stage;
mod streams;

use pushlab::push::{Cursor, Hub, HubConfig, Payload, Topics, append_json_string};
use serde_json::Value;

use super::input::Input;
pub(super) use changes::bodies_are_what_they_say;
pub(super) use html::browsers_find_only_messages;
pub(super) use streams::readers_find_what_was_published;

/// What could end a string, a line or a script element.
fn expect_safe(json: &str) {
    for text in ["</", "<!", "\u{2028}", "\u{2029}"] {
        assert!(!json.contains(text), "{json}");
    }
    assert!(!json.bytes().any(|byte| byte < 0x20), "{json}");
}

/// A text with anything in it comes back as it was; so does a message, with its topic and its event.
fn comes_back_from_json(data: &[u8]) {
    let mut input = Input::new(data);
    let (is_text, event) = (input.flag(), input.flag().then(|| input.text()));
    let bytes = input.rest();
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut json = String::new();
    append_json_string(&text, &mut json);
    expect_safe(&json);
    assert_eq!(serde_json::from_str::<String>(&json).expect("a JSON string"), text);

    let hub = Hub::new(HubConfig::default());
    let payload = if is_text { Payload::text(text.clone()) } else { Payload::binary(bytes) };
    let payload = match &event {
        Some(name) => payload.event(name.clone()),
        None => payload,
    };
    let Ok(published) = hub.publish("a", payload) else { return };
    let topics = Topics::parse("a", 1).expect("a name");
    let replay = hub.replay(&topics, Cursor::Earliest);
    let json = replay.messages[0].json();
    expect_safe(json);
    let value: Value = serde_json::from_str(json).expect("an envelope");
    assert_eq!((value["id"].as_str(), value["topic"].as_str()), (Some(&*published.id.to_string()), Some("a")));
    assert_eq!(value["event"].as_str(), event.as_deref());
    if is_text {
        assert_eq!((value["data"].as_str(), &value["encoding"]), (Some(&*text), &Value::Null));
    } else {
        assert_eq!(value["data"].as_str().map(str::len), Some(bytes.len().div_ceil(3) * 4));
        assert_eq!(value["encoding"], "base64");
    }
}

/// A cursor is what its text says, or is refused.
fn cursors_are_their_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text);
    }
}

/// Both of the above, of the same bytes.
pub(super) fn keeps_its_promises(data: &[u8]) {
    comes_back_from_json(data);
    cursors_are_their_text(data);
}
