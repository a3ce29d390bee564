//! STOMP 1.2, 1.1 and 1.0 (<https://stomp.github.io/stomp-specification-1.2.html>), both sides.
//!
//! Owns the frames: [`Reader`] reads them, [`FrameWriter`] writes them, each with the escapes of
//! the version. Owns the negotiation of the version and of heart-beats. Leaves the meaning of the
//! frames (subscriptions, acknowledgements, transactions), time and IO to the layers above. Over a
//! WebSocket, the payloads of its messages are the input and the output of this module.
//!
//! ```
//! use pushlab::proto::stomp::{Command, FrameWriter, Reader, Role, StompLimits, Version};
//! let mut reader = Reader::new(Role::Server, Version::V1_2);
//! let input = b"SEND\ndestination:/topic/news\n\nhello\0\n";
//! let (used, frame) = reader.next_frame(input, &StompLimits::default())?;
//! let frame = frame.expect("the input has a whole frame");
//! assert_eq!((frame.command, frame.body), (Command::Send, &b"hello"[..]));
//! assert_eq!(frame.headers.get("destination"), Some("/topic/news"));
//! assert_eq!(used, input.len() - 1);
//!
//! let mut out = Vec::new();
//! FrameWriter::new(Command::Receipt, Version::V1_2, &mut out).header("receipt-id", "a:b").end()?;
//! assert_eq!(out, b"RECEIPT\nreceipt-id:a\\cb\n\n\0");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod command;
mod error;
mod escape;
mod headers;
mod heart_beat;
mod limits;
mod reader;
mod version;
mod writer;

pub use command::{Command, Role};
pub use error::StompError;
pub use headers::Headers;
pub use heart_beat::{HeartBeat, Intervals};
pub use limits::StompLimits;
pub use reader::{Frame, Reader};
pub use version::Version;
pub use writer::FrameWriter;
