//! The server side of WebSocket (RFC 6455), version 13.
//!
//! Owns the opening handshake, frames, messages and the closing handshake. Leaves time and IO to
//! the layers above. The one extension is permessage-deflate (RFC 7692), in the files `extension`,
//! `deflate`, `inflate` and `pool`, with the cargo feature `deflate`. Offers of others are
//! declined, as RFC 6455, section 9.1 allows, and a reserved bit without a meaning is an error.

pub mod assembler;
pub mod close;
pub mod conn;
#[cfg(feature = "deflate")]
pub(crate) mod deflate;
pub mod event;
pub mod extension;
pub mod frame;
pub mod handshake;
#[cfg(feature = "deflate")]
mod inflate;
mod lists;
pub mod mask;
#[cfg(feature = "deflate")]
mod pool;
pub mod reader;
pub(crate) mod short;
pub mod utf8;
pub mod writer;

pub use conn::Conn;
pub use event::{Event, Message, Next};
pub use extension::{Agreement, Deflate};
pub use frame::{EncodedHead, FrameHead, Opcode};
pub use handshake::{Accept, HandshakePolicy, HandshakeRequest, OriginVerdict, accept_key, negotiate};
pub use reader::Reader;
pub use utf8::{InvalidUtf8, Utf8Validator};
pub use writer::Writer;
