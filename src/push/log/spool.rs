//! The messages that wait for the log.
//!
//! Owns the messages that this hub has published and the log has not confirmed, with their bounds
//! and deadlines. Leaves sending them and the clock to `hub`.
//!
//! ```text
//!   published --> waits --> sent --> confirmed: the record has come back
//!                   ^         |
//!                   +---------+ the connection has broken, so nobody knows
//!   both: --- the deadline --> given up
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::record::Record;
use crate::push::model::Payload;

/// What becomes of a message. It is called once, without a lock.
pub(crate) type OnOutcome<T> = Box<dyn FnOnce(T) + Send>;

/// The messages that wait for the log. `T` is the type of the outcome.
pub(crate) struct Spool<T> {
    origin: u64,
    /// The number of the last message that was added.
    last: u64,
    waiting: VecDeque<Waiting<T>>,
    bytes: usize,
    /// The messages up to this number were sent on the current connection.
    sent_to: u64,
    bounds: SpoolBounds,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SpoolBounds {
    pub(crate) messages: usize,
    /// Bytes of payload.
    pub(crate) bytes: usize,
}

struct Waiting<T> {
    record: Arc<Record>,
    deadline: Instant,
    /// The message was sent on some connection, so the log may have it.
    was_sent: bool,
    on_outcome: Option<OnOutcome<T>>,
}

/// A message whose deadline has passed.
pub(crate) struct GivenUp<T> {
    /// The log may have the message.
    pub(crate) was_sent: bool,
    pub(crate) on_outcome: Option<OnOutcome<T>>,
}

/// A spool has as many messages or bytes as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpoolFull;

impl<T> Spool<T> {
    pub(crate) const fn new(origin: u64, bounds: SpoolBounds) -> Self {
        Self { origin, last: 0, waiting: VecDeque::new(), bytes: 0, sent_to: 0, bounds }
    }

    /// Adds a message, with the sequence number that this hub has reached and the Unix time. A message
    /// that is larger than the bound of bytes is taken if it is alone.
    pub(crate) fn add(
        &mut self,
        topic: Arc<str>,
        payload: Payload,
        (after, sent_ms): (u64, u64),
        deadline: Instant,
        on_outcome: Option<OnOutcome<T>>,
    ) -> Result<(), SpoolFull> {
        let bytes = payload.bytes().len();
        let is_full = self.waiting.len() >= self.bounds.messages || self.bytes + bytes > self.bounds.bytes;
        if is_full && !(self.waiting.is_empty() && self.bounds.messages > 0) {
            return Err(SpoolFull);
        }
        self.last += 1;
        self.bytes += bytes;
        let record = Arc::new(Record { origin: self.origin, number: self.last, after, sent_ms, topic, payload });
        self.waiting.push_back(Waiting { record, deadline, was_sent: false, on_outcome });
        Ok(())
    }

    /// The next message to send on the current connection. It counts as sent from now on.
    pub(crate) fn next_to_send(&mut self) -> Option<Arc<Record>> {
        let at = self.waiting.partition_point(|waiting| waiting.record.number <= self.sent_to);
        let waiting = self.waiting.get_mut(at)?;
        waiting.was_sent = true;
        self.sent_to = waiting.record.number;
        Some(Arc::clone(&waiting.record))
    }

    pub(crate) fn has_to_send(&self) -> bool {
        self.waiting.back().is_some_and(|waiting| waiting.record.number > self.sent_to)
    }

    /// A new connection begins: all messages have to be sent on it, those that were sent before
    /// too, because nobody knows whether the log has them. The order stays.
    pub(crate) const fn begin_again(&mut self) {
        self.sent_to = 0;
    }

    /// The log has another epoch, which this hub reads from `first` on. Its positions up to there may
    /// have a message that waits.
    pub(crate) fn begin_epoch(&mut self, first: u64) {
        for waiting in &mut self.waiting {
            if waiting.record.after > first {
                waiting.record = Arc::new(Record { after: first, ..(*waiting.record).clone() });
            }
        }
    }

