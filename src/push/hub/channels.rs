//! The control channels of a hub: which connection a client may change, and what it has to change.
//!
//! Owns the channels by client, their secrets and topics, and how long an ended channel is
//! remembered. Leaves subscribers and presence to `state`, and what a change does to `control`.
//!
//! ```text
//!  opened --> Stream --+-- the connection ends --> Ended -- grace time --> forgotten
//!             Poll ----+                             |
//!              ^                                     |
//!              +------ the next poll of the chain ---+
//! ```
//!
//! An ended channel is remembered for the grace time of presence, because a page that closes ends
//! its stream and sends its farewell at the same moment, and the end may arrive first.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::push::model::{Cursor, EncodeNote, Secret, Topics};
use crate::session::Pusher;

/// The counters of dropped messages of the topics that a connection has now.
pub(super) type Drops = Arc<Mutex<Vec<(Arc<str>, Arc<AtomicU64>)>>>;

/// What a client can change: one connection, or a chain of long polls.
pub(super) struct Channel {
    secret: Secret,
    /// Changes each time that the channel is opened, so that a late end does not end its successor.
    serial: u64,
    /// The topics that the client has, also those whose replay has not ended.
    pub(super) topics: Vec<Arc<str>>,
    /// When an ended channel is forgotten.
    forgotten_at: Option<Instant>,
    pub(super) carrier: Carrier,
}

/// What carries the messages of a channel.
pub(super) enum Carrier {
    Stream(Box<StreamCarrier>),
    /// A held long poll.
    Poll {
        /// The key of the subscriber.
        key: u64,
        /// The topics at which the client counts as online because of this poll.
        entered: Topics,
    },
    /// Nothing is open.
    Ended,
}

/// A stream or a WebSocket. Each topic whose replay has ended is a subscriber of its own, so that it
/// can be left alone.
pub(super) struct StreamCarrier {
    pub(super) pusher: Pusher,
    pub(super) encode_note: EncodeNote,
    /// The topics that are subscribed, with the keys of their subscribers.
    pub(super) live: Vec<(Arc<str>, u64)>,
    pub(super) pending: PendingChanges,
    /// Set while `pending` has something. The connection looks here without the hub's lock.
    pub(super) is_changed: Arc<AtomicBool>,
    pub(super) drops: Drops,
}

/// The changes that the connection has not taken. Those of `left` came before those of `joined`.
///
/// Each topic is in them at most once each, so that they are bounded by the topics of a connection,
/// however many requests come.
#[derive(Default)]
pub(super) struct PendingChanges {
    /// Topics whose replay the connection must give up.
    pub(super) left: Vec<Arc<str>>,
    /// What the connection must replay, and then subscribe to.
    pub(super) joined: Vec<PendingJoin>,
}

/// Topics that a client has joined.
pub(super) struct PendingJoin {
    pub(super) topics: Topics,
    pub(super) after: Cursor,
    /// How many times access was withdrawn before the access of the client to these topics was
    /// checked.
    pub(super) revocations: u64,
}

impl PendingChanges {
    /// Takes a topic out of those that the connection must replay. Returns whether it was there.
    pub(super) fn forget_join(&mut self, topic: &str) -> bool {
        let Some(at) = self.joined.iter().position(|join| join.topics.names().any(|name| name == topic)) else { return false };
        match self.joined[at].topics.without(|name| name == topic) {
            Some(rest) => self.joined[at].topics = rest,
            None => _ = self.joined.remove(at),
        }
        true
    }
}

impl StreamCarrier {
    /// Messages that are dropped from now on no longer count for these topics.
    pub(super) fn forget_drops(&self, names: &[Arc<str>]) {
        self.drops.lock().unwrap_or_else(PoisonError::into_inner).retain(|(name, _)| !names.contains(name));
    }
}

/// Why a client may not change a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// The client has no channel.
    NoChannel,
    /// The client has channels, and the secret is that of none of them.
    WrongSecret,
}

