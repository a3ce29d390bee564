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
//! `{"gap":true}`.
//!
//! A browser that receives a status other than 200 never reconnects. Therefore a `Last-Event-ID`
//! that this hub did not give out is not refused: the stream begins with a gap and all retained
//! messages. An empty one counts as absent. Libraries that cannot set the field append it to the
//! address as `lastEventId`, a second name of `last_event_id`. If a request has both, `lastEventId`
//! counts, because it is newer.

use crate::proto::Frame;
use crate::proto::sse::Event;
use crate::push::http::{Call, Rejection, StreamPlan};
use crate::push::model::{Format, SharedForm, Technique, WireForm};
use crate::session::Reply;

pub(crate) const PARAMETERS: &[&str] = &["format", "last_event_id", "lastEventId"];

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    call.serve_stream(reply, plan(call), call.last_event_id());
}

fn plan(call: &Call<'_>) -> Result<StreamPlan, Rejection> {
    let is_json = call.format(Format::Raw)? == Format::Json;
    Ok(StreamPlan {
        technique: Technique::Sse,
        wire_form: WireForm::Shared(if is_json { SharedForm::JsonEvent } else { SharedForm::Event }),
        content_type: "text/event-stream".into(),
        // An event without data reaches no listener, but sets the browser's last id. So the browser
        // resumes at the right position even if the stream ends before its first message.
        preface: |call, from| encode(&Event::without_data().id(&from.to_string()).retry(call.hub.config().retry)),
        heartbeat: b":\n\n",
        encode_gap: Some(Box::new(move |gap| {
            let event = Event::data(gap);
            Frame::chunk(&encode(&if is_json { event } else { event.event("gap") }))
        })),
        limit_bytes: None,
    })
}

fn encode(event: &Event<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    event.encode(&mut bytes).expect("ids and the hub's own names have no line ends");
    bytes
}
