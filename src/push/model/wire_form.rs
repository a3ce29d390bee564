//! The forms in which messages are sent.
//!
//! Owns their names. Leaves the encoding to `message`, and the choice to the techniques.

use std::sync::Arc;

/// Whether messages come in envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Raw,
}

/// How a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Form(Form),
    /// A script element that calls this function.
    Script(Arc<str>),
}

/// A wire form that all subscribers of some technique share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The envelope and a line end, as a chunk.
    Line,
    /// The payload and a line end, as a chunk.
    RawLine,
    /// The payload as an event of the publisher's name.
    Event,
    /// The envelope as an event without a name: the envelope has it, and one listener hears everything.
    JsonEvent,
    WsJson,
    WsRaw,
    Part,
    JsonPart,
}

impl Form {
    pub(crate) const COUNT: usize = 8;

    /// In the order of their values.
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Line, Self::RawLine, Self::Event, Self::JsonEvent, Self::WsJson, Self::WsRaw, Self::Part, Self::JsonPart];
}
