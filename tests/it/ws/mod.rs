//! `proto::ws`: one file per module, and the peer that they share.

mod assembler;
mod close;
#[cfg(feature = "deflate")]
mod deflate;
mod differential;
#[cfg(feature = "deflate")]
mod extension;
mod frame;
mod frames;
#[cfg(feature = "deflate")]
mod inflate;
mod mask;
mod messages;
pub mod peer;
mod utf8;
mod writer;
