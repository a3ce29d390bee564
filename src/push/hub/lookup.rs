//! Reads that must wait for a log outside the process.
//!
//! Owns the wait for a cursor that this hub has not reached, and the read of messages that are gone
//! from memory. Leaves the messages in memory to `log`, and what the client gets to the callers.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::hub::Hub;
use super::outside::Outside;
use crate::push::log::{Found, LogError, Marks, Record};
use crate::push::model::{Cursor, Id, Replay, TopicMessage, Topics, log_unavailable};
use crate::session::LastWord;

/// Records before the cursor that a read looks at first. A record that was appended twice within
/// them is recognized.
const RECORDS_BEFORE: u64 = 256;
/// How often a read begins again at an earlier position.
const READS_MAX: usize = 4;
/// How long one call of a reader waits.
const WAIT: Duration = Duration::from_millis(100);

/// What a hub has found for a cursor.
pub(crate) enum Search {
    Here(Replay),
    Later(Lookup),
}

impl Search {
    /// The id from which the client gets all messages, as far as is known now, and whether messages
    /// before it may be missing.
    pub(crate) const fn begin(&self) -> (Id, bool) {
        match self {
            Self::Here(replay) => (replay.from, replay.gap),
            Self::Later(lookup) => (lookup.cursor(), false),
        }
    }
}

/// A read that must wait.
#[must_use = "the client waits for it"]
pub(crate) struct Lookup {
    hub: Hub,
    topics: Topics,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Ahead(Id),
    Older { after: Id, until: u64 },
}

/// Why a read found nothing in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// This hub has not reached the cursor.
    Behind,
    /// The log cannot be read now.
    Unreadable,
}

impl LookupError {
    /// The last word of a request that waits in vain.
    pub(crate) fn last_word(self) -> LastWord {
        log_unavailable(self.to_string())
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Behind => "this server has not received the message of the cursor yet; try again with the same cursor",
            Self::Unreadable => "messages behind the cursor are in the log, which cannot be read now; try again with the same cursor",
        })
    }
}

/// What takes the result of a read.
type OnFound = Box<dyn FnOnce(Result<Replay, LookupError>) + Send>;

impl Hub {
    /// The messages after a cursor, up to
    /// [`HubConfig::replay_bytes`](super::HubConfig::replay_bytes).
    pub(crate) fn search(&self, topics: &Topics, cursor: Cursor) -> Search {
        let reading = self.reading(cursor);
        let found = self.lock().replay(topics, &reading);
        self.search_of(topics, found)
    }

    pub(super) fn search_of(&self, topics: &Topics, found: Found) -> Search {
        let kind = match found {
            Found::Here(replay) => return Search::Here(replay),
            Found::Ahead(id) => Kind::Ahead(id),
            Found::Older { after, until } => Kind::Older { after, until },
        };
        Search::Later(Lookup { hub: self.clone(), topics: topics.clone(), kind })
    }
}

impl Lookup {
    /// The cursor.
    pub(crate) const fn cursor(&self) -> Id {
        match self.kind {
            Kind::Ahead(id) => id,
            Kind::Older { after, .. } => after,
        }
    }

    /// Gives the result to `done`, on another thread or at once.
    pub(crate) fn then(self, done: impl FnOnce(Result<Replay, LookupError>) + Send + 'static) {
        self.begin(Box::new(done));
    }

    fn begin(self, done: OnFound) {
        match self.kind {
            Kind::Ahead(id) => self.wait_for(id, done),
            Kind::Older { after, until } => self.read_log(after, until, done),
        }
    }

