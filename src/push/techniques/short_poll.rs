//! Short polling: the client sends requests at intervals, and each is answered at once.
//!
//! On the wire: one request per interval. With the cursor in `If-None-Match`, an empty answer is a
//! 304, which has a head alone. Costs a request per interval even without messages, and half an
//! interval of latency on average. If not all messages fit into an answer, it has `"more":true`,
//! and the client asks again without waiting. Choose it where data changes rarely and latency does
//! not matter, or where connections may not stay open.
//!
//! `If-None-Match` is read as RFC 9110, section 13.1.2 says. Weak tags count as strong ones. A
//! suffix of a proxy that compresses (`"9f3a0c-17-gzip"`) does not count. Of several ids, the
//! newest is the cursor. With `*`, the answer is a 304 if there are no messages after `after=`. A
//! tag that is not an id, and a field that is not a list of tags, match nothing: the answer is a
//! 200 for `after=`.

use super::jsonp;
use crate::push::http::{Call, Endpoint, Form, GapForm, Technique, Unchanged};
use crate::push::model::{Format, PollForm, Replay};
use crate::session::{Reply, Response};

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "poll",
    title: "short polling",
    summary: "The client sends requests at intervals, and each is answered at once.",
    example: "poll?after=earliest",
    endpoint: Some(Endpoint { path: "poll", parameters: &["callback", "format"], serve }),
    forms: &[
        Form { format: Format::Json, content_type: "application/json", messages: None, gap: GapForm::InBand },
        Form { format: Format::Raw, content_type: "", messages: None, gap: GapForm::HeadOnly },
    ],
    heartbeat: b"",
};

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    match jsonp::poll_form(call).and_then(|form| Ok((form, call.poll_cursor()?))) {
        Ok((form, (cursor, unchanged))) => {
            call.hub.note_presence(&call.topics, call.client.as_ref(), jsonp::counted_as(call, &TECHNIQUE));
            call.answer_with(reply, cursor, move |found| match found {
                Ok(missed) => answer(&form, missed, unchanged),
                Err(word) => form.answer_end(word),
            });
        }
        Err(rejection) => call.reject(reply, &rejection),
    }
}

/// The answer with the messages that are retained now.
fn answer(form: &PollForm, replay: &Replay, unchanged: Unchanged) -> Response {
    let is_empty = replay.messages.is_empty() && !replay.gap;
    if is_empty && unchanged == Unchanged::NotModified { form.answer_not_modified(replay.last) } else { form.answer_replay(replay) }
}
