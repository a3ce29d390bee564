//! From the bytes of an answer to messages.
//!
//! Owns the framing of each technique as its client reads it: answers with a length, chunks,
//! `WebSocket` frames, and within them events, lines, scripts, parts and envelopes. It reads only
//! what the hub writes for payloads of `publisher`, so that it is fast; it is no general parser.
//! Leaves the account to `account`.

use std::io;

use pushlab::push::Id;

use super::technique::{Form, Kind, Technique};
use super::wire::{field, head_end, unexpected};

/// One thing that a client learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The head of a stream has arrived.
    Opened,
    Message(Received),
    /// Messages are missing here. All messages after the id follow.
    Gap(Option<Id>),
    /// The cursor to continue from.
    Cursor(Id),
    /// The end of an answer to a poll.
    Answered {
        /// The server has more messages already.
        has_more: bool,
    },
    /// The stream has ended, or the server has ended a poll on purpose.
    Ended,
    /// A ping of a `WebSocket`, with its payload.
    Ping(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Absent in forms without ids.
    pub(crate) id: Option<Id>,
    /// The publisher's number.
    pub(crate) number: u64,
    /// When it was due to be published, in nanoseconds of the publisher's clock.
    pub(crate) due_ns: u64,
}

/// The reader of one connection.
pub(crate) struct Decoder {
    technique: Technique,
    form: Form,
    input: Vec<u8>,
    /// The decoded chunks that are no whole message yet.
    body: Vec<u8>,
    is_open: bool,
}

impl Decoder {
    pub(crate) fn new(technique: Technique, form: Form) -> Self {
        Self { technique, form, input: Vec::new(), body: Vec::new(), is_open: false }
    }

    /// Adds bytes, and appends what is complete.
    pub(crate) fn decode(&mut self, bytes: &[u8], items: &mut Vec<Item>) -> io::Result<()> {
        self.input.extend_from_slice(bytes);
        let mut used = 0;
        while let Some(len) = self.step(used, items)? {
            used += len;
        }
        self.input.drain(..used);
        Ok(())
    }

