//! Changing the topics of an open connection.
//!
//! Owns the operations of a control channel: opening it, a change, and its end. A change takes the
//! hub's lock once. Leaves the channels themselves to `channels`, the reading of a request to
//! `http`, and the replay of a joined topic on a stream to `channel_feed`.
//!
//! - A topic is left under the lock: nothing that is published later reaches the connection, and
//!   the client's presence ends at once. What was published before is on its way, and the note
//!   `left` follows it.
//! - A stream learns of a joined topic by [`Pusher::wake`](crate::session::Pusher::wake), replays
//!   it at the pace of its reader, and subscribes in the same step as every other replay.
//! - A held long poll ends with each change, because its topics stand in its address. Its answer
//!   has the missed messages of the joined topics, and the cursor for all topics together.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use super::channels::{Carrier, NotFound, PendingChanges, PendingJoin, StreamCarrier};
use super::config::HubConfig;
use super::hub::Hub;
use super::lookup::{Lookup, LookupError, Search};
use super::state::State;
use super::subscribers::{ClientKey, Sink, WaitingPoll};
use crate::proto::ProtocolLimits;
use crate::push::log::{Found, Patience, Reading};
use crate::push::model::{
    Cursor, Id, Leave, Note, PRESENCE, PollForm, Replay, Secret, TopicChange, Topics, access_changed, names_json, status_of,
};
use crate::session::{Held, LastWord};

/// Why the topics of a connection were not changed. Nothing has happened then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeError {
    /// The client has no open connection that can be changed.
    NoConnection,
    WrongSecret,
    /// The connection would have more topics than this.
    TooManyOfConnection(usize),
    /// The hub has as many topics as it takes.
    TooManyTopics,
    /// Access was withdrawn from some clients since the policy was asked about the joined topics.
    AccessChanged,
}

impl ChangeError {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::NoConnection => 404,
            Self::WrongSecret => 403,
            Self::TooManyOfConnection(_) => 400,
            Self::TooManyTopics | Self::AccessChanged => 503,
        }
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection => f.write_str(
                "this client has no open stream, WebSocket or held long poll with a control channel; a request with `control=1` opens one",
            ),
            Self::WrongSecret => {
                f.write_str("`control` is the secret of no connection of this client; the first message of a connection has its secret")
            }
            Self::TooManyOfConnection(most) => write!(f, "a connection may have at most {most} topics, and as many presence topics"),
            Self::TooManyTopics => f.write_str("there are as many topics as this hub takes, and all have subscribers"),
            Self::AccessChanged => f.write_str("access to topics has changed while this request was checked: send it again"),
        }
    }
}

impl From<NotFound> for ChangeError {
    fn from(not_found: NotFound) -> Self {
        match not_found {
            NotFound::NoChannel => Self::NoConnection,
            NotFound::WrongSecret => Self::WrongSecret,
        }
    }
}

/// Ends a channel when it is dropped: its subscriptions, and after the grace time its presence.
pub(crate) struct ChannelGuard {
    pub(super) hub: Hub,
    pub(super) client: Arc<str>,
    pub(super) serial: u64,
}

impl Drop for ChannelGuard {
    fn drop(&mut self) {
        let now = self.hub.config().clock.now();
        let mut state = self.hub.lock();
        let ended = state.end_channel(&self.client, self.serial, now);
        // A dropped pusher or held reply may post to a driver, which happens outside of the lock.
        drop(state);
        drop(ended);
    }
}

impl Hub {
    /// A secret that nobody can guess. `None` if the system has no random bytes.
    pub(crate) fn new_secret(&self) -> Option<Secret> {
        let bytes = self.config().random.bytes();
        bytes
            .inspect_err(|error| log::error!("no secret for a control channel: the source of random bytes has failed: {error}"))
            .ok()
            .map(Secret::new)
    }

