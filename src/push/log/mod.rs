//! The log: where ids come from, and where messages are kept.
//!
//! Owns the epoch, the one sequence of all topics, the retained messages and the read after a
//! cursor. Leaves the names of topics, their users and the delivery to `hub`: the log knows a topic
//! by its slot.
//!
//! The log in memory is all that one server needs. The hub uses it by these operations alone:
//!
//! | operation | what it does |
//! |---|---|
//! | `epoch` | identifies the log in each id |
//! | `open`, `close` | begins and ends a topic |
//! | `append` | gives a message its id and retains it |
//! | `read`, `newest` | return messages after a cursor, and the newest ones |
//! | `last`, `kept` | the id of the last message of all topics, and what one topic retains |
//! | `expire` | drops messages that are too old |
//! | `begin_epoch`, `pass_over`, `skip_to` | follow a log outside the process, with its epochs and its gaps |
//!
//! Several servers share a [`Log`] outside the process. Each server then appends to it, and applies
//! the records that come back, in their order, to its log in memory. Nothing else changes what the
//! log in memory keeps, so all servers give the same message the same id.

mod brokers;
mod clock;
mod engine;
mod history;
mod marks;
mod memory_log;
mod merge;
mod record;
mod shared_log;
mod spool;

pub use brokers::BadLogAddress;
pub use engine::{EpochProposal, Following, Log, LogError, LogReader, LogSession, LogWriter};
pub use record::{Entry, Record};
pub use shared_log::SharedLog;

#[cfg(test)]
pub(crate) use clock::seeded;
pub(crate) use clock::{random_number, unix_ms};
pub(crate) use history::HistoryBounds;
pub(crate) use marks::Marks;
pub(crate) use memory_log::{Backing, Found, Kept, MemoryLog, Patience, Reading};
pub(crate) use spool::{GivenUp, Spool, SpoolBounds};
