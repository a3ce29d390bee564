//! A stream of `RabbitMQ`: an append-only log on the disk of the broker.
//!
//! Owns the headers with which a stream is declared, appended to and read, the search for its end,
//! and the second stream, on which the hubs agree on an epoch. Leaves the connection to `client`,
//! and records to `fields`.
//!
//! What the engine relies on (`RabbitMQ` 3.10, plug-in `rabbitmq_stomp`):
//!
//! - Each message has its offset in `x-stream-offset`: 0, 1, 2, and so on, for every reader.
//! - `x-stream-offset: offset=N` begins exactly at N, or at the first message that the broker still
//!   has. An offset behind the end is not an error: the broker stays silent until the stream has
//!   reached it. So the engine first asks for the end.
//! - A reader acknowledges, because the broker sends no more than `prefetch-count` messages ahead.
//!   An acknowledgement removes nothing.
//! - For some seconds after its start, the broker refuses streams. The hub tries again.

use std::time::{Duration, Instant};

use super::address::BrokerAddress;
use super::client::{ANSWER_TIMEOUT, Client, OwnedFrame, Sender};
use super::fields;
use crate::proto::LocalError;
use crate::proto::stomp::{Command, FrameWriter};
use crate::push::log::clock::{random_number, unix_ms};
use crate::push::log::engine::{EpochProposal, Following, Log, LogError, LogReader, LogSession, LogWriter};
use crate::push::log::record::{Entry, Record};

/// Messages that the broker sends ahead of the acknowledgements. It bounds what waits in the
/// buffers of the sockets while a hub applies records.
const PREFETCH: u64 = 1_000;
/// One acknowledgement for so many messages: it covers those before it, too.
const ACKNOWLEDGED_AT_ONCE: u64 = 250;

/// A header that only the engine reads: a record that is no message.
const MARKER: &str = "pushlab-marker";
const EPOCH: &str = "pushlab-epoch";
const REPLACES: &str = "pushlab-replaces";

/// A stream of a broker.
pub(crate) struct Stream {
    address: BrokerAddress,
}

impl Stream {
    pub(crate) const fn new(address: BrokerAddress) -> Self {
        Self { address }
    }
}

impl Log for Stream {
    fn name(&self) -> String {
        format!("the stream {} of the broker at {}", self.address.name, self.address.place())
    }

    fn keeps_records(&self) -> bool {
        true
    }

    fn connect(&self) -> Result<Box<dyn LogSession>, LogError> {
        Ok(Box::new(Session { client: Client::connect(&self.address)?, address: self.address.clone() }))
    }
}

struct Session {
    client: Client,
    address: BrokerAddress,
}

/// The headers that declare a stream, the same for every frame that names it.
fn declare<'a>(frame: FrameWriter<'a>, stream: &str) -> FrameWriter<'a> {
    frame
        .header("destination", &format!("/queue/{stream}"))
        .header("x-queue-type", "stream")
        .header("durable", "true")
        .header("auto-delete", "false")
}

fn subscribe(client: &Client, id: &str, stream: &str, offset: &str) -> Result<(), LogError> {
    client.send(Command::Subscribe, |frame| {
        declare(frame, stream)
            .header("id", id)
            .header("ack", "client")
            .header("prefetch-count", &PREFETCH.to_string())
            .header("x-stream-offset", offset)
            .end()
    })
}

