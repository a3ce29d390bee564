//! Layer 1, the protocols. Bytes go in and events come out; commands go in and bytes come out.
//!
//! Owns HTTP/1.1 (RFC 9110, RFC 9112), WebSocket (RFC 6455), server-sent events (WHATWG HTML,
//! section 9.2) and STOMP 1.0 to 1.2 as state machines without IO. Leaves sockets, threads, locks
//! and clocks to the layers above: the caller owns the input and output buffers, and time is an
//! argument.
//!
//! HTTP/1.1 and WebSocket connections have the same contract:
//!
//! - `next_event` consumes a prefix of the input and returns the length of the prefix. The caller
//!   passes the unconsumed bytes again, at the front of the next input. Answers that the protocol
//!   itself requires (100 Continue, pong, close frame) go to `out`.
//! - `send_*` appends the bytes of a command to `out`. If this side must not send them, it returns
//!   a [`LocalError`] that gives the reason.
//! - After a [`RemoteError`] the input side is over.
//! - The caller gives one input or one command, then drains all output, and then reads the deadline
//!   again.
//! - The events and the output do not depend on how the input is split.

pub mod bytes;
pub mod error;
pub mod frame;
pub mod http1;
pub mod limits;
pub mod now;
pub mod outbox;
pub mod sse;
pub mod stomp;
pub mod ws;

pub use bytes::Bytes;
pub use error::{CloseReason, LocalError, RemoteError};
pub use frame::{Frame, FrameKind};
pub use limits::ProtocolLimits;
pub use now::Now;
pub use outbox::Outbox;
