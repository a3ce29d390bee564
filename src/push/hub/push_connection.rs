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

/// A subscription that a connection carries. One value takes less memory than two. Nearly every
/// connection has a plain function as `E`: with room for the other kind of [`EncodeNote`], each would
/// take 16 bytes more.
struct Carried<E> {
    guard: SubscriptionGuard,
    encode: E,
}

impl<E: Fn(Note<'_>) -> Option<Frame> + Send + 'static> Notices for Carried<E> {
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        self.guard.count_drops(count);
        (self.encode)(Note::Gap(Gap { from: None }))
    }

    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        (self.encode)(Note::End(word))
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
        match encode_note {
            EncodeNote::Plain(encode) => self.carry_notices(Carried { guard, encode }),
            EncodeNote::OfRequest(encode) => self.carry_notices(Carried { guard, encode: move |note: Note<'_>| encode(note) }),
        }
    }
}

/// A WebSocket whose handler speaks in the place of messages, and takes the guard of its subscription.
/// So the connection carries nothing: a subscriber takes 48 bytes less.
pub(super) struct HandlerOf<'a, 's> {
    pub(super) socket: &'a mut Socket<'s>,
    pub(super) guard: Option<SubscriptionGuard>,
}

impl PushConnection for HandlerOf<'_, '_> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        self.socket.send_frame(frame)
    }

    fn pusher(&mut self) -> Pusher {
        self.socket.pusher()
    }

    fn destination(&mut self) -> Option<Destination> {
        Some(self.socket.destination())
    }

    fn notices(&mut self, _: HubNotices) {}

    fn carry(&mut self, guard: SubscriptionGuard, _: EncodeNote) {
        self.guard = Some(guard);
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
        match encode_note {
            EncodeNote::Plain(encode) => self.carry_notices(Carried { guard, encode }),
            EncodeNote::OfRequest(encode) => self.carry_notices(Carried { guard, encode: move |note: Note<'_>| encode(note) }),
        }
    }
}
