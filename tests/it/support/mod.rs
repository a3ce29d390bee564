//! What the tests share.

pub mod cases;
#[cfg(feature = "deflate")]
pub mod deflate;
pub mod frames;
pub mod handshakes;
pub mod naive_http;
pub mod splits;
pub mod tables;
