//! The server's side of WebSocket (RFC 6455), version 13.
pub mod frame;
