//! Server-sent events (WHATWG HTML, section 9.2): the `text/event-stream` format.
//!
//! Owns both directions: [`Event`] and [`comment`] write the format, [`Decoder`] reads it. Leaves
//! HTTP to the code that holds a connection: the head with the media type, the `Last-Event-ID`
//! field and the reconnection.

mod decoder;
mod event;

pub use decoder::{Decoded, Decoder};
pub use event::{Event, comment};
