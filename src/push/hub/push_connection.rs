//! The connections that can be subscribed.
//!
//! Owns what a replay needs of a stream and of a WebSocket, the step to a subscription that the
//! connection carries, and the notices by which a connection tells its client of dropped messages
//! and of its end. Leaves the replay to `subscription`, connections whose topics can be changed to
//! `channel_feed`, and the form of a note to the techniques.

use super::hub::Hub;
use super::subscribe::{DropCounters, NotSubscribed, SubscribeParameters, SubscriptionGuard};
use crate::proto::Frame;
use crate::push::model::{EncodeNote, Gap, Note, WireForm};
use crate::session::{Destination, LastWord, Notices, Outcome, Pusher, Socket, Stream};

/// A connection that can be subscribed: a stream, a WebSocket, or one of several subscriptions of a
/// connection.
pub(crate) trait PushConnection {
    fn send_frame(&mut self, frame: &Frame) -> Outcome;
    fn pusher(&mut self) -> Pusher;
    /// Where the connection takes messages. `None` if it sends nothing.
    fn destination(&mut self) -> Option<Destination>;
    /// Sets what the connection says before it is subscribed.
    fn notices(&mut self, notices: HubNotices);
    /// Lets the connection carry its subscription, and sets what it says from now on.
    fn carry(&mut self, guard: SubscriptionGuard, encode_note: EncodeNote);

    /// Subscribes the connection, if it has all messages. `encode_note` encodes what it says in the
    /// place of messages.
    fn subscribe(
        &mut self,
        hub: &Hub,
        parameters: &SubscribeParameters<'_>,
        wire_form: &WireForm,
        encode_note: &EncodeNote,
    ) -> Result<(), NotSubscribed> {
        if let Some(reader) = self.destination() {
            let guard = hub.subscribe_now(parameters, &reader, wire_form)?;
            self.carry(guard, encode_note.clone());
        }
        Ok(())
    }
}

/// What a subscribed connection says in the place of messages.
pub(crate) struct HubNotices {
    drops: DropCounters,
    encode_note: EncodeNote,
}

impl HubNotices {
    pub(crate) const fn new(drops: DropCounters, encode_note: EncodeNote) -> Self {
        Self { drops, encode_note }
    }

    /// The notices of a subscription whose guard is elsewhere.
    pub(crate) fn of(guard: &SubscriptionGuard, encode_note: EncodeNote) -> Self {
        Self::new(guard.drop_counters(), encode_note)
    }
}

impl Notices for HubNotices {
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        self.drops.add(count);
        self.encode_note.encode(Note::Gap(Gap { from: None }))
    }

    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        self.encode_note.encode(Note::End(word))
    }
}

/// A subscription that a connection carries. One value takes less memory than two.
struct Carried {
    guard: SubscriptionGuard,
    encode_note: EncodeNote,
}

impl Notices for Carried {
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        self.guard.count_drops(count);
        self.encode_note.encode(Note::Gap(Gap { from: None }))
    }

    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        self.encode_note.encode(Note::End(word))
    }
}

impl PushConnection for Stream<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        Stream::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Stream::pusher(self)
    }

    fn destination(&mut self) -> Option<Destination> {
        Stream::destination(self)
    }

    fn notices(&mut self, notices: HubNotices) {
        Stream::notices(self, notices);
    }

    fn carry(&mut self, guard: SubscriptionGuard, encode_note: EncodeNote) {
        // The hub keeps no pusher.
        self.stay_open();
        self.carry_notices(Carried { guard, encode_note });
    }
}

impl PushConnection for Socket<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        Socket::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Socket::pusher(self)
    }

    fn destination(&mut self) -> Option<Destination> {
        Some(Socket::destination(self))
    }

    fn notices(&mut self, notices: HubNotices) {
        Socket::notices(self, notices);
    }

    fn carry(&mut self, guard: SubscriptionGuard, encode_note: EncodeNote) {
        self.carry_notices(Carried { guard, encode_note });
    }
}
