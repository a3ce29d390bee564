//! STOMP over WebSocket, with an embedded broker.
//!
//! Owns the sessions of STOMP clients, their subscriptions and transactions, and the queues. Leaves
//! the frames to `proto::stomp`, topics to the hub, and logins and permissions to the application.
//!
//! ```text
//!   /topic/news  ->  the hub's topic `news`: each subscriber gets each message, by any technique
//!   /queue/jobs  ->  a queue of this broker: one consumer gets each message
//! ```
//!
//! # Topics
//!
//! The `message-id` is the hub's id, so it is a cursor: `SUBSCRIBE` with the header `after`
//! continues behind it, with the retained messages first, whichever technique the id came from.
//! `after:earliest` begins with all retained messages. Where messages are missing, a MESSAGE
//! without a body has the header `gap`; all messages after its `message-id` follow. An ACK or NACK
//! of a topic's message has no effect: what a client has received, its cursor says. A topic carries
//! the payload, its kind (`content-type`) and the header `event`; it does not carry other headers
//! of a SEND.
//!
//! # Queues
//!
//! A message waits in order until a consumer has room: `prefetch-count` unacknowledged messages at
//! most, or any number with `ack:auto`. With `ack:auto`, a message that was sent counts as done,
//! and a connection that breaks may lose it. With `client` and `client-individual`, the
//! unacknowledged messages of a consumer that leaves go to the front of the queue, in order, with
//! the header `redelivered:true`. A NACK gives a message to another consumer if there is one. A
//! message that was delivered [`StompConfig::queue_deliveries`] times without an ACK is dropped and
//! counted. If nobody listens, messages wait: up to [`StompConfig::queue_messages`] and
//! [`StompConfig::queue_bytes`] for each queue. A SEND beyond them is refused with an ERROR. Queues
//! are in memory: they end with the process.
//!
//! # Transactions
//!
//! SEND, ACK and NACK with the header `transaction` wait for the COMMIT. The queues then take all
//! of the transaction's messages, or none of them. If the queues refuse, nothing else happens. The
//! messages to topics and the acknowledgements follow, in their order. The first refusal among
//! these ends the connection, and what came before it stays.
//!
//! # Errors
//!
//! Every refusal is an ERROR frame with a sentence in `message`, the code of the close frame in
//! `code`, and then the end of the connection (STOMP 1.2, "ERROR"). So is every other end that the
//! server wants: a shutdown, a withdrawn access, a client that reads too slowly. If it says when to
//! come back, `retry` has the milliseconds. A client whose queue of output overflows is
//! disconnected, whatever [`SlowConsumer`](crate::SlowConsumer) says about messages: it continues
//! with its cursor.
//!
//! After an UNSUBSCRIBE, messages that were on their way may still arrive. So give each
//! subscription of a connection an id of its own, as clients do.

mod config;
mod connection;
mod endpoint;
mod frames;
mod operations;
mod queue;
mod queues;
mod refusal;
mod session;
mod shared;
mod subscriptions;
mod transactions;

pub use config::{StompConfig, StompLogin, StompPolicy};
pub use endpoint::{Stomp, StompStats};
