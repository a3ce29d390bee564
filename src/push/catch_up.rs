//! From a cursor to the present, at the pace of one reader.
//!
//! Owns the way of every streaming technique into the subscription: what was missed is sent as the
//! reader reads, in pieces of [`HubConfig::replay_bytes`](super::HubConfig::replay_bytes), and the
//! step from the last piece to the subscription loses nothing and repeats nothing. Leaves to others
//! the heads of responses, the forms of messages, and how a connection ends that cannot go on.
//!
//! ```text
//!   replay ──▶ piece: gap, messages ──▶ sent, as far as the reader takes them ──▶ join
//!                 ▲                                                               │ │
//!                 └─────────── messages were published meanwhile ─────────────────┘ └──▶ subscribed
//! ```

use std::sync::Arc;
use std::vec;

use super::board::Wire;
use super::hub::{Joined, Leave, Wish};
use super::state::Sink;
use super::{Hub, Id, Message, Replay, Technique, Topics, envelope};
use crate::proto::Frame;
use crate::session::{Feed, Pusher, Sent, Socket, Stream, StreamSource};

/// Encodes word of a gap, which comes as JSON, in the form of a technique.
pub(super) type TellGap = Box<dyn Fn(&str) -> Frame + Send>;

/// A subscription to be.
pub(super) struct CatchUp {
    pub(super) hub: Hub,
    pub(super) topics: Topics,
    pub(super) technique: Technique,
    pub(super) client: Option<Arc<str>>,
    pub(super) wire: Wire,
    /// `None` where the form has no room for a gap.
    pub(super) tell_gap: Option<TellGap>,
    piece: Piece,
}

/// What was missed, as far as it is known.
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
pub(super) enum Reached {
    /// The reader has to read before more is sent.
    Behind,
    /// The reader is subscribed: what is published from now on is pushed to it.
    Present,
    /// Messages are gone that the reader has not got, and the form has no room to say so.
    Gone,
    /// There are too many topics.
    NoRoom,
}

/// A connection that can be subscribed.
pub(super) trait Reader {
    fn send_frame(&mut self, frame: &Frame) -> Sent;
    fn pusher(&mut self) -> Pusher;
    fn carry(&mut self, leave: Leave);
    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static);
}

impl CatchUp {
    /// Begins with what was missed so far. Whether messages are missing before that is the caller's
    /// to tell where the form has no room for it.
    pub(super) fn new(hub: &Hub, topics: &Topics, technique: Technique, wire: Wire, tell_gap: Option<TellGap>, missed: Replay) -> Self {
        let mut piece = Piece::from(missed);
        if tell_gap.is_none() {
            piece.gap = None;
        }
        Self { hub: hub.clone(), topics: topics.clone(), technique, client: None, wire, tell_gap, piece }
    }

    /// Sends what was missed for as long as the reader takes it, and subscribes the reader when
    /// nothing is missing.
    pub(super) fn go_on(&mut self, reader: &mut impl Reader) -> Reached {
        loop {
            if self.send_piece(reader) != Sent::Accepted {
                return Reached::Behind;
            }
            // Sending is done without the hub's lock, so that more may have been published
            // meanwhile. The last round finds nothing new, and subscribes in the same step.
            let wish = Wish { topics: &self.topics, technique: self.technique, client: self.client.as_ref(), position: self.piece.last };
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
                Joined::Behind(missed) => self.piece = missed.into(),
                Joined::NoRoom => {
                    self.hub.count_refused(503);
                    return Reached::NoRoom;
                }
            }
        }
    }

    /// Sends what is left of the piece. Returns `Accepted` when all of it was sent, and the reader
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
            let sent = reader.send_frame(&self.wire.frame(&message, boundary));
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
