//! Multipart: a response in parts, of which each replaces the part before it
//! (`multipart/x-mixed-replace`, Netscape 1995; RFC 2046, section 5.1).
//!
//! On the wire: each part ends with the *next* boundary, because only the boundary tells a reader
//! that the part is complete. The heartbeat is a field in the head of the next part. The last word of
//! a server that ends the response on purpose is a part with the field `X-End`. Costs about
//! 120 bytes per message. Choose it for pictures that replace each other, such as those of cameras;
//! for data, choose server-sent events.

use crate::proto::Frame;
use crate::push::http::{Call, Endpoint, Form, GapForm, Rejection, StreamPlan, Technique};
use crate::push::model::{EncodeNote, Format, Note, SharedForm};
use crate::session::Reply;

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "multipart",
    title: "multipart",
    summary: "Each part of a response without end replaces the part before it, as the pictures of a camera do.",
    example: "multipart?after=earliest",
    endpoint: Some(Endpoint { path: "multipart", parameters: &["format", "control"], serve }),
    forms: &[
        Form { format: Format::Raw, content_type: "multipart/x-mixed-replace", messages: Some(SharedForm::Part), gap: GapForm::InBand },
        Form {
            format: Format::Json,
            content_type: "multipart/x-mixed-replace",
            messages: Some(SharedForm::JsonPart),
            gap: GapForm::InBand,
        },
    ],
    heartbeat: b"X-Heartbeat: 1\r\n",
};

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    call.serve_stream(reply, plan(call), call.after());
}

fn plan(call: &Call<'_>) -> Result<StreamPlan, Rejection> {
    let form = call.form()?;
    let boundary = call.hub.constants().boundary.clone();
    Ok(StreamPlan {
        form,
        wire_form: form.shared(),
        content_type: format!("{}; boundary={boundary}", form.content_type).into(),
        preface: |call, _| format!("--{}\r\n", call.hub.constants().boundary).into_bytes(),
        encode_note: EncodeNote::of_request(move |note| {
            let (json, after) = (note.json(), note_end(note));
            let field = note_field(note);
            let head = format!("Content-Type: application/json\r\n{field}: 1\r\nContent-Length: {}\r\n\r\n", json.len());
            Some(Frame::chunk(format!("{head}{json}\r\n--{boundary}{after}\r\n").as_bytes()))
        }),
        limit_bytes: None,
    })
}

/// The field that tells a note from a message.
const fn note_field(note: Note<'_>) -> &'static str {
    match note {
        Note::Gap(_) | Note::GapOf(..) => "X-Gap",
        Note::End(_) => "X-End",
        Note::Secret(_) | Note::Joined(..) | Note::Left(..) => "X-Control",
    }
}

/// The end of the boundary behind a note. No part follows the last word (RFC 2046, section 5.1.1).
const fn note_end(note: Note<'_>) -> &'static str {
    match note {
        Note::End(_) => "--",
        Note::Gap(_) | Note::GapOf(..) | Note::Secret(_) | Note::Joined(..) | Note::Left(..) => "",
    }
}
