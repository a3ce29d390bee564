//! From a cursor to the present, at the pace of one reader.
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
use crate::push::hub::{Hub, Joined, Leave, Sink, Wish};
use crate::push::model::{Id, Message, Replay, Technique, Topics, Wire, envelope};
use crate::session::{Feed, Pusher, Sent, Socket, Stream, StreamSource};

/// Encodes word of a gap, which comes as JSON, in the form of a technique.
pub(crate) type TellGap = Box<dyn Fn(&str) -> Frame + Send>;

/// A subscription to be.
pub(crate) struct CatchUp {
    hub: Hub,
    topics: Topics,
    technique: Technique,
    /// The token of the client, for its presence.
    client: Option<Arc<str>>,
    wire: Wire,
    /// `None` where the form has no room for a gap.
    tell_gap: Option<TellGap>,
    piece: Piece,
    /// The place in the sequence up to which gaps have been told. Of several topics, one may have
    /// forgotten messages that are newer than the last one of a piece: the next piece does not
    /// begin with the same gap.
    told_to: u64,
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
pub(crate) enum Reached {
    /// The reader has to read before more is sent.
    Behind,
    /// The reader is subscribed: the hub pushes each new message to it.
    Present,
    /// The history has forgotten messages that the reader has not got, and the form has no room for
    /// a gap.
    Gone,
    /// There are too many topics.
    NoRoom,
}

/// A connection that can be subscribed.
pub(crate) trait Reader {
    fn send_frame(&mut self, frame: &Frame) -> Sent;
    fn pusher(&mut self) -> Pusher;
    fn carry(&mut self, leave: Leave);
    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static);
}

impl CatchUp {
    /// Begins with a first piece. Where the form has no room for a gap, the caller tells the gap of
    /// this piece.
    pub(crate) fn new(hub: &Hub, topics: &Topics, technique: Technique, wire: Wire, tell_gap: Option<TellGap>, missed: Replay) -> Self {
        let told_to = missed.from.sequence;
        let mut piece = Piece::from(missed);
        if tell_gap.is_none() {
            piece.gap = None;
        }
        Self { hub: hub.clone(), topics: topics.clone(), technique, client: None, wire, tell_gap, piece, told_to }
    }

    /// The subscription of the client with this token, if it has one.
    pub(crate) fn of(mut self, client: Option<&Arc<str>>) -> Self {
        self.client = client.cloned();
        self
    }

    /// Sends the missed messages for as long as the reader takes them, and subscribes the reader
    /// when no message is missing.
    pub(crate) fn go_on(&mut self, reader: &mut impl Reader) -> Reached {
        loop {
            if self.send_piece(reader) != Sent::Accepted {
                return Reached::Behind;
            }
            // Messages are sent without the hub's lock, and others may be published meanwhile. The
            // last round finds no new message, and subscribes under the same lock.
            let wish = Wish {
                topics: &self.topics,
                technique: self.technique,
                client: self.client.as_ref(),
                position: self.piece.last,
                told_to: self.told_to,
            };
            let sink = Sink::Stream { pusher: reader.pusher(), wire: self.wire.clone() };
            match self.hub.join(&wish, sink) {
                Joined::Subscribed(leave, drops) => {
                    let told = self.tell_gap.as_ref().map(|tell_gap| tell_gap(envelope::DROPPED));
                    reader.on_drop(move |count| {
                        drops.add(count);
                        told.clone()
                    });
                    reader.carry(leave);
                    return Reached::Present;
                }
                Joined::Behind(missed) if missed.gap && self.tell_gap.is_none() => {
                    self.hub.count_refused(410);
                    return Reached::Gone;
                }
                Joined::Behind(missed) => {
                    self.told_to = self.told_to.max(missed.from.sequence);
                    self.piece = missed.into();
                }
                Joined::NoRoom => {
                    self.hub.count_refused(503);
                    return Reached::NoRoom;
                }
            }
        }
    }

    /// Sends the rest of the piece. Returns `Accepted` when the whole piece was sent and the reader
    /// takes more.
    fn send_piece(&mut self, reader: &mut impl Reader) -> Sent {
        if let (Some(from), Some(tell_gap)) = (self.piece.gap.take(), &self.tell_gap) {
            let sent = reader.send_frame(&tell_gap(&envelope::gap(from)));
            if sent != Sent::Accepted {
                return sent;
            }
        }
        let boundary = &self.hub.constants().boundary;
        for message in self.piece.messages.by_ref() {
            let sent = reader.send_frame(&message.frame(&self.wire, boundary));
            if sent != Sent::Accepted {
                return sent;
            }
        }
        Sent::Accepted
    }
}

impl StreamSource for CatchUp {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        match self.go_on(stream) {
            Reached::Behind => Feed::Continue,
            Reached::Present => Feed::Done,
            Reached::Gone | Reached::NoRoom => Feed::End,
        }
    }
}

impl Reader for Stream<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Sent {
        Stream::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Stream::pusher(self)
    }

    fn carry(&mut self, leave: Leave) {
        Stream::carry(self, leave);
    }

    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        Stream::on_drop(self, call);
    }
}

impl Reader for Socket<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Sent {
        Socket::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Socket::pusher(self)
    }

    fn carry(&mut self, leave: Leave) {
        Socket::carry(self, leave);
    }

    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        Socket::on_drop(self, call);
    }
}
