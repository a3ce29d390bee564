//! The payload of a message.
//!
//! Owns the bytes, the kind of data (text or binary) and the name of the event. Leaves ids, topics
//! and wire forms to `topic_message`.

/// The content of a message before it is published.
///
/// ```
/// use pushlab::push::Payload;
/// let payload = Payload::text("21.5").event("temperature");
/// assert_eq!(payload.bytes(), b"21.5");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    data: Data,
    event: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Data {
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// Text. Browsers receive it as a string.
    pub fn text(text: impl Into<String>) -> Self {
        Self { data: Data::Text(text.into()), event: None }
    }

    /// Bytes. A technique that carries only text sends them as base64.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self { data: Data::Binary(bytes.into()), event: None }
    }

    /// Sets the name of the event. Envelopes have it as `"event"`, and server-sent events without
    /// an envelope as `event:`. The name has the same characters as a topic's name. The name `gap`
    /// is reserved for the hub.
    #[must_use]
    pub fn event(self, name: impl Into<String>) -> Self {
        Self { event: Some(name.into()), ..self }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Text(text) => text.as_bytes(),
            Data::Binary(bytes) => bytes,
        }
    }

    /// The text, if the payload is text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            Data::Binary(_) => None,
        }
    }

    pub(crate) const fn is_text(&self) -> bool {
        matches!(self.data, Data::Text(_))
    }

    /// The name of the event, if there is one.
    pub fn event_name(&self) -> Option<&str> {
        self.event.as_deref()
    }
}
