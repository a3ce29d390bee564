//! The result of a publish.
//!
//! Owns the result of a success, and the errors with their HTTP statuses. Leaves publishing to
//! `state`.

use std::fmt;

use crate::push::model::{BadTopic, Id};

/// Why a payload was not published.
///
/// ```
/// use pushlab::push::{BadTopic, Hub, Payload, PublishError};
/// let hub = Hub::default();
/// assert_eq!(hub.publish("a b", Payload::text("x")), Err(PublishError::BadTopic(BadTopic::Name)));
/// assert_eq!(hub.publish("a", Payload::text("x").event("gap")), Err(PublishError::BadEvent));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic's name is not a valid topic name.
    BadTopic(BadTopic),
    /// The event's name does not have 1 to 64 characters of letters, digits, `_`, `.` and `-`, or
    /// the name is `gap`.
    BadEvent,
    /// The payload is larger than [`HubConfig::payload_bytes`](crate::push::HubConfig::payload_bytes).
    TooLarge,
    /// The hub already has [`HubConfig::topics`](crate::push::HubConfig::topics) topics, and all of
    /// them have subscribers.
    TooManyTopics,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadTopic(error) => error.fmt(f),
            Self::BadEvent => {
                f.write_str("an event's name must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`, and `gap` is the hub's own")
            }
            Self::TooLarge => f.write_str("the payload is larger than this hub takes"),
            Self::TooManyTopics => f.write_str("there are as many topics as this hub takes, and all have subscribers"),
        }
    }
}

impl std::error::Error for PublishError {}

impl PublishError {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::BadTopic(_) | Self::BadEvent => 400,
            Self::TooLarge => 413,
            Self::TooManyTopics => 503,
        }
    }
}

/// The result of publishing a payload.
///
/// ```
/// use pushlab::push::{Hub, Payload};
/// let hub = Hub::default();
/// let published = hub.publish("news", Payload::text("x"))?;
/// assert_eq!((published.id, published.subscribers), (hub.last(), 0));
/// # Ok::<(), pushlab::push::PublishError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The message's id.
    pub id: Id,
    /// Streams, `WebSocket`s and held requests to which the message was delivered.
    pub subscribers: u64,
}
