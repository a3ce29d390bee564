//! From a cursor to a subscription, at the pace of one client.
//!
//! Owns the replay of every streaming technique. The client receives the missed messages in pieces
//! of [`HubConfig::replay_bytes`](crate::push::HubConfig::replay_bytes), as fast as it reads. The
//! step from the last piece to the subscription loses and repeats no message. Leaves the heads of
//! responses to `call`, the encoding of messages to `model`, and the end of a connection that
//! cannot continue to the techniques.
//!
//! ```text
//!   replay --> piece: gap, messages --> sent as the client reads --> subscribe
//!                 ^                                                   |     |
//!                 +-------- messages were published meanwhile --------+     +--> subscribed
//! ```

use std::sync::Arc;
use std::vec;

use crate::proto::Frame;
use crate::push::hub::{Hub, Sink, SubscribeOutcome, Subscription, SubscriptionGuard};
use crate::push::model::{DROPPED_GAP, Id, Message, Replay, Topics, WireForm, gap_envelope};
use crate::session::{Feed, Pusher, Sent, Socket, Stream, StreamSource};

/// Encodes the JSON text of a gap in the format of a technique.
pub(crate) type EncodeGap = Box<dyn Fn(&str) -> Frame + Send>;

/// A connection's replay, and the parameters of its later subscription.
pub(crate) struct CatchUp {
    hub: Hub,
    topics: Topics,
    technique: &'static str,
    /// The client's token, for its presence.
    client: Option<Arc<str>>,
    wire_form: WireForm,
    /// `None` if the format cannot express a gap.
    encode_gap: Option<EncodeGap>,
    piece: Piece,
    /// The sequence number up to which the client was told of gaps. With several topics, one topic
    /// may have dropped messages that are newer than the last message of a piece. Without this
    /// number, the next piece would begin with the same gap again.
    gaps_told_to: u64,
}

/// A piece of the replay that the hub has returned and the connection has not sent completely.
struct Piece {
    /// The position of a gap that is sent before the messages.
    gap: Option<Id>,
    messages: vec::IntoIter<Arc<Message>>,
    /// All messages up to this id were sent or are in `messages`.
    last: Id,
}

impl From<Replay> for Piece {
    fn from(replay: Replay) -> Self {
        Self { gap: replay.gap.then_some(replay.from), messages: replay.messages.into_iter(), last: replay.last }
    }
}

/// The state of a replay after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CatchUpStatus {
    /// The client has to read before more messages can be sent.
    Behind,
    /// The connection is subscribed, and the hub delivers each new message to it.
    Subscribed,
    /// The history has dropped messages that the client has not received, and the format cannot
    /// express a gap.
    MessagesGone,
    /// The hub cannot create the topics.
    TooManyTopics,
}

/// A connection that can be subscribed: a stream or a WebSocket.
pub(crate) trait PushConnection {
    fn send_frame(&mut self, frame: &Frame) -> Sent;
    fn pusher(&mut self) -> Pusher;
    fn carry(&mut self, guard: SubscriptionGuard);
    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static);
}

impl CatchUp {
    /// Begins with the first piece. If the format cannot express a gap, the caller must tell the
    /// client of the gap of this piece.
    pub(crate) fn new(
        hub: &Hub,
        topics: &Topics,
        technique: &'static str,
        wire_form: WireForm,
        encode_gap: Option<EncodeGap>,
        missed: Replay,
    ) -> Self {
        let gaps_told_to = missed.from.sequence;
        let mut piece = Piece::from(missed);
        if encode_gap.is_none() {
            piece.gap = None;
        }
        Self { hub: hub.clone(), topics: topics.clone(), technique, client: None, wire_form, encode_gap, piece, gaps_told_to }
    }

    /// Sets the client's token, if it has one.
    pub(crate) fn for_client(mut self, client: Option<&Arc<str>>) -> Self {
        self.client = client.cloned();
        self
    }

    /// Sends missed messages until the connection is full, and subscribes the connection when it
    /// has sent all of them.
    pub(crate) fn advance(&mut self, connection: &mut impl PushConnection) -> CatchUpStatus {
        loop {
            if self.send_piece(connection) != Sent::Accepted {
                return CatchUpStatus::Behind;
            }
            // Messages are sent without the hub's lock, so others may be published meanwhile.
            // `subscribe` checks for them and subscribes under one lock.
            let subscription = Subscription {
                topics: &self.topics,
                technique: self.technique,
                client: self.client.as_ref(),
                sent_to: self.piece.last,
                gaps_told_to: self.gaps_told_to,
            };
            let sink = Sink::Stream { pusher: connection.pusher(), wire_form: self.wire_form.clone() };
            match self.hub.subscribe(&subscription, sink) {
                SubscribeOutcome::Subscribed(guard, drops) => {
                    let told = self.encode_gap.as_ref().map(|encode_gap| encode_gap(DROPPED_GAP));
                    connection.on_drop(move |count| {
                        drops.add(count);
                        told.clone()
                    });
                    connection.carry(guard);
                    return CatchUpStatus::Subscribed;
                }
                SubscribeOutcome::Behind(missed) if missed.gap && self.encode_gap.is_none() => {
                    self.hub.count_refused(410);
                    return CatchUpStatus::MessagesGone;
                }
                SubscribeOutcome::Behind(missed) => {
                    self.gaps_told_to = self.gaps_told_to.max(missed.from.sequence);
                    self.piece = missed.into();
                }
                SubscribeOutcome::TooManyTopics => {
                    self.hub.count_refused(503);
                    return CatchUpStatus::TooManyTopics;
                }
            }
        }
    }

    /// Sends the rest of the piece. Returns `Accepted` if the whole piece was sent and the
    /// connection accepts more.
    fn send_piece(&mut self, connection: &mut impl PushConnection) -> Sent {
        if let (Some(from), Some(encode_gap)) = (self.piece.gap.take(), &self.encode_gap) {
            let sent = connection.send_frame(&encode_gap(&gap_envelope(from)));
            if sent != Sent::Accepted {
                return sent;
            }
        }
        let boundary = &self.hub.constants().boundary;
        for message in self.piece.messages.by_ref() {
            let sent = connection.send_frame(&message.frame(&self.wire_form, boundary));
            if sent != Sent::Accepted {
                return sent;
            }
        }
        Sent::Accepted
    }
}

impl StreamSource for CatchUp {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        match self.advance(stream) {
            CatchUpStatus::Behind => Feed::Continue,
            CatchUpStatus::Subscribed => Feed::Done,
            CatchUpStatus::MessagesGone | CatchUpStatus::TooManyTopics => Feed::End,
        }
    }
}

impl PushConnection for Stream<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Sent {
        Stream::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Stream::pusher(self)
    }

    fn carry(&mut self, guard: SubscriptionGuard) {
        Stream::carry(self, guard);
    }

    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        Stream::on_drop(self, call);
    }
}

impl PushConnection for Socket<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Sent {
        Socket::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Socket::pusher(self)
    }

    fn carry(&mut self, guard: SubscriptionGuard) {
        Socket::carry(self, guard);
    }

    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        Socket::on_drop(self, call);
    }
}
