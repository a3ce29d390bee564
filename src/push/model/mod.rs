//! The values of the hub: names, messages and their forms.
//!
//! Owns what can be computed without a lock. Leaves to `hub` which topics and subscribers there are.

mod answer_fields;
mod cursor;
pub(crate) mod envelope;
mod history;
mod id;
mod json;
mod merge;
mod message;
mod payload;
mod poll_form;
mod replay;
mod technique;
pub(crate) mod topic_name;
mod wire_form;

pub use cursor::Cursor;
pub use id::{BadCursor, Id};
pub use json::append_json_string;
pub use message::Message;
pub use payload::Payload;
pub use replay::Replay;
pub use technique::{PerTechnique, Technique};
pub use topic_name::{BadTopic, Topics};

pub(crate) use answer_fields::Cors;
pub(crate) use history::{History, HistoryBounds};
pub(crate) use merge::Merge;
pub(crate) use poll_form::Shape;
pub(crate) use topic_name::PRESENCE;
pub(crate) use wire_form::{Form, Format, Wire};
