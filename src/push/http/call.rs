//! What techniques have in common.
//!
//! Owns the choice of the cursor among the fields and the query, and the beginning of every stream.
//! Leaves the request itself to `technique`, wire forms to the techniques, and the replay of a
//! stream to the hub.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::conditions::{IfNoneMatch, LastEventId};
use super::query::Control;
use super::rejection::Rejection;
use super::technique::{Call, Form, GapForm};
use crate::push::hub::{FeedPlan, Lookup, Search, SubscribeParameters, Subscription};
use crate::push::log::Patience;
use crate::push::model::{Cursor, EncodeNote, Encoding, Id, Note, PollForm, Replay, Secret, WireForm, access_changed, status_of};
use crate::session::{HoldAnswers, LastWord, Reply, Response};

/// The answer to a poll without new messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// 200 with an empty list, or 204 in raw format.
    Empty,
    /// 304, which has a head alone.
    NotModified,
}

/// How a technique streams to one client. The descriptor has the rest.
pub(crate) struct StreamPlan {
    pub(crate) form: &'static Form,
    pub(crate) wire_form: WireForm,
    /// The media type of the form, with its parameters.
    pub(crate) content_type: Cow<'static, str>,
    /// Makes the first bytes of the body. The id is the position from which the stream has all
    /// messages; `None` if the stream begins with a gap, which tells the position.
    pub(crate) preface: fn(&Call<'_>, Option<Id>) -> Vec<u8>,
    /// Encodes a gap, a note about the topics, or the last word. It is not called if the form tells of
    /// a gap in the head only: such a form has no control channel and no last word either.
    pub(crate) encode_note: EncodeNote,
    /// The stream ends after this many bytes of messages, including those of the replay.
    pub(crate) limit_bytes: Option<usize>,
}

/// Answers with messages, or with the last word of a hub or a server that ends the request.
pub(crate) trait Answer: Fn(Result<&Replay, &LastWord>) -> Response + Send + Sync + 'static {}

impl<F: Fn(Result<&Replay, &LastWord>) -> Response + Send + Sync + 'static> Answer for F {}

/// The answers of a request that waits for a read.
struct LateAnswers<F>(F);

impl<F: Answer> HoldAnswers for LateAnswers<F> {
    fn timed_out(self: Arc<Self>) -> Arc<Response> {
        Response::status(503).into()
    }

    fn ended(&self, word: &LastWord) -> Response {
        (self.0)(Err(word))
    }
}

impl Call<'_> {
    /// The cursor of an event stream: the first of `Last-Event-ID`, `lastEventId=`,
    /// `last_event_id=` and `after=` that is present and not empty. The field comes first because
    /// the browser updates it with each event, while the address stays as the page wrote it.
    /// Libraries that cannot set the field append `lastEventId=`.
    ///
    /// A foreign id is not an error: a browser that receives a status other than 200 never
    /// reconnects (WHATWG HTML, section 9.2.2).
    pub(crate) fn last_event_id(&self) -> Result<Cursor, Rejection> {
        let after = self.after()?;
        let parameter = |name| self.query.value(name).and_then(|value| LastEventId::read(std::iter::once(value.as_bytes())));
        let given = LastEventId::read(self.request.field_values("Last-Event-ID"));
        Ok(match given.or_else(|| parameter("lastEventId")).or_else(|| parameter("last_event_id")) {
            None => after,
            Some(LastEventId::Earliest) => Cursor::Earliest,
            Some(LastEventId::Id(id)) => Cursor::After(id),
            Some(LastEventId::Foreign) => self.hub.foreign_cursor(),
        })
    }

    /// The cursor of a poll, and the answer if there are no new messages (RFC 9110, section
    /// 13.1.2).
    ///
    /// - A tag that is an id has precedence over `after=`, because a client updates the tag while
    ///   its address may stay the same. Of several ids, the newest of this hub counts, because the
    ///   client has all messages up to it. If no id is of this hub, the newest foreign id is the
    ///   cursor, and the answer tells of a gap.
    /// - `*` and foreign tags leave the cursor to `after=`. With `*` the client gets 304 if there
    ///   are no messages after the cursor. A foreign tag matches nothing, so the client gets 200
    ///   even then.
    pub(crate) fn poll_cursor(&self) -> Result<(Cursor, Unchanged), Rejection> {
        let after = self.after()?;
        Ok(match IfNoneMatch::read(self.request.field_values("If-None-Match")) {
            IfNoneMatch::Absent => (after, Unchanged::Empty),
            IfNoneMatch::Any => (after, Unchanged::NotModified),
            IfNoneMatch::Ids(ids) => match newest(&ids, self.hub.last()) {
                Some(id) => (Cursor::After(id), Unchanged::NotModified),
                None => (after, Unchanged::Empty),
            },
        })
    }

