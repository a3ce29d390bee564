//! From the bodies of answers to messages, with readers that are not the hub's own.
//!
//! Owns the form of each technique within its framing. Leaves heads, chunks and frames to `http` and
//! `reader`.

use std::io;

use pushlab::proto::sse::Decoder;
use pushlab::push::Id;
use serde_json::Value;

use super::http::{field, unexpected};
use super::technique::Technique;

const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// One thing that a client learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Message(Id, String),
    /// Messages are missing here. All messages behind the id follow.
    Gap(Id),
    /// An answer to a poll has everything up to this id.
    Cursor(Id),
}

fn id(text: Option<&str>) -> io::Result<Id> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| unexpected(format!("no id: {text:?}")))
}

fn json(text: &str) -> io::Result<Value> {
    serde_json::from_str(text).map_err(|error| unexpected(format!("{error} in {text}")))
}

/// An envelope, or a gap. `None` for the last word of a server, behind which the stream ends.
fn envelope(value: &Value) -> io::Result<Option<Item>> {
    if value["end"] == true {
        return Ok(None);
    }
    if value["gap"] == true {
        return Ok(Some(Item::Gap(id(value["from"].as_str())?)));
    }
    let data = value["data"].as_str().ok_or_else(|| unexpected(format!("no data in {value}")))?;
    Ok(Some(Item::Message(id(value["id"].as_str())?, data.to_owned())))
}

/// An envelope as text, in the same way.
pub(crate) fn text_envelope(text: &str) -> io::Result<Option<Item>> {
    envelope(&json(text)?)
}

/// The answer to a poll: what it has, and then the cursor to go on with. `None` for the last word of a server.
pub(crate) fn poll(technique: Technique, body: &[u8]) -> io::Result<Option<Vec<Item>>> {
    let text = std::str::from_utf8(body).map_err(|error| unexpected(error.to_string()))?;
    let text = match technique {
        Technique::Jsonp => text.strip_prefix("/**/f(").and_then(|text| text.strip_suffix(");")),
        _ => Some(text),
    };
    let value = json(text.ok_or_else(|| unexpected("an answer that is no script"))?)?;
    if value["end"] == true {
        return Ok(None);
    }
    let mut items = Vec::new();
    if value["gap"] == true {
        items.push(Item::Gap(id(value["from"].as_str())?));
    }
    let messages = value["messages"].as_array().ok_or_else(|| unexpected(format!("no list of messages in {value}")))?;
    for message in messages {
        items.extend(envelope(message)?);
    }
    items.push(Item::Cursor(id(value["last"].as_str())?));
    Ok(Some(items))
}

/// A MESSAGE of STOMP; `None` for other frames.
pub(crate) fn stomp(frame: &str) -> io::Result<Option<Item>> {
    let Some(frame) = frame.strip_prefix("MESSAGE\n") else { return Ok(None) };
    let (headers, body) = frame.split_once("\n\n").ok_or_else(|| unexpected("a MESSAGE without an empty line"))?;
    let message_id = id(field(headers, "message-id"))?;
    let body = body.split('\0').next().unwrap_or_default();
    let is_gap = field(headers, "gap").is_some();
    Ok(Some(if is_gap { Item::Gap(message_id) } else { Item::Message(message_id, body.to_owned()) }))
}

/// The body of a stream, as it arrives.
pub(crate) struct Stream {
    technique: Technique,
    events: Decoder,
    /// What is no whole unit yet.
    rest: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(technique: Technique) -> Self {
        Self { technique, events: Decoder::new(EVENT_BYTES_MAX), rest: Vec::new() }
    }

    /// Takes bytes, and returns what is complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> io::Result<Vec<Item>> {
        match self.technique {
            Technique::Events | Technique::JsonEvents => return self.take_events(bytes),
            _ => self.rest.extend_from_slice(bytes),
        }
        let mut items = Vec::new();
        let mut used = 0;
        while let Some((len, item)) = self.unit(&self.rest[used..])? {
            used += len;
            items.extend(item);
        }
        self.rest.drain(..used);
        Ok(items)
    }

    fn take_events(&mut self, mut bytes: &[u8]) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        loop {
            let (used, event) = self.events.next_event(bytes).map_err(|error| unexpected(error.to_string()))?;
            let Some(event) = event else { return Ok(items) };
            items.extend(match event.event {
                "message" if self.technique == Technique::Events => Some(Item::Message(id(Some(event.id))?, event.data.to_owned())),
                "message" | "gap" | "end" => text_envelope(event.data)?,
                other => return Err(unexpected(format!("an event {other}"))),
            });
            bytes = &bytes[used..];
        }
    }

    /// The length of the first unit, and what it says.
    fn unit(&self, rest: &[u8]) -> io::Result<Option<(usize, Option<Item>)>> {
        if self.technique == Technique::Multipart && !rest.starts_with(b"--") {
            return part(rest);
        }
        let Some(at) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line = std::str::from_utf8(&rest[..at]).map_err(|error| unexpected(error.to_string()))?;
        let json = match self.technique {
            Technique::Stream => Some(line).filter(|line| !line.trim().is_empty()),
            Technique::Iframe => line.strip_prefix("<script>parent.f(").and_then(|line| line.strip_suffix(")</script>")),
            _ => None,
        };
        Ok(Some((at + 1, json.map(text_envelope).transpose()?.flatten())))
    }
}

