//! One request to subscribe.
//!
//! Owns what every technique is given, and how every stream begins: the head, then what feeds it.
//! Leaves wire forms to others, and the way to the present to `catch_up`.

use std::borrow::Cow;
use std::sync::Arc;

use super::catch_up::{CatchUp, EncodeGap};
use super::conditions::{IfNoneMatch, LastEventId};
use super::query::Query;
use super::rejection::Rejection;
use crate::push::hub::{Hub, PublishError, Subscription};
use crate::push::model::{AnswerFields, Cursor, Format, Id, Replay, Technique, Topics, WireForm};
use crate::session::{Reply, Request, Response};

pub(crate) struct Call<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) request: &'a Request<'a>,
    pub(crate) topics: Topics,
    pub(crate) query: Query<'a>,
    pub(crate) fields: AnswerFields,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) callback: Option<Arc<str>>,
}

/// The answer to a poll that nothing is new for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// 200 with an empty list; in raw format 204.
    Empty,
    /// 304, which has a head alone.
    NotModified,
}

/// How a technique streams.
pub(crate) struct StreamPlan {
    pub(crate) technique: Technique,
    pub(crate) wire_form: WireForm,
    pub(crate) content_type: Cow<'static, str>,
    /// Comes first, made from the slot where the stream resumes.
    pub(crate) preface: fn(&Call<'_>, Id) -> Vec<u8>,
    pub(crate) heartbeat: &'static [u8],
    /// Tells of a gap; `None` where the head alone says it. A gap that opens behind the head ends
    /// the stream then.
    pub(crate) encode_gap: Option<EncodeGap>,
    /// The stream ends after so many bytes of messages, those that were missed included.
    pub(crate) limit_bytes: Option<usize>,
}

impl Call<'_> {
    pub(crate) fn reject(&self, reply: Reply<'_>, rejection: &Rejection) {
        rejection.send(self.hub, reply, &self.fields);
    }

    /// The cursor of the address, `after=`. A value that is not a cursor is an error also where a
    /// field comes before it, so that the answer to an address does not depend on fields.
    pub(crate) fn after(&self) -> Result<Cursor, Rejection> {
        Ok(self.query.cursor("after")?.unwrap_or_default())
    }

    /// The cursor of an event stream: the first of `Last-Event-ID`, `lastEventId=`,
    /// `last_event_id=` and `after=` that is given and not empty. The field is what the client has
    /// just seen, while the address stays as the page wrote it; `lastEventId=` is the parameter
    /// that libraries append for the field.
    ///
    /// A foreign id is not an error: a browser that gets another status than 200 never comes back
    /// (WHATWG HTML, section 9.2.2).
    pub(crate) fn last_event_id(&self) -> Result<Cursor, Rejection> {
        let after = self.after()?;
        let parameter = |name| self.query.value(name).and_then(|value| LastEventId::read(std::iter::once(value.as_bytes())));
        let given = LastEventId::read(self.request.field_values("Last-Event-ID"));
        Ok(match given.or_else(|| parameter("lastEventId")).or_else(|| parameter("last_event_id")) {
            None => after,
            Some(LastEventId::Earliest) => Cursor::Earliest,
            Some(LastEventId::Id(id)) => Cursor::After(id),
            Some(LastEventId::Foreign) => self.hub.constants().foreign_cursor(),
        })
    }

    /// The cursor of a poll, and the status for a poll that nothing is new for (RFC 9110, section
    /// 13.1.2).
    ///
    /// - A tag that names a message is the cursor, before `after=`, which stays in an address. Of
    ///   several the newest of this hub is: the client has everything up to it, and a hub answers
    ///   304 if any tag is the current one. Without one of this hub, an id of another epoch is the
    ///   cursor, and the answer tells of a gap.
    /// - `*` and foreign tags leave the cursor to `after=`. A 304 says that the client has
    ///   everything. With `*` it gets one if nothing is new behind `after=`, and the messages
    ///   otherwise; a foreign tag matches nothing, and gets a 200 in either case.
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

    pub(crate) fn format(&self, default: Format) -> Result<Format, Rejection> {
        self.query.format(default)
    }

    pub(crate) fn subscription(&self, technique: Technique, sent_to: Id) -> Subscription<'_> {
        Subscription { topics: &self.topics, technique, client: self.client.as_ref(), sent_to, gaps_told_to: 0 }
    }

    /// The first piece of the missed messages. Makes the topics, so that a reader can subscribe to
    /// them.
    pub(crate) fn replay(&self, cursor: Cursor) -> Result<Replay, Rejection> {
        let (now, limit_bytes) = (self.hub.config().clock.now(), self.hub.config().replay_bytes);
        let mut state = self.hub.lock();
        let slots = state.topics.get_or_create_all(&self.topics).ok_or(PublishError::TooManyTopics)?;
        Ok(state.replay_slots(&slots, 0, cursor, limit_bytes, now))
    }

    /// Serves a technique that streams, from the cursor on.
    pub(crate) fn serve_stream(&self, reply: Reply<'_>, plan: Result<StreamPlan, Rejection>, cursor: Result<Cursor, Rejection>) {
        match plan.and_then(|plan| Ok((plan, cursor?))) {
            Ok((plan, cursor)) => self.stream(reply, cursor, plan),
            Err(rejection) => self.reject(reply, &rejection),
        }
    }

    /// Begins a stream. A source feeds the stream with the missed messages, and then subscribes it.
    fn stream(&self, reply: Reply<'_>, cursor: Cursor, plan: StreamPlan) {
        let missed = match self.replay(cursor) {
            Ok(missed) => missed,
            Err(rejection) => return self.reject(reply, &rejection),
        };
        let head = Response::new(plan.content_type, "");
        let head = match plan.technique {
            Technique::Sse => self.fields.apply_to_event_stream(head),
            _ => self.fields.apply(head),
        };
        let head = head.field("Pushlab-Resumed", &missed.from.to_string());
        let head = if missed.gap { head.field("Pushlab-Gap", &missed.from.to_string()) } else { head };
        let mut stream = if plan.technique == Technique::Sse {
            reply.event_stream_with(head).into_stream()
        } else {
            let mut stream = reply.stream(head);
            stream.heartbeat(plan.heartbeat);
            stream
        };
        if !stream.is_live() {
            return;
        }
        stream.send(&(plan.preface)(self, missed.from));
        if let Some(bytes) = plan.limit_bytes {
            stream.end_after(bytes);
        }
        let catch_up = CatchUp::new(self.hub, &self.topics, plan.technique, plan.wire_form, plan.encode_gap, missed);
        stream.feed(catch_up.for_client(self.client.as_ref()));
    }
}

/// The newest id that this hub has given, up to `last`; without one, an id that it has not given.
fn newest(ids: &[Id], last: Id) -> Option<Id> {
    ids.iter().copied().max_by_key(|id| (id.epoch == last.epoch && id.sequence <= last.sequence, id.sequence))
}
