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

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, PoisonError};

use super::channels::{Drops, EncodeNote, Note, NoteKind, PendingChanges, StreamCarrier};
use super::control::ChannelGuard;
use super::hub::Hub;
use super::lookup::Search;
use super::push_connection::{EncodeGap, PushConnection};
use super::subscribe::{Joining, NotSubscribed, SubscribeParameters, SubscriptionGuard};
use super::subscription::{Subscription, SubscriptionStatus};
use crate::proto::Frame;
use crate::push::log::Patience;
use crate::push::model::{Gap, Secret, Topics, WireForm, names_json};
use crate::session::{Feed, Outcome, Pusher, Stream, StreamSource};

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
        let json = format!("{{\"control\":\"{secret}\"}}");
        // The output has room for its first message, and if it is full now, the replays wait.
        let _ = connection.send_frame(&encode_note(&Note { kind: NoteKind::Control, json: &json, reached: None }));
        let drops = Drops::default();
        let told = encode_gap(&encode_note, None)(Gap { from: None });
        let counters = Arc::clone(&drops);
        connection.on_drop(move |count| {
            for (_, counter) in &*counters.lock().unwrap_or_else(PoisonError::into_inner) {
                counter.fetch_add(count as u64, Relaxed);
            }
            Some(told.clone())
        });
        let is_changed = Arc::<AtomicBool>::default();
        let stream = StreamCarrier {
            pusher: connection.pusher(),
            encode_note: Arc::clone(&encode_note),
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

/// How a gap is encoded on a connection with this form of notes. A gap in the replay of joined
/// topics names them: the other topics have none.
pub(crate) fn encode_gap(encode_note: &EncodeNote, joined: Option<&Topics>) -> EncodeGap {
    let encode_note = Arc::clone(encode_note);
    let topics = joined.map_or_else(String::new, |topics| format!(",\"topics\":{}", names_json(topics.shared_names())));
    Box::new(move |gap| {
        let mut json = gap.json();
        json.insert_str(json.len() - 1, &topics);
        encode_note(&Note { kind: NoteKind::Gap, json: &json, reached: gap.from })
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
            match (subscription.advance_on(&mut carrier), *joining) {
                (SubscriptionStatus::Behind, _) => return SubscriptionStatus::Behind,
                (SubscriptionStatus::Subscribed, _) => _ = self.replays.remove(0),
                (SubscriptionStatus::TooManyTopics, Joining::Joined) => self.give_up_first("there are as many topics as this hub takes"),
                (SubscriptionStatus::LogUnavailable, Joining::Joined) => self.give_up_first("this server is behind the log"),
                (SubscriptionStatus::MessagesGone, _) | (_, Joining::Opened) => return subscription.status(),
            }
        }
    }

    fn take_changes(&mut self) {
        let PendingChanges { left, joined } = self.hub.take_pending(&self.guard, &self.is_changed);
        self.replays.retain_mut(|(subscription, _)| subscription.leave(&left));
        for (topics, cursor) in joined {
            match self.hub.first_piece(&topics, cursor, Patience::UntilRead) {
                Ok(missed) => self.replays.push((self.joined(&topics, missed), Joining::Joined)),
                Err(error) => self.hub.give_up_join(&self.guard, &topics, &error.to_string()),
            }
        }
    }

    fn joined(&self, topics: &Topics, missed: Search) -> Subscription {
        let encode_gap = encode_gap(&self.encode_note, Some(topics));
        Subscription::new(&self.hub, topics, self.technique, self.wire_form.clone(), Some(encode_gap), missed)
    }

    /// Gives up the first replay, and tells the client why.
    fn give_up_first(&mut self, why: &str) {
        let (subscription, _) = self.replays.remove(0);
        self.hub.give_up_join(&self.guard, subscription.topics(), why);
    }
}

impl StreamSource for ChannelFeed {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        match self.advance(stream) {
            // The client may join other topics later.
            SubscriptionStatus::Behind | SubscriptionStatus::Subscribed => Feed::Continue,
            SubscriptionStatus::MessagesGone | SubscriptionStatus::TooManyTopics | SubscriptionStatus::LogUnavailable => Feed::End,
        }
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

    fn carry(&mut self, guard: SubscriptionGuard) {
        self.connection.carry(guard);
    }

    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        self.connection.on_drop(call);
    }

    fn subscribe(
        &mut self,
        hub: &Hub,
        parameters: &SubscribeParameters<'_>,
        wire_form: &WireForm,
        _: Option<&EncodeGap>,
    ) -> Result<(), NotSubscribed> {
        hub.subscribe_channel(self.guard, parameters, (&self.pusher(), wire_form), self.joining)
    }
}