/// All channels of a hub.
#[derive(Default)]
pub(crate) struct Channels {
    by_client: HashMap<Arc<str>, Vec<Channel>>,
    /// The clients of the ended channels, by the time at which a channel is forgotten and its
    /// serial.
    ended: BTreeMap<(Instant, u64), Arc<str>>,
    last_serial: u64,
}

impl Channels {
    /// Adds a channel. Returns its serial.
    pub(super) fn add(&mut self, client: &Arc<str>, secret: Secret, topics: &Topics, carrier: Carrier) -> u64 {
        self.last_serial += 1;
        let channel = Channel::new(secret, self.last_serial, topics, carrier);
        self.by_client.entry(Arc::clone(client)).or_default().push(channel);
        self.last_serial
    }

    /// The channel of a client with this secret. All secrets of the client are compared, so that
    /// the time of the search does not tell which one is like the given one.
    pub(super) fn find(&mut self, client: &str, secret: &Secret) -> Result<&mut Channel, NotFound> {
        let channels = self.by_client.get_mut(client).ok_or(NotFound::NoChannel)?;
        let mut found = None;
        for (at, channel) in channels.iter().enumerate() {
            if channel.secret.matches(secret) {
                found = Some(at);
            }
        }
        found.map(|at| &mut channels[at]).ok_or(NotFound::WrongSecret)
    }

    /// The channel with this serial, if it was not ended or opened again since.
    pub(super) fn get(&mut self, client: &str, serial: u64) -> Option<&mut Channel> {
        self.by_client.get_mut(client)?.iter_mut().find(|channel| channel.serial == serial)
    }

    /// All channels, with their clients.
    pub(super) fn all(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Channel)> {
        self.by_client.iter_mut().flat_map(|(client, channels)| channels.iter_mut().map(move |channel| (client, channel)))
    }

    /// Opens a channel again, or for the first time, for the next poll of a chain. Returns its new
    /// serial.
    pub(super) fn reopen(&mut self, client: &Arc<str>, secret: Secret, topics: &Topics) -> u64 {
        let serial = self.last_serial + 1;
        let Ok(channel) = self.find(client, &secret) else { return self.add(client, secret, topics, Carrier::Ended) };
        let before = std::mem::replace(channel, Channel::new(secret, serial, topics, Carrier::Ended));
        if let Some(at) = before.forgotten_at {
            self.ended.remove(&(at, before.serial));
        }
        self.last_serial = serial;
        serial
    }

    /// Ends a channel, and remembers it until a time. Past `most` ended channels, those that ended
    /// first are forgotten. Returns what carried it.
    pub(super) fn end(&mut self, client: &Arc<str>, serial: u64, until: Instant, most: usize) -> Option<Carrier> {
        let channels = self.by_client.get_mut(client)?;
        let at = channels.iter().position(|channel| channel.serial == serial)?;
        let channel = &mut channels[at];
        let carrier = std::mem::replace(&mut channel.carrier, Carrier::Ended);
        if channel.topics.is_empty() {
            // Nothing is left to leave.
            self.remove(client, serial);
        } else if channel.forgotten_at.is_none() {
            channel.forgotten_at = Some(until);
            self.ended.insert((until, serial), Arc::clone(client));
            while self.ended.len() > most {
                self.forget_first();
            }
        }
        Some(carrier)
    }

    /// Forgets the ended channels whose time is over.
    pub(super) fn forget(&mut self, now: Instant) {
        while self.ended.first_key_value().is_some_and(|((at, _), _)| *at <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(((_, serial), client)) = self.ended.pop_first() {
            self.remove(&client, serial);
        }
    }

    fn remove(&mut self, client: &Arc<str>, serial: u64) {
        if let Some(channels) = self.by_client.get_mut(client) {
            for channel in channels.extract_if(.., |channel| channel.serial == serial) {
                if let Some(at) = channel.forgotten_at {
                    self.ended.remove(&(at, serial));
                }
            }
            if channels.is_empty() {
                self.by_client.remove(client);
            }
        }
    }
}

impl Channel {
    fn new(secret: Secret, serial: u64, topics: &Topics, carrier: Carrier) -> Self {
        Self { secret, serial, topics: topics.shared_names().to_vec(), forgotten_at: None, carrier }
    }