    fn wait_for(self, id: Id, done: OnFound) {
        let Self { hub, topics, .. } = self;
        let Some(outside) = hub.outside() else { return done(Err(LookupError::Behind)) };
        let began = hub.config().clock.now();
        let mut state = hub.lock();
        if state.log.last() >= id || state.log.epoch() != id.epoch {
            drop(state);
            return again(&hub, &topics, id, done);
        }
        if state.replica.waiting.len() >= outside.shared_log.lag_requests {
            drop(state);
            return done(Err(LookupError::Behind));
        }
        // The waiting request is in the hub's own state, and must not keep the hub alive.
        let weak = hub.downgrade();
        let call = move |is_reached: bool| match weak.upgrade() {
            Some(hub) if is_reached => again(&hub, &topics, id, done),
            Some(hub) => Self { hub, topics, kind: Kind::Ahead(id) }.check_end(id, began, done),
            None => done(Err(LookupError::Behind)),
        };
        state.replica.waiting.add(id.sequence, began + outside.shared_log.lag_timeout, Box::new(call));
    }

    /// The hub has not reached the cursor in time. If the log itself ends before the cursor, the
    /// hub is not behind: the log has lost the message, or the client has made up its cursor. The
    /// client is told of a gap then, as it would wait forever.
    fn check_end(self, id: Id, began: Instant, done: OnFound) {
        let Self { hub, topics, .. } = self;
        let (weak, hub) = (hub.downgrade(), hub);
        hub.queue_read(done, move |done| {
            let Some(hub) = weak.upgrade() else { return done(Err(LookupError::Behind)) };
            let end = hub.outside().and_then(|outside| outside.end_since(began, hub.config().clock.now()));
            if end.is_some_and(|end| end < id.sequence) && hub.last() < id {
                done(Ok(hub.replay(&topics, Cursor::After(id))));
            } else {
                done(Err(LookupError::Behind));
            }
        });
    }

    fn read_log(self, after: Id, until: u64, done: OnFound) {
        let Self { hub, topics, .. } = self;
        let (weak, hub) = (hub.downgrade(), hub);
        if let Some(outside) = hub.outside() {
            outside.note(|stats| stats.reads += 1);
        }
        hub.queue_read(done, move |done| {
            let Some(hub) = weak.upgrade() else { return done(Err(LookupError::Unreadable)) };
            let is_same_epoch = hub.lock().log.epoch() == after.epoch;
            if is_same_epoch { done(hub.read_older(&topics, after, until)) } else { again(&hub, &topics, after, done) }
        });
    }
}

impl Hub {
    /// Lets the thread for reads call `read`, after those that wait already.
    fn queue_read(&self, done: OnFound, read: impl FnOnce(OnFound) + Send + 'static) {
        let Some(outside) = self.outside() else { return done(Err(LookupError::Unreadable)) };
        let mut reads = outside.reads.lock().unwrap_or_else(PoisonError::into_inner);
        if reads.waiting.len() >= outside.shared_log.reads {
            drop(reads);
            return done(Err(LookupError::Unreadable));
        }
        reads.waiting.push_back(Box::new(move |can_read| if can_read { read(done) } else { done(Err(LookupError::Unreadable)) }));
        let starts = outside.shared_log.threads && !std::mem::replace(&mut reads.is_running, true);
        drop(reads);
        if starts {
            let run = Arc::clone(outside);
            let started = thread::Builder::new().name("pushlab-log-read".to_owned()).spawn(move || while run.read_one() {});
            if started.is_err() {
                // The system has no thread left.
                let mut reads = outside.reads.lock().unwrap_or_else(PoisonError::into_inner);
                reads.is_running = false;
                let refused = std::mem::take(&mut reads.waiting);
                drop(reads);
                for read in refused {
                    read(false);
                }
            }
        }
    }
}

/// Looks again, now that the hub has moved.
fn again(hub: &Hub, topics: &Topics, id: Id, done: OnFound) {
    match hub.search(topics, Cursor::After(id)) {
        Search::Here(replay) => done(Ok(replay)),
        Search::Later(lookup) => lookup.begin(done),
    }
}

impl Outside {
    /// Carries out the next read. Returns whether there was one.
    pub(super) fn read_one(&self) -> bool {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let next = reads.waiting.pop_front();
        reads.is_running = next.is_some();
        drop(reads);
        next.map(|read| read(true)).is_some()
    }

