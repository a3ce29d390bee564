//! Server-sent events (WHATWG HTML, section 9.2).
//!
//! On the wire: `id:`, `event:` and `data:` lines, with a comment as the heartbeat. The browser
//! keeps the last id, reconnects by itself, and sends the id as `Last-Event-ID`. Its first request
//! cannot have this field, so the query has `last_event_id`. Costs about 60 bytes per message.
//! Choose it for all text that goes from the server to the client: it is the least work on both
//! sides. The format knows only lines: CR and CRLF arrive as LF, and binary payloads as base64.
//! With `format=json` all text arrives unchanged.
//!
//! An event has the name that the publisher gave, and a gap is an event named `gap`. A browser
//! gives an event only to the listeners of its name. With `format=json` no event has a name,
//! because the envelope has it: one `onmessage` listener receives everything, and a gap is
//! `{"gap":true}`. The notes of a control channel are events named `control`.
//!
//! The last word of a server that ends the stream on purpose is an event named `end`, or with
//! `format=json` an event with `{"end":true}`. It has no id. The browser reconnects after it, unless
//! the page closes the `EventSource`.
//!
//! A browser that receives a status other than 200 never reconnects. Therefore a `Last-Event-ID`
//! that this hub did not give out is not refused: the stream begins with a gap and all retained
//! messages. An empty one counts as absent. Libraries that cannot set the field append it to the
//! address as `lastEventId`, a second name of `last_event_id`. If a request has both, `lastEventId`
//! counts, because it is newer.

use crate::proto::Frame;
use crate::proto::sse::Event;
use crate::push::http::{Call, Endpoint, Form, GapForm, Rejection, StreamPlan, Technique};
use crate::push::model::{EncodeNote, Format, Note, SharedForm};
use crate::session::Reply;

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "events",
    title: "server-sent events",
    summary: "The browser reads a response without end, and resumes by itself after a cut.",
    example: "events?after=earliest",
    endpoint: Some(Endpoint { path: "events", parameters: &["format", "last_event_id", "lastEventId", "control"], serve }),
    forms: &[
        Form { format: Format::Raw, content_type: "text/event-stream", messages: Some(SharedForm::Event), gap: GapForm::InBand },
        Form { format: Format::Json, content_type: "text/event-stream", messages: Some(SharedForm::JsonEvent), gap: GapForm::InBand },
    ],
    heartbeat: b":\n\n",
};

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    call.serve_stream(reply, plan(call), call.last_event_id());
}

fn plan(call: &Call<'_>) -> Result<StreamPlan, Rejection> {
    let form = call.form()?;
    Ok(StreamPlan {
        form,
        wire_form: form.shared(),
        content_type: form.content_type.into(),
        // An event without data reaches no listener, but sets the browser's last id. So the browser
        // resumes at the right position even if the stream ends before its first message. Before a
        // gap, the browser keeps its last id: if the stream ends before the gap has arrived, the next
        // one must tell of it again.
        preface: |call, from| {
            let from = from.map(|id| id.to_string());
            let event = Event::without_data().retry(call.hub.config().retry);
            encode(&from.iter().fold(event, |event, id| event.id(id)))
        },
        encode_note: EncodeNote::Plain(match form.format {
            Format::Json => |note| Some(note_event(note, |event| event)),
            Format::Raw => |note| Some(note_event(note, |event| event.event(note.name()))),
        }),
        limit_bytes: None,
    })
}

/// A note as an event, which gets a name from `name` if the format has names.
fn note_event(note: Note<'_>, name: impl for<'a> Fn(Event<'a>) -> Event<'a>) -> Frame {
    let (json, reached) = (note.json(), note.reached().map(|id| id.to_string()));
    let event = reached.iter().fold(Event::data(&json), |event, id| event.id(id));
    Frame::chunk(&encode(&name(event)))
}

fn encode(event: &Event<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    event.encode(&mut bytes).expect("ids and the hub's own names have no line ends");
    bytes
}
