//! Why a frame is refused.
//!
//! Owns the sentence for the ERROR frame and the code with which the WebSocket closes after it.

use std::borrow::Cow;

use crate::proto::stomp::StompError;
use crate::push::hub::PublishError;
use crate::session::LastWord;

/// The close code of a broken protocol rule (RFC 6455, section 7.4.1).
const PROTOCOL_ERROR: u16 = 1_002;
/// The close code of what the application does not allow.
const POLICY: u16 = 1_008;
/// The close code of what is too large.
const TOO_LARGE: u16 = 1_009;
/// The close code of a server without room for more: "try again later" (IANA).
const TRY_AGAIN: u16 = 1_013;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) sentence: Cow<'static, str>,
    pub(super) close_code: u16,
}

impl Refusal {
    /// The client broke a rule of STOMP.
    pub(super) fn protocol(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { sentence: sentence.into(), close_code: PROTOCOL_ERROR }
    }

    /// The application does not allow it.
    pub(super) fn policy(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { sentence: sentence.into(), close_code: POLICY }
    }

    /// A bound of this server is reached. Later, there may be room.
    pub(super) fn full(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { sentence: sentence.into(), close_code: TRY_AGAIN }
    }
}

impl Refusal {
    /// The last word of the connection.
    pub(super) fn last_word(&self) -> LastWord {
        LastWord::new(self.close_code, self.sentence.clone())
    }
}

impl From<LastWord> for Refusal {
    fn from(word: LastWord) -> Self {
        Self { sentence: word.sentence().to_owned().into(), close_code: word.code() }
    }
}

impl From<StompError> for Refusal {
    fn from(error: StompError) -> Self {
        let close_code = if error == StompError::BodyTooLarge { TOO_LARGE } else { PROTOCOL_ERROR };
        Self { sentence: error.to_string().into(), close_code }
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        let close_code = match error {
            PublishError::TooLarge => TOO_LARGE,
            PublishError::TooManyTopics | PublishError::SpoolFull | PublishError::LogAway | PublishError::NotConfirmed => TRY_AGAIN,
            _ => POLICY,
        };
        Self { sentence: error.to_string().into(), close_code }
    }
}
