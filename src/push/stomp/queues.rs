//! The queues of one broker, under one lock.
//!
//! Owns the names of queues, their bounds, and the MESSAGE frames that consumers get. Each
//! operation takes the lock once; nothing waits under it, because sending only posts to the driver
//! of a connection. Leaves the order of messages to `queue`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::StompConfig;
use super::queue::{AckMode, Answer, Consumer, Queue, QueueMessage};
use crate::proto::Frame;
use crate::proto::stomp::{Command, FrameWriter, Version};
use crate::session::Pusher;

/// The beginning of the name of each destination that is a queue.
pub(super) const QUEUE: &str = "/queue/";

/// The beginning of the `message-id` and of the `ack` header of a queue's message. No id of a hub
/// begins like this.
const ID: &str = "queue-";

/// The headers of a SEND that consumers do not get: the server's own, and those that are for the
/// server alone.
const OWN_HEADERS: [&str; 9] =
    ["destination", "content-length", "receipt", "transaction", "message-id", "subscription", "ack", "redelivered", "gap"];

/// Why a message or a consumer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are as many queues as the broker takes.
    Queues,
    /// The queue has as many messages or bytes as it takes.
    Messages,
}

impl Full {
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Queues => "there are as many queues as this broker takes",
            Self::Messages => "the queue is full: consumers take its messages more slowly than they are sent",
        }
    }
}

/// A message on its way to a queue.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) queue: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Sent {
    pub(super) fn new<'a>(queue: &str, headers: impl Iterator<Item = (&'a str, &'a str)>, body: &[u8]) -> Self {
        let mut kept: Vec<(String, String)> = Vec::new();
        for (name, value) in headers.filter(|(name, _)| !OWN_HEADERS.contains(name)) {
            // "Only the first header entry SHOULD be used as the value of header entry."
            if !kept.iter().any(|(known, _)| known == name) {
                kept.push((name.to_owned(), value.to_owned()));
            }
        }
        Self { queue: queue.to_owned(), headers: kept, body: body.to_vec() }
    }
}

/// The way to a consumer.
pub(super) struct Sink {
    pub(super) pusher: Pusher,
    pub(super) version: Version,
    pub(super) subscription: String,
}

/// The queues of one broker.
pub(super) struct Queues {
    /// The largest number of queues.
    limit: usize,
    messages_max: usize,
    bytes_max: usize,
    deliveries_max: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: HashMap<String, Queue<Sink>>,
    last_message: u64,
    last_consumer: u64,
    counts: QueueCounts,
}

/// What has happened to messages of queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QueueCounts {
    pub(super) refused: u64,
    pub(super) redelivered: u64,
    pub(super) undeliverable: u64,
}

