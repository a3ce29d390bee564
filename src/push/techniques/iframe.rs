//! Hidden frame: a page without end in which each message is a script element. The script calls a
//! function of the parent page (Pushlets, 2000).
//!
//! On the wire: chunked HTML, with `<script>parent.f({...})</script>` per message. Costs one script
//! element per message. The browser keeps all of them, so the page ends after `max_bytes`; the
//! parent page learns of the end by `onload`, and of the last word of a server that ends the page
//! earlier by a call with `{"end":true}`. Choose it for browsers older than XHR streaming, or
//! to see how it was done.

use std::sync::Arc;

use super::stream::max_bytes;
use crate::proto::Frame;
use crate::push::http::{Call, Endpoint, Form, GapForm, Rejection, StreamPlan, Technique};
use crate::push::model::{EncodeNote, Format, WireForm};
use crate::session::Reply;

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "iframe",
    title: "hidden iframe (Pushlet)",
    summary: "A hidden page without end has one script element per message.",
    example: "iframe?after=earliest&callback=f",
    endpoint: Some(Endpoint { path: "iframe", parameters: &["callback", "max_bytes", "control"], serve }),
    forms: &[Form { format: Format::Json, content_type: "text/html; charset=utf-8", messages: None, gap: GapForm::InBand }],
    heartbeat: b"\n",
};

/// The length of the padded head. A browser shows nothing before it has chosen the page's encoding,
/// for which it reads up to 1,024 bytes.
const HEAD_BYTES: usize = 1_100;

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    call.serve_stream(reply, plan(call), call.after());
}

fn plan(call: &Call<'_>) -> Result<StreamPlan, Rejection> {
    let form = call.form()?;
    let callback =
        call.callback.clone().ok_or_else(|| Rejection::bad_request("`callback` must name the function of the page around the frame"))?;
    Ok(StreamPlan {
        form,
        wire_form: WireForm::Script(Arc::clone(&callback)),
        content_type: form.content_type.into(),
        preface: |_, _| {
            let head = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>messages</title></head><body>\n";
            format!("{head:<HEAD_BYTES$}\n").into_bytes()
        },
        encode_note: EncodeNote::of_request(move |note| {
            Some(Frame::chunk(format!("<script>parent.{callback}({})</script>\n", note.json()).as_bytes()))
        }),
        limit_bytes: Some(max_bytes(call)?),
    })
}
