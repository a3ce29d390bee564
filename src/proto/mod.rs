//! Layer 1, the protocols: bytes in, events out; commands in, bytes out.
//!
//! Owns HTTP/1.1 (RFC 9110, 9112), WebSocket (RFC 6455) and server-sent events (WHATWG HTML 9.2) as plain state machines. Refuses sockets,
//! threads, locks and clocks: the caller owns every buffer, and time is an argument.
//!
//! The contract is the same for every connection type:
//!
//! - `next_event(now, input, out)` consumes a prefix of `input` and says how long it was. What was not consumed is given again, at the front
//!   of the next input. Answers that the protocol itself owes (100 Continue, pong, close) go to `out`.
//! - `send_*` puts a command's bytes into `out`, or says with a [`LocalError`] why this side must not.
//! - A [`RemoteError`] ends the input side for good.
//! - The law: one input or one command, then drain all output, then read `deadline` again.
//! - However the input is split, the events and the output are the same.

pub mod error;
pub mod frame;
pub mod http1;
pub mod limits;
pub mod now;
pub mod outbox;
pub mod sse;
pub mod ws;

pub use error::{CloseReason, LocalError, RemoteError};
pub use frame::{Frame, FrameKind};
pub use limits::Limits;
pub use now::Now;
pub use outbox::Outbox;