impl Queues {
    pub(super) fn new(config: &StompConfig) -> Self {
        Self {
            limit: config.queues,
            messages_max: config.queue_messages,
            bytes_max: config.queue_bytes,
            deliveries_max: config.queue_deliveries.max(1),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of these messages, in their order, or none of them.
    pub(super) fn send(&self, messages: Vec<Sent>) -> Result<(), Full> {
        let mut state = self.lock();
        if let Err(full) = self.check_room(&state, &messages) {
            state.counts.refused += messages.len() as u64;
            return Err(full);
        }
        for Sent { queue, headers, body } in messages {
            state.last_message += 1;
            let message = QueueMessage::new(state.last_message, headers, body);
            state.queues.entry(queue.clone()).or_insert_with(Queue::new).push(message);
            self.dispatch(&mut state, &queue);
        }
        Ok(())
    }

    fn check_room(&self, state: &State, messages: &[Sent]) -> Result<(), Full> {
        let mut needed: HashMap<&str, (usize, usize)> = HashMap::new();
        for Sent { queue, headers, body } in messages {
            let (count, bytes) = needed.entry(queue).or_default();
            *count += 1;
            *bytes += body.len() + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        }
        let new_queues = needed.keys().filter(|name| !state.queues.contains_key(**name)).count();
        if state.queues.len() + new_queues > self.limit {
            return Err(Full::Queues);
        }
        let has_room = |(name, (count, bytes)): (&&str, &(usize, usize))| {
            let (messages, kept) = state.queues.get(*name).map_or((0, 0), |queue| (queue.messages(), queue.bytes()));
            messages + count <= self.messages_max && kept + bytes <= self.bytes_max
        };
        if needed.iter().all(has_room) { Ok(()) } else { Err(Full::Messages) }
    }

    /// Adds a consumer. The messages that wait are sent to it at once.
    pub(super) fn subscribe(self: &Arc<Self>, queue: &str, mode: AckMode, prefetch: usize, sink: Sink) -> Result<ConsumerGuard, Full> {
        let mut state = self.lock();
        if state.queues.len() >= self.limit && !state.queues.contains_key(queue) {
            return Err(Full::Queues);
        }
        state.last_consumer += 1;
        let key = state.last_consumer;
        state.queues.entry(queue.to_owned()).or_insert_with(Queue::new).join(Consumer::new(key, mode, prefetch, sink));
        self.dispatch(&mut state, queue);
        Ok(ConsumerGuard { queues: Arc::clone(self), queue: queue.to_owned(), key })
    }

    fn dispatch(&self, state: &mut State, name: &str) {
        let Some(queue) = state.queues.get_mut(name) else { return };
        let mut redelivered = 0;
        let dropped = queue.dispatch(self.deliveries_max, |consumer, message| {
            redelivered += u64::from(message.deliveries > 1);
            consumer.sink.pusher.push(&encode(name, consumer, message));
        });
        state.counts.redelivered += redelivered;
        state.counts.undeliverable += dropped;
        if queue.is_unused() {
            state.queues.remove(name);
        }
    }

    /// The number of queues, and their messages and bytes together.
    pub(super) fn totals(&self) -> (usize, usize, usize, QueueCounts) {
        let state = self.lock();
        let sum = |of: fn(&Queue<Sink>) -> usize| state.queues.values().map(of).sum();
        (state.queues.len(), sum(Queue::messages), sum(Queue::bytes), state.counts)
    }
}

/// The number in the id of a queue's message.
pub(super) fn number_of(id: &str) -> Option<u64> {
    id.strip_prefix(ID)?.parse().ok()
}

fn encode(queue: &str, consumer: &Consumer<Sink>, message: &QueueMessage) -> Frame {
    let Sink { version, subscription, .. } = &consumer.sink;
    let id = format!("{ID}{}", message.number);
    let mut out = Vec::new();
    let mut write = |headers: &[(String, String)]| {
        let mut frame = FrameWriter::new(Command::Message, *version, &mut out)
            .header("subscription", subscription)
            .header("message-id", &id)
            .header("destination", &format!("{QUEUE}{queue}"));
        if consumer.mode != AckMode::Auto {
            frame = frame.header("ack", &id);
        }
        if message.deliveries > 1 {
            frame = frame.header("redelivered", "true");
        }
        headers.iter().fold(frame, |frame, (name, value)| frame.header(name, value)).body(&message.body)
    };
    // A consumer with an older version may not be able to receive a header of the sender.
    if write(&message.headers).is_err() {
        write(&[]).expect("the server's own headers need no escapes");
    }
    match std::str::from_utf8(&out) {
        Ok(text) => Frame::text(text),
        Err(_) => Frame::binary(&out),
    }
}

/// A consumer. It leaves its queue when it is dropped.
pub(super) struct ConsumerGuard {
    queues: Arc<Queues>,
    queue: String,
    key: u64,
}

impl ConsumerGuard {
    /// Whether the message waits for an acknowledgement of this consumer.
    pub(super) fn waits_for(&self, number: u64) -> bool {
        self.queues.lock().queues.get(&self.queue).is_some_and(|queue| queue.waits_for(self.key, number))
    }

    /// Takes an acknowledgement, if the message waits for one.
    pub(super) fn answer(&self, number: u64, answer: Answer) {
        let mut state = self.queues.lock();
        let Some(queue) = state.queues.get_mut(&self.queue) else { return };
        if queue.answer(self.key, number, answer) {
            self.queues.dispatch(&mut state, &self.queue);
        }
    }
}

impl Drop for ConsumerGuard {
    fn drop(&mut self) {
        let mut state = self.queues.lock();
        let consumer = state.queues.get_mut(&self.queue).and_then(|queue| queue.leave(self.key));
        self.queues.dispatch(&mut state, &self.queue);
        // A dropped pusher may post to a driver. That happens outside of the lock.
        drop(state);
        drop(consumer);
    }
}
