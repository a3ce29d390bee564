//! The connections that can be subscribed.
//!
//! Owns what a replay needs of a stream and of a WebSocket, and the notices by which a subscribed
//! connection tells its client of dropped messages and of its end. Leaves the replay to
//! `subscription`, and the form of a note to the techniques.

use super::subscribe::{DropCounters, SubscriptionGuard};
use crate::proto::Frame;
use crate::push::model::{EncodeNote, Gap, Note};
use crate::session::{LastWord, Notices, Outcome, Pusher, Socket, Stream};

/// A connection that can be subscribed: a stream, a WebSocket, or one of several subscriptions of a
/// WebSocket.
pub(crate) trait PushConnection {
    fn send_frame(&mut self, frame: &Frame) -> Outcome;
    fn pusher(&mut self) -> Pusher;
    fn carry(&mut self, guard: SubscriptionGuard);
    fn notices(&mut self, notices: HubNotices);
}

/// What a subscribed connection says in the place of messages.
pub(crate) struct HubNotices {
    /// Empty until the connection is subscribed.
    drops: DropCounters,
    encode_note: EncodeNote,
}

impl HubNotices {
    pub(crate) const fn new(drops: DropCounters, encode_note: EncodeNote) -> Self {
        Self { drops, encode_note }
    }
}

impl Notices for HubNotices {
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        self.drops.add(count);
        (self.encode_note)(Note::Gap(Gap { from: None }))
    }

    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        (self.encode_note)(Note::End(word))
    }
}

impl PushConnection for Stream<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        Stream::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Stream::pusher(self)
    }

    fn carry(&mut self, guard: SubscriptionGuard) {
        Stream::carry(self, guard);
    }

    fn notices(&mut self, notices: HubNotices) {
        Stream::notices(self, notices);
    }
}

impl PushConnection for Socket<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        Socket::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Socket::pusher(self)
    }

    fn carry(&mut self, guard: SubscriptionGuard) {
        Socket::carry(self, guard);
    }

    fn notices(&mut self, notices: HubNotices) {
        Socket::notices(self, notices);
    }
}
