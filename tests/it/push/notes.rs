//! What a client with a control channel reads: messages, and notes about its topics.

use pushlab::proto::sse::Decoder;
use serde_json::{Value, json};

use super::slow::sequence;

/// The techniques whose topics can be changed on an open connection.
pub const TECHNIQUES: [&str; 7] =
    ["events?", "events?format=json&", "stream?", "iframe?callback=f&", "multipart?", "multipart?format=json&", "ws?"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The number of a message, and its data.
    Message(u64, String),
    /// A gap, a secret, a change of the topics, or the last word.
    Note(Value),
}

impl Item {
    /// The note as text, or the number of the message.
    pub fn brief(&self) -> String {
        match self {
            Self::Message(number, _) => number.to_string(),
            Self::Note(note) => note.to_string(),
        }
    }
}

/// The last word of a WebSocket, which stands in its close frame.
pub fn close_frame(payload: &[u8]) -> Item {
    let (code, sentence) = payload.split_at(2);
    let (code, sentence) = (u16::from_be_bytes(code.try_into().unwrap()), std::str::from_utf8(sentence).unwrap());
    Item::Note(json!({ "end": true, "code": code, "sentence": sentence }))
}

fn of_json(text: &str) -> Item {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    match value["id"].as_str() {
        Some(id) => Item::Message(sequence(id), value["data"].as_str().unwrap().to_owned()),
        None => Item::Note(value),
    }
}

/// What a piece of a body has, or the payload of a frame. A piece begins and ends between two items.
pub fn items(technique: &str, piece: &[u8]) -> Vec<Item> {
    let text = std::str::from_utf8(piece).unwrap();
    match technique.split('?').next().unwrap() {
        "ws" => vec![of_json(text)],
        "stream" => text.lines().filter(|line| !line.trim().is_empty()).map(of_json).collect(),
        "iframe" => {
            let scripts = text.split("<script>parent.f(").skip(1);
            scripts.map(|script| of_json(script.split_once(")</script>").unwrap().0)).collect()
        }
        "multipart" => text.split("\r\n--part-").filter_map(part).collect(),
        _ => events(piece),
    }
}

fn part(text: &str) -> Option<Item> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    assert_eq!(field("Content-Length: "), Some(&*body.len().to_string()), "{text}");
    let is_note = field("X-Gap: ").or(field("X-Control: ")).or(field("X-End: ")).is_some();
    Some(match field("Content-ID: ") {
        Some(id) if field("Content-Type: ") != Some("application/json") => {
            Item::Message(sequence(id.trim_matches(['<', '>'])), body.to_owned())
        }
        id => {
            assert_eq!(id.is_none(), is_note, "{text}");
            of_json(body)
        }
    })
}

fn events(mut piece: &[u8]) -> Vec<Item> {
    let (mut decoder, mut found) = (Decoder::new(usize::MAX / 2), Vec::new());
    while let (used, Some(event)) = decoder.next_event(piece).unwrap() {
        let is_raw_message = event.event == "message" && !event.data.starts_with('{');
        found.push(if is_raw_message { Item::Message(sequence(event.id), event.data.to_owned()) } else { of_json(event.data) });
        piece = &piece[used..];
    }
    found
}
