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

/// How much work a session may do before other sessions get their turn. A request or a message
/// takes one step, and one more for every 4 KiB of a message, because a small compressed message
/// can be large. A step is about half a microsecond of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps(u32);

impl Steps {
    /// No bound.
    pub(crate) const fn unlimited() -> Self {
        Self(u32::MAX)
    }

    /// So many steps.
    pub(crate) const fn new(steps: usize) -> Self {
        Self(steps as u32)
    }

    /// Takes one step for an event with so many bytes.
    #[inline(always)]
    pub(super) const fn take(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(1 + (bytes / 4096) as u32);
    }

    /// Whether no steps are left.
    #[inline(always)]
    pub(crate) const fn is_used_up(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn a_large_message_takes_more_steps() {
        let mut steps = Steps::new(260);
        for (bytes, left) in [(0, 259), (4_095, 258), (4_096, 256), (1024 * 1024 - 4_096, 0)] {
            steps.take(bytes);
            assert_eq!(steps, Steps::new(left), "{bytes}");
        }
        assert!(steps.is_used_up());
        steps.take(1);
        assert!(steps.is_used_up());
    }
}