    /// Opens the channel of a stream or a WebSocket.
    pub(super) fn open_channel(&self, client: &Arc<str>, secret: Secret, topics: &Topics, stream: StreamCarrier) -> ChannelGuard {
        let serial = self.lock().channels.add(client, secret, topics, Carrier::Stream(Box::new(stream)));
        ChannelGuard { hub: self.clone(), client: Arc::clone(client), serial }
    }

    /// Remembers a chain of long polls for another grace time, because one of its polls is answered
    /// at once.
    pub(crate) fn note_chain(&self, client: &Arc<str>, secret: Secret, topics: &Topics) {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        let serial = state.open_chain(client, secret, topics, now);
        state.end_channel(client, serial, now);
    }

    /// Takes the changes that a connection has to make. `is_changed` is false then.
    pub(super) fn take_pending(&self, guard: &ChannelGuard, is_changed: &AtomicBool) -> PendingChanges {
        let mut state = self.lock();
        is_changed.store(false, SeqCst);
        match state.channels.get(&guard.client, guard.serial).map(|channel| &mut channel.carrier) {
            Some(Carrier::Stream(stream)) => std::mem::take(&mut stream.pending),
            _ => PendingChanges::default(),
        }
    }

    /// Gives up topics that a connection has joined and cannot be subscribed to. The client is told
    /// that they are left, and why, and may join them again.
    pub(super) fn give_up_join(&self, guard: &ChannelGuard, topics: &Topics, why: &LastWord) {
        let mut state = self.lock();
        let Some(channel) = state.channels.get(&guard.client, guard.serial) else { return };
        let Carrier::Stream(stream) = &mut channel.carrier else { return };
        // Those that the client has left meanwhile were told of before.
        let is_left = |name: &Arc<str>| stream.pending.left.contains(name);
        let given_up: Vec<_> = topics.shared_names().iter().filter(|name| !is_left(name)).cloned().collect();
        stream.pending.left.retain(|name| !topics.shared_names().contains(name));
        channel.topics.retain(|name| !given_up.contains(name));
        if !given_up.is_empty() {
            stream.tell(Note::Left(&given_up, Some(why)));
        }
    }

    /// Changes the topics of the connection with this secret. Returns the topics that it has then.
    /// `revocations` is the number of withdrawals before the policy was asked about the joined topics.
    pub(crate) fn change_topics(
        &self,
        client: &Arc<str>,
        secret: &Secret,
        change: &TopicChange,
        revocations: u64,
    ) -> Result<Vec<Arc<str>>, ChangeError> {
        let now = self.config().clock.now();
        let mut state = self.lock();
        state.expire_presence(now);
        if !change.join.is_empty() && self.revocations().load(SeqCst) != revocations {
            return Err(ChangeError::AccessChanged);
        }
        let plan = state.plan_change(client, secret, change)?;
        let after = match change.after {
            // The position is that of the request, and not that of the moment at which the
            // connection begins to replay.
            Cursor::New => Cursor::After(state.log.last()),
            after => after,
        };
        let Some(channel) = state.channels.get(client, plan.serial) else { return Err(ChangeError::NoConnection) };
        channel.topics.retain(|name| !plan.leaving.contains(name));
        channel.topics.extend(plan.joining.iter().flat_map(|topics| topics.shared_names().iter().cloned()));
        let topics = channel.topics.clone();
        let mut removed = Vec::new();
        let mut answer = None;
        match &mut channel.carrier {
            Carrier::Stream(stream) => {
                let keys = change_stream(stream, &plan, after, revocations);
                removed.extend(keys.into_iter().filter_map(|(name, key)| Some((name, state.end_subscriber(key)?))));
                let names = removed.iter().map(|(name, _)| Arc::clone(name)).collect();
                state.leave_at_once(client, Topics::of(names), &plan.leaving, now);
            }
            Carrier::Poll { key, entered } if !plan.is_nothing() => {
                let (key, entered) = (*key, entered.clone());
                if let Some(Sink::Poll(poll)) = state.end_subscriber(key) {
                    answer = Some(self.plan_answer(&mut state, *poll, &entered, &plan, after));
                }
                // The guard that the request carries finds the channel ended, and does nothing.
                state.channels.end(client, plan.serial, end_of_grace(self.config(), now), self.config().presence_absent);
                state.leave_at_once(client, Some(entered), &plan.leaving, now);
            }
            Carrier::Poll { .. } => {}
            Carrier::Ended => state.leave_at_once(client, None, &plan.leaving, now),
        }
        drop(state);
        drop(removed);
        if let Some(answer) = answer {
            self.answer_changed(answer);
        }
        Ok(topics)
    }
}

