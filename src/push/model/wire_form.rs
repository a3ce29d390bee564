//! The forms of which a message has one for all subscribers.
//!
//! Owns the list of these forms, and the formats by which a request chooses one. Leaves the encoding
//! to `topic_message`, forms that differ by subscriber to `encoding`, and the choice to the
//! techniques.

/// The value of the `format` parameter. [`Form`](crate::push::Form) has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Each message has its id, its topic and its payload: the JSON envelope, or the same facts in
    /// HTML.
    Json,
    /// Each message is its payload alone.
    Raw,
}

/// A wire form that a message has once for all subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SharedForm {
    /// The envelope and a line end, as one chunk.
    Line,
    /// The payload and a line end, as one chunk.
    RawLine,
    /// The payload as a server-sent event with the name that the publisher gave.
    Event,
    /// The envelope as a server-sent event without a name. The envelope has the name, and one
    /// `onmessage` listener receives all events.
    JsonEvent,
    /// The envelope as a text frame.
    WsJson,
    /// The payload as a text or binary frame.
    WsRaw,
    /// The payload as a part of a multipart response.
    Part,
    /// The envelope as a part of a multipart response.
    JsonPart,
}

impl SharedForm {
    pub(crate) const COUNT: usize = 8;
}
