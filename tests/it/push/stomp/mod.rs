//! STOMP over WebSocket: clients on a virtual clock.
//!
//! Covers: push::stomp::endpoint, push::stomp::connection, push::stomp::shared

pub mod client;
mod heart_beats;
mod queues;
mod refusals;
mod sessions;
mod topics;
