//! The result of a publish.
//!
//! Owns the result of a success, the errors with their HTTP statuses, and the wait for a result that
//! comes later. Leaves publishing to `state` and to `outside`.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

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
    /// As many messages wait for the log outside the process as
    /// [`SharedLog::spool_messages`](crate::push::SharedLog::spool_messages) and
    /// [`spool_bytes`](crate::push::SharedLog::spool_bytes) allow. The message was not published.
    SpoolFull,
    /// The log outside the process was away for
    /// [`SharedLog::publish_timeout`](crate::push::SharedLog::publish_timeout). The message was not
    /// published.
    LogAway,
    /// The message was sent to the log outside the process, and did not come back within
    /// [`SharedLog::publish_timeout`](crate::push::SharedLog::publish_timeout). Nobody knows whether
    /// the log has the message. It may be published later.
    NotConfirmed,
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
            Self::SpoolFull => f.write_str("too many messages wait for the log; this one was not published"),
            Self::LogAway => f.write_str("the log is away; the message was not published"),
            Self::NotConfirmed => f.write_str("the log has not confirmed the message in time; it may still be published"),
        }
    }
}

impl std::error::Error for PublishError {}

impl PublishError {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::BadTopic(_) | Self::BadEvent => 400,
            Self::TooLarge => 413,
            Self::TooManyTopics | Self::SpoolFull | Self::LogAway | Self::NotConfirmed => 503,
        }
    }

    /// After how many seconds it makes sense to try again.
    pub(crate) const fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::SpoolFull | Self::LogAway | Self::NotConfirmed => Some(RETRY_AFTER),
            _ => None,
        }
    }
}

/// The seconds of `Retry-After` while a log outside the process is away or behind (RFC 9110, section
/// 10.2.3). A broker that starts again needs 5 to 10 s, and one that is behind some milliseconds.
const RETRY_AFTER: &str = "2";

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

type Outcome = Result<Published, PublishError>;

/// The result of a publish, now or later.
#[must_use = "the result may be an error"]
pub(crate) enum Publishing {
    Done(Outcome),
    Waiting(Arc<Slot>),
}

/// Where a result that comes later meets what waits for it.
#[derive(Default)]
pub(crate) struct Slot {
    state: Mutex<SlotState>,
    told: Condvar,
}

#[derive(Default)]
enum SlotState {
    #[default]
    Empty,
    Told(Outcome),
    Call(Box<dyn FnOnce(Outcome) + Send>),
    Done,
}

/// Tells the result. If it is dropped without one, the message counts as not confirmed.
struct Teller(Option<Arc<Slot>>);

impl Publishing {
    /// A result that comes later, and the function that tells it.
    pub(super) fn waiting() -> (Self, Box<dyn FnOnce(Outcome) + Send>) {
        let slot = Arc::<Slot>::default();
        let mut teller = Teller(Some(Arc::clone(&slot)));
        (Self::Waiting(slot), Box::new(move |outcome| teller.tell(outcome)))
    }

    /// Waits for the result.
    pub(crate) fn wait(self) -> Outcome {
        let slot = match self {
            Self::Done(outcome) => return outcome,
            Self::Waiting(slot) => slot,
        };
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let SlotState::Told(outcome) = *state {
                return outcome;
            }
            state = slot.told.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives the result to `done`: now, or on another thread.
    pub(crate) fn then(self, done: impl FnOnce(Outcome) + Send + 'static) {
        let slot = match self {
            Self::Done(outcome) => return done(outcome),
            Self::Waiting(slot) => slot,
        };
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let SlotState::Told(outcome) = *state {
            drop(state);
            return done(outcome);
        }
        *state = SlotState::Call(Box::new(done));
    }
}

impl Teller {
    fn tell(&mut self, outcome: Outcome) {
        let Some(slot) = self.0.take() else { return };
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let SlotState::Call(done) = std::mem::replace(&mut *state, SlotState::Told(outcome)) {
            *state = SlotState::Done;
            drop(state);
            return done(outcome);
        }
        drop(state);
        slot.told.notify_all();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.tell(Err(PublishError::NotConfirmed));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_result_reaches_what_waits_for_it_in_every_order() {
        let away = Err(PublishError::LogAway);
        let (results, told) = mpsc::channel();
        let then = |publishing: Publishing| {
            let results = results.clone();
            publishing.then(move |outcome| results.send(outcome).expect("the test receives"));
        };
        then(Publishing::Done(away));
        let (publishing, tell) = Publishing::waiting();
        tell(away);
        then(publishing);
        let (publishing, tell) = Publishing::waiting();
        then(publishing);
        tell(away);
        let (publishing, tell) = Publishing::waiting();
        then(publishing);
        drop(tell);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [away, away, away, Err(PublishError::NotConfirmed)]);
    }

    #[test]
    fn a_thread_waits_for_the_result() {
        let (publishing, tell) = Publishing::waiting();
        let waits = thread::spawn(|| publishing.wait());
        tell(Err(PublishError::LogAway));
        assert_eq!(waits.join().expect("the thread does not panic"), Err(PublishError::LogAway));
        let (publishing, tell) = Publishing::waiting();
        drop(tell);
        assert_eq!(publishing.wait(), Err(PublishError::NotConfirmed));
    }
}
