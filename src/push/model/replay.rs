//! The messages after a cursor.
//!
//! Owns the result of a replay. Leaves the search for the messages to `log`.

use std::sync::Arc;

use super::id::Id;
use super::message::Message;

/// The messages after a cursor.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Whether messages between the cursor and `from` may be missing.
    pub gap: bool,
    /// `messages` has all messages after this id, up to `last`.
    pub from: Id,
    /// The cursor from which the client continues.
    pub last: Id,
    /// The messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// `false` if there are more messages after `last`, because the replay has reached its limit of
    /// bytes.
    pub is_whole: bool,
}
