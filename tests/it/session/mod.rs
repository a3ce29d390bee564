//! One connection without IO: the session between a virtual clock, a handler, and a system that takes as many bytes as a test says.
//!
//! Every test drives a [`rig::Rig`], which behaves as both drivers must (one call, then drain all output, then look at the deadline
//! again), and which checks at its end that every gauge is back at zero and that everything carried was dropped.

mod abandoned;
mod app;
mod backlog;
mod bodies;
mod bursts;
mod carried;
mod closing;
mod closures;
mod deadlines;
#[cfg(feature = "deflate")]
mod deflate;
mod forwarding;
mod handshakes;
mod holds;
mod last_words;
pub mod layer;
mod model;
mod origin;
mod panics;
mod pipelining;
mod replies;
mod request;
mod response;
pub mod rig;
mod securing;
mod shutdown;
mod slow;
mod sources;
mod streams;
mod timers;
mod upgrades;
mod websockets;
pub mod wire;
