//! The values of `push`: names, messages, and the forms in which messages are sent.
//!
//! Owns everything that needs no lock. Leaves ids and retained messages to `log`, and topics and
//! subscribers to `hub`.

mod answer_fields;
mod cursor;
mod encoding;
mod envelope;
mod id;
mod json;
mod json_reader;
mod note;
mod payload;
mod per_technique;
mod poll_form;
mod replay;
mod secret;
mod stomp_form;
mod topic_change;
mod topic_message;
mod topic_name;
mod wire_form;

pub use cursor::Cursor;
pub use encoding::Encoding;
pub use envelope::Gap;
pub use id::{BadCursor, Id};
pub use json::append_json_string;
pub use payload::Payload;
pub use per_technique::PerTechnique;
pub use replay::Replay;
pub use topic_change::{BadChange, Leave, TopicChange};
pub use topic_message::TopicMessage;
pub use topic_name::{BadTopic, Topics};
pub use wire_form::Format;

pub(crate) use answer_fields::AnswerFields;
pub(crate) use encoding::{OwnForm, WireForm};
pub(crate) use note::{EncodeNote, Note, access_changed, come_back, gone, log_unavailable, revoked, status_of, try_again};
pub(crate) use poll_form::{PollAnswers, PollForm};
pub(crate) use secret::Secret;
pub(crate) use stomp_form::{StompForm, StompVariant, TOPIC};
pub(crate) use topic_name::{PRESENCE, check_topic_name, is_valid_name, names_json};
pub(crate) use wire_form::SharedForm;