/// A change that can be made.
struct Plan {
    serial: u64,
    leaving: Vec<Arc<str>>,
    joining: Option<Topics>,
}

impl Plan {
    const fn is_nothing(&self) -> bool {
        self.leaving.is_empty() && self.joining.is_none()
    }
}

impl State {
    /// What a change means for the channel with this secret. Creates the topics that are joined.
    fn plan_change(&mut self, client: &str, secret: &Secret, change: &TopicChange) -> Result<Plan, ChangeError> {
        let most = self.constants.config.topics_per_request;
        let channel = self.channels.find(client, secret)?;
        let is_left = |name: &str| match &change.leave {
            Leave::All => true,
            Leave::These(names) => names.iter().any(|left| left == name),
        };
        let (leaving, mut kept): (Vec<_>, Vec<_>) = channel.topics.iter().cloned().partition(|name| is_left(name));
        let joining: Vec<Arc<str>> =
            change.join.iter().filter(|name| !kept.iter().any(|known| **known == ***name)).map(|name| name.as_str().into()).collect();
        let serial = channel.serial();
        let is_open = match channel.carrier {
            Carrier::Stream(_) => true,
            // A poll that has its answer already is on its way out.
            Carrier::Poll { key, .. } => self.has_poll(key),
            Carrier::Ended => false,
        };
        if !change.join.is_empty() && !is_open {
            return Err(ChangeError::NoConnection);
        }
        kept.extend(joining.iter().cloned());
        let presences = kept.iter().filter(|name| name.ends_with(PRESENCE)).count();
        if !joining.is_empty() && presences.max(kept.len() - presences) > most {
            return Err(ChangeError::TooManyOfConnection(most));
        }
        let joining = Topics::of(joining);
        if let Some(topics) = &joining {
            self.slots_for(topics).ok_or(ChangeError::TooManyTopics)?;
        }
        Ok(Plan { serial, leaving, joining })
    }

    /// Ends a channel. The caller drops the result outside of the lock.
    pub(super) fn end_channel(&mut self, client: &Arc<str>, serial: u64, now: Instant) -> Option<(Carrier, Vec<Sink>)> {
        let carrier =
            self.channels.end(client, serial, end_of_grace(&self.constants.config, now), self.constants.config.presence_absent)?;
        let removed = self.detach(client, &carrier, now);
        Some((carrier, removed))
    }

    /// Ends the subscriptions of a channel, and begins the grace time of its presence.
    fn detach(&mut self, client: &Arc<str>, carrier: &Carrier, now: Instant) -> Vec<Sink> {
        let (keys, entered) = match carrier {
            Carrier::Stream(stream) => {
                let (names, keys) = stream.live.iter().cloned().unzip();
                (keys, Topics::of(names))
            }
            Carrier::Poll { key, entered } => (vec![*key], Some(entered.clone())),
            Carrier::Ended => (Vec::new(), None),
        };
        let removed = keys.into_iter().filter_map(|key| self.end_subscriber(key)).collect();
        if let Some(topics) = entered {
            self.leave_client(&(Arc::clone(client), topics), now);
        }
        removed
    }

