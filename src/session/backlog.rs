//! The queue of messages for a slow reader.
//!
//! Owns the bounded queue of a connection and the policy for a full queue, for all techniques and
//! both drivers. Leaves encoding to `proto`. Leaves it to the caller to end the connection when the
//! policy asks for it.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use super::Outcome;
use crate::proto::Frame;

/// The smallest weight of a message. An empty WebSocket message, the smallest one on a wire, has 2
/// bytes. An empty piece of a stream has no bytes on the wire, but it occupies an entry of the
/// queue.
const WEIGHT_MIN: usize = 2;

/// What happens when a reader is slower than its messages and its queue is full.
///
/// [`Limits::queue_bytes`](crate::Limits::queue_bytes) bounds the queue. Answers to the client's
/// own requests are never dropped.
///
/// ```
/// use pushlab::SlowConsumer;
/// assert_eq!("drop-oldest".parse(), Ok(SlowConsumer::DropOldest));
/// assert_eq!(SlowConsumer::default().to_string(), "disconnect");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// End the connection, with a [last word](crate::LastWord) if the client still reads and the
    /// protocol has one. The client reconnects and resumes where it was. This is the default, because
    /// no message is lost without notice.
    #[default]
    Disconnect,
    /// Drop the oldest messages in the queue. A message that has begun to be sent is never dropped.
    DropOldest,
    /// Drop all messages in the queue and keep the newest one. This suits values of which only the
    /// latest counts.
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

/// A bounded queue of frames.
///
/// ```
/// use pushlab::proto::Frame;
/// use pushlab::session::{Backlog, Outcome, SlowConsumer};
/// let mut backlog = Backlog::default();
/// let frame = Frame::chunk(b"0123456789"); // 15 bytes on the wire
/// assert_eq!(backlog.enqueue(frame.clone(), 30, SlowConsumer::DropOldest), Outcome::Queued { dropped: 0 });
/// assert_eq!(backlog.enqueue(frame.clone(), 30, SlowConsumer::DropOldest), Outcome::Queued { dropped: 0 });
/// assert_eq!(backlog.enqueue(frame.clone(), 30, SlowConsumer::DropOldest), Outcome::Queued { dropped: 1 });
/// assert_eq!(backlog.enqueue(frame, 30, SlowConsumer::Disconnect), Outcome::Refused);
/// ```
#[derive(Debug, Default)]
pub struct Backlog {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// How many messages were dropped and not reported yet. They stood before all frames in the
    /// queue.
    lost: usize,
}

impl Backlog {
    /// Queues a frame under the policy, or refuses it if the queue is full and the policy is to end
    /// the connection. A frame that exceeds the limit alone is queued if the queue
    /// is empty: then the message is large, and the reader is not slow.
    #[inline(always)]
    pub fn enqueue(&mut self, frame: Frame, limit_bytes: usize, policy: SlowConsumer) -> Outcome {
        let len = weigh(&frame);
        let mut dropped = 0;
        // With this policy, an older message is worthless even if there is room for it.
        if policy == SlowConsumer::KeepLatest {
            dropped = self.frames.len();
            self.clear();
        }
        while !self.frames.is_empty() && self.bytes + len > limit_bytes {
            if policy == SlowConsumer::Disconnect {
                return Outcome::Refused;
            }
            self.dequeue();
            dropped += 1;
        }
        self.lost += dropped;
        self.frames.push_back(frame);
        self.bytes += len;
        Outcome::Queued { dropped }
    }

    /// Takes the oldest frame out of the queue.
    pub fn dequeue(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= weigh(&frame);
        Some(frame)
    }

    /// Returns how many messages were dropped since the last call. They stood before the oldest
    /// frame, so call this before [`dequeue`](Self::dequeue).
    pub fn take_lost(&mut self) -> usize {
        std::mem::take(&mut self.lost)
    }

    /// Drops every frame.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The number of frames that wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// The bytes on the wire of all frames that wait; an empty frame counts as 2.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

fn weigh(frame: &Frame) -> usize {
    frame.wire_len().max(WEIGHT_MIN)
}
