//! Streaming: a response without end, read by a script while it comes (XHR's `responseText`, fetch's body; RFC 6202, section 3).
//!
//! On the wire: chunked coding, one envelope a line; an empty line is the heartbeat. Borders of chunks are not borders of messages. Costs
//! hardly more than the message itself, but the client keeps all that came in one response: it ends after `max_bytes`, and goes on by cursor.
//! `pad` sends white space first, for readers that show nothing below a kilobyte or two. Choose it for programs and scripts that read lines.

use crate::proto::Frame;
use crate::push::http::{Call, Rejection, StreamPlan};
use crate::push::model::{Format, Id, SharedForm, Technique, WireForm};
use crate::session::Reply;

pub(crate) const PARAMETERS: &[&str] = &["format", "max_bytes", "pad"];

/// Bytes of white space that may be asked for: beyond the largest threshold that browsers had.
const PAD_MAX: u64 = 64 * 1024;

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    call.serve_stream(reply, plan(call), call.after());
}

fn plan(call: &Call<'_>) -> Result<StreamPlan, Rejection> {
    let is_json = call.format(Format::Json)? == Format::Json;
    call.query.whole_number("pad", 0..=PAD_MAX)?;
    Ok(StreamPlan {
        technique: Technique::Stream,
        wire_form: WireForm::Shared(if is_json { SharedForm::Line } else { SharedForm::RawLine }),
        content_type: if is_json { "application/x-ndjson" } else { "text/plain; charset=utf-8" }.into(),
        preface,
        heartbeat: b"\n",
        encode_gap: if is_json { Some(Box::new(|gap| Frame::chunk(format!("{gap}\n").as_bytes()))) } else { None },
        limit_bytes: Some(max_bytes(call)?),
    })
}

/// Bytes after which the response ends.
pub(super) fn max_bytes(call: &Call<'_>) -> Result<usize, Rejection> {
    let given = call.query.whole_number("max_bytes", 1..=u64::from(u32::MAX))?;
    Ok(given.map_or(call.hub.config().stream_bytes, |bytes| bytes as usize))
}

/// At least an empty line, at once: the head alone is not shown to every script.
fn preface(call: &Call<'_>, _: Id) -> Vec<u8> {
    let pad = call.query.whole_number("pad", 0..=PAD_MAX).ok().flatten().unwrap_or(0);
    let mut bytes = vec![b' '; pad as usize];
    bytes.push(b'\n');
    bytes
}
