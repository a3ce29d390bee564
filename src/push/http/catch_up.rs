//! From a cursor to the present, at the pace of one connection.
//!
//! Owns the replay of every streaming technique. A reader gets the missed messages at its own pace,
//! in pieces of [`HubConfig::replay_bytes`](crate::push::HubConfig::replay_bytes). The step from the last
//! piece to the subscription loses no message and repeats none. Leaves to others the heads of
//! responses, the forms of messages, and how a connection ends that cannot go on.
//!
//! ```text
//!   replay ──▶ piece: gap, messages ──▶ sent, as far as the reader takes them ──▶ join
//!                 ▲                                                               │ │
//!                 └─────────── messages were published meanwhile ─────────────────┘ └──▶ subscribed
//! ```

use std::sync::Arc;
use std::vec;

use crate::proto::Frame;
use crate::push::hub::{Hub, Sink, SubscribeOutcome, Subscription, SubscriptionGuard};
use crate::push::model::{DROPPED_GAP, Id, Message, Replay, Technique, Topics, WireForm, gap_envelope};
use crate::session::{Feed, Pusher, Sent, Socket, Stream, StreamSource};

/// Encodes word of a gap, which comes as JSON, in the form of a technique.
pub(crate) type EncodeGap = Box<dyn Fn(&str) -> Frame + Send>;

/// A subscription to be.
pub(crate) struct CatchUp {
    hub: Hub,
    topics: Topics,
    technique: Technique,
    /// The token of the client, for its presence.
    client: Option<Arc<str>>,
    wire_form: WireForm,
    /// `None` where the form has no room for a gap.
    encode_gap: Option<EncodeGap>,
    piece: Piece,
    /// The place in the sequence up to which gaps have been told. Of several topics, one may have
    /// forgotten messages that are newer than the last one of a piece: the next piece does not
    /// begin with the same gap.
    gaps_told_to: u64,
}

/// The part of the missed messages that was taken from the hub and not yet sent.
struct Piece {
    /// Word of a gap comes first.
    gap: Option<Id>,
    messages: vec::IntoIter<Arc<Message>>,
    /// Everything up to here was sent, or is in `messages`.
    last: Id,
}

impl From<Replay> for Piece {
    fn from(replay: Replay) -> Self {
        Self { gap: replay.gap.then_some(replay.from), messages: replay.messages.into_iter(), last: replay.last }
    }
}

/// How far a reader has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CatchUpStatus {
    /// The reader has to read before more is sent.
    Behind,
    /// The reader is subscribed: the hub pushes each new message to it.
    Subscribed,
    /// The history has forgotten messages that the reader has not got, and the form has no room for
    /// a gap.
    MessagesGone,
    /// There are too many topics.
    TooManyTopics,
}

/// A connection that can be subscribed.
pub(crate) trait PushConnection {
    fn send_frame(&mut self, frame: &Frame) -> Sent;
    fn pusher(&mut self) -> Pusher;
    fn carry(&mut self, guard: SubscriptionGuard);
    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static);
}

impl CatchUp {
    /// Begins with a first piece. Where the form has no room for a gap, the caller tells the gap of
    /// this piece.
    pub(crate) fn new(
        hub: &Hub,
        topics: &Topics,
        technique: Technique,
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

    /// The subscription of the client with this token, if it has one.
    pub(crate) fn for_client(mut self, client: Option<&Arc<str>>) -> Self {
        self.client = client.cloned();
        self
    }

    /// Sends the missed messages for as long as the reader takes them, and subscribes the reader
    /// when no message is missing.
    pub(crate) fn advance(&mut self, connection: &mut impl PushConnection) -> CatchUpStatus {
        loop {
            if self.send_piece(connection) != Sent::Accepted {
                return CatchUpStatus::Behind;
            }
            // Messages are sent without the hub's lock, and others may be published meanwhile. The
            // last round finds no new message, and subscribes under the same lock.
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

    /// Sends the rest of the piece. Returns `Accepted` when the whole piece was sent and the reader
    /// takes more.
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
