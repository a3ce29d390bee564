//! One request to subscribe.
//!
//! Owns what every technique is given, and how every stream begins: the head, then what feeds it.
//! Leaves wire forms to others, and the way to the present to `catch_up`.

use std::borrow::Cow;
use std::sync::Arc;

use super::board::Wire;
use super::catch_up::{CatchUp, TellGap};
use super::cors::Cors;
use super::hub::Wish;
use super::query::{Format, Query, Rejection, parse_cursor};
use super::{Cursor, Hub, Id, PublishError, Replay, Technique, Topics};
use crate::session::{Reply, Request, Response};

pub(super) struct Call<'a> {
    pub(super) hub: &'a Hub,
    pub(super) request: &'a Request<'a>,
    pub(super) topics: Topics,
    pub(super) query: Query<'a>,
    pub(super) cors: Cors,
    pub(super) client: Option<Arc<str>>,
    pub(super) callback: Option<Arc<str>>,
}

/// How a technique streams.
pub(super) struct Plan {
    pub(super) technique: Technique,
    pub(super) wire: Wire,
    pub(super) content_type: Cow<'static, str>,
    /// Comes first, made from the place where the stream resumes.
    pub(super) preface: fn(&Call<'_>, Id) -> Vec<u8>,
    pub(super) heartbeat: &'static [u8],
    /// Tells of a gap; `None` where the head alone says it. A gap that opens behind the head ends
    /// the stream then.
    pub(super) tell_gap: Option<TellGap>,
    /// The stream ends after so many bytes of messages, those that were missed included.
    pub(super) limit_bytes: Option<usize>,
}

impl Call<'_> {
    pub(super) fn reject(&self, reply: Reply<'_>, rejection: &Rejection) {
        self.hub.reject(reply, &self.cors, rejection);
    }

    /// The cursor: from a field, which a client sends for what it has just seen, before the query, which stays in an address.
    pub(super) fn cursor(&self, field: Option<&str>, parameters: &[&str]) -> Result<Cursor, Rejection> {
        if let Some((name, text)) = field.and_then(|name| Some((name, self.request.field_text(name)?))) {
            let text = text.strip_prefix("W/").unwrap_or(text);
            return parse_cursor(name, text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
        }
        for name in parameters {
            if let Some(cursor) = self.query.cursor(name)? {
                return Ok(cursor);
            }
        }
        Ok(Cursor::New)
    }

    pub(super) fn format(&self, default: Format) -> Result<Format, Rejection> {
        self.query.format(default)
    }

    pub(super) fn wish(&self, technique: Technique, position: Id) -> Wish<'_> {
        Wish { topics: &self.topics, technique, client: self.client.as_ref(), position, told_to: 0 }
    }

    /// The first piece of the missed messages. Makes the topics, so that a reader can subscribe to
    /// them.
    pub(super) fn replay(&self, cursor: Cursor) -> Result<Replay, Rejection> {
        let (now, limit_bytes) = (self.hub.config().clock.now(), self.hub.config().replay_bytes);
        let mut state = self.hub.lock();
        let places = state.topics.make(&self.topics).ok_or(PublishError::TooManyTopics)?;
        Ok(state.since(&places, 0, cursor, limit_bytes, now))
    }

    /// Serves a technique that streams, from where the field or one of the parameters says.
    pub(super) fn serve_stream(&self, reply: Reply<'_>, plan: Result<Plan, Rejection>, field: Option<&str>, parameters: &[&str]) {
        match plan.and_then(|plan| Ok((plan, self.cursor(field, parameters)?))) {
            Ok((plan, cursor)) => self.stream(reply, cursor, plan),
            Err(rejection) => self.reject(reply, &rejection),
        }
    }

    /// Begins a stream. A source feeds the stream with the missed messages, and then subscribes it.
    fn stream(&self, reply: Reply<'_>, cursor: Cursor, plan: Plan) {
        let missed = match self.replay(cursor) {
            Ok(missed) => missed,
            Err(rejection) => return self.reject(reply, &rejection),
        };
        let head = self.cors.dress_stream(Response::new(plan.content_type, ""), plan.technique == Technique::Sse);
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
        let catch_up = CatchUp::new(self.hub, &self.topics, plan.technique, plan.wire, plan.tell_gap, missed);
        stream.feed(catch_up.of(self.client.as_ref()));
    }
}
