//! The result of a step of a connection.
//!
//! Owns the types in which the phases tell `session` how to go on, and `session` tells a driver how
//! to end. Leaves the actions to `session` and to the drivers.

use super::exchange::Upgraded;
use crate::proto::CloseReason;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Write the output that waits, then close. If there is still input to read by then, read it
    /// first; the ending becomes a [`Linger`](Self::Linger).
    Flush,
    /// Write the output that waits, end the sending side, then read and discard input until the
    /// peer ends its side or the time is up. A system resets a connection that is closed with
    /// unread input, or that gets input after its close. A reset can destroy the last answer on its
    /// way (RFC 9112, section 9.6).
    Linger,
    /// Close now: the peer is gone, or it does not read.
    Abort,
}

/// The result of a step.
pub(super) enum Progress {
    /// The rest of the input may contain more to do.
    More,
    /// The next step needs more input, a time-out or a command.
    Wait,
    Upgrade(Box<Upgraded>),
    End(Ending, CloseReason),
}