    /// Opens the channel of a chain of polls, which the caller ends or gives to a poll under the same
    /// lock. A poll of the chain that is still held is answered: its client has sent another one.
    pub(super) fn open_chain(&mut self, client: &Arc<str>, secret: Secret, topics: &Topics, now: Instant) -> u64 {
        let earlier = match self.channels.find(client, &secret).map(|channel| &channel.carrier) {
            Ok(Carrier::Poll { key, entered }) => Some((*key, entered.clone())),
            Ok(Carrier::Ended) => None,
            // A client that brings the secret of a stream has two connections with one secret.
            Ok(Carrier::Stream(_)) | Err(_) => return self.channels.add(client, secret, topics, Carrier::Ended),
        };
        if let Some((key, entered)) = earlier {
            self.end_poll(key);
            self.leave_client(&(Arc::clone(client), entered), now);
        }
        self.channels.reopen(client, secret, topics)
    }

    /// Ends the subscriptions to `entered`, and the presence at the topics that are left, without a
    /// grace time. The client stays online where it has another connection.
    pub(super) fn leave_at_once(&mut self, client: &Arc<str>, entered: Option<Topics>, left: &[Arc<str>], now: Instant) {
        if let Some(topics) = entered {
            let key: ClientKey = (Arc::clone(client), topics);
            self.leave_client(&key, now);
        }
        for name in left {
            self.presence.end_grace(name, client, now);
        }
        self.expire_presence(now);
    }
}

/// When a channel that ends now is forgotten.
fn end_of_grace(config: &HubConfig, now: Instant) -> Instant {
    now + config.presence_grace.min(ProtocolLimits::TIMEOUT_MAX)
}

/// Changes what a stream has to do. Returns the subscriptions that end now.
fn change_stream(stream: &mut StreamCarrier, plan: &Plan, after: Cursor, revocations: u64) -> Vec<(Arc<str>, u64)> {
    let mut ended = Vec::new();
    for name in &plan.leaving {
        if let Some(at) = stream.live.iter().position(|(live, _)| live == name) {
            ended.push(stream.live.swap_remove(at));
        } else if !stream.pending.forget_join(name) {
            stream.pending.left.push(Arc::clone(name));
        }
    }
    stream.forget_drops(&plan.leaving);
    if !plan.leaving.is_empty() {
        // It follows the messages that are on their way.
        stream.tell(Note::Left(&plan.leaving, None));
    }
    if let Some(topics) = &plan.joining {
        stream.pending.joined.push(PendingJoin { topics: topics.clone(), after, revocations });
    }
    if !(stream.pending.left.is_empty() && stream.pending.joined.is_empty()) {
        stream.is_changed.store(true, SeqCst);
        stream.pusher.wake();
    }
    ended
}

impl StreamCarrier {
    /// Sends a note about the topics, behind the messages that are on their way.
    pub(super) fn tell(&self, note: Note<'_>) {
        if let Some(frame) = self.encode_note.encode(note) {
            self.pusher.push(&frame);
        }
    }
}

/// The answer to a held poll whose topics have changed.
struct ChangedPoll {
    poll: Answering,
    kind: AnswerKind,
}

/// A poll that was taken out of the hub, and what its answer tells of the change.
struct Answering {
    held: Held,
    form: PollForm,
    /// The cursor of the poll, up to which its client has all messages of the topics that are kept.
    cursor: Id,
    kept: Option<Topics>,
    joining: Option<Topics>,
    left: Vec<Arc<str>>,
    /// How many times access was withdrawn before the poll was taken out of the hub. No call to
    /// `Hub::revoke` sees the poll from then on.
    revocations: u64,
}

enum AnswerKind {
    /// The missed messages of the joined topics. The position is that for all topics together, if
    /// the messages are all.
    Now(Replay, Option<Id>),
    /// The messages must be read from a log outside the process.
    Later(Lookup),
}

