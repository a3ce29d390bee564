//! A log with faults.
//!
//! Owns the log: it delays, repeats, refuses, and loses its first records, its last records or all of
//! them. Leaves what happens when to `mod`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::push::log::{Entry, EpochProposal, Following, Log, LogError, LogReader, LogSession, LogWriter, Record};

/// Xorshift (Marsaglia 2003).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

#[derive(Clone)]
pub(super) enum Kept {
    Message(Record),
    Epoch(u64),
    /// Something that is not of a hub.
    Foreign,
}

/// The log that all hubs share.
pub(super) struct Broker {
    pub(super) random: Random,
    /// What is kept.
    pub(super) entries: Vec<Kept>,
    /// The position of the first record that is kept.
    pub(super) trimmed_to: u64,
    pub(super) epoch: Option<u64>,
    pub(super) is_up: bool,
    /// The number of the last connection. A crash makes all earlier ones invalid.
    pub(super) connections: u64,
    pub(super) crashed_at: u64,
    /// What connections have sent, and the log does not have yet.
    pub(super) on_the_way: Vec<Record>,
    pub(super) has_faults: bool,
    /// The highest number of records that a connection has returned from the current records.
    pub(super) returned: u64,
    /// The epochs in which the log has lost records that it had returned, and gives their positions
    /// to others. Until a hub notices and changes the epoch, an id may mean two messages.
    pub(super) broken_epochs: HashSet<u64>,
}

impl Broker {
    fn fails(&mut self, one_in: u64) -> bool {
        self.has_faults && self.random.below(one_in) == 0
    }

    fn check(&self, connection: u64) -> Result<(), LogError> {
        if self.is_up && connection > self.crashed_at { Ok(()) } else { Err(LogError::new("the connection has broken")) }
    }

    /// Some of what is on the way arrives, in order.
    pub(super) fn take_some(&mut self) {
        for _ in 0..self.random.below(4) {
            if !self.is_up || self.on_the_way.is_empty() {
                return;
            }
            let record = self.on_the_way.remove(0);
            if self.fails(20) {
                self.entries.push(Kept::Message(record.clone()));
            }
            if self.fails(20) {
                self.entries.push(Kept::Foreign);
            }
            self.entries.push(Kept::Message(record));
        }
    }

    pub(super) fn crash(&mut self) {
        (self.is_up, self.crashed_at) = (false, self.connections);
        // What was sent arrives in part, and its senders do not learn how much.
        let arrives = self.random.below(self.on_the_way.len() as u64 + 1) as usize;
        self.entries.extend(self.on_the_way.drain(..arrives).map(Kept::Message));
        self.on_the_way.clear();
    }

    pub(super) fn lose_end(&mut self) {
        let most = self.entries.len() as u64 - self.trimmed_to;
        let lost = self.random.below(most.min(4) + 1) as usize;
        self.entries.truncate(self.entries.len() - lost);
        let end = self.entries.len() as u64;
        if end < self.returned {
            self.broken_epochs.extend(self.epoch);
        }
        self.returned = self.returned.min(end);
    }

    pub(super) fn trim(&mut self) {
        // The last entry stays, as in every log that is kept in segments.
        let most = (self.entries.len() as u64 - self.trimmed_to).max(1);
        self.trimmed_to += self.random.below(most);
    }
}

#[derive(Clone)]
pub(super) struct SharedBroker(Arc<Mutex<Broker>>);

impl SharedBroker {
    pub(super) fn new(random: Random) -> Self {
        let broker = Broker {
            random,
            entries: Vec::new(),
            trimmed_to: 0,
            epoch: None,
            is_up: true,
            connections: 0,
            crashed_at: 0,
            on_the_way: Vec::new(),
            has_faults: true,
            returned: 0,
            broken_epochs: HashSet::new(),
        };
        Self(Arc::new(Mutex::new(broker)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Broker> {
        self.0.lock().expect("no test panics under the lock")
    }
}

impl Log for SharedBroker {
    fn name(&self) -> String {
        "the log of the simulation".to_owned()
    }

    fn keeps_records(&self) -> bool {
        true
    }

    fn connect(&self) -> Result<Box<dyn LogSession>, LogError> {
        let mut broker = self.lock();
        if !broker.is_up || broker.fails(4) {
            return Err(LogError::new("refused"));
        }
        broker.connections += 1;
        Ok(Box::new(Connection { broker: self.clone(), number: broker.connections, position: 0 }))
    }
}

struct Connection {
    broker: SharedBroker,
    number: u64,
    position: u64,
}

impl Connection {
    fn broker(&self) -> Result<MutexGuard<'_, Broker>, LogError> {
        let broker = self.broker.lock();
        broker.check(self.number)?;
        Ok(broker)
    }
}

impl LogSession for Connection {
    fn agree(&mut self, proposal: &EpochProposal) -> Result<u64, LogError> {
        let mut broker = self.broker()?;
        if broker.epoch == proposal.replaces {
            broker.epoch = Some(proposal.epoch);
        }
        if broker.fails(10) {
            return Err(LogError::new("the answer is lost"));
        }
        broker.epoch.ok_or_else(|| LogError::new("no epoch"))
    }

    fn announce(&mut self, epoch: u64) -> Result<(), LogError> {
        self.broker()?.entries.push(Kept::Epoch(epoch));
        Ok(())
    }

    fn end(&mut self) -> Result<u64, LogError> {
        Ok(self.broker()?.entries.len() as u64)
    }

    fn follow(self: Box<Self>, first: u64) -> Result<Following, LogError> {
        drop(self.broker()?);
        let half = || Connection { broker: self.broker.clone(), number: self.number, position: first };
        Ok(Following { first, reader: Box::new(half()), writer: Box::new(half()) })
    }
}

impl LogReader for Connection {
    fn next(&mut self, _: Duration) -> Result<Option<Entry>, LogError> {
        let mut broker = self.broker()?;
        if broker.fails(4) {
            return Ok(None);
        }
        let position = self.position.max(broker.trimmed_to);
        let kept = broker.entries.get(position as usize).cloned();
        let next = position + u64::from(kept.is_some());
        broker.returned = broker.returned.max(next);
        drop(broker);
        self.position = next;
        let (record, epoch) = match kept {
            None => return Ok(None),
            Some(Kept::Message(record)) => (Some(record), None),
            Some(Kept::Epoch(epoch)) => (None, Some(epoch)),
            Some(Kept::Foreign) => (None, None),
        };
        Ok(Some(Entry { position, record, epoch }))
    }
}

impl LogWriter for Connection {
    fn append(&mut self, record: &Record) -> Result<(), LogError> {
        self.broker()?.on_the_way.push(record.clone());
        Ok(())
    }
}
