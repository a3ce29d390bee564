//! What a step of a connection led to.
//!
//! Owns the verdicts that pass between the phases, the lifecycle and the drivers. Refuses to act on them.

use super::exchange::Upgraded;
use crate::proto::CloseReason;

/// How a driver ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Write what waits, then close. What is there to read by then is to be read first, and makes it a [`Linger`](Self::Linger).
    Flush,
    /// Write what waits, end the sending side, then read and throw away until the peer ends its side or time is up. A connection that is
    /// closed with unread input is reset, as is one that gets input after its close, and a reset could take the last answer with it (RFC
    /// 9112, section 9.6).
    Linger,
    /// Close now: the peer is gone, or does not read.
    Abort,
}

/// What a step led to.
pub(super) enum Progress {
    /// There may be more to do with the same input.
    More,
    /// Input, time or a command has to come first.
    Wait,
    Upgrade(Box<Upgraded>),
    End(Ending, CloseReason),
}