    /// A record of this hub has come back. Returns what waits for it; `None` if the record is not
    /// of this hub, or if it was given up.
    pub(crate) fn confirm(&mut self, origin: u64, number: u64) -> Option<OnOutcome<T>> {
        if origin != self.origin {
            return None;
        }
        let at = self.waiting.binary_search_by_key(&number, |waiting| waiting.record.number).ok()?;
        let confirmed = self.waiting.remove(at)?;
        self.bytes -= confirmed.record.payload.bytes().len();
        confirmed.on_outcome
    }

    /// Gives up the messages whose deadline has passed. Deadlines are in the order of the messages.
    pub(crate) fn give_up(&mut self, now: Instant) -> Vec<GivenUp<T>> {
        let mut given_up = Vec::new();
        while self.waiting.front().is_some_and(|first| first.deadline <= now)
            && let Some(first) = self.waiting.pop_front()
        {
            self.bytes -= first.record.payload.bytes().len();
            given_up.push(GivenUp { was_sent: first.was_sent, on_outcome: first.on_outcome });
        }
        given_up
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes of payload.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const BOUNDS: SpoolBounds = SpoolBounds { messages: 3, bytes: 10 };

    fn add(spool: &mut Spool<u8>, text: &str, deadline: Instant) -> Result<(), SpoolFull> {
        spool.add("a".into(), Payload::text(text), (0, 0), deadline, None)
    }

    #[test]
    fn the_bounds_hold_and_one_large_message_fits() {
        let now = Instant::now();
        let mut spool = Spool::new(7, BOUNDS);
        assert_eq!(add(&mut spool, "eleven bytes", now), Ok(()), "it is alone");
        assert_eq!(add(&mut spool, "", now), Err(SpoolFull), "the bytes are over");
        assert!(spool.confirm(7, 1).is_none());
        assert_eq!([5, 5, 0, 0].map(|len| add(&mut spool, &"x".repeat(len), now)), [Ok(()), Ok(()), Ok(()), Err(SpoolFull)]);
        assert_eq!((spool.len(), spool.bytes()), (3, 10));
        spool.confirm(7, 4);
        assert_eq!(add(&mut spool, "x", now), Err(SpoolFull), "one byte past the bound");
        assert_eq!(add(&mut spool, "", now), Ok(()));
    }

    #[test]
    fn a_new_connection_sends_everything_again_in_order() {
        let now = Instant::now();
        let mut spool = Spool::<u8>::new(7, BOUNDS);
        for text in ["1", "2", "3"] {
            add(&mut spool, text, now).expect("there is room");
        }
        let sent = |spool: &mut Spool<u8>| spool.next_to_send().map(|record| record.number);
        assert_eq!([sent(&mut spool), sent(&mut spool)], [Some(1), Some(2)]);
        spool.confirm(7, 1);
        spool.begin_again();
        assert!(spool.has_to_send());
        assert_eq!([sent(&mut spool), sent(&mut spool), sent(&mut spool)], [Some(2), Some(3), None]);
        assert!(!spool.has_to_send());
    }

    #[test]
    fn a_message_is_confirmed_or_given_up_once() {
        let start = Instant::now();
        let mut spool = Spool::new(7, BOUNDS);
        let (outcomes, told) = mpsc::channel();
        for number in 1..=3_u8 {
            let outcomes = outcomes.clone();
            let deadline = start + Duration::from_secs(number.into());
            let tell = Box::new(move |what| outcomes.send((number, what)).expect("the test receives"));
            spool.add("a".into(), Payload::text(""), (0, 0), deadline, Some(tell)).expect("there is room");
        }
        assert_eq!(spool.next_to_send().map(|record| record.number), Some(1));
        assert!(spool.confirm(8, 2).is_none(), "another origin");
        spool.confirm(7, 2).expect("it waits")(20);
        assert!(spool.confirm(7, 2).is_none(), "it was confirmed");
        assert!(spool.give_up(start).is_empty());
        let given_up = spool.give_up(start + Duration::from_secs(3));
        assert_eq!(given_up.iter().map(|given_up| given_up.was_sent).collect::<Vec<_>>(), [true, false]);
        for given_up in given_up {
            given_up.on_outcome.expect("it waits")(9);
        }
        assert!(spool.confirm(7, 3).is_none(), "it was given up");
        assert_eq!((spool.len(), spool.bytes()), (0, 0));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [(2, 20), (1, 9), (3, 9)]);
    }
}
