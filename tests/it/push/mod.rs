//! The hub and its techniques: tables over its own API, connections on a virtual clock, and real sockets.

mod catch_up;
mod chains;
mod changes;
mod conditions;
mod control;
mod cursors;
mod descriptors;
mod hostile;
mod http;
mod listing;
mod model;
pub mod notes;
mod own;
mod parameters;
mod polls;
mod presence;
pub mod readers;
mod retention;
mod revoke;
mod slow;
mod stomp;
mod techniques;
mod withdrawn;
mod world;
