//! Server-sent events (WHATWG HTML, section 9.2).
//!
//! On the wire: `id:`, `event:` and `data:` lines, a comment as the heartbeat. The browser keeps the last id, comes back by itself, and sends it
//! along as `Last-Event-ID`; as its first request cannot, there is `last_event_id` in the query. Costs some 60 bytes a message. Choose it
//! for everything that goes one way as text: it is the least work on both sides. The format knows only lines: CR and CRLF arrive as LF, and
//! binary payloads as base64; with `format=json` everything arrives as it was.
//!
//! An event has the publisher's name, and a gap is an event named `gap`: a browser hands each to the listeners of its name alone. With
//! `format=json` no event has a name, because the envelope has it: one `onmessage` hears everything, and a gap is `{"gap":true}` there.
//!
//! A browser that gets another status than 200 never comes back. So a `Last-Event-ID` that this hub
//! has not given is not refused: the stream tells of a gap, and sends everything that is retained.
//! An empty one counts as absent. Libraries that cannot set the field append it to the address as
//! `lastEventId`, a second name of `last_event_id`; where both are given, `lastEventId` is newer
//! and counts.

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
        // An event without data reaches no listener. It sets the id with which the browser comes back, so that a stream that ends
        // before its first message is resumed in the right place, too.
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