/// A part of `multipart/x-mixed-replace`, without the boundary behind it.
fn part(rest: &[u8]) -> io::Result<Option<(usize, Option<Item>)>> {
    let Some(at) = rest.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&rest[..at]).map_err(|error| unexpected(error.to_string()))?;
    let len: usize = field(head, "Content-Length").and_then(|len| len.parse().ok()).ok_or_else(|| unexpected("a part without a length"))?;
    let (begin, end) = (at + 4, at + 4 + len);
    if rest.len() < end + 2 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&rest[begin..end]).into_owned();
    let item = match field(head, "Content-ID") {
        Some(name) => Some(Item::Message(id(Some(name.trim_matches(['<', '>'])))?, text)),
        None => text_envelope(&text)?,
    };
    Ok(Some((end + 2, item)))
}

#[test]
fn every_form_is_read_in_any_pieces() {
    let (first, second) = (Id { epoch: 0xab, sequence: 1 }, Id { epoch: 0xab, sequence: 2 });
    let end = r#"{"end":true,"code":1001,"sentence":"this server shuts down","retry":1500}"#;
    let (gap, envelope) = (r#"{"gap":true,"from":"ab-1"}"#, r#"{"id":"ab-2","topic":"t","data":"x"}"#);
    let wanted = [Item::Gap(first), Item::Message(second, "x".to_owned())];
    let script = |json: &str| format!("<script>parent.f({json})</script>\n");
    for (technique, text) in [
        (Technique::Stream, format!("\n{gap}\n{envelope}\n{end}\n")),
        (Technique::Iframe, format!("<!DOCTYPE html>\n{}{}{}", script(gap), script(envelope), script(end))),
        (
            Technique::Events,
            format!("id: ab-1\nretry: 1\n\n:\n\nevent: gap\ndata: {gap}\n\nid: ab-2\ndata: x\n\nevent: end\ndata: {end}\n\n"),
        ),
        (Technique::JsonEvents, format!("data: {gap}\n\nid: ab-2\ndata: {envelope}\n\ndata: {end}\n\n")),
        (
            Technique::Multipart,
            format!(
                "--b\r\nContent-Length: {}\r\n\r\n{gap}\r\n--b\r\nContent-ID: <ab-2>\r\nContent-Length: 1\r\n\r\nx\r\n--b\r\nX-End: 1\r\nContent-Length: {}\r\n\r\n{end}\r\n--b--\r\n",
                gap.len(),
                end.len()
            ),
        ),
    ] {
        assert_eq!(Stream::new(technique).take(text.as_bytes()).unwrap(), wanted, "{technique:?}");
        let mut stream = Stream::new(technique);
        let pieces: Vec<Item> = text.as_bytes().chunks(1).flat_map(|byte| stream.take(byte).unwrap()).collect();
        assert_eq!(pieces, wanted, "{technique:?}");
    }
    let answer = format!(r#"{{"messages":[{envelope}],"last":"ab-2","gap":true,"from":"ab-1"}}"#);
    let polled = [&wanted[..], &[Item::Cursor(second)]].concat();
    assert_eq!(poll(Technique::LongPoll, answer.as_bytes()).unwrap(), Some(polled.clone()));
    assert_eq!(poll(Technique::Jsonp, format!("/**/f({answer});").as_bytes()).unwrap(), Some(polled));
    assert_eq!(poll(Technique::Jsonp, format!("/**/f({end});").as_bytes()).unwrap(), None);
    assert_eq!(stomp("MESSAGE\nsubscription:0\nmessage-id:ab-1\ngap:ab-1\n\n\0").unwrap(), Some(Item::Gap(first)));
    assert_eq!(stomp("MESSAGE\nmessage-id:ab-2\n\nx\0").unwrap(), Some(wanted[1].clone()));
}
