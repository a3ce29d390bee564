//! From a cursor to a subscription, at the pace of one client.
//!
//! Owns `Hub::subscribe` and the replay of every connection. The client receives the missed
//! messages in pieces of [`HubConfig::replay_bytes`](crate::push::HubConfig::replay_bytes), as fast
//! as it reads. The step from the last piece to the subscription loses and repeats no message.
//! Leaves that step to `subscribe`, the encoding of messages to `model`, connections to
//! `push_connection`, and the head of the response to the techniques.
//!
//! ```text
//!   replay --> piece: gap, messages --> sent as the client reads --> subscribe
//!                 ^                                                   |     |
//!                 +-------- messages were published meanwhile --------+     +--> subscribed
//! ```

use std::fmt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use super::hub::Hub;
use super::lookup::{Lookup, LookupError, Search};
use super::push_connection::{HandlerOf, HubNotices, PushConnection};
use super::subscribe::{DropCounters, NotSubscribed, SubscribeParameters, SubscriptionGuard};
use super::subscribe_error::{SubscribeError, SubscriptionStatus};
use crate::push::log::{Patience, Reading};
use crate::push::model::{Cursor, EncodeNote, Encoding, Gap, Id, Note, OwnForm, Replay, TopicMessage, Topics, WireForm};
use crate::session::{Feed, Outcome, Socket, Stream, StreamSource};

/// The subscription of one connection, made by [`Hub::subscribe`]: the messages after a cursor, and
/// then each message when it is published.
///
/// A stream takes it as its source ([`Stream::feed`]). A WebSocket calls [`advance`](Self::advance)
/// when it opens and when its output was written. The connection carries the subscription from then
/// on, and leaves the topics when it ends. A subscription that is dropped before has no effect.
///
/// ```
/// use pushlab::push::{Cursor, Encoding, Hub, Subscription, Topics};
/// use pushlab::{Frame, Message, Reply, Request, Response, Socket, WebSocketHandler};
/// /// Sends each message as `topic=text`.
/// struct Pairs(Subscription);
/// impl Pairs {
///     fn advance(&mut self, socket: &mut Socket<'_>) {
///         if let Some(word) = self.0.advance(socket).last_word() {
///             let _ = socket.close(word.code(), word.sentence());
///         }
///     }
/// }
/// impl WebSocketHandler for Pairs {
///     fn open(&mut self, socket: &mut Socket<'_>) {
///         self.advance(socket);
///     }
///     fn drained(&mut self, socket: &mut Socket<'_>) {
///         self.advance(socket);
///     }
///     fn message(&mut self, _: Message<'_>, _: &mut Socket<'_>) {}
/// }
/// const PAIRS: Encoding = Encoding {
///     message: |message| Frame::text(&format!("{}={}", message.topic(), message.text().unwrap_or_default())),
///     gap: Some(|_| Frame::text("...")),
///     end: None, // the close frame says it
/// };
/// let hub = Hub::default();
/// let topics = Topics::parse("news,sport", 2)?;
/// let app = move |_: &Request<'_>, reply: Reply<'_>| match hub.subscribe("pairs", &topics, Cursor::New, PAIRS) {
///     Ok(subscription) => reply.upgrade(Pairs(subscription)),
///     Err(_) => reply.send(Response::status(503)),
/// };
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// # Ok::<(), pushlab::push::BadTopic>(())
/// ```
pub struct Subscription {
    hub: Hub,
    topics: Topics,
    technique: &'static str,
    /// The client's token, for its presence.
    client: Option<Arc<str>>,
    /// The user of a protocol that has users.
    user: Option<Arc<str>>,
    /// How many times access was withdrawn before the access of the client was checked.
    revocations: u64,
    wire_form: WireForm,
    encode_note: EncodeNote,
    /// Whether the format can express a gap.
    tells_gaps: bool,
    /// Whether the connection knows how to tell its client of its end.
    is_introduced: bool,
    /// The position from which the client has all messages after the first gap.
    from: Id,
    /// Whether messages between the cursor and `from` may be missing.
    begins_with_gap: bool,
    status: SubscriptionStatus,
    piece: Piece,
    /// The read for which the subscription waits.
    pending: Option<Pending>,
    patience: Patience,
    /// The sequence number up to which the client was told of gaps. With several topics, one topic
    /// may have dropped messages that are newer than the last message of a piece. Without this
    /// number, the next piece would begin with the same gap again.
    gaps_told_to: u64,
}

/// A piece of the replay that the hub has returned and the connection has not sent completely.
struct Piece {
    /// The position of a gap that is sent before the messages.
    gap: Option<Id>,
    messages: vec::IntoIter<Arc<TopicMessage>>,
    /// All messages up to this id were sent or are in `messages`.
    last: Id,
}