    pub(super) const fn serial(&self) -> u64 {
        self.serial
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MOST: usize = 3;

    fn secret(number: u8) -> Secret {
        Secret::new([number; 16])
    }

    fn topics(list: &str) -> Topics {
        Topics::parse(list, 9).expect("names")
    }

    fn poll() -> Carrier {
        Carrier::Poll { key: 1, entered: topics("a") }
    }

    #[track_caller]
    fn expect(channels: &mut Channels, client: &str, number: u8, expected: Result<u64, NotFound>) {
        assert_eq!(channels.find(client, &secret(number)).map(|channel| channel.serial()), expected, "{client} {number}");
    }

    #[test]
    fn a_secret_finds_one_channel_of_one_client() {
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let mut channels = Channels::default();
        expect(&mut channels, "one", 1, Err(NotFound::NoChannel));
        let serials = [(&one, 1), (&one, 2), (&two, 3)].map(|(client, number)| channels.add(client, secret(number), &topics("a"), poll()));
        expect(&mut channels, "one", 1, Ok(serials[0]));
        expect(&mut channels, "one", 2, Ok(serials[1]));
        expect(&mut channels, "one", 3, Err(NotFound::WrongSecret));
        expect(&mut channels, "two", 3, Ok(serials[2]));
        expect(&mut channels, "two", 1, Err(NotFound::WrongSecret));
    }

    #[test]
    fn an_ended_channel_is_remembered_for_a_time_and_can_be_opened_again() {
        let (start, client): (_, Arc<str>) = (Instant::now(), "one".into());
        let until = |seconds| start + Duration::from_secs(seconds);
        let mut channels = Channels::default();
        let serial = channels.add(&client, secret(1), &topics("a"), poll());
        assert!(matches!(channels.end(&client, serial, until(5), MOST), Some(Carrier::Poll { key: 1, .. })));
        expect(&mut channels, "one", 1, Ok(serial));
        let again = channels.reopen(&client, secret(1), &topics("b"));
        assert!(channels.get("one", serial).is_none() && again > serial);
        assert!(channels.end(&client, serial, until(5), MOST).is_none(), "a late end");
        channels.forget(until(5));
        expect(&mut channels, "one", 1, Ok(again));
        channels.end(&client, again, until(6), MOST);
        assert_eq!(channels.ended.len(), 1, "those that were opened again are not counted");
        channels.forget(until(5));
        expect(&mut channels, "one", 1, Ok(again));
        channels.forget(until(6));
        expect(&mut channels, "one", 1, Err(NotFound::NoChannel));
    }

    #[test]
    fn as_many_ended_channels_are_remembered_as_there_may_be() {
        let (start, client): (_, Arc<str>) = (Instant::now(), "one".into());
        let mut channels = Channels::default();
        for number in 1..=4 {
            let serial = channels.add(&client, secret(number), &topics("a"), poll());
            channels.end(&client, serial, start, MOST);
        }
        expect(&mut channels, "one", 1, Err(NotFound::WrongSecret));
        expect(&mut channels, "one", 2, Ok(2));
        // One without topics has nothing to leave, and is forgotten at once.
        let serial = channels.add(&client, secret(5), &topics("a"), poll());
        channels.get("one", serial).expect("it was added").topics.clear();
        channels.end(&client, serial, start, MOST);
        expect(&mut channels, "one", 5, Err(NotFound::WrongSecret));
        expect(&mut channels, "one", 2, Ok(2));
    }

    #[test]
    fn a_join_that_was_not_taken_is_forgotten() {
        let join = |list| PendingJoin { topics: topics(list), after: Cursor::New, revocations: 0 };
        let mut pending = PendingChanges { left: Vec::new(), joined: vec![join("a,b"), join("c")] };
        assert!(pending.forget_join("a") && !pending.forget_join("a") && pending.forget_join("c"));
        let left: Vec<_> = pending.joined.iter().map(|join| join.topics.to_string()).collect();
        assert_eq!(left, ["b"]);
        assert!(pending.forget_join("b") && pending.joined.is_empty());
    }
}
