//! Streaming: a response without end that a script reads while it arrives (XHR's `responseText`,
//! the body of fetch; RFC 6202, section 3).
//!
//! On the wire: chunked coding, with one envelope per line; an empty line is the heartbeat. Chunks
//! need not end where messages end. Costs little more than the message itself, but an XHR client
//! keeps the whole response in memory: the response ends after `max_bytes`, and the client
//! continues from its cursor. `pad` sends white space first, for readers that show nothing before
//! the first one or two kilobytes. Choose it for programs and scripts that read lines.

use crate::proto::Frame;
use crate::push::http::{Call, Rejection, StreamPlan};
use crate::push::model::{Format, Id, SharedForm, Technique, WireForm};
use crate::session::Reply;

pub(crate) const PARAMETERS: &[&str] = &["format", "max_bytes", "pad"];

/// The maximum of `pad`, in bytes. It is larger than the threshold of any known browser.
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

/// The number of bytes after which the response ends.
pub(super) fn max_bytes(call: &Call<'_>) -> Result<usize, Rejection> {
    let given = call.query.whole_number("max_bytes", 1..=u64::from(u32::MAX))?;
    Ok(given.map_or(call.hub.config().stream_bytes, |bytes| bytes as usize))
}

/// The padding and an empty line. The empty line is always sent, because some scripts are not told
/// of a head before the first byte of the body.
fn preface(call: &Call<'_>, _: Id) -> Vec<u8> {
    let pad = call.query.whole_number("pad", 0..=PAD_MAX).ok().flatten().unwrap_or(0);
    let mut bytes = vec![b' '; pad as usize];
    bytes.push(b'\n');
    bytes
}
