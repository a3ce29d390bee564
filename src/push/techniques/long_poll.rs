//! Long polling: the client sends a request, and the server answers when there is a message (RFC
//! 6202, section 2).
//!
//! On the wire: one request per answer. An answer has all messages after the cursor that fit into
//! it. `"more":true` says that some did not fit, and the client asks again. The history keeps the
//! messages that are published between two polls. After the wait, the answer is an empty list with
//! the same cursor. Costs two heads per answer; with frequent messages the client polls without a
//! pause. A server that ends the poll on purpose answers with a status and a JSON object, which has a
//! code and a sentence. Choose it where streams do not get through: an intermediary sees a slow request like any
//! other.

use std::time::Duration;

use super::{jsonp, short_poll};
use crate::proto::http1::Method;
use crate::push::http::{Call, Endpoint, Form, GapForm, Rejection, Technique};
use crate::push::hub::HoldOutcome;
use crate::push::model::Format;
use crate::session::Reply;

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "long-poll",
    title: "long polling",
    summary: "The server holds a request until there is a message.",
    example: "long-poll?wait=25",
    endpoint: Some(Endpoint { path: "long-poll", parameters: &["callback", "format", "wait"], serve }),
    forms: &[
        Form { format: Format::Json, content_type: "application/json", messages: None, gap: GapForm::InBand },
        Form { format: Format::Raw, content_type: "", messages: None, gap: GapForm::HeadOnly },
    ],
    heartbeat: b"",
};

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    let read = jsonp::poll_form(call).and_then(|form| Ok((form, wait(call)?, call.poll_cursor()?.0)));
    let (form, wait, cursor) = match read {
        Ok(read) => read,
        Err(rejection) => return call.reject(reply, &rejection),
    };
    if call.request.method() == Method::Head || wait.is_zero() {
        return short_poll::serve(call, reply);
    }
    let technique = jsonp::counted_as(call, &TECHNIQUE);
    let parameters = call.poll_parameters(technique);
    match call.hub.hold_poll(&parameters, cursor, &form, wait, reply) {
        HoldOutcome::Held => {}
        HoldOutcome::Behind(missed, reply) => {
            call.hub.note_presence(&call.topics, call.client.as_ref(), technique);
            reply.send(form.answer_replay(&missed));
        }
        HoldOutcome::Later(lookup, reply) => {
            call.hub.note_presence(&call.topics, call.client.as_ref(), technique);
            call.answer_later(reply, lookup, move |found| form.answer(found));
        }
        HoldOutcome::Refused(word, reply) => call.refuse_poll(reply, &form, &word),
    }
}

/// The time for which the poll is held.
fn wait(call: &Call<'_>) -> Result<Duration, Rejection> {
    let config = call.hub.config();
    let wait = call.query.whole_number("wait", 0..=config.hold_max.as_secs())?;
    Ok(wait.map_or(config.hold, Duration::from_secs))
}
