//! What is behind a cursor.
//!
//! Owns the messages that a subscriber has missed, and what is known about them. Leaves finding them to the hub.

use std::sync::Arc;

use super::id::Id;
use super::message::Message;

/// What is behind a cursor.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Whether messages between the cursor and `from` are missing, or cannot be told.
    pub gap: bool,
    /// Behind this place, everything is in `messages`.
    pub from: Id,
    /// The cursor to go on with.
    pub last: Id,
    /// The messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// Whether these are all; there are more behind `last` otherwise.
    pub is_whole: bool,
}
