//! The log: where ids come from, and where messages are kept.
//!
//! Owns the epoch, the one sequence of all topics, the retained messages and the read after a
//! cursor. Leaves the names of topics, their users and the delivery to `hub`: the log knows a topic
//! by its slot.
//!
//! The hub uses the log by these operations alone, so that another log can take the place of the
//! one in memory:
//!
//! | operation | what it does |
//! |---|---|
//! | `epoch` | identifies the log in each id |
//! | `open`, `close` | begins and ends a topic |
//! | `append` | gives a message its id and retains it |
//! | `read`, `newest` | return messages after a cursor, and the newest ones |
//! | `last`, `kept` | the id of the last message of all topics, and what one topic retains |
//! | `expire` | drops messages that are too old |

mod history;
mod memory_log;
mod merge;

pub(crate) use history::HistoryBounds;
pub(crate) use memory_log::{Kept, MemoryLog, Reading};
