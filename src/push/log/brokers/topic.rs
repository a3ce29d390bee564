//! A plain topic of any STOMP broker: the broker gives each message to the hubs that are connected,
//! and keeps nothing.
//!
//! Owns the positions, which count what this hub has received. So ids are good for one hub, and a
//! client that changes to another one is told of a gap. After a connection has broken, nobody knows
//! what was missed: the next connection begins one position later, which tells everybody of a gap.
//! Leaves the connection to `client`, and records to `fields`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::vec;

use super::address::BrokerAddress;
use super::client::{ANSWER_TIMEOUT, Client, OwnedFrame, Sender};
use super::fields;
use crate::proto::stomp::Command;
use crate::push::log::clock::{random_number, unix_ms};
use crate::push::log::engine::{EpochProposal, Following, Log, LogError, LogReader, LogSession, LogWriter};
use crate::push::log::record::{Entry, Record};

/// A topic of a broker, as one hub sees it.
pub(crate) struct PlainTopic {
    address: BrokerAddress,
    epoch: u64,
    /// The position of the next message; `u64::MAX` before the first connection.
    next: Arc<AtomicU64>,
}

/// The value of `next` before the first connection.
const NEVER_CONNECTED: u64 = u64::MAX;

impl PlainTopic {
    pub(crate) fn new(address: BrokerAddress) -> Self {
        Self { address, epoch: random_number(), next: Arc::new(AtomicU64::new(NEVER_CONNECTED)) }
    }
}

impl Log for PlainTopic {
    fn name(&self) -> String {
        format!("the topic {} of the broker at {}", self.address.name, self.address.place())
    }

    fn keeps_records(&self) -> bool {
        false
    }

    fn connect(&self) -> Result<Box<dyn LogSession>, LogError> {
        let client = Client::connect(&self.address)?;
        let destination = format!("/topic/{}", self.address.name);
        Ok(Box::new(Session { client, destination, epoch: self.epoch, next: Arc::clone(&self.next) }))
    }
}

struct Session {
    client: Client,
    destination: String,
    epoch: u64,
    next: Arc<AtomicU64>,
}

impl LogSession for Session {
    fn agree(&mut self, _: &EpochProposal) -> Result<u64, LogError> {
        Ok(self.epoch)
    }

    fn announce(&mut self, _: u64) -> Result<(), LogError> {
        // The epoch is that of this hub alone.
        Ok(())
    }

    fn end(&mut self) -> Result<u64, LogError> {
        Ok(match self.next.load(SeqCst) {
            NEVER_CONNECTED => 0,
            next => next,
        })
    }

    fn follow(mut self: Box<Self>, _: u64) -> Result<Following, LogError> {
        self.client.send(Command::Subscribe, |frame| {
            frame.header("destination", &self.destination).header("id", "follow").header("receipt", "follow").end()
        })?;
        let first = match self.next.load(SeqCst) {
            NEVER_CONNECTED => 0,
            // The position that is left out stands for all messages that were missed.
            next => next + 1,
        };
        self.next.store(first, SeqCst);
        let until = Instant::now() + ANSWER_TIMEOUT;
        // A message that comes before the receipt belongs to the reader.
        let mut early = Vec::new();
        loop {
            let frame = self.client.expect(until, "SUBSCRIBE to a topic")?;
            match frame.command {
                Command::Receipt => break,
                Command::Message => early.push(frame),
                _ => {}
            }
        }
        let Self { client, destination, next, .. } = *self;
        let writer = Writer { sender: client.sender(), destination };
        Ok(Following { first, reader: Box::new(TopicReader { client, early: early.into_iter(), next }), writer: Box::new(writer) })
    }
}

struct TopicReader {
    client: Client,
    early: vec::IntoIter<OwnedFrame>,
    next: Arc<AtomicU64>,
}

impl LogReader for TopicReader {
    fn next(&mut self, wait: Duration) -> Result<Option<Entry>, LogError> {
        let until = Instant::now() + wait;
        loop {
            let message = match self.early.next() {
                Some(message) => message,
                None => match self.client.next(until)? {
                    Some(frame) if frame.command == Command::Message => frame,
                    Some(_) => continue,
                    None => return Ok(None),
                },
            };
            return Ok(Some(Entry { position: self.next.fetch_add(1, SeqCst), record: fields::read(message, unix_ms()), epoch: None }));
        }
    }
}

struct Writer {
    sender: Sender,
    destination: String,
}

impl LogWriter for Writer {
    fn append(&mut self, record: &Record) -> Result<(), LogError> {
        self.sender
            .send(Command::Send, |frame| fields::write(frame.header("destination", &self.destination), record).body(record.payload.bytes()))
    }
}
