//! JSONP: a script element loads the answer to a poll as a call of the page's own function.
//!
//! On the wire: `/**/f({...});` as JavaScript, for short and for long polls. Costs a script element for each answer, and trust: the page runs
//! whatever the server says. Choose it for browsers without CORS; `WeChat`'s web login polled like this for years.
//!
//! The empty comment keeps the answer from beginning with bytes that the caller chose, which a plug-in might take for a file of its own (the
//! Rosetta Flash attack, 2014); `nosniff` and the callback's few characters do the rest.

use crate::push::http::{Call, Rejection};
use crate::push::model::{Format, PollForm};

/// How a poll is to be answered.
pub(super) fn poll_form(call: &Call<'_>) -> Result<PollForm, Rejection> {
    let format = call.format(Format::Json)?;
    if format == Format::Raw && call.callback.is_some() {
        return Err(Rejection::bad_request("`format` must be json with a callback: a bare payload is no script"));
    }
    Ok(PollForm { format, callback: call.callback.clone(), fields: call.fields.clone() })
}
