//! What is to be published.
//!
//! Owns the payload, its type and the name of its event. Leaves ids, topics and wire forms to `message`.

/// What is to be published.
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
    /// Text, which browsers get as a string.
    pub fn text(text: impl Into<String>) -> Self {
        Self { data: Data::Text(text.into()), event: None }
    }

    /// Bytes; where a technique carries only text, as base64.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self { data: Data::Binary(bytes.into()), event: None }
    }

    /// Names the event's type: `"event"` of envelopes, and `event:` of server-sent events where they carry no envelope. The same characters
    /// as in a topic's name; `gap` is the hub's own.
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

    /// The payload, if it is text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            Data::Binary(_) => None,
        }
    }

    /// The event's name.
    pub fn event_name(&self) -> Option<&str> {
        self.event.as_deref()
    }
}
