//! Hidden frame: a page without end, in which each message is a script element that calls a function of the page around it (Pushlets, 2000).
//!
//! On the wire: chunked HTML, `<script>parent.f({...})</script>` a message. Old browsers show nothing of the first kilobyte until it is whole:
//! the head is padded beyond it. Costs a script element for each message, which all stay: it ends after `max_bytes`, and its last script says
//! nothing of it, so that the page around watches `onload`. Choose it for browsers of before XHR streaming; or to see how it was done.

use std::sync::Arc;

use super::stream::max_bytes;
use crate::proto::Frame;
use crate::push::http::{Call, Rejection, StreamPlan};
use crate::push::model::{Technique, WireForm};
use crate::session::Reply;

pub(crate) const PARAMETERS: &[&str] = &["callback", "max_bytes"];

/// Beyond the 1,024 bytes from which on browsers decide about a page's encoding.
const HEAD_BYTES: usize = 1_100;

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    call.serve_stream(reply, plan(call), call.after());
}

fn plan(call: &Call<'_>) -> Result<StreamPlan, Rejection> {
    let callback =
        call.callback.clone().ok_or_else(|| Rejection::bad_request("`callback` must name the function of the page around the frame"))?;
    Ok(StreamPlan {
        technique: Technique::Iframe,
        wire_form: WireForm::Script(Arc::clone(&callback)),
        content_type: "text/html; charset=utf-8".into(),
        preface: |_, _| {
            let head = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>messages</title></head><body>\n";
            format!("{head:<HEAD_BYTES$}\n").into_bytes()
        },
        heartbeat: b"\n",
        encode_gap: Some(Box::new(move |gap| Frame::chunk(format!("<script>parent.{callback}({gap})</script>\n").as_bytes()))),
        limit_bytes: Some(max_bytes(call)?),
    })
}
