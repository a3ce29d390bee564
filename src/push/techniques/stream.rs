//! Streaming: a response without end that a script reads while it arrives (XHR's `responseText`,
//! the body of fetch; RFC 6202, section 3).
//!
//! On the wire: chunked coding, with one envelope per line; an empty line is the heartbeat. Chunks
//! need not end where messages end. Costs little more than the message itself, but an XHR client
//! keeps the whole response in memory: the response ends after `max_bytes`, and the client
//! continues from its cursor. The last word of a server that ends the response earlier is a line with
//! `{"end":true}`. `pad` sends white space first, for readers that show nothing before
//! the first one or two kilobytes. Choose it for programs and scripts that read lines.

use crate::proto::Frame;
use crate::push::http::{Call, Endpoint, Form, GapForm, Rejection, StreamPlan, Technique};
use crate::push::model::{EncodeNote, Format, Id, SharedForm};
use crate::session::Reply;

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "stream",
    title: "XHR or fetch streaming",
    summary: "A script reads a response without end, which has one message per line.",
    example: "stream?after=earliest",
    endpoint: Some(Endpoint { path: "stream", parameters: &["format", "max_bytes", "pad", "control"], serve }),
    forms: &[
        Form { format: Format::Json, content_type: "application/x-ndjson", messages: Some(SharedForm::Line), gap: GapForm::InBand },
        Form {
            format: Format::Raw,
            content_type: "text/plain; charset=utf-8",
            messages: Some(SharedForm::RawLine),
            gap: GapForm::HeadOnly,
        },
    ],
    heartbeat: b"\n",
};

/// The maximum of `pad`, in bytes. It is larger than the threshold of any known browser.
const PAD_MAX: u64 = 64 * 1024;

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    call.serve_stream(reply, plan(call), call.after());
}

fn plan(call: &Call<'_>) -> Result<StreamPlan, Rejection> {
    let form = call.form()?;
    call.query.whole_number("pad", 0..=PAD_MAX)?;
    Ok(StreamPlan {
        form,
        wire_form: form.shared(),
        content_type: form.content_type.into(),
        preface,
        encode_note: EncodeNote::Plain(|note| Some(Frame::chunk(format!("{}\n", note.json()).as_bytes()))),
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
fn preface(call: &Call<'_>, _: Option<Id>) -> Vec<u8> {
    let pad = call.query.whole_number("pad", 0..=PAD_MAX).ok().flatten().unwrap_or(0);
    let mut bytes = vec![b' '; pad as usize];
    bytes.push(b'\n');
    bytes
}
