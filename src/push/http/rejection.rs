//! A request that is refused.
//!
//! Owns the status, the sentence that explains it, and the answer. Leaves the reasons to the code
//! that refuses.

use std::fmt;

use crate::push::hub::{Hub, PublishError, SubscribeError};
use crate::push::model::AnswerFields;
use crate::session::{Reply, Response};

/// A refusal: the status, and a sentence for the person who reads the answer.
///
/// ```
/// use pushlab::push::Rejection;
/// let rejection = Rejection::new(404, "there is no such feed");
/// assert_eq!(rejection.to_string(), "there is no such feed");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub(crate) status: u16,
    pub(crate) sentence: String,
    /// A field that tells the client what to do.
    pub(super) field: Option<(&'static str, &'static str)>,
}

impl Rejection {
    /// A refusal with this status, which is 400 or higher.
    pub fn new(status: u16, sentence: impl Into<String>) -> Self {
        Self { status, sentence: sentence.into(), field: None }
    }

    /// The status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// A refusal with status 400.
    pub(crate) fn bad_request(sentence: impl Into<String>) -> Self {
        Self::new(400, sentence)
    }

    /// Sends the answer, and counts the refusal.
    pub(crate) fn send(&self, hub: &Hub, reply: Reply<'_>, fields: &AnswerFields) {
        hub.count_refused(self.status);
        reply.send(self.response(fields));
    }

    /// The answer.
    pub(crate) fn response(&self, fields: &AnswerFields) -> Response {
        let response = Response::text(format!("{}\n", self.sentence)).with_status(self.status);
        let response = match self.field {
            Some((name, value)) => response.field(name, value),
            None => response,
        };
        fields.apply(response)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Rejection {}

impl From<SubscribeError> for Rejection {
    fn from(error: SubscribeError) -> Self {
        PublishError::from(error).into()
    }
}

impl From<PublishError> for Rejection {
    fn from(error: PublishError) -> Self {
        Self { status: error.status(), sentence: error.to_string(), field: error.retry_after().map(|seconds| ("Retry-After", seconds)) }
    }
}
