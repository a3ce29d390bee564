//! Streams that programs read: server-sent events, parts and lines, each by a reader that knows the format and not the hub.

use serde_json::{Value, json};

use super::super::input::{Cuts, Input};
use super::super::sse::{Stream, Triple, decode, decode_naively};
use super::base64;
use super::stage::{Ask, Heard, Seen, Told, play};

fn expect_gap(value: &Value, heard: &Heard) {
    assert_eq!(value, &json!({"gap": true, "from": heard.start()}));
}

/// What the format makes of the line ends of a text.
fn lines_of(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn expect_events(heard: &Heard, is_json: bool, cuts: Cuts<'_>) {
    let body = &heard.answer.body;
    let Stream { mut events, last_event_id, retry, error } = decode(body, cuts.for_len(body.len()), usize::MAX / 2);
    assert_eq!((&events, error), (&decode_naively(body).events, None));
    assert_eq!(retry.map(|retry| retry.as_secs()), Some(2));
    let start = heard.start();
    assert_eq!(last_event_id.as_deref(), Some(heard.messages().last().map_or(&*start, |told| &told.id)));
    if heard.has_gap {
        let (name, data, id) = events.remove(0);
        assert_eq!((&*name, &id), (if is_json { "message" } else { "gap" }, &start));
        expect_gap(&serde_json::from_str(&data).expect("JSON"), heard);
    }
    if is_json {
        let envelopes = events.iter().map(|(name, data, _)| (&**name, serde_json::from_str::<Value>(data).expect("JSON")));
        assert_eq!(envelopes.collect::<Vec<_>>(), heard.messages().map(|told| ("message", told.envelope())).collect::<Vec<_>>());
        assert!(events.iter().map(|(.., id)| id).eq(heard.messages().map(|told| &told.id)));
        return;
    }
    let expected =
        |told: &Told| -> Triple { (told.event.clone().unwrap_or_else(|| "message".to_owned()), lines_of(&told.shown()), told.id.clone()) };
    assert_eq!(events, heard.messages().map(expected).collect::<Vec<_>>());
}

/// Fields in their order, and the content, not decoded.
type Part = (Vec<(String, String)>, Vec<u8>);

/// Reads parts as far as they are whole (RFC 2046, section 5.1), and refuses what a strict reader may refuse.
struct Parts {
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    has_begun: bool,
    whole: Vec<Part>,
}

impl Parts {
    fn feed(&mut self, piece: &[u8]) {
        // Only what is new can make a boundary whole.
        let mut from = self.buffer.len().saturating_sub(self.delimiter.len());
        self.buffer.extend_from_slice(piece);
        if !self.has_begun {
            if self.buffer.len() < self.delimiter.len() - 2 {
                return;
            }
            // The line end before the first boundary is that of the head.
            let rest = self.buffer.strip_prefix(&self.delimiter[2..]).expect("a boundary comes first");
            (self.buffer, self.has_begun, from) = (rest.to_vec(), true, 0);
        }
        while let Some(end) = find(&self.buffer[from..], &self.delimiter) {
            let part: Vec<u8> = self.buffer.drain(..from + end + self.delimiter.len()).take(from + end).collect();
            self.whole.push(read_part(&part));
            from = 0;
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn read_part(part: &[u8]) -> Part {
    let end = find(part, b"\r\n\r\n").expect("a part has a head and an empty line");
    let head = std::str::from_utf8(&part[..end]).expect("a head is text");
    let fields: Vec<(String, String)> = head
        .split("\r\n")
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
            assert!(name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') && !value.contains(['\r', '\n']), "{line:?}");
            (name.to_owned(), value.to_owned())
        })
        .collect();
    (fields, part[end + 4..].to_vec())
}

fn expect_parts(heard: &Heard, is_json: bool, mut cuts: Cuts<'_>) {
    let delimiter = format!("\r\n--{}\r\n", heard.boundary).into_bytes();
    let mut reader = Parts { delimiter, buffer: Vec::new(), has_begun: false, whole: Vec::new() };
    let mut rest = &heard.answer.body[..];
    cuts = cuts.for_len(rest.len());
    while let Some(piece) = cuts.take(&mut rest) {
        reader.feed(piece);
    }
    let Parts { buffer, whole: parts, .. } = reader;
    // Browsers look for the boundary wherever it stands.
    let found = heard.answer.body.windows(heard.boundary.len()).filter(|window| *window == heard.boundary.as_bytes()).count();
    assert_eq!(found, parts.len() + 1, "no boundary inside of a part");
    let mut parts = parts.into_iter();
    if heard.has_gap {
        let (mut fields, content) = parts.next().expect("the gap comes first");
        let expected = [("Content-Type", "application/json"), ("X-Gap", "1"), ("Content-Length", &content.len().to_string())];
        fields.retain(|(name, _)| name != "X-Heartbeat");
        assert!(fields.iter().map(|(name, value)| (&**name, &**value)).eq(expected));
        expect_gap(&serde_json::from_slice(&content).expect("JSON"), heard);
    }
    let mut beats = 0;
    for seen in &heard.expected {
        let Seen::Message(told) = seen else {
            beats += 1;
            continue;
        };
        let (fields, content) = parts.next().unwrap_or_else(|| panic!("no part for {told:?}"));
        let is_encoded = fields.iter().any(|(name, _)| name == "Content-Transfer-Encoding");
        let content_type = match (is_json, told.is_text) {
            (true, _) => "application/json",
            (false, true) => "text/plain; charset=utf-8",
            (false, false) => "application/octet-stream",
        };
        let (id, len) = (format!("<{}>", told.id), content.len().to_string());
        let expected = std::iter::repeat_n(("X-Heartbeat", "1"), beats)
            .chain([("Content-Type", content_type), ("Content-ID", &*id)])
            .chain(is_encoded.then_some(("Content-Transfer-Encoding", "base64")))
            .chain([("Content-Length", &*len)]);
        assert!(fields.iter().map(|(name, value)| (&**name, &**value)).eq(expected), "{fields:?}");
        let content = if is_encoded { base64::decode(&content) } else { content };
        if is_json {
            assert_eq!(serde_json::from_slice::<Value>(&content).expect("JSON"), told.envelope());
        } else {
            assert_eq!(content, told.bytes);
        }
        beats = 0;
    }
    assert_eq!(parts.next(), None, "no part that was not published");
    assert_eq!(buffer, b"X-Heartbeat: 1\r\n".repeat(beats));
}

/// One envelope a line; empty lines are heartbeats.
fn expect_lines(heard: &Heard) {
    let mut lines = heard.answer.body.split(|byte| *byte == b'\n');
    assert_eq!((lines.next(), lines.next_back()), (Some(&b""[..]), Some(&b""[..])), "an empty line comes first, and every line ends");
    if heard.has_gap {
        expect_gap(&serde_json::from_slice(lines.next().expect("the gap comes first")).expect("JSON"), heard);
    }
    for seen in &heard.expected {
        let line = lines.next().unwrap_or_else(|| panic!("no line for {seen:?}"));
        match seen {
            Seen::Beat => assert_eq!(line, b""),
            Seen::Message(told) => assert_eq!(serde_json::from_slice::<Value>(line).expect("JSON"), told.envelope()),
        }
    }
    assert_eq!(lines.next(), None, "no line that was not published");
}

/// The payloads and line ends, and nothing else.
fn expect_raw_lines(heard: &Heard) {
    assert_eq!(heard.answer.field("Pushlab-Gap").is_some(), heard.has_gap);
    let mut expected = b"\n".to_vec();
    for seen in &heard.expected {
        if let Seen::Message(told) = seen {
            expected.extend_from_slice(&told.bytes);
        }
        expected.push(b'\n');
    }
    assert_eq!(heard.answer.body, expected);
}

/// Whatever the names and the payloads are, a reader finds exactly what was published.
pub(in super::super) fn readers_find_what_was_published(data: &[u8]) {
    let mut input = Input::new(data);
    let (technique, is_json, cuts) = (input.below(3), input.flag(), input.cuts());
    let path = format!("{}?format={}", ["events", "multipart", "stream"][technique], if is_json { "json" } else { "raw" });
    let heard = play(&mut input, &Ask { technique: path, is_stream: true });
    assert_eq!((heard.answer.status, heard.answer.is_whole), (200, false));
    match (technique, is_json) {
        (0, _) => expect_events(&heard, is_json, cuts),
        (1, _) => expect_parts(&heard, is_json, cuts),
        (_, true) => expect_lines(&heard),
        (_, false) => expect_raw_lines(&heard),
    }
}
