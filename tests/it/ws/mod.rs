//! `proto::ws`: one file per module, and the peer that they share.

mod assembler;
mod close;
mod differential;
mod frame;
mod frames;
mod mask;
mod messages;
pub mod peer;
mod utf8;
mod writer;
