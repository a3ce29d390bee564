//! JSONP: a script element loads the answer to a poll, and the answer calls a function of the page.
//! With a long poll, this is script-tag long polling.
//!
//! On the wire: `/**/f({...});` as JavaScript, for short and for long polls. The last word of a server
//! that ends a held poll on purpose calls the function, too, with status 200: a browser does not run a
//! script that has another status. Costs one script
//! element per answer, and trust: the page runs whatever the server sends. Choose it for browsers
//! without CORS. For years, `WeChat`'s web login used script-tag long polling.
//!
//! The answer begins with an empty comment. Without it the answer would begin with bytes that the
//! caller chose, and a plug-in could take them for a file of its own (the Rosetta Flash attack,
//! 2014). `nosniff` and the few characters that a callback may have protect against the same
//! attack.

use crate::push::http::{Call, Form, GapForm, Rejection, Technique};
use crate::push::model::{Format, PollForm};

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "jsonp",
    title: "JSONP and script-tag long polling",
    summary: "A script element loads the answer to a short or a long poll. The answer calls a function of the page.",
    example: "long-poll?after=earliest&callback=f",
    endpoint: None,
    forms: &[Form { format: Format::Json, content_type: "application/javascript; charset=utf-8", messages: None, gap: GapForm::InBand }],
    heartbeat: b"",
};
/// The form in which a poll is answered.
pub(super) fn poll_form(call: &Call<'_>) -> Result<PollForm, Rejection> {
    let format = call.form()?.format;
    if format == Format::Raw && call.callback.is_some() {
        return Err(Rejection::bad_request("`format` must be json with a callback: a bare payload is no script"));
    }
    Ok(PollForm { format, callback: call.callback.clone(), fields: call.fields.clone() })
}

/// The name under which a poll counts: that of JSONP for a poll with a callback, else that of
/// `technique`.
pub(super) const fn counted_as(call: &Call<'_>, technique: &Technique) -> &'static str {
    if call.callback.is_some() { TECHNIQUE.name } else { technique.name }
}