    /// The sequence number of the last record, as the log has told since this time.
    fn end_since(&self, began: Instant, now: Instant) -> Option<u64> {
        let known = self.reads.lock().unwrap_or_else(PoisonError::into_inner).end;
        if let Some((asked, end)) = known
            && asked >= began
        {
            return Some(end);
        }
        let connection = self.connection()?;
        let end = self.shared_log.log.connect().and_then(|mut session| session.end()).ok()?;
        if self.connection() != Some(connection) {
            return None;
        }
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).end = Some((now, end));
        Some(end)
    }
}

impl Hub {
    /// Reads messages from the log that are gone from memory: those after a cursor, up to a
    /// sequence number or to the limit of a piece.
    fn read_older(&self, topics: &Topics, after: Id, until: u64) -> Result<Replay, LookupError> {
        let outside = self.outside().ok_or(LookupError::Unreadable)?;
        let connection = outside.connection();
        let replay = self.read_from(outside, topics, after, until).map_err(|error| {
            log::warn!("older messages cannot be read: {error}");
            LookupError::Unreadable
        })?;
        // If the hub has lost its connection meanwhile, the log may have another epoch now, in
        // which the same positions have other messages.
        if connection.is_none() || outside.connection() != connection { Err(LookupError::Unreadable) } else { Ok(replay) }
    }

    fn read_from(&self, outside: &Outside, topics: &Topics, after: Id, until: u64) -> Result<Replay, LogError> {
        let mut first = after.sequence.saturating_sub(RECORDS_BEFORE);
        // A record that may be in the log a second time, before `first`, needs an earlier `first`.
        for _ in 0..READS_MAX {
            match self.read_since(outside, topics, after, until, first)? {
                Ok(replay) => return Ok(replay),
                Err(earlier) => first = earlier,
            }
        }
        Err(LogError::new("its records are repeated too often"))
    }

    /// Reads from a position on. Returns an earlier position if it does not reach.
    fn read_since(&self, outside: &Outside, topics: &Topics, after: Id, until: u64, first: u64) -> Result<Result<Replay, u64>, LogError> {
        let mut reader = outside.shared_log.log.connect()?.follow(first)?.reader;
        let id = |sequence| Id { epoch: after.epoch, sequence };
        let mut replay = Replay::nothing_after(after);
        let (mut marks, mut bytes, mut next_position, mut certain_from) = (Marks::default(), 0, first, first);
        let mut waits = outside.shared_log.lag_timeout.as_millis() / WAIT.as_millis();
        loop {
            let Some(entry) = reader.next(WAIT)? else {
                waits = waits.checked_sub(1).ok_or_else(|| LogError::new("the log has not returned them in time"))?;
                continue;
            };
            let sequence = entry.position + 1;
            if entry.position > next_position {
                // The log has lost the positions from `next_position` on.
                certain_from = entry.position;
                if entry.position > after.sequence {
                    replay.begin_behind(id(entry.position.min(until)));
                }
            }
            next_position = sequence;
            if sequence > until {
                replay.last = id(until);
                break;
            }
            replay.last = replay.last.max(id(sequence));
            if let Some(record) = entry.record
                && (record.origin == Record::NO_ORIGIN || marks.note(record.origin, record.number))
                && sequence > after.sequence
            {
                let is_certain = record.origin == Record::NO_ORIGIN || record.after >= certain_from;
                if !is_certain && certain_from == first {
                    return Ok(Err(record.after));
                }
                if !is_certain {
                    replay.begin_behind(id(sequence));
                } else if let Some(message) = self.older_message(topics, record, id(sequence)) {
                    bytes += message.bytes().len().max(1);
                    replay.messages.push(message);
                }
            }
            if sequence == until || bytes >= self.config().replay_bytes {
                break;
            }
        }
        Ok(Ok(replay))
    }

    fn older_message(&self, topics: &Topics, record: Record, id: Id) -> Option<Arc<TopicMessage>> {
        let topic = topics.shared_names().iter().find(|name| ***name == *record.topic)?;
        Some(Arc::new(TopicMessage::new(id, Arc::clone(topic), record.payload, self.config().clock.now())))
    }
}
