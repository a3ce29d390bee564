//! Multipart: a response in parts, of which each replaces the part before it
//! (`multipart/x-mixed-replace`, Netscape 1995; RFC 2046, section 5.1).
//!
//! On the wire: each part ends with the *next* boundary, because only the boundary tells a reader
//! that the part is complete. The heartbeat is a field in the head of the next part. Costs about
//! 120 bytes per message. Choose it for pictures that replace each other, such as those of cameras;
//! for data, choose server-sent events.

use crate::proto::Frame;
use crate::push::http::{Call, Rejection, StreamPlan};
use crate::push::model::{Format, SharedForm, Technique, WireForm};
use crate::session::Reply;

pub(crate) const PARAMETERS: &[&str] = &["format"];

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    call.serve_stream(reply, plan(call), call.after());
}

fn plan(call: &Call<'_>) -> Result<StreamPlan, Rejection> {
    let is_json = call.format(Format::Raw)? == Format::Json;
    let boundary = call.hub.constants().boundary.clone();
    Ok(StreamPlan {
        technique: Technique::Multipart,
        wire_form: WireForm::Shared(if is_json { SharedForm::JsonPart } else { SharedForm::Part }),
        content_type: format!("multipart/x-mixed-replace; boundary={boundary}").into(),
        preface: |call, _| format!("--{}\r\n", call.hub.constants().boundary).into_bytes(),
        heartbeat: b"X-Heartbeat: 1\r\n",
        encode_gap: Some(Box::new(move |gap| {
            let head = format!("Content-Type: application/json\r\nX-Gap: 1\r\nContent-Length: {}\r\n\r\n", gap.len());
            Frame::chunk(format!("{head}{gap}\r\n--{boundary}\r\n").as_bytes())
        })),
        limit_bytes: None,
    })
}
