//! Server-sent events (WHATWG HTML, section 9.2): the `text/event-stream` format.
//!
//! Owns both directions: [`Event`] and [`comment`] write it, [`Decoder`] reads it. Refuses HTTP: the head that names the media type, the
//! `Last-Event-ID` field and reconnection belong to those who hold a connection.

mod decoder;
mod event;

pub use decoder::{Decoded, Decoder};
pub use event::{Event, comment};
