//! Messages that wait for a slow reader.
//!
//! Owns the one bounded queue per connection and the one policy for what happens when it is full, for every technique and both drivers.
//! Refuses to encode or to close: it says what the policy asks for.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use crate::proto::Frame;

/// What a message weighs at least. The smallest that there is on a wire, an empty one of a WebSocket, has as many bytes; an empty piece has
/// none in the form of a stream, but takes a place all the same.
const WEIGHT_MIN: usize = 2;

/// What happens when a reader is slower than the messages for it, and its queue is full.
///
/// The queue is bounded by [`Limits::queue_bytes`](crate::proto::Limits::queue_bytes). Answers to the client's own requests are never dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowConsumer {
    /// End the connection; the client comes back and resumes where it was. The default: no message is lost in silence.
    #[default]
    Disconnect,
    /// Drop the oldest messages that have not begun to be sent.
    DropOldest,
    /// Drop all messages that have not begun to be sent, and keep the newest: for values of which only the last counts.
    KeepLatest,
}

impl SlowConsumer {
    /// Every policy with its name.
    const NAMES: [(Self, &str); 3] =
        [(Self::Disconnect, "disconnect"), (Self::DropOldest, "drop-oldest"), (Self::KeepLatest, "keep-latest")];
}

impl fmt::Display for SlowConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(policy, _)| policy == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for SlowConsumer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(policy, _)| *policy).ok_or("the slow-consumer policy must be disconnect, drop-oldest or keep-latest")
    }
}

/// What became of a message that was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It waits, and this many older ones were dropped for it.
    Dropping(usize),
    /// The policy is to disconnect, and it is time to.
    Overflow,
}

/// A bounded queue of frames.
///
/// ```
/// use pushlab::proto::Frame;
/// use pushlab::session::{Backlog, Queued, SlowConsumer};
/// let mut backlog = Backlog::default();
/// let frame = Frame::chunk(b"0123456789"); // 15 bytes on the wire
/// assert_eq!(backlog.push(frame.clone(), 30, SlowConsumer::DropOldest), Queued::Dropping(0));
/// assert_eq!(backlog.push(frame.clone(), 30, SlowConsumer::DropOldest), Queued::Dropping(0));
/// assert_eq!(backlog.push(frame.clone(), 30, SlowConsumer::DropOldest), Queued::Dropping(1));
/// assert_eq!(backlog.push(frame, 30, SlowConsumer::Disconnect), Queued::Overflow);
/// ```
#[derive(Debug, Default)]
pub struct Backlog {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Dropped, and not told yet. They stood before all that waits.
    lost: usize,
}

impl Backlog {
    /// Queues a frame under the policy. A single frame over the limit is queued when nothing else waits: it is the message's own size that
    /// is large then, not the reader that is slow.
    pub fn push(&mut self, frame: Frame, limit_bytes: usize, policy: SlowConsumer) -> Queued {
        let len = weigh(&frame);
        let mut dropped = 0;
        if policy == SlowConsumer::KeepLatest {
            dropped = self.frames.len();
            self.clear();
        }
        while !self.frames.is_empty() && self.bytes + len > limit_bytes {
            if policy == SlowConsumer::Disconnect {
                return Queued::Overflow;
            }
            self.pop();
            dropped += 1;
        }
        self.lost += dropped;
        self.frames.push_back(frame);
        self.bytes += len;
        Queued::Dropping(dropped)
    }

    /// Takes the oldest frame.
    pub fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= weigh(&frame);
        Some(frame)
    }

    /// How many messages were dropped since this was asked last. They stood before the oldest frame: to be asked before it is taken.
    pub fn take_lost(&mut self) -> usize {
        std::mem::take(&mut self.lost)
    }

    /// Forgets every frame.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Bytes on the wire of all frames that wait; an empty one counts for 2.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

fn weigh(frame: &Frame) -> usize {
    frame.wire().len().max(WEIGHT_MIN)
}
