//! The server side of HTTP/1.1 (RFC 9110, RFC 9112) and HTTP/1.0.
//!
//! Owns the requests and responses of one connection as bytes: [`Conn`] is the state machine,
//! [`Head`] is the head of a request, and [`ResponseHead`] is the head of a response. Leaves
//! routing, the decoding of paths and queries, and all decisions of an application to the layers
//! above.

pub mod chunked;
pub mod conn;
pub mod date;
mod facts;
mod fields;
pub mod forwarded;
pub mod framing;
pub mod head;
mod known;
pub mod method;
mod remembered;
pub mod response;
mod scan;
mod syntax;
mod target;

pub use chunked::{ChunkedDecoder, ChunkedEvent};
pub use conn::{Conn, Event, Next};
pub use fields::Fields;
pub use forwarded::{ForwardedElement, Node, forwarded_scheme};
pub use framing::Content;
pub use head::{Head, Scheme};
pub use known::KnownFields;
pub use method::{Method, Version};
pub use response::{BodySize, ResponseHead, append_field, is_field_value, reason_phrase};
pub(crate) use scan::find_byte;