fn send(sender: &Sender, stream: &str, write: impl FnOnce(FrameWriter<'_>) -> Result<(), LocalError>) -> Result<(), LogError> {
    sender.send(Command::Send, |frame| write(declare(frame, stream).header("persistent", "true")))
}

/// Counts the messages of a subscription, and acknowledges many at once.
#[derive(Default)]
struct Acknowledger {
    received: u64,
}

impl Acknowledger {
    fn count(&mut self, sender: &Sender, message: &OwnedFrame) -> Result<(), LogError> {
        self.received += 1;
        if !self.received.is_multiple_of(ACKNOWLEDGED_AT_ONCE) {
            return Ok(());
        }
        let id = message.header("ack").unwrap_or_default();
        sender.send(Command::Ack, |frame| frame.header("id", id).end())
    }
}

fn offset_of(message: &OwnedFrame) -> Result<u64, LogError> {
    let offset = message.header("x-stream-offset").and_then(|offset| offset.parse().ok());
    offset.ok_or_else(|| LogError::new("the broker sends messages without `x-stream-offset`: the queue is not a stream"))
}

fn epoch_in(message: &OwnedFrame, header: &str) -> Option<u64> {
    message.header(header).and_then(|text| u64::from_str_radix(text, 16).ok())
}

impl Session {
    /// Subscribes to a stream, appends a marker, and gives all messages up to the marker to `see`.
    /// So the end is certain: a stream that has nothing more is silent.
    fn read_to_marker(
        &mut self,
        id: &str,
        stream: &str,
        offset: &str,
        headers: &[(&str, String)],
        mut see: impl FnMut(&OwnedFrame) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        subscribe(&self.client, id, stream, offset)?;
        let marker = format!("{:x}", random_number());
        let sender = self.client.sender();
        send(&sender, stream, |frame| {
            headers.iter().fold(frame.header(MARKER, &marker), |frame, (name, value)| frame.header(name, value)).body(b"")
        })?;
        let mut acknowledger = Acknowledger::default();
        let until = Instant::now() + ANSWER_TIMEOUT;
        loop {
            let message = self.client.expect(until, "SUBSCRIBE and SEND to a stream")?;
            if message.command != Command::Message || message.header("subscription") != Some(id) {
                continue;
            }
            acknowledger.count(&sender, &message)?;
            see(&message)?;
            if message.header(MARKER) == Some(&marker) {
                return Ok(());
            }
        }
    }
}

impl LogSession for Session {
    /// The epochs are a chain in a second stream: a proposal counts if it replaces the epoch that
    /// the chain has at that place. All hubs read the same chain.
    fn agree(&mut self, proposal: &EpochProposal) -> Result<u64, LogError> {
        let stream = format!("{}.epochs", self.address.name);
        let mut current = None;
        let mut headers = vec![(EPOCH, format!("{:x}", proposal.epoch))];
        headers.extend(proposal.replaces.map(|epoch| (REPLACES, format!("{epoch:x}"))));
        self.read_to_marker("epochs", &stream, "first", &headers, |message| {
            if let Some(epoch) = epoch_in(message, EPOCH)
                && epoch_in(message, REPLACES) == current
            {
                current = Some(epoch);
            }
            Ok(())
        })?;
        current.ok_or_else(|| LogError::new(format!("the stream {stream} has lost its first epoch: delete it and {}", self.address.name)))
    }

    fn announce(&mut self, epoch: u64) -> Result<(), LogError> {
        let sender = self.client.sender();
        send(&sender, &self.address.name, |frame| frame.header(EPOCH, &format!("{epoch:x}")).body(b""))
    }

    fn end(&mut self) -> Result<u64, LogError> {
        let stream = self.address.name.clone();
        let mut end = 0;
        // From `last` on: the last chunk of messages that the broker has written.
        self.read_to_marker("end", &stream, "last", &[], |message| {
            end = offset_of(message)? + 1;
            Ok(())
        })?;
        Ok(end)
    }

    fn follow(self: Box<Self>, first: u64) -> Result<Following, LogError> {
        // The other subscriptions of this session go on. A new connection has one only.
        let client = Client::connect(&self.address)?;
        subscribe(&client, "follow", &self.address.name, &format!("offset={first}"))?;
        let writer = Writer { sender: client.sender(), stream: self.address.name };
        Ok(Following { first, reader: Box::new(StreamReader { client, acknowledger: Acknowledger::default() }), writer: Box::new(writer) })
    }
}

struct StreamReader {
    client: Client,
    acknowledger: Acknowledger,
}

impl LogReader for StreamReader {
    fn next(&mut self, wait: Duration) -> Result<Option<Entry>, LogError> {
        let until = Instant::now() + wait;
        while let Some(message) = self.client.next(until)? {
            if message.command == Command::Message {
                self.acknowledger.count(&self.client.sender(), &message)?;
                let position = offset_of(&message)?;
                let epoch = epoch_in(&message, EPOCH);
                return Ok(Some(Entry { position, record: fields::read(message, unix_ms()), epoch }));
            }
        }
        Ok(None)
    }
}

struct Writer {
    sender: Sender,
    stream: String,
}

impl LogWriter for Writer {
    fn append(&mut self, record: &Record) -> Result<(), LogError> {
        send(&self.sender, &self.stream, |frame| fields::write(frame, record).body(record.payload.bytes()))
    }
}
