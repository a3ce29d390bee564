//! A published message and its wire forms.
//!
//! Owns the payload and each form, encoded when the first subscriber needs it and then shared. Refuses connections and topics' rules.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::envelope::append_envelope;
use super::id::Id;
use super::payload::Payload;
use super::wire_form::{Form, Wire};
use crate::proto::Frame;
use crate::proto::sse::Event;

/// A message that was published.
pub struct Message {
    id: Id,
    topic: Arc<str>,
    payload: Payload,
    pub(crate) published: Instant,
    frames: [OnceLock<Frame>; Form::COUNT],
    answer: OnceLock<Arc<[u8]>>,
    /// The form for hidden frames contains their callback's name; nearly always all have the same.
    script: OnceLock<(Arc<str>, Frame)>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("topic", &self.topic).field("payload", &self.payload).finish_non_exhaustive()
    }
}

impl Message {
    pub(crate) fn new(id: Id, topic: Arc<str>, payload: Payload, published: Instant) -> Self {
        Self { id, topic, payload, published, frames: Default::default(), answer: OnceLock::new(), script: OnceLock::new() }
    }

    /// The id.
    pub const fn id(&self) -> Id {
        self.id
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The payload's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.payload.bytes()
    }

    /// The payload, if it is text.
    pub fn text(&self) -> Option<&str> {
        self.payload.as_text()
    }

    /// The event's name, if the publisher gave one.
    pub fn event(&self) -> Option<&str> {
        self.payload.event_name()
    }

    /// The envelope: `{"id":..,"topic":..,"data":..}`.
    pub fn json(&self) -> &str {
        let line = self.shared_frame(Form::Line, "").payload();
        std::str::from_utf8(&line[..line.len() - 1]).unwrap_or_default()
    }

    /// The payload as text: as it is, or in base64.
    pub(crate) fn shown(&self) -> std::borrow::Cow<'_, str> {
        self.text().map_or_else(|| STANDARD.encode(self.bytes()).into(), Into::into)
    }

    /// The message in a wire form.
    pub(crate) fn frame(&self, wire: &Wire, boundary: &str) -> Frame {
        match wire {
            Wire::Form(form) => self.shared_frame(*form, boundary).clone(),
            Wire::Script(callback) => self.script(callback),
        }
    }

    pub(crate) fn shared_frame(&self, form: Form, boundary: &str) -> &Frame {
        self.frames[form as usize].get_or_init(|| self.encode(form, boundary))
    }

    fn encode(&self, form: Form, boundary: &str) -> Frame {
        match form {
            Form::Line => {
                let mut line = String::with_capacity(self.bytes().len() + 96);
                append_envelope(self.id, &self.topic, &self.payload, &mut line);
                line.push('\n');
                Frame::chunk(line.as_bytes())
            }
            Form::RawLine => Frame::chunk(&[self.bytes(), b"\n"].concat()),
            Form::Event => self.encode_event(&self.shown(), self.event()),
            Form::JsonEvent => self.encode_event(self.json(), None),
            Form::WsJson => Frame::text(self.json()),
            Form::WsRaw => self.text().map_or_else(|| Frame::binary(self.bytes()), Frame::text),
            Form::Part => {
                let content_type = if self.text().is_some() { "text/plain; charset=utf-8" } else { "application/octet-stream" };
                self.encode_part(content_type, self.bytes(), boundary)
            }
            Form::JsonPart => self.encode_part("application/json", self.json().as_bytes(), boundary),
        }
    }

    fn encode_event(&self, data: &str, name: Option<&str>) -> Frame {
        let id = self.id.to_string();
        let event = Event::data(data).id(&id);
        let event = name.map_or(event, |name| event.event(name));
        Frame::event(&event).expect("ids and checked names have no line ends")
    }

    /// A part, from behind the boundary before it to the end of the boundary behind it: only with that a reader knows that the part is
    /// whole. Whoever subscribes learns the boundary, and may then publish it: such a payload goes as base64 (RFC 2045, section 6.8).
    fn encode_part(&self, content_type: &str, body: &[u8], boundary: &str) -> Frame {
        let encoded;
        let (encoding, body) = if contains(body, boundary.as_bytes()) {
            encoded = STANDARD.encode(body);
            ("Content-Transfer-Encoding: base64\r\n", encoded.as_bytes())
        } else {
            ("", body)
        };
        let head = format!("Content-Type: {content_type}\r\nContent-ID: <{}>\r\n{encoding}Content-Length: {}\r\n\r\n", self.id, body.len());
        Frame::chunk(&[head.as_bytes(), body, b"\r\n--", boundary.as_bytes(), b"\r\n"].concat())
    }

    /// A script element that calls `parent.callback` with the envelope.
    pub(crate) fn script(&self, callback: &Arc<str>) -> Frame {
        let encode = || Frame::chunk(format!("<script>parent.{callback}({})</script>\n", self.json()).as_bytes());
        let (shared, frame) = self.script.get_or_init(|| (Arc::clone(callback), encode()));
        if shared == callback { frame.clone() } else { encode() }
    }

    /// The answer to a poll that has waited for just this message.
    pub(crate) fn answer(&self) -> &Arc<[u8]> {
        self.answer.get_or_init(|| format!(r#"{{"messages":[{}],"last":"{}","gap":false}}"#, self.json(), self.id).into_bytes().into())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}
