//! Logs that a message broker keeps, spoken to in STOMP over TCP.
//!
//! Owns the two engines: a stream of `RabbitMQ`, and a plain topic of any broker. Leaves the frames
//! to `proto::stomp`, and what a hub does with the records to `hub`. All IO is blocking, on the
//! threads of the caller.

mod address;
mod client;
mod fields;
mod stream;
mod topic;

pub use address::BadLogAddress;

pub(crate) use address::BrokerAddress;
pub(crate) use stream::Stream;
pub(crate) use topic::PlainTopic;
