//! The words in which a driver and a session speak.
//!
//! Owns the answers of a session, what a driver says that it can do, and what it delivers. Leaves
//! their meaning to [`Session`](super::Session), whose page explains how to drive one.

use std::sync::Arc;
use std::time::Instant;

use super::{Burst, Command};
use crate::proto::CloseReason;

/// What a driver does next for a session. The example of [`Session`](super::Session) handles each
/// case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read once, at most so many bytes.
    Read(usize),
    /// Write once from the output.
    Write,
    /// End the sending side of the connection (TCP's FIN). The session asks for this once. If a
    /// layer of the transport then needs a write for its own end, the session asks for that write,
    /// too.
    EndSending(Sent),
    /// Do nothing until the transport is ready, a command comes, or this time is reached.
    Wait(Option<Instant>),
    /// Close the connection now, and call [`Session::close`](super::Session::close).
    Close(CloseReason),
}

/// Whether the peer has been sent the whole of what has begun. For a response without a length, the
/// end of the connection is the only sign of that. So a layer that has an end of its own, such as
/// TLS's `close_notify`, sends it only after the whole.
/// [`drive`](crate::driver::drive::drive) hands it to the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Every response that has begun has come to its end.
    Whole,
    /// A response is cut.
    Part,
}

/// How a caller of [`Session::next`](super::Session::next) reads or writes. [`Io`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all. Another thread does, or none.
    Never,
    /// Without waiting. The session asks for it only while the transport may be ready.
    AtOnce,
    /// With waiting, as a blocking socket does.
    Waiting,
}

/// What a transport needs, beside the bytes of the session. [`Io`] has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Need {
    /// Nothing. A plain socket is always in this state.
    #[default]
    Nothing,
    /// A write, because it holds bytes that the peer has not got. The session counts them as
    /// unsent output.
    Write,
    /// A read. It takes no output before.
    Read,
}

/// What the caller of [`Session::next`](super::Session::next) can do.
///
/// ```
/// use pushlab::session::{Io, Mode, Need};
/// /// For a transport that may need a write or a read of its own.
/// fn io(need: Need) -> Io {
///     Io { need, ..Io::NON_BLOCKING }
/// }
/// /// A thread that waits in writes, beside another one that reads.
/// const WRITER: Io = Io { reads: Mode::Never, ..Io::BLOCKING };
/// # assert_eq!((io(Need::Nothing), WRITER.writes), (Io::NON_BLOCKING, Mode::Waiting));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Io {
    /// How the caller reads.
    pub reads: Mode,
    /// How the caller writes.
    pub writes: Mode,
    /// What the transport needs.
    pub need: Need,
}

impl Io {
    /// One thread that never waits in a read or a write.
    pub const NON_BLOCKING: Self = Self { reads: Mode::AtOnce, writes: Mode::AtOnce, need: Need::Nothing };
    /// A thread that waits in reads and writes.
    pub const BLOCKING: Self = Self { reads: Mode::Waiting, writes: Mode::Waiting, need: Need::Nothing };
}

/// Whether a transport may have more input, or room for more output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// No. A non-blocking transport will report it.
    No,
    /// Perhaps. The next call shows it.
    Perhaps,
}

/// How a driver knows that the peer has ended its sending side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEnd {
    /// The end was read, after all input.
    Read,
    /// The system reports the end. There may be input before it that was not read.
    Reported,
    /// The system reports an error of the connection. A read returns it, even after the end of the
    /// input.
    Failed,
}

/// What a driver delivers to a session.
///
/// ```
/// use pushlab::proto::Frame;
/// use pushlab::session::{Burst, Command, Delivery};
/// /// Makes the delivery of a command. A message is a burst of one: its bytes need not be copied.
/// fn deliver(command: Command, mut to_session: impl FnMut(Delivery<'_>)) {
///     match command {
///         Command::Send(frame) => to_session(Delivery::Messages(&Burst::one(&frame))),
///         other => to_session(Delivery::Command(other)),
///     }
/// }
/// # deliver(Command::Send(Frame::text("news")), |delivery| assert!(matches!(delivery, Delivery::Messages(_))));
/// # deliver(Command::Close(1000), |delivery| assert!(matches!(delivery, Delivery::Command(_))));
/// ```
#[derive(Debug)]
pub enum Delivery<'a> {
    /// Messages that were posted one after the other.
    Messages(&'a Burst<'a>),
    /// A command.
    Command(Command),
    /// The driver's queue had no room for a message to this connection, and the policy is to
    /// disconnect.
    Refused,
}

/// What became of a delivery. [`Driven::deliver`](crate::driver::drive::Driven::deliver) handles
/// each case.
#[derive(Debug)]
pub enum Delivered<'a> {
    /// The session has taken it.
    Taken,
    /// The driver sends these bytes next, before everything else. They are shared by all receivers
    /// of the messages. So a driver that writes them directly copies nothing.
    Shared(&'a Arc<[u8]>),
    /// Nothing was taken, because something must be sent between these messages. Deliver them one
    /// by one, and write the output in between when it is full.
    OneByOne,
}
