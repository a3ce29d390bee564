//! A published message and its wire forms.
//!
//! Owns the payload with its id and topic, and each wire form. A form is encoded when the first
//! subscriber needs it; all later subscribers share it. Leaves connections and topics to `hub`.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::envelope::append_envelope;
use super::id::Id;
use super::payload::Payload;
use super::stomp_form::{StompForm, StompVariant};
use super::wire_form::SharedForm;
use crate::proto::Frame;
use crate::proto::sse::Event;

/// A published message.
///
/// ```
/// use pushlab::push::{Cursor, Hub, Payload, Topics};
/// let hub = Hub::default();
/// let id = hub.publish("news", Payload::text("it works").event("good"))?.id;
/// let replay = hub.replay(&Topics::parse("news", 1).expect("a valid name"), Cursor::Earliest);
/// let message = &replay.messages[0];
/// assert_eq!((message.id(), message.topic(), message.event(), message.text()), (id, "news", Some("good"), Some("it works")));
/// assert_eq!(message.json(), format!(r#"{{"id":"{id}","topic":"news","event":"good","data":"it works"}}"#));
/// # Ok::<(), pushlab::push::PublishError>(())
/// ```
pub struct TopicMessage {
    id: Id,
    topic: Arc<str>,
    payload: Payload,
    pub(crate) published_at: Instant,
    frames: [OnceLock<Frame>; SharedForm::COUNT],
    poll_body: OnceLock<Arc<[u8]>>,
    /// The script element with the name of its callback. Subscribers nearly always use the same
    /// callback, so one cached form is enough.
    script: OnceLock<(Arc<str>, Frame)>,
    /// The part of the MESSAGE frame that subscriptions share. They nearly always have the same
    /// version and the same way to acknowledge, so one cached part is enough.
    stomp: OnceLock<(StompVariant, Arc<[u8]>)>,
}

impl std::fmt::Debug for TopicMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicMessage")
            .field("id", &self.id)
            .field("topic", &self.topic)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

impl TopicMessage {
    pub(crate) fn new(id: Id, topic: Arc<str>, payload: Payload, published_at: Instant) -> Self {
        Self {
            id,
            topic,
            payload,
            published_at,
            frames: Default::default(),
            poll_body: OnceLock::new(),
            script: OnceLock::new(),
            stomp: OnceLock::new(),
        }
    }

    /// The message's id.
    pub const fn id(&self) -> Id {
        self.id
    }

    /// The name of the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The payload's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.payload.bytes()
    }

    /// The payload's text, if the payload is text.
    pub fn text(&self) -> Option<&str> {
        self.payload.as_text()
    }

    /// The name of the event, if the publisher gave one.
    pub fn event(&self) -> Option<&str> {
        self.payload.event_name()
    }

    /// The envelope: `{"id":..,"topic":..,"data":..}`.
    pub fn json(&self) -> &str {
        // A chunk has one part, whose payload is borrowed.
        match self.shared_frame(SharedForm::Line, "").payload() {
            Cow::Borrowed(line) => std::str::from_utf8(&line[..line.len() - 1]).unwrap_or_default(),
            Cow::Owned(_) => "",
        }
    }

    /// The payload as text: text unchanged, and bytes in base64.
    pub(crate) fn text_or_base64(&self) -> Cow<'_, str> {
        self.text().map_or_else(|| STANDARD.encode(self.bytes()).into(), Into::into)
    }

    /// The message in a shared form, which is encoded at the first call. `boundary` is the hub's
    /// boundary of multipart parts.
    pub(crate) fn shared_frame(&self, form: SharedForm, boundary: &str) -> &Frame {
        self.frames[form as usize].get_or_init(|| self.encode(form, boundary))
    }

    fn encode(&self, form: SharedForm, boundary: &str) -> Frame {
        match form {
            SharedForm::Line => {
                let mut line = String::with_capacity(self.bytes().len() + 96);
                append_envelope(self.id, &self.topic, &self.payload, &mut line);
                line.push('\n');
                Frame::chunk(line.as_bytes())
            }
            SharedForm::RawLine => Frame::chunk(&[self.bytes(), b"\n"].concat()),
            SharedForm::Event => self.encode_event(&self.text_or_base64(), self.event()),
            SharedForm::JsonEvent => self.encode_event(self.json(), None),
            SharedForm::WsJson => Frame::text(self.json()),
            SharedForm::WsRaw => self.text().map_or_else(|| Frame::binary(self.bytes()), Frame::text),
            SharedForm::Part => {
                let content_type = if self.text().is_some() { "text/plain; charset=utf-8" } else { "application/octet-stream" };
                self.encode_part(content_type, self.bytes(), boundary)
            }
            SharedForm::JsonPart => self.encode_part("application/json", self.json().as_bytes(), boundary),
        }
    }

    fn encode_event(&self, data: &str, name: Option<&str>) -> Frame {
        let id = self.id.to_string();
        let event = Event::data(data).id(&id);
        let event = name.map_or(event, |name| event.event(name));
        Frame::event(&event).expect("ids and checked names have no line ends")
    }

    /// Encodes a part. It begins after the boundary before it and ends with the boundary after it:
    /// a reader knows only by the next boundary that a part is complete.
    ///
    /// Every subscriber learns the boundary and can publish a payload that contains it. Such a
    /// payload is sent as base64 (RFC 2045, section 6.8), so that it cannot end the part.
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

    /// The MESSAGE frame of a STOMP subscription. All subscriptions of one variant share its second
    /// part.
    pub(crate) fn stomp(&self, form: &StompForm) -> Frame {
        let variant = form.variant();
        let encode = || variant.encode(self.id, &self.topic, &self.payload);
        let (shared, part) = self.stomp.get_or_init(|| (variant, encode()));
        let own;
        let part = if *shared == variant {
            part
        } else {
            own = encode();
            &own
        };
        form.frame(&self.payload, part)
    }

    /// The JSON body of the answer to a poll that receives only this message.
    pub(crate) fn poll_body(&self) -> &Arc<[u8]> {
        self.poll_body.get_or_init(|| format!(r#"{{"messages":[{}],"last":"{}","gap":false}}"#, self.json(), self.id).into_bytes().into())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}