    /// Reads one answer, head, chunk or frame. Returns its length, or `None` if it is not complete.
    fn step(&mut self, at: usize, items: &mut Vec<Item>) -> io::Result<Option<usize>> {
        let input = &self.input[at..];
        if self.is_open {
            return if self.technique == Technique::WebSocket { self.frame(at, items) } else { self.chunk(at, items) };
        }
        let Some(head_len) = head_end(input) else { return Ok(None) };
        let head = std::str::from_utf8(&input[..head_len]).map_err(|_| unexpected(input))?;
        let status = head.get(9..12).unwrap_or_default();
        if self.technique.kind() == Kind::Stream {
            let wanted = if self.technique == Technique::WebSocket { "101" } else { "200" };
            if status != wanted {
                return Err(unexpected(input));
            }
            self.is_open = true;
            items.push(Item::Opened);
            items.extend(field(head, "pushlab-resumed").and_then(|id| id.parse().ok()).map(Item::Cursor));
            return Ok(Some(head_len));
        }
        let length = field(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if input.len() < head_len + length {
            return Ok(None);
        }
        if !matches!(status, "200" | "204" | "304") {
            return Err(unexpected(input));
        }
        let cursor = field(head, "etag").and_then(|tag| tag.trim_matches('"').parse::<Id>().ok());
        let body = text(&input[head_len..head_len + length])?;
        if is_last_word(body) {
            items.push(Item::Ended);
            return Ok(Some(head_len + length));
        }
        let has_more = match (self.technique, self.form) {
            (Technique::MetaRefresh, _) => page(body, items),
            (_, Form::Raw) => {
                if let Some(from) = field(head, "pushlab-gap") {
                    items.push(Item::Gap(from.parse().ok()));
                }
                items.extend(received(cursor, body).map(Item::Message));
                false
            }
            (_, Form::Usual) => answer(body, items),
        };
        items.extend(cursor.map(Item::Cursor));
        items.push(Item::Answered { has_more });
        Ok(Some(head_len + length))
    }

    /// Reads one chunk, when it is complete.
    fn chunk(&mut self, at: usize, items: &mut Vec<Item>) -> io::Result<Option<usize>> {
        let input = &self.input[at..];
        let Some(line) = input.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let size = text(&input[..line]).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let size = size.ok_or_else(|| unexpected(input))?;
        let len = line + 2 + size + 2;
        if input.len() < len {
            return Ok(None);
        }
        if size == 0 {
            self.is_open = false;
            self.body.clear();
            items.push(Item::Ended);
        } else {
            self.body.extend_from_slice(&input[line + 2..line + 2 + size]);
            let used = units(self.technique, self.form, &self.body, items)?;
            self.body.drain(..used);
        }
        Ok(Some(len))
    }

    /// Reads one frame of a server, which is not masked (RFC 6455, section 5.2).
    fn frame(&mut self, at: usize, items: &mut Vec<Item>) -> io::Result<Option<usize>> {
        let input = &self.input[at..];
        let [first, second, rest @ ..] = input else { return Ok(None) };
        let (head_len, len) = match (second, rest) {
            (126, [a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, [0, 0, 0, 0, a, b, c, d, ..]) => (10, u32::from_be_bytes([*a, *b, *c, *d]) as usize),
            (126 | 127, _) => return Ok(None),
            (len, _) => (2, usize::from(*len)),
        };
        let Some(payload) = input.get(head_len..head_len + len) else { return Ok(None) };
        match first {
            0x81 if self.form == Form::Raw => items.extend(received(None, text(payload)?).map(Item::Message)),
            0x81 => envelopes(text(payload)?, items),
            0x88 => items.push(Item::Ended),
            0x89 => items.push(Item::Ping(payload.to_vec())),
            _ => return Err(unexpected(input)),
        }
        Ok(Some(head_len + len))
    }
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| unexpected(bytes))
}

/// The messages and gaps of a stream. Returns how many bytes they have.
fn units(technique: Technique, form: Form, body: &[u8], items: &mut Vec<Item>) -> io::Result<usize> {
    let mut used = 0;
    loop {
        let rest = &body[used..];
        let len = match technique {
            Technique::Multipart => part(rest, items)?,
            Technique::Events => rest.windows(2).position(|two| two == b"\n\n").map(|at| at + 2),
            _ => rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1),
        };
        let Some(len) = len else { return Ok(used) };
        match technique {
            Technique::Multipart => {}
            Technique::Events => event(text(&rest[..len])?, items),
            Technique::Stream if form == Form::Raw => items.extend(received(None, text(&rest[..len])?).map(Item::Message)),
            _ => envelopes(text(&rest[..len])?, items),
        }
        used += len;
    }
}

/// A payload of `publisher`: a number, a time and padding. `None` for anything else.
fn received(id: Option<Id>, payload: &str) -> Option<Received> {
    let mut words = payload.trim_ascii().split(' ');
    Some(Received { id, number: words.next()?.parse().ok()?, due_ns: words.next()?.parse().ok()? })
}

/// The text between two marks, and the text after the second mark.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(before)?.1.split_once(after)
}

/// Whether a unit is the last word of a server. It is no message. The end of a response follows it,
/// and an answer to a poll is the end itself.
fn is_last_word(text: &str) -> bool {
    ["", "/**/f(", "<script>parent.f(", "event: end\ndata: "]
        .iter()
        .any(|before| text.strip_prefix(before).is_some_and(|json| json.starts_with("{\"end\":true")))
}

/// The envelopes of a text, or its gap.
fn envelopes(text: &str, items: &mut Vec<Item>) {
    if is_last_word(text) {
        return;
    }
    if text.contains("{\"gap\":true") {
        items.push(Item::Gap(from(text)));
    }
    let mut rest = text;
    while let Some((id, behind)) = between(rest, "{\"id\":\"", "\"") {
        let Some((payload, behind)) = between(behind, "\"data\":\"", "\"") else { return };
        items.extend(received(id.parse().ok(), payload).map(Item::Message));
        rest = behind;
    }
}

fn from(text: &str) -> Option<Id> {
    between(text, "\"from\":\"", "\"").and_then(|(id, _)| id.parse().ok())
}

/// The answer to a poll. Returns whether there is more.
fn answer(body: &str, items: &mut Vec<Item>) -> bool {
    let end = body.rfind("],\"last\":").map_or("", |at| &body[at..]);
    if end.contains("\"gap\":true") {
        items.push(Item::Gap(from(end)));
    }
    envelopes(body, items);
    end.contains("\"more\":true")
}

