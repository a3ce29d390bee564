//! How a subscription stands, and why one is refused or ends.
//!
//! Owns the status of a subscription, the error of a refusal, and the last words for both. Leaves the
//! form of a last word to the techniques.

use std::fmt;

use super::publish::PublishError;
use crate::push::model::{access_changed, gone, log_unavailable, try_again};
use crate::session::LastWord;

/// The status of a subscription after a step. [`Subscription`](crate::push::Subscription) has an
/// example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// The client has to read before more messages can be sent.
    Behind,
    /// The connection is subscribed, and the hub delivers each new message to it.
    Subscribed,
    /// The history has dropped messages that the client has not received, and the encoding cannot
    /// express a gap. The connection must end.
    MessagesGone,
    /// The hub already has [`HubConfig::topics`](crate::push::HubConfig::topics) topics, and all of
    /// them have subscribers. The connection must end.
    TooManyTopics,
    /// The hub follows a log outside the process. It has not reached the cursor of the client in
    /// time, or cannot read messages that the log alone has. The connection must end, and the
    /// client comes back with its cursor.
    LogUnavailable,
    /// [`Hub::revoke`](crate::push::Hub::revoke) has withdrawn access from some clients since this
    /// one was checked. The connection must end. The client comes back with its cursor, and is
    /// checked again.
    AccessChanged,
}

impl SubscriptionStatus {
    /// The last word of a connection that must end. `None` for one that goes on.
    ///
    /// ```
    /// use pushlab::push::SubscriptionStatus;
    /// let word = SubscriptionStatus::MessagesGone.last_word().expect("the connection must end");
    /// assert_eq!((word.code(), word.sentence()), (4410, "messages are missing"));
    /// assert_eq!(SubscriptionStatus::Subscribed.last_word(), None);
    /// ```
    pub fn last_word(self) -> Option<LastWord> {
        match self {
            Self::Behind | Self::Subscribed => None,
            Self::MessagesGone => Some(gone()),
            Self::TooManyTopics => Some(SubscribeError::TooManyTopics.last_word()),
            Self::LogUnavailable => Some(log_unavailable("this server is behind the log: come back with your cursor")),
            Self::AccessChanged => Some(access_changed()),
        }
    }
}

/// Why a subscription was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The hub already has [`HubConfig::topics`](crate::push::HubConfig::topics) topics, and all of
    /// them have subscribers.
    TooManyTopics,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PublishError::from(*self).fmt(f)
    }
}

impl std::error::Error for SubscribeError {}

impl SubscribeError {
    /// The last word of a connection that is refused or ends for this reason.
    pub fn last_word(self) -> LastWord {
        try_again(self.to_string())
    }
}

impl From<SubscribeError> for PublishError {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::TooManyTopics => Self::TooManyTopics,
        }
    }
}
