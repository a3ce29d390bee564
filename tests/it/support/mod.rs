//! What the tests share.

pub mod cases;
pub mod frames;
pub mod handshakes;
pub mod naive_http;
pub mod splits;
pub mod tables;