/// A page of meta refresh. Returns whether it reloads at once.
fn page(body: &str, items: &mut Vec<Item>) -> bool {
    if let Some((from, _)) = between(body, "<p class=\"gap\">Messages before ", " are") {
        items.push(Item::Gap(from.parse().ok()));
    }
    let mut rest = body;
    while let Some((id, behind)) = between(rest, "<li id=\"", "\"") {
        let Some((payload, behind)) = between(behind, "<pre>", "</pre>") else { break };
        items.extend(received(id.parse().ok(), payload).map(Item::Message));
        rest = behind;
    }
    let last = between(rest, "<p>Last: ", ".").and_then(|(id, _)| id.parse().ok());
    items.extend(last.map(Item::Cursor));
    body.contains("content=\"0;url=")
}

/// An event with its empty line.
fn event(block: &str, items: &mut Vec<Item>) {
    if is_last_word(block) {
        return;
    }
    let (mut id, mut data, mut is_gap) = (None, None, false);
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", value)) => id = value.parse().ok(),
            Some(("data", value)) => data = Some(value),
            Some(("event", "gap")) => is_gap = true,
            _ => {}
        }
    }
    match data {
        Some(data) if is_gap => items.push(Item::Gap(from(data))),
        Some(data) => items.extend(received(id, data).map(Item::Message)),
        None => items.extend(id.map(Item::Cursor)),
    }
}