/// A read of messages that are not in the hub's memory.
enum Pending {
    /// The read begins with the next step, which has a connection to wake.
    Asked(Lookup),
    Begun(Arc<Mutex<Option<Result<Replay, LookupError>>>>),
}

impl Pending {
    /// The result of the read, once it is there. Begins the read at the first call.
    fn poll(&mut self, connection: &mut impl PushConnection) -> Option<Result<Replay, LookupError>> {
        if let Self::Begun(result) = self {
            return result.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        let result = Arc::new(Mutex::new(None));
        let Self::Asked(lookup) = std::mem::replace(self, Self::Begun(Arc::clone(&result))) else { return None };
        let (found, pusher) = (Arc::clone(&result), connection.pusher());
        lookup.then(move |replay| {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(replay);
            pusher.wake();
        });
        // It may be there already.
        result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl From<Replay> for Piece {
    fn from(replay: Replay) -> Self {
        Self { gap: replay.gap.then_some(replay.from), messages: replay.messages.into_iter(), last: replay.last }
    }
}

impl Hub {
    /// Subscribes a connection of a technique that the application writes: the messages of these
    /// topics after a cursor, and then each message when it is published. No message falls between
    /// the two, and none comes twice. `technique` is the technique's name in counters and presence
    /// messages.
    ///
    /// The subscription sends when the connection gives it the opportunity: [`Stream::feed`] for a
    /// stream, [`Subscription::advance`] for a WebSocket. The application's policy is not asked. A
    /// technique behind [`Hub::handle_with`] calls
    /// [`Call::subscribe`](crate::push::Call::subscribe) instead.
    ///
    /// # Errors
    /// [`SubscribeError::TooManyTopics`] when the hub cannot create the topics.
    ///
    /// ```
    /// use pushlab::push::{Cursor, Encoding, Hub, Payload, Topics};
    /// use pushlab::{Frame, Reply, Request, Response};
    /// /// A technique of this application: a line `id topic text` for each message.
    /// const LINES: Encoding = Encoding {
    ///     message: |message| {
    ///         let text = message.text().unwrap_or("(bytes)");
    ///         Frame::chunk(format!("{} {} {text}\n", message.id(), message.topic()).as_bytes())
    ///     },
    ///     gap: Some(|gap| Frame::chunk(gap.from.map_or("gap\n".into(), |from| format!("gap {from}\n")).as_bytes())),
    ///     end: Some(|word| Frame::chunk(format!("end {}\n", word.sentence()).as_bytes())),
    /// };
    /// let hub = Hub::default();
    /// hub.publish("news", Payload::text("it works"))?;
    /// let app = move |request: &Request<'_>, reply: Reply<'_>| {
    ///     let topics = Topics::parse("news,sport", 2).expect("two names");
    ///     let cursor = request.query().map_or(Ok(Cursor::Earliest), str::parse);
    ///     match cursor.map(|cursor| hub.subscribe("lines", &topics, cursor, LINES)) {
    ///         Ok(Ok(subscription)) => {
    ///             let mut stream = reply.stream(Response::text("").unbuffered());
    ///             stream.heartbeat(b"\n");
    ///             // The client continues with its last id as the query.
    ///             stream.end_after(20);
    ///             stream.feed(subscription);
    ///         }
    ///         Ok(Err(error)) => reply.send(Response::text(error.to_string()).with_status(503)),
    ///         Err(error) => reply.send(Response::text(error.to_string()).with_status(400)),
    ///     }
    /// };
    /// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
    /// # serve_once(app, &["/lines", "/lines?1-1", "/lines?none"]);
    /// # Ok::<(), pushlab::push::PublishError>(())
    /// ```
    pub fn subscribe(
        &self,
        technique: &'static str,
        topics: &Topics,
        cursor: Cursor,
        encoding: Encoding,
    ) -> Result<Subscription, SubscribeError> {
        let revocations = self.revocations().load(SeqCst);
        let missed = self.first_piece(topics, cursor, Patience::UntilRead)?;
        let encode_note = EncodeNote::of_request(move |note| match note {
            Note::Gap(gap) => encoding.gap.map(|encode| encode(gap)),
            Note::End(word) => encoding.end.map(|encode| encode(word)),
            // Such a connection has no control channel.
            Note::GapOf(..) | Note::Secret(_) | Note::Joined(..) | Note::Left(..) => None,
        });
        Ok(Subscription::new(self, topics, technique, WireForm::Own(OwnForm(encoding.message)), encode_note, missed)
            .checked_at(revocations))
    }

    /// The first piece of a replay. Creates the topics, so that a connection can be subscribed to
    /// them.
    pub(crate) fn first_piece(&self, topics: &Topics, cursor: Cursor, patience: Patience) -> Result<Search, SubscribeError> {
        let mut state = self.lock();
        let slots = state.slots_for(topics).ok_or(SubscribeError::TooManyTopics)?;
        let found = state.read(&slots, &Reading { patience, ..self.reading(cursor) });
        Ok(self.search_of(topics, found))
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("topics", &self.topics).field("status", &self.status).finish_non_exhaustive()
    }
}

impl Subscription {
    /// The subscription of one connection to one topic in a form of the hub's own, with its gaps.
    pub(crate) fn to_topic(
        hub: &Hub,
        topic: &Topics,
        technique: &'static str,
        wire_form: WireForm,
        encode_note: EncodeNote,
        cursor: Cursor,
    ) -> Result<Self, SubscribeError> {
        let missed = hub.first_piece(topic, cursor, Patience::UntilRead)?;
        Ok(Self::new(hub, topic, technique, wire_form, encode_note, missed))
    }

    /// Begins with the first piece. If the format cannot express a gap, the caller must tell the
    /// client of the gap of this piece.
    pub(crate) fn new(
        hub: &Hub,
        topics: &Topics,
        technique: &'static str,
        wire_form: WireForm,
        encode_note: EncodeNote,
        missed: Search,
    ) -> Self {
        let tells_gaps = encode_note.encode(Note::Gap(Gap { from: None })).is_some();
        let (piece, pending) = match missed {
            Search::Here(replay) => (replay, None),
            // If messages are missing, the read that begins here tells of them.
            Search::Later(lookup) => (Replay::nothing_after(lookup.cursor()), Some(Pending::Asked(lookup))),
        };
        let (from, begins_with_gap) = (piece.from, piece.gap);
        let mut piece = Piece::from(piece);
        if !tells_gaps {
            piece.gap = None;
        }
        Self {
            hub: hub.clone(),
            topics: topics.clone(),
            technique,
            client: None,
            user: None,
            revocations: hub.revocations().load(SeqCst),
            wire_form,
            encode_note,
            tells_gaps,
            is_introduced: false,
            from,
            begins_with_gap,
            status: SubscriptionStatus::Behind,
            piece,
            pending,
            patience: Patience::UntilRead,
            gaps_told_to: from.sequence,
        }
    }

    /// Sets the token by which the client names itself. The client then counts once, however many
    /// connections it has, and stays online for
    /// [`HubConfig::presence_grace`](crate::push::HubConfig::presence_grace) after the last one.
    #[must_use]
    pub fn for_client(mut self, token: impl Into<Arc<str>>) -> Self {
        self.client = Some(token.into());
        self
    }

    /// Sets the user by whose name access can be withdrawn.
    pub(crate) fn for_user(mut self, user: &Arc<str>) -> Self {
        self.user = Some(Arc::clone(user));
        self
    }

    /// Sets how many times access was withdrawn before the access of the client was checked.
    pub(crate) const fn checked_at(mut self, revocations: u64) -> Self {
        self.revocations = revocations;
        self
    }

    /// Sets for what the subscription waits. Without this call, it waits for everything.
    pub(crate) const fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The position from which the client receives all messages.
    pub const fn from(&self) -> Id {
        self.from
    }

    /// Whether messages between the cursor and [`from`](Self::from) may be missing. If the encoding
    /// cannot express a gap, only the application can tell the client of this one.
    pub const fn begins_with_gap(&self) -> bool {
        self.begins_with_gap
    }

    /// Sends missed messages until the output of the WebSocket is full, and subscribes the
    /// WebSocket when all of them are sent. Call it in
    /// [`WebSocketHandler::open`](crate::WebSocketHandler::open) and in
    /// [`WebSocketHandler::drained`](crate::WebSocketHandler::drained), until the status is not
    /// `Behind`.
    pub fn advance(&mut self, socket: &mut Socket<'_>) -> SubscriptionStatus {
        self.advance_on(socket)
    }

    /// As [`advance`](Self::advance), for a handler that speaks in the place of messages. When the
    /// WebSocket is subscribed, the handler gets the guard, and keeps it until the end.
    pub(crate) fn advance_for_handler(&mut self, socket: &mut Socket<'_>) -> (SubscriptionStatus, Option<SubscriptionGuard>) {
        let mut connection = HandlerOf { socket, guard: None };
        (self.advance_on(&mut connection), connection.guard)
    }

    pub(crate) const fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) const fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(crate) fn advance_on(&mut self, connection: &mut impl PushConnection) -> SubscriptionStatus {
        if self.status == SubscriptionStatus::Behind {
            self.introduce(connection);
            self.status = self.send_and_subscribe(connection);
        }
        self.status
    }

    /// Tells the connection how its end is told, which may come before the subscription.
    pub(crate) fn introduce(&mut self, connection: &mut impl PushConnection) {
        if !std::mem::replace(&mut self.is_introduced, true) {
            connection.notices(HubNotices::new(DropCounters::None, self.encode_note.clone()));
        }
    }

    fn send_and_subscribe(&mut self, connection: &mut impl PushConnection) -> SubscriptionStatus {
        loop {
            if self.hub.revocations().load(SeqCst) != self.revocations {
                return SubscriptionStatus::AccessChanged;
            }
            if self.send_piece(connection) != Outcome::Sent {
                return SubscriptionStatus::Behind;
            }
            if let Some(pending) = &mut self.pending {
                match pending.poll(connection) {
                    None => return SubscriptionStatus::Behind,
                    Some(Ok(mut replay)) => {
                        self.pending = None;
                        // Topics may have been left since the read was asked for.
                        replay.messages.retain(|message| self.topics.names().any(|name| name == message.topic()));
                        if let Some(status) = self.take_piece(replay) {
                            return status;
                        }
                        continue;
                    }
                    Some(Err(_)) => {
                        self.hub.count_refused(503);
                        return SubscriptionStatus::LogUnavailable;
                    }
                }
            }
            // Messages are sent without the hub's lock, so others may be published meanwhile.
            // `subscribe_now` checks for them and subscribes under one lock.
            let parameters = SubscribeParameters {
                topics: &self.topics,
                technique: self.technique,
                client: self.client.as_ref(),
                user: self.user.as_ref(),
                revocations: self.revocations,
                sent_to: self.piece.last,
                gaps_told_to: self.gaps_told_to,
                patience: self.patience,
            };
            match connection.subscribe(&self.hub, &parameters, &self.wire_form, &self.encode_note) {
                Ok(()) => return SubscriptionStatus::Subscribed,
                Err(NotSubscribed::Behind(missed)) => {
                    if let Some(status) = self.take_piece(missed) {
                        return status;
                    }
                }
                Err(NotSubscribed::Later(lookup)) => self.pending = Some(Pending::Asked(lookup)),
                Err(NotSubscribed::TooManyTopics) => {
                    self.hub.count_refused(503);
                    return SubscriptionStatus::TooManyTopics;
                }
                Err(NotSubscribed::Changed) => return SubscriptionStatus::Behind,
                Err(NotSubscribed::AccessChanged) => return SubscriptionStatus::AccessChanged,
            }
        }
    }

    /// Leaves topics before the connection is subscribed to them. Returns whether others remain.
    pub(crate) fn leave(&mut self, left: &[Arc<str>]) -> bool {
        let is_left = |name: &str| left.iter().any(|left| **left == *name);
        let Some(rest) = self.topics.without(is_left) else { return false };
        if rest != self.topics {
            self.topics = rest;
            let messages = std::mem::take(&mut self.piece.messages);
            self.piece.messages = messages.filter(|message| !is_left(message.topic())).collect::<Vec<_>>().into_iter();
        }
        true
    }

    /// Takes the next piece. Returns a status if the connection must end.
    fn take_piece(&mut self, missed: Replay) -> Option<SubscriptionStatus> {
        if missed.gap && !self.tells_gaps {
            self.hub.count_refused(410);
            return Some(SubscriptionStatus::MessagesGone);
        }
        self.gaps_told_to = self.gaps_told_to.max(missed.from.sequence);
        self.piece = missed.into();
        None
    }

    /// Sends the rest of the piece. Returns `Sent` if the whole piece was sent and the
    /// connection accepts more.
    fn send_piece(&mut self, connection: &mut impl PushConnection) -> Outcome {
        if let Some(from) = self.piece.gap.take()
            && let Some(frame) = self.encode_note.encode(Note::Gap(Gap { from: Some(from) }))
        {
            let sent = connection.send_frame(&frame);
            if sent != Outcome::Sent {
                return sent;
            }
        }
        let boundary = &self.hub.constants().boundary;
        for message in self.piece.messages.by_ref() {
            let sent = connection.send_frame(&self.wire_form.encode(&message, boundary));
            if sent != Outcome::Sent {
                return sent;
            }
        }
        Outcome::Sent
    }
}

impl StreamSource for Subscription {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        let status = self.advance_on(stream);
        if let Some(word) = status.last_word() {
            stream.end_with(word);
            return Feed::End;
        }
        if status == SubscriptionStatus::Subscribed { Feed::Done } else { Feed::Continue }
    }
}