impl Hub {
    /// What a held poll is answered after a change.
    fn plan_answer(&self, state: &mut State, poll: WaitingPoll, entered: &Topics, plan: &Plan, after: Cursor) -> ChangedPoll {
        let WaitingPoll { held, answers, .. } = poll;
        let (form, cursor, revocations) = (answers.form().clone(), answers.cursor(), self.revocations().load(SeqCst));
        let kept = entered.without(|name| plan.leaving.iter().any(|left| **left == *name));
        let kind = match &plan.joining {
            None => AnswerKind::Now(Replay { is_whole: true, ..Replay::nothing_after(cursor) }, Some(cursor)),
            Some(topics) => {
                let found = state.replay(topics, &self.reading(after));
                match self.search_of(topics, found) {
                    // Nothing was published to the topics that are kept since the poll began, so
                    // its client has all messages up to the last one.
                    Search::Here(replay) => {
                        let reached = replay.is_whole.then(|| state.log.last());
                        AnswerKind::Now(replay, reached)
                    }
                    Search::Later(lookup) => AnswerKind::Later(lookup),
                }
            }
        };
        let poll = Answering { held, form, cursor, kept, joining: plan.joining.clone(), left: plan.leaving.clone(), revocations };
        ChangedPoll { poll, kind }
    }

    fn answer_changed(&self, answer: ChangedPoll) {
        let ChangedPoll { poll, kind } = answer;
        match kind {
            AnswerKind::Now(replay, reached) => poll.answer(replay, reached),
            AnswerKind::Later(lookup) => {
                let weak = self.downgrade();
                lookup.then(move |found| {
                    let Some(hub) = weak.upgrade() else {
                        // Without `joined`, the client knows that it has to ask again.
                        let nothing = Replay::nothing_after(poll.cursor);
                        return poll.answer(nothing, None);
                    };
                    match found.map_err(LookupError::last_word).and_then(|replay| hub.complete(&poll, replay)) {
                        Ok((replay, reached)) => poll.answer(replay, reached),
                        Err(word) => {
                            hub.count_refused(status_of(&word));
                            poll.held.release(poll.form.answer_end(&word));
                        }
                    }
                });
            }
        }
    }

    /// Adds to older messages of the joined topics what this hub has in memory behind them, and
    /// what was published to the kept topics meanwhile. Returns the position for all topics
    /// together, if nothing is missing. If access was withdrawn from some clients meanwhile, returns
    /// the last word of the poll.
    fn complete(&self, poll: &Answering, mut replay: Replay) -> Result<(Replay, Option<Id>), LastWord> {
        let after = |id| Reading { patience: Patience::None, ..self.reading(Cursor::After(id)) };
        let mut state = self.lock();
        if self.revocations().load(SeqCst) != poll.revocations {
            return Err(access_changed());
        }
        let mut is_complete = true;
        let ends = [(poll.joining.as_ref(), replay.last), (poll.kept.as_ref(), poll.cursor)];
        let mut messages = Vec::new();
        for (topics, id) in ends.into_iter().filter_map(|(topics, id)| Some((topics?, id))) {
            match state.replay(topics, &after(id)) {
                Found::Here(rest) if rest.is_whole && !rest.gap => messages.extend(rest.messages),
                _ => is_complete = false,
            }
        }
        let last = state.log.last();
        drop(state);
        if !is_complete {
            return Ok((replay, None));
        }
        replay.messages.extend(messages);
        replay.messages.sort_unstable_by_key(|message| message.id());
        Ok((Replay { is_whole: true, ..replay }, Some(last)))
    }
}

impl Answering {
    /// Answers with the messages. Without a position for all topics together, the client keeps the
    /// cursor of its poll, and joins again behind the last message of the joined topics.
    fn answer(self, replay: Replay, reached: Option<Id>) {
        let Self { held, form, cursor, joining, left, .. } = self;
        let mut members = String::new();
        if let (Some(topics), Some(_)) = (&joining, reached) {
            let _ = write!(members, ",\"joined\":{}", names_json(topics.shared_names()));
        }
        if !left.is_empty() {
            let _ = write!(members, ",\"left\":{}", names_json(&left));
        }
        let is_whole = replay.is_whole && reached.is_some();
        let replay = Replay { last: reached.unwrap_or(cursor), is_whole, ..replay };
        held.release(form.answer_replay_with(&replay, &members));
    }
}
