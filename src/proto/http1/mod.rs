//! The server's side of HTTP/1.1 (RFC 9110, RFC 9112) and HTTP/1.0.
//!
//! Owns one connection's requests and responses as bytes: [`Conn`] is the state machine, [`Head`] a request's head, [`ResponseHead`] a
//! response's. Refuses routing, decoding of paths and queries, and every decision that an application makes.

pub mod chunked;
pub mod conn;
pub mod date;
pub mod fields;
pub mod framing;
pub mod head;
pub mod method;
pub mod response;
mod scan;
mod syntax;
mod target;

pub use chunked::{ChunkedDecoder, ChunkedEvent};
pub use conn::{Conn, Event, Next};
pub use fields::Fields;
pub use framing::Content;
pub use head::Head;
pub use method::{Method, Version};
pub use response::{BodySize, ResponseHead, append_field, is_field_value, reason_phrase};
