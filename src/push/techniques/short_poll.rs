//! Short polling: the client asks at intervals, and is answered at once.
//!
//! On the wire: a request for each interval; `If-None-Match` with the cursor makes an empty answer
//! a 304, of a head alone. Costs a request for nothing most of the time, and half an interval of
//! latency. An answer in which not all messages fitted says `"more":true`, and its client asks
//! again without waiting. Choose it where data changes rarely and late is soon enough, or where
//! nothing may stay open.
//!
//! `If-None-Match` is read as RFC 9110, section 13.1.2 says. Weak tags are as good as strong ones,
//! and the suffix of a proxy that compresses (`"9f3a0c-17-gzip"`) does not count. Of several ids
//! the newest is the cursor. `*` gets a 304 if nothing is new behind `after=`. A tag that is not a
//! message's, and a field that is not a list of tags, match nothing: the answer is a 200 by
//! `after=`.

use super::jsonp;
use crate::push::http::{Call, Rejection, Unchanged};
use crate::push::model::{PollForm, Technique};
use crate::session::{Reply, Response};

pub(crate) const PARAMETERS: &[&str] = &["callback", "format"];

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    match jsonp::poll_form(call).and_then(|form| answer(call, &form)) {
        Ok(response) => {
            let technique = if call.callback.is_some() { Technique::Jsonp } else { Technique::ShortPoll };
            call.hub.note_presence(&call.topics, call.client.as_ref(), technique);
            reply.send(response);
        }
        Err(rejection) => call.reject(reply, &rejection),
    }
}

/// What there is now.
pub(super) fn answer(call: &Call<'_>, form: &PollForm) -> Result<Response, Rejection> {
    let (cursor, unchanged) = call.poll_cursor()?;
    let replay = call.hub.replay(&call.topics, cursor);
    let is_empty = replay.messages.is_empty() && !replay.gap;
    Ok(if is_empty && unchanged == Unchanged::NotModified { form.answer_not_modified(replay.last) } else { form.answer_replay(&replay) })
}
