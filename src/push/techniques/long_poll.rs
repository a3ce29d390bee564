//! Long polling: the client sends a request, and the server answers when there is a message (RFC
//! 6202, section 2).
//!
//! On the wire: one request per answer. An answer has all messages after the cursor that fit into
//! it. `"more":true` says that some did not fit, and the client asks again. The history keeps the
//! messages that are published between two polls. After the wait, the answer is an empty list with
//! the same cursor. Costs two heads per answer; with frequent messages the client polls without a
//! pause. A server that ends the poll on purpose answers with a status and a JSON object, which has
//! a code and a sentence. Choose it where streams do not get through: an intermediary sees a slow
//! request like any other.
//!
//! With `control=1`, the first poll is answered at once, and its answer has the secret of a control
//! channel as `control`. The next polls bring the secret as their `control`, and together are a
//! chain whose topics can be changed. The server takes the secret that a poll brings, also after a
//! restart and from another server: it says only what may change this poll, and the client that
//! sends a poll may decide that. A change ends the held poll, because its topics stand in its
//! address. The answer tells what was joined and left, and the next poll names the new topics.

use std::time::Duration;

use super::{jsonp, short_poll};
use crate::proto::http1::Method;
use crate::push::http::{Call, Control, Endpoint, Form, GapForm, Rejection, Technique};
use crate::push::hub::HoldOutcome;
use crate::push::model::{Cursor, Format, PollForm, Secret};
use crate::session::Reply;

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "long-poll",
    title: "long polling",
    summary: "The server holds a request until there is a message.",
    example: "long-poll?wait=25",
    endpoint: Some(Endpoint { path: "long-poll", parameters: &["callback", "format", "wait", "control"], serve }),
    forms: &[
        Form { format: Format::Json, content_type: "application/json", messages: None, gap: GapForm::InBand },
        Form { format: Format::Raw, content_type: "", messages: None, gap: GapForm::HeadOnly },
    ],
    heartbeat: b"",
};

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    let read = jsonp::poll_form(call).and_then(|form| Ok((form, wait(call)?, call.poll_cursor()?.0, control(call)?)));
    let (form, wait, cursor, chain) = match read {
        Ok(read) => read,
        Err(rejection) => return call.reject(reply, &rejection),
    };
    if call.request.method() == Method::Head {
        return short_poll::serve(call, reply);
    }
    let chain = match chain {
        Control::None => None,
        Control::New => return begin_chain(call, reply, cursor, form),
        Control::Known(secret) => Some(secret),
    };
    if wait.is_zero() {
        note_chain(call, chain);
        return short_poll::serve(call, reply);
    }
    let technique = jsonp::counted_as(call, &TECHNIQUE);
    let parameters = call.poll_parameters(technique);
    match call.hub.hold_poll(&parameters, cursor, chain.as_ref(), &form, wait, reply) {
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

/// What the poll asks for: a new chain with a control channel, or the next poll of one.
fn control(call: &Call<'_>) -> Result<Control, Rejection> {
    let control = call.query.control()?;
    if !matches!(control, Control::None) {
        call.check_control(call.form()?)?;
    }
    Ok(control)
}

/// Answers the first poll of a chain at once, because its client cannot change it before it knows
/// the secret.
fn begin_chain(call: &Call<'_>, reply: Reply<'_>, cursor: Cursor, form: PollForm) {
    let secret = match call.new_secret() {
        Ok(secret) => secret,
        Err(rejection) => return call.reject(reply, &rejection),
    };
    call.hub.note_presence(&call.topics, call.client.as_ref(), jsonp::counted_as(call, &TECHNIQUE));
    note_chain(call, Some(secret));
    let member = format!(",\"control\":\"{secret}\"");
    call.answer_with(reply, cursor, move |found| match found {
        Ok(missed) => form.answer_replay_with(missed, &member),
        Err(word) => form.answer_end(word),
    });
}

/// The channel of a chain stays for the grace time after a poll that is answered at once.
fn note_chain(call: &Call<'_>, chain: Option<Secret>) {
    if let (Some(secret), Some(client)) = (chain, &call.client) {
        call.hub.note_chain(client, secret, &call.topics);
    }
}

/// The time for which the poll is held.
fn wait(call: &Call<'_>) -> Result<Duration, Rejection> {
    let config = call.hub.config();
    let wait = call.query.whole_number("wait", 0..=config.hold_max.as_secs())?;
    Ok(wait.map_or(config.hold, Duration::from_secs))
}