    /// The parameters of a poll. A poll has a cursor, which may be `earliest`, so it does not
    /// continue after an id.
    pub(crate) fn poll_parameters(&self, technique: &'static str) -> SubscribeParameters<'_> {
        let (topics, client) = (&self.topics, self.client.as_ref());
        let sent_to = Id { epoch: 0, sequence: 0 };
        let revocations = self.revocations;
        SubscribeParameters { topics, technique, client, user: None, revocations, sent_to, gaps_told_to: 0, patience: Patience::UntilRead }
    }

    /// Answers with the messages after a cursor, at once if the hub has them in memory. Otherwise
    /// the request is held until this hub has reached the cursor, or has read older messages from
    /// the log outside the process. `answer` also answers if the hub or the server ends the hold.
    pub(crate) fn answer_with(&self, reply: Reply<'_>, cursor: Cursor, answer: impl Answer) {
        match self.hub.search(&self.topics, cursor) {
            Search::Here(found) => reply.send(answer(Ok(&found))),
            Search::Later(lookup) => self.answer_later(reply, lookup, answer),
        }
    }

    /// Holds the request until a read has its result.
    pub(crate) fn answer_later(&self, reply: Reply<'_>, lookup: Lookup, answer: impl Answer) {
        let answers = Arc::new(LateAnswers(answer));
        // The read ends in time. The hold has no time limit of its own.
        let held = reply.hold_with(Duration::MAX, Arc::<LateAnswers<_>>::clone(&answers));
        let (weak, revocations) = (self.hub.downgrade(), self.revocations);
        lookup.then(move |found| {
            let answer = &answers.0;
            let hub = weak.upgrade();
            held.release(match found {
                Ok(_) if hub.as_ref().is_some_and(|hub| hub.revocations().load(SeqCst) != revocations) => answer(Err(&access_changed())),
                Ok(missed) => answer(Ok(&missed)),
                Err(error) => {
                    if let Some(hub) = hub {
                        hub.count_refused(503);
                    }
                    answer(Err(&error.last_word()))
                }
            });
        });
    }

    /// Answers a poll with a last word, and counts the refusal.
    pub(crate) fn refuse_poll(&self, reply: Reply<'_>, form: &PollForm, word: &LastWord) {
        self.hub.count_refused(status_of(word));
        reply.send(form.answer_end(word));
    }

    /// The first piece of the replay. Creates the topics, so that a connection can be subscribed to
    /// them.
    pub(crate) fn replay(&self, cursor: Cursor, patience: Patience) -> Result<Search, Rejection> {
        Ok(self.hub.first_piece(&self.topics, cursor, patience)?)
    }

    /// Subscribes a connection to the topics, from the cursor in the query.
    ///
    /// # Errors
    /// A refusal with 400 when the cursor is not valid, and with 503 when the hub cannot create the
    /// topics.
    pub fn subscribe(&self, encoding: Encoding) -> Result<Subscription, Rejection> {
        let subscription = self.hub.subscribe(self.technique.name, &self.topics, self.after()?, encoding)?;
        Ok(self.with_client(subscription.checked_at(self.revocations)))
    }

    /// A subscription that continues after the first piece of its replay.
    pub(crate) fn subscription_after(&self, missed: Search, wire_form: WireForm, encode_note: EncodeNote) -> Subscription {
        let subscription = Subscription::new(self.hub, &self.topics, self.technique.name, wire_form, encode_note, missed);
        self.with_client(subscription.checked_at(self.revocations))
    }

    fn with_client(&self, subscription: Subscription) -> Subscription {
        match &self.client {
            Some(token) => subscription.for_client(Arc::clone(token)),
            None => subscription,
        }
    }

    /// Serves a technique that streams.
    pub(crate) fn serve_stream(&self, reply: Reply<'_>, plan: Result<StreamPlan, Rejection>, cursor: Result<Cursor, Rejection>) {
        match plan.and_then(|plan| Ok((plan, cursor?))) {
            Ok((plan, cursor)) => self.stream(reply, cursor, plan),
            Err(rejection) => self.reject(reply, &rejection),
        }
    }

    /// Begins a stream. A source sends the missed messages as the client reads, and then subscribes
    /// the stream.
    fn stream(&self, reply: Reply<'_>, cursor: Cursor, plan: StreamPlan) {
        let is_in_band = plan.form.gap == GapForm::InBand;
        let secret = match self.channel_secret(plan.form) {
            Ok(secret) => secret,
            Err(rejection) => return self.reject(reply, &rejection),
        };
        // A form that tells of a gap in the head cannot wait to learn of one.
        let patience = if is_in_band { Patience::UntilRead } else { Patience::UntilReached };
        let missed = match self.hub.first_piece(&self.topics, cursor, patience) {
            Ok(missed) => missed,
            Err(error) => return self.refuse_stream(reply, &plan, &error.last_word()),
        };
        let head = Response::new(plan.content_type, "");
        // The session adds fields of its own to an event stream, and tells its client at a shutdown
        // when to reconnect.
        let is_event_stream = plan.form.content_type == "text/event-stream";
        let head = if is_event_stream { self.fields.apply_to_event_stream(head) } else { self.fields.apply(head) };
        let (from, has_gap) = missed.begin();
        let head = head.field("Pushlab-Resumed", &from.to_string());
        let head = if has_gap { head.field("Pushlab-Gap", &from.to_string()) } else { head };
        let mut stream = if is_event_stream { reply.event_stream_with(head) } else { reply.stream(head) };
        stream.heartbeat(self.technique.heartbeat);
        if !stream.is_live() {
            return;
        }
        stream.send(&(plan.preface)(self, (!has_gap).then_some(from)));
        if let Some(bytes) = plan.limit_bytes {
            stream.end_after(bytes);
        }
        let encode_note = if is_in_band { plan.encode_note } else { EncodeNote::Plain(|_| None) };
        let mut subscription = self.subscription_after(missed, plan.wire_form.clone(), encode_note.clone()).with_patience(patience);
        match self.feed_plan(secret, plan.wire_form, encode_note) {
            None => {
                // A server that shuts down ends the stream before it asks the source.
                subscription.introduce(&mut stream);
                stream.feed(subscription);
            }
            Some(plan) => {
                let feed = plan.open(self.hub, subscription, &mut stream);
                stream.feed(feed);
            }
        }
    }

    /// Refuses a stream before its head was sent: with a status and a sentence. A page that has a
    /// frame sees neither, so the frame gets a script as its last word.
    fn refuse_stream(&self, reply: Reply<'_>, plan: &StreamPlan, word: &LastWord) {
        let rejection = Rejection::new(status_of(word), word.sentence());
        match (&plan.wire_form, plan.encode_note.encode(Note::End(word))) {
            (WireForm::Script(_), Some(script)) => {
                self.hub.count_refused(rejection.status);
                let page = [&(plan.preface)(self, None), &*script.payload()].concat();
                reply.send(self.fields.apply(Response::html(page).with_status(rejection.status)));
            }
            _ => self.reject(reply, &rejection),
        }
    }

    /// The secret for the control channel of this connection, if the request asks for one.
    pub(crate) fn channel_secret(&self, form: &Form) -> Result<Option<Secret>, Rejection> {
        match self.query.control()? {
            Control::None => Ok(None),
            Control::New => self.check_control(form).and_then(|()| self.new_secret()).map(Some),
            Control::Known(_) => Err(Rejection::bad_request("`control` must be 0 or 1 here: each connection gets a secret of its own")),
        }
    }

    /// Checks that a request with this form may have a control channel.
    pub(crate) fn check_control(&self, form: &Form) -> Result<(), Rejection> {
        if self.client.is_none() {
            return Err(Rejection::bad_request("`control` needs `client`, the token by which the client names itself"));
        }
        if form.gap != GapForm::InBand {
            return Err(Rejection::bad_request("`control` needs another `format`: a bare payload cannot tell what was joined or left"));
        }
        Ok(())
    }

    /// A new secret for a control channel.
    pub(crate) fn new_secret(&self) -> Result<Secret, Rejection> {
        let secret = self.hub.new_secret();
        secret.ok_or_else(|| Rejection::new(503, "this server has no random numbers for the secret of a control channel"))
    }

    /// What a connection with a control channel needs to begin. `None` if it has none.
    pub(crate) fn feed_plan(&self, secret: Option<Secret>, wire_form: WireForm, encode_note: EncodeNote) -> Option<FeedPlan> {
        let (secret, client) = (secret?, Arc::clone(self.client.as_ref()?));
        Some(FeedPlan { client, secret, topics: self.topics.clone(), technique: self.technique.name, wire_form, encode_note })
    }
}

/// The newest id that this hub has given out, which is at most `last`. If there is none, the
/// foreign id with the highest sequence number.
fn newest(ids: &[Id], last: Id) -> Option<Id> {
    ids.iter().copied().max_by_key(|id| (id.epoch == last.epoch && id.sequence <= last.sequence, id.sequence))
}
