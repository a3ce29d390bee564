//! One record of a log outside the process.
//!
//! Owns the content of a record, and the entry that a reader of the log returns. Leaves the form on
//! the wire to the engines in `brokers`, and the meaning of a record to `hub`.

use std::sync::Arc;

use crate::push::model::Payload;

/// A message on its way through a log. [`Log`](super::Log) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The hub that published the message: a random number that each hub chooses.
    pub origin: u64,
    /// The number of the message among those of its origin, from 1 on. A message that is appended
    /// again, because nobody knows whether the log has it, has the same number. Every hub then
    /// counts the two records as one message.
    pub number: u64,
    /// The sequence number that the origin had reached when it published the message: the record is
    /// behind it, also if it was appended several times. So a hub that has read the log from there on
    /// knows whether it sees the first one.
    pub after: u64,
    /// The Unix time at which the message was published, in milliseconds. A hub that starts later
    /// drops the message at the same age as the others.
    pub sent_ms: u64,
    /// The name of the topic.
    pub topic: Arc<str>,
    /// The message.
    pub payload: Payload,
}

impl Record {
    /// The origin of messages that no hub has published. Each of them counts.
    pub const NO_ORIGIN: u64 = 0;
}

/// One position of a log, as a reader returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The position, from 0 on. Positions follow one another; where one is missing, a record is
    /// lost.
    pub position: u64,
    /// The record. `None` if the position has something that is not a message of a hub.
    pub record: Option<Record>,
    /// The epoch of the log, if the position has an entry that
    /// [announces](super::LogSession::announce) it.
    pub epoch: Option<u64>,
}