/// A part of `multipart/x-mixed-replace`, or a boundary. Returns its length.
fn part(rest: &[u8], items: &mut Vec<Item>) -> io::Result<Option<usize>> {
    if rest.starts_with(b"--") {
        return Ok(rest.windows(2).position(|two| two == b"\r\n").map(|at| at + 2));
    }
    let Some(head_len) = head_end(rest) else { return Ok(None) };
    let head = text(&rest[..head_len])?;
    let length: usize = field(head, "content-length").and_then(|value| value.parse().ok()).ok_or_else(|| unexpected(rest))?;
    let Some(payload) = rest.get(head_len..head_len + length) else { return Ok(None) };
    if rest.len() < head_len + length + 2 {
        return Ok(None);
    }
    let payload = text(payload)?;
    let id = field(head, "content-id").and_then(|id| id.trim_matches(['<', '>']).parse().ok());
    if field(head, "x-gap").is_some() {
        items.push(Item::Gap(from(payload)));
    } else if field(head, "x-end").is_none() {
        items.extend(received(id, payload).map(Item::Message));
    }
    Ok(Some(head_len + length + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> Id {
        Id { epoch: 0xab, sequence }
    }

    fn message(sequence: u64) -> Item {
        Item::Message(Received { id: Some(id(sequence)), number: sequence, due_ns: 5 })
    }

    /// Decodes the bytes whole, and byte by byte, which must give the same.
    fn items(technique: Technique, form: Form, bytes: &str) -> Vec<Item> {
        let (mut whole, mut single) = (Vec::new(), Vec::new());
        Decoder::new(technique, form).decode(bytes.as_bytes(), &mut whole).unwrap();
        let mut decoder = Decoder::new(technique, form);
        for byte in bytes.as_bytes() {
            decoder.decode(&[*byte], &mut single).unwrap();
        }
        assert_eq!(whole, single);
        whole
    }

    fn chunks(bodies: &[&str]) -> String {
        let chunks: String = bodies.iter().map(|body| format!("{:x}\r\n{body}\r\n", body.len())).collect::<Vec<_>>().concat();
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    }

    const ENVELOPE: &str = r#"{"id":"ab-1","topic":"t","data":"1 5 xx"}"#;
    const GAP: &str = r#"{"gap":true,"from":"ab-0"}"#;
    /// Its sentence reads like a message.
    const LAST_WORD: &str = r#"{"end":true,"code":1001,"sentence":"{\"id\":\"ab-9\",\"data\":\"9 5 xx\"}","retry":1500}"#;

    #[test]
    fn answers_to_polls_are_read() {
        let body = format!(r#"{{"messages":[{ENVELOPE}],"last":"ab-1","gap":true,"from":"ab-0","more":true}}"#);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"ab-1\"\r\n\r\n", body.len());
        let nothing = "HTTP/1.1 304 Not Modified\r\nETag: \"ab-1\"\r\n\r\n";
        let got = items(Technique::Poll, Form::Usual, &format!("{head}{body}{nothing}"));
        let answered = |has_more| Item::Answered { has_more };
        let wanted = vec![Item::Gap(Some(id(0))), message(1), Item::Cursor(id(1)), answered(true), Item::Cursor(id(1)), answered(false)];
        assert_eq!(got, wanted);
        let raw = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nETag: \"ab-1\"\r\n\r\n1 5 xx";
        assert_eq!(items(Technique::LongPoll, Form::Raw, raw), [message(1), Item::Cursor(id(1)), answered(false)]);
        let end = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n/**/f({LAST_WORD});", LAST_WORD.len() + 8);
        assert_eq!(items(Technique::LongPoll, Form::Usual, &end), [Item::Ended]);
        let page = "<meta http-equiv=\"refresh\" content=\"0;url=?every=1\"><p class=\"gap\">Messages before ab-0 are missing.</p>\
                    <li id=\"ab-1\"><b>t</b> <pre>\n1 5 xx</pre></li>\n</ol>\n<p>Last: ab-1. This page loads itself again every 1 s.</p>";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
        let got = items(Technique::MetaRefresh, Form::Usual, &(head + page));
        assert_eq!(got, [Item::Gap(Some(id(0))), message(1), Item::Cursor(id(1)), answered(true)]);
    }

    #[test]
    fn streams_are_read() {
        let script = |json: &str| format!("<script>parent.f({json})</script>\n");
        let part = "Content-ID: <ab-1>\r\nContent-Length: 6\r\n\r\n1 5 xx\r\n--b\r\n";
        let gap_part = format!("X-Gap: 1\r\nContent-Length: {}\r\n\r\n{GAP}\r\n--b\r\n", GAP.len());
        let end_part = format!("X-End: 1\r\nContent-Length: {}\r\n\r\n{LAST_WORD}\r\n--b--\r\n", LAST_WORD.len());
        let [end, end_event] = [format!("{LAST_WORD}\n"), format!("retry: 1500\n\nevent: end\ndata: {LAST_WORD}\n\n")];
        let gap_event = format!("event: gap\ndata: {GAP}\n\n");
        for (technique, bodies) in [
            (Technique::Stream, ["\n".to_owned(), format!("{GAP}\n"), format!("{ENVELOPE}\n"), end]),
            (Technique::Iframe, ["<!DOCTYPE html>\n".to_owned(), script(GAP), script(ENVELOPE), script(LAST_WORD)]),
            (Technique::Multipart, ["--b\r\n".to_owned(), gap_part, part.to_owned(), end_part]),
            (Technique::Events, [":\n\n".to_owned(), gap_event, "id: ab-1\ndata: 1 5 xx\n\n".to_owned(), end_event]),
        ] {
            let bodies = bodies.each_ref().map(String::as_str);
            let got = items(technique, Form::Usual, &(chunks(&bodies) + "0\r\n\r\n"));
            assert_eq!(got, [Item::Opened, Item::Gap(Some(id(0))), message(1), Item::Ended], "{technique}");
        }
        let preface = items(Technique::Events, Form::Usual, &chunks(&["id: ab-3\nretry: 1000\n\n"]));
        assert_eq!(preface, [Item::Opened, Item::Cursor(id(3))]);
    }

    #[test]
    fn frames_of_every_length_are_read() {
        let mut decoder = Decoder::new(Technique::WebSocket, Form::Usual);
        let mut got = Vec::new();
        decoder.decode(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x89\x01p", &mut got).unwrap();
        for padding in [1, 200, 70_000] {
            let payload = ENVELOPE.replace("xx", &"x".repeat(padding));
            let len = payload.len();
            let head = match len {
                0..=125 => vec![0x81, len as u8],
                126..=65_535 => [&[0x81, 126][..], &(len as u16).to_be_bytes()].concat(),
                _ => [&[0x81, 127][..], &(len as u64).to_be_bytes()].concat(),
            };
            let frame = [head, payload.into_bytes()].concat();
            decoder.decode(&frame[..3], &mut got).unwrap();
            decoder.decode(&frame[3..], &mut got).unwrap();
        }
        decoder.decode(&[0x88, 0], &mut got).unwrap();
        assert_eq!(got, [Item::Opened, Item::Ping(b"p".to_vec()), message(1), message(1), message(1), Item::Ended]);
    }
}
