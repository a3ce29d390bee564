//! How a set of subscribers behaves, what is published, and the figures of a run.
//!
//! Owns these values. Leaves the work to `subscribers`.

use std::time::Duration;

use super::tally::Tally;
use super::technique::{Form, Technique};
use super::wire::ANSWER_TIMEOUT;
use crate::Result;

/// How a set of subscribers behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) technique: Technique,
    pub(crate) form: Form,
    /// Between the polls of one client, for techniques that ask at intervals.
    pub(crate) interval: Duration,
    /// For which a long poll asks to be held.
    pub(crate) wait: Duration,
    /// The time that bytes take over the emulated link, in each direction. Connections are opened
    /// without it.
    pub(crate) transit: Duration,
    /// The size of the sockets' receive buffers, if not the system's own.
    pub(crate) receive_bytes: Option<usize>,
    /// What a client does when the server ends its connection.
    pub(crate) at_end: AtEnd,
    /// Cuts a connection in each such interval, in turn.
    pub(crate) cut_every: Option<Duration>,
    /// A run ends when nothing has arrived for so long.
    pub(crate) patience: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    Fail,
    Reconnect,
}

impl Plan {
    pub(crate) const fn new(technique: Technique) -> Self {
        Self {
            technique,
            form: Form::Usual,
            interval: Duration::from_millis(100),
            wait: Duration::from_secs(60),
            transit: Duration::ZERO,
            receive_bytes: None,
            at_end: AtEnd::Fail,
            cut_every: None,
            patience: ANSWER_TIMEOUT,
        }
    }
}

/// What is published in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) messages: u64,
    pub(crate) interval: Duration,
    /// From the begin of the run to the first message.
    pub(crate) lead: Duration,
    /// The run takes at least this long.
    pub(crate) at_least: Duration,
}

impl Pace {
    /// One message per interval, each in the middle of its interval.
    pub(crate) fn steady(messages: u64, interval: Duration) -> Self {
        Self { messages, interval, lead: interval / 2, at_least: interval * messages as u32 }
    }

    /// A few messages before the measurement. The first ones to a new set of subscribers cost more:
    /// buffers and stacks are touched for the first time.
    pub(crate) fn warm_up() -> Self {
        Self::steady(3, Duration::from_millis(10))
    }

    /// One message at once.
    pub(crate) const fn single() -> Self {
        Self { messages: 1, interval: Duration::ZERO, lead: Duration::ZERO, at_least: Duration::ZERO }
    }
}

/// The figures of one run.
pub(crate) struct Run {
    pub(crate) tally: Tally,
    pub(crate) elapsed: Duration,
    /// Messages that subscribers have not received, and of which they were not told.
    pub(crate) missing: u64,
}

impl Run {
    /// # Errors
    /// If a message is missing.
    pub(crate) fn whole(self) -> Result<Self> {
        if self.missing == 0 {
            return Ok(self);
        }
        Err(format!("{} deliveries are missing after {ANSWER_TIMEOUT:?} without one", self.missing).into())
    }
}
