//! A stream or WebSocket whose topics can be changed.
//!
//! Owns the replays of one connection: that of the topics with which it was opened, and one for
//! each later join. They are sent one after the other, each as every other replay. Leaves the
//! replay itself to `subscription`, and the change of a channel to `control`.
//!
//! ```text
//!   opened --> replay --> subscribed
//!   join   --> replay --> subscribed, note "joined"
//!   leave  --> the replay is given up
//! ```
//!
//! Messages of other topics go between the messages of a replay. So the ids of a joined topic are
//! in order by themselves until the note `joined`. Behind it, the ids of all topics are in order,
//! and one cursor stands for all of them again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::channels::{Drops, PendingChanges, PendingJoin, StreamCarrier};
use super::control::ChannelGuard;
use super::hub::Hub;
use super::push_connection::{HubNotices, PushConnection};
use super::subscribe::{DropCounters, Joining, NotSubscribed, SubscribeParameters, SubscriptionGuard};
use super::subscribe_error::{SubscribeError, SubscriptionStatus};
use super::subscription::Subscription;
use crate::proto::Frame;
use crate::push::log::Patience;
use crate::push::model::{EncodeNote, Note, Secret, Topics, WireForm};
use crate::session::{Destination, Feed, LastWord, Outcome, Pusher, Stream, StreamSource};

/// What a connection needs to begin.
pub(crate) struct FeedPlan {
    pub(crate) client: Arc<str>,
    pub(crate) secret: Secret,
    pub(crate) topics: Topics,
    pub(crate) technique: &'static str,
    pub(crate) wire_form: WireForm,
    pub(crate) encode_note: EncodeNote,
}

/// The replays of one connection. It is kept for as long as the connection lasts, because the
/// client may join topics at any time.
pub(crate) struct ChannelFeed {
    hub: Hub,
    guard: ChannelGuard,
    technique: &'static str,
    wire_form: WireForm,
    encode_note: EncodeNote,
    is_changed: Arc<AtomicBool>,
    /// The replays that have not ended, oldest first.
    replays: Vec<(Subscription, Joining)>,
}

impl FeedPlan {
    /// Opens the channel, and sends its secret as the first message of the connection.
    /// `subscription` is that of the topics with which the connection was opened.
    pub(crate) fn open(self, hub: &Hub, subscription: Subscription, connection: &mut impl PushConnection) -> ChannelFeed {
        let Self { client, secret, topics, technique, wire_form, encode_note } = self;
        if let Some(first) = encode_note.encode(Note::Secret(&secret)) {
            // The output has room for its first message, and if it is full now, the replays wait.
            let _ = connection.send_frame(&first);
        }
        let drops = Drops::default();
        // A server that shuts down ends the connection before it asks the feed.
        connection.notices(HubNotices::new(DropCounters::OfChannel(Arc::clone(&drops)), encode_note.clone()));
        let is_changed = Arc::<AtomicBool>::default();
        let stream = StreamCarrier {
            pusher: connection.pusher(),
            encode_note: encode_note.clone(),
            live: Vec::new(),
            pending: PendingChanges::default(),
            is_changed: Arc::clone(&is_changed),
            drops,
        };
        let guard = hub.open_channel(&client, secret, &topics, stream);
        let replays = vec![(subscription, Joining::Opened)];
        ChannelFeed { hub: hub.clone(), guard, technique, wire_form, encode_note, is_changed, replays }
    }
}

/// The notes of a replay of joined topics. A gap names them: the other topics have none.
fn notes_of(encode_note: &EncodeNote, topics: &Topics) -> EncodeNote {
    let (encode_note, topics) = (encode_note.clone(), topics.clone());
    EncodeNote::of_request(move |note| match note {
        Note::Gap(gap) => encode_note.encode(Note::GapOf(gap, &topics)),
        other => encode_note.encode(other),
    })
}

impl ChannelFeed {
    /// Takes the changes that the client has asked for, and sends missed messages until the output
    /// is full or all replays have ended. An error of the first replay ends the connection, as it
    /// does without a channel. An error of a join ends the join alone.
    pub(crate) fn advance(&mut self, connection: &mut impl PushConnection) -> SubscriptionStatus {
        // A change that comes later wakes the connection again.
        if self.is_changed.load(SeqCst) {
            self.take_changes();
        }
        loop {
            let Some((subscription, joining)) = self.replays.first_mut() else { return SubscriptionStatus::Subscribed };
            let mut carrier = Carrying { connection, guard: &self.guard, joining: *joining };
            let status = subscription.advance_on(&mut carrier);
            match (status.last_word(), *joining) {
                (None, _) if status == SubscriptionStatus::Behind => return status,
                (None, _) => _ = self.replays.remove(0),
                (Some(word), Joining::Joined) => self.give_up_first(&word),
                (Some(_), Joining::Opened) => return status,
            }
        }
    }

    fn take_changes(&mut self) {
        let PendingChanges { left, joined } = self.hub.take_pending(&self.guard, &self.is_changed);
        self.replays.retain_mut(|(subscription, _)| subscription.leave(&left));
        for join in joined {
            match self.joined(&join) {
                Ok(subscription) => self.replays.push((subscription, Joining::Joined)),
                Err(word) => self.hub.give_up_join(&self.guard, &join.topics, &word),
            }
        }
    }

    fn joined(&self, join: &PendingJoin) -> Result<Subscription, LastWord> {
        let PendingJoin { topics, after, revocations } = join;
        let missed = self.hub.first_piece(topics, *after, Patience::UntilRead).map_err(SubscribeError::last_word)?;
        let encode_note = notes_of(&self.encode_note, topics);
        let subscription = Subscription::new(&self.hub, topics, self.technique, self.wire_form.clone(), encode_note, missed);
        Ok(subscription.checked_at(*revocations))
    }

    /// Gives up the first replay, and tells the client why.
    fn give_up_first(&mut self, why: &LastWord) {
        let (subscription, _) = self.replays.remove(0);
        self.hub.give_up_join(&self.guard, subscription.topics(), why);
    }
}

impl StreamSource for ChannelFeed {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        if let Some(word) = self.advance(stream).last_word() {
            stream.end_with(word);
            return Feed::End;
        }
        // The client may join other topics later.
        Feed::Continue
    }
}

/// A connection whose subscriptions belong to its channel.
struct Carrying<'a, C> {
    connection: &'a mut C,
    guard: &'a ChannelGuard,
    joining: Joining,
}

impl<C: PushConnection> PushConnection for Carrying<'_, C> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        self.connection.send_frame(frame)
    }

    fn pusher(&mut self) -> Pusher {
        self.connection.pusher()
    }

    fn destination(&mut self) -> Option<Destination> {
        self.connection.destination()
    }

    /// The channel has notices of its own, which count for the topics that it has at the moment.
    fn notices(&mut self, _: HubNotices) {}

    /// The channel has a guard of its own.
    fn carry(&mut self, _: SubscriptionGuard, _: EncodeNote) {}

    fn subscribe(
        &mut self,
        hub: &Hub,
        parameters: &SubscribeParameters<'_>,
        wire_form: &WireForm,
        _: &EncodeNote,
    ) -> Result<(), NotSubscribed> {
        match self.destination() {
            Some(reader) => hub.subscribe_channel(self.guard, parameters, (&reader, wire_form), self.joining),
            None => Ok(()),
        }
    }
}
