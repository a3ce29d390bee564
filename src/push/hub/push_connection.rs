//! The connections that can be subscribed.
//!
//! Owns what a replay needs of a stream and of a WebSocket, the step to a subscription that the
//! connection carries, and the notices by which a connection tells its client of dropped messages
//! and of its end. Leaves the replay to `subscription`, connections whose topics can be changed to
//! `channel_feed`, and the form of a note to the techniques.

use std::sync::Arc;

use super::hub::Hub;
use super::state::Sink;
use super::subscribe::{DropCounters, NotSubscribed, SubscribeParameters, SubscriptionGuard};
use crate::proto::Frame;
use crate::push::model::{EncodeNote, Gap, Note, WireForm};
use crate::session::{LastWord, Notices, Outcome, Pusher, Socket, Stream};

/// A connection that can be subscribed: a stream, a WebSocket, or one of several subscriptions of a
/// connection.
pub(crate) trait PushConnection {
    fn send_frame(&mut self, frame: &Frame) -> Outcome;
    fn pusher(&mut self) -> Pusher;
    fn carry(&mut self, guard: SubscriptionGuard);
    fn notices(&mut self, notices: HubNotices);

    /// Subscribes the connection, if it has all messages. `encode_note` encodes what it says in the
    /// place of messages.
    fn subscribe(
        &mut self,
        hub: &Hub,
        parameters: &SubscribeParameters<'_>,
        wire_form: &WireForm,
        encode_note: &EncodeNote,
    ) -> Result<(), NotSubscribed> {
        let sink = Sink::Stream { pusher: self.pusher(), wire_form: wire_form.clone() };
        let (guard, drops) = hub.subscribe_now(parameters, sink)?;
        self.notices(HubNotices::new(drops, Arc::clone(encode_note)));
        self.carry(guard);
        Ok(())
    }
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
