//! What a client of each technique understands of the bytes that it gets, read with readers that are not the hub's own.

use pushlab::proto::sse::Decoder;
use serde_json::Value;

use crate::session::wire;

/// A message, a gap or the last word, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Id, topic (where the technique tells it), payload.
    Message(String, String, Vec<u8>),
    Gap,
    /// The last word: its code and its sentence.
    End(u16, String),
}

impl Seen {
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Message(.., payload) => payload,
            Self::Gap => b"(a gap)",
            Self::End(..) => b"(the end)",
        }
    }
}

/// An envelope, a gap, or the last word.
#[track_caller]
pub fn envelope(value: &Value) -> Seen {
    if value["end"] == true {
        let code = value["code"].as_u64().and_then(|code| code.try_into().ok()).unwrap();
        return Seen::End(code, value["sentence"].as_str().unwrap().to_owned());
    }
    if value["gap"] == true {
        return Seen::Gap;
    }
    let text = |name: &str| value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned();
    let data = if value["encoding"] == "base64" { decode_base64(&text("data")) } else { text("data").into_bytes() };
    Seen::Message(text("id"), text("topic"), data)
}

/// The answer to a poll: what it has, and the cursor to go on with.
#[track_caller]
pub fn poll(body: &[u8]) -> (Vec<Seen>, String) {
    let value: Value = serde_json::from_slice(body).unwrap();
    let mut seen = if value["gap"].as_bool().unwrap() { vec![Seen::Gap] } else { Vec::new() };
    seen.extend(value["messages"].as_array().unwrap().iter().map(envelope));
    (seen, value["last"].as_str().unwrap().to_owned())
}

/// A poll's answer in a script.
#[track_caller]
pub fn jsonp(body: &[u8], callback: &str) -> (Vec<Seen>, String) {
    let text = std::str::from_utf8(body).unwrap();
    assert!(!text.contains("</") && !text.contains(['\u{2028}', '\u{2029}', '\n', '\r']), "{text}");
    poll(text.strip_prefix(&format!("/**/{callback}(")).unwrap().strip_suffix(");").unwrap().as_bytes())
}

/// Lines of JSON, as far as they are whole.
#[track_caller]
pub fn lines(body: &[u8]) -> Vec<Seen> {
    let whole = body.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let text = std::str::from_utf8(&body[..whole]).unwrap();
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| envelope(&serde_json::from_str(line).unwrap())).collect()
}

/// Events, through the crate's decoder, which is tested against the standard by itself. The payload is what a listener gets; of JSON it is
/// what `onmessage` hears, which is everything.
#[track_caller]
pub fn events(mut body: &[u8], is_json: bool) -> (Vec<Seen>, String) {
    let (mut decoder, mut seen) = (Decoder::new(usize::MAX / 2), Vec::new());
    while let (used, Some(event)) = decoder.next_event(body).unwrap() {
        assert!(!is_json || event.event == "message", "{event:?}");
        seen.push(match event.event {
            _ if is_json => envelope(&serde_json::from_str(event.data).unwrap()),
            "gap" => Seen::Gap,
            "end" => envelope(&serde_json::from_str(event.data).unwrap()),
            _ => Seen::Message(event.id.to_owned(), String::new(), event.data.as_bytes().to_vec()),
        });
        body = &body[used..];
    }
    let last = decoder.last_event_id().to_owned();
    (seen, last)
}

/// Script elements of a page, found as a tokenizer of HTML finds them (WHATWG HTML, section 13.2.5): an element's text ends at the first `</script`,
/// unless `<!--` has hidden it.
#[track_caller]
pub fn scripts(body: &[u8], callback: &str) -> Vec<Seen> {
    let mut rest = std::str::from_utf8(body).unwrap();
    let mut seen = Vec::new();
    while let Some((_, after)) = rest.split_once("<script>") {
        let Some((script, after)) = after.split_once("</script>") else { break };
        assert!(!script.contains("<!--") && !script.contains("</") && !script.contains(['\u{2028}', '\n', '\r']), "{script}");
        let json = script.strip_prefix(&format!("parent.{callback}(")).unwrap().strip_suffix(')').unwrap();
        seen.push(envelope(&serde_json::from_str(json).unwrap()));
        rest = after;
    }
    seen
}

/// Parts, split at the boundary alone, as browsers do.
#[track_caller]
pub fn parts(body: &[u8], content_type: &str, is_json: bool) -> Vec<Seen> {
    let delimiter = format!("--{}", content_type.split_once("boundary=").unwrap().1);
    let boundary = format!("{delimiter}\r\n");
    let mut rest = body.strip_prefix(boundary.as_bytes()).unwrap();
    let mut seen = Vec::new();
    while let Some(end) = find(rest, delimiter.as_bytes()) {
        let (part, after) = (&rest[..end], &rest[end + delimiter.len()..]);
        // Two hyphens follow the last delimiter (RFC 2046, section 5.1.1).
        let is_last = after.starts_with(b"--\r\n");
        let after = after.strip_prefix(if is_last { &b"--\r\n"[..] } else { b"\r\n" }).unwrap();
        let blank = find(part, b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&part[..blank]).unwrap();
        let text = part[blank + 4..].strip_suffix(b"\r\n").unwrap();
        let is_encoded = head.contains("Content-Transfer-Encoding: base64");
        let payload = if is_encoded { decode_base64(std::str::from_utf8(text).unwrap()) } else { text.to_vec() };
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        assert_eq!(field("Content-Length: "), Some(&*text.len().to_string()));
        seen.push(match field("Content-ID: ") {
            None if field("X-End: ").is_some() => envelope(&serde_json::from_slice(&payload).unwrap()),
            None => Seen::Gap,
            Some(_) if is_json => envelope(&serde_json::from_slice(&payload).unwrap()),
            Some(id) => Seen::Message(id.trim_matches(['<', '>']).to_owned(), String::new(), payload),
        });
        rest = after;
        assert_eq!(is_last, matches!(seen.last(), Some(Seen::End(..))), "{head}");
    }
    seen
}

/// Text frames with envelopes.
#[track_caller]
pub fn frames(bytes: &[u8]) -> Vec<Seen> {
    let texts = wire::frames(bytes).into_iter().filter(|(opcode, _)| *opcode == wire::TEXT);
    texts.map(|(_, payload)| envelope(&serde_json::from_slice(&payload).unwrap())).collect()
}

/// A page's list, unescaped.
#[track_caller]
pub fn page(body: &[u8]) -> (Vec<Seen>, String) {
    let text = std::str::from_utf8(body).unwrap();
    let mut seen = if text.contains("class=\"gap\"") { vec![Seen::Gap] } else { Vec::new() };
    for item in text.split("<li id=\"").skip(1) {
        let (id, item) = item.split_once("\"><b>").unwrap();
        let (topic, item) = item.split_once("</b> <pre>\n").unwrap();
        let (data, _) = item.split_once("</pre></li>").unwrap();
        assert!(!data.contains(['<', '>', '"']));
        let data = [("&#13;", "\r"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
        let data = data.iter().fold(item.split_once("</pre></li>").unwrap().0.to_owned(), |text, (from, to)| text.replace(from, to));
        seen.push(Seen::Message(id.to_owned(), topic.to_owned(), data.into_bytes()));
    }
    let last = text.split_once("<p>Last: ").unwrap().1.split_once(". This").unwrap().0;
    (seen, last.to_owned())
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// RFC 4648, section 4, as a test needs it.
fn decode_base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{text}"),
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(value).collect();
    let group = |group: &[u8]| {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (at, digit)| bits | u32::from(*digit) << (18 - 6 * at));
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
