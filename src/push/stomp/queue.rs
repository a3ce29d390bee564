//! One queue: its messages, and the consumers between which it divides them.
//!
//! Owns the order of messages, the turn of the consumers, and the acknowledgements. Leaves the
//! lock, the bounds of a whole broker, and the connections of the consumers to `queues`.

use std::collections::VecDeque;

/// A message of a queue.
#[derive(Debug)]
pub(super) struct QueueMessage {
    /// The number in the `message-id`, unique in the broker.
    pub(super) number: u64,
    /// The headers of the SEND that consumers get, too.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// How many times it was delivered.
    pub(super) deliveries: u32,
    /// The consumer that has refused it last.
    refused_by: Option<u64>,
}

impl QueueMessage {
    pub(super) fn new(number: u64, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { number, headers, body, deliveries: 0, refused_by: None }
    }

    /// The bytes of memory that count.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// How a consumer acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckMode {
    /// A message that was sent counts as acknowledged.
    Auto,
    /// An acknowledgement is for all messages of the subscription up to this one.
    Client,
    /// An acknowledgement is for one message.
    Individual,
}

impl AckMode {
    pub(super) fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("auto") => Some(Self::Auto),
            Some("client") => Some(Self::Client),
            Some("client-individual") => Some(Self::Individual),
            Some(_) => None,
        }
    }
}

/// What the client says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ack,
    Nack,
}

/// A consumer. `S` is the way to it.
#[derive(Debug)]
pub(super) struct Consumer<S> {
    pub(super) key: u64,
    pub(super) mode: AckMode,
    /// The most unacknowledged messages.
    pub(super) prefetch: usize,
    pub(super) sink: S,
    unacknowledged: VecDeque<QueueMessage>,
}

impl<S> Consumer<S> {
    pub(super) fn new(key: u64, mode: AckMode, prefetch: usize, sink: S) -> Self {
        Self { key, mode, prefetch: prefetch.max(1), sink, unacknowledged: VecDeque::new() }
    }

    fn has_room(&self) -> bool {
        self.mode == AckMode::Auto || self.unacknowledged.len() < self.prefetch
    }
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue<S> {
    waiting: VecDeque<QueueMessage>,
    consumers: Vec<Consumer<S>>,
    /// The index of the consumer that gets the next message, if it has room.
    turn: usize,
    /// The messages and bytes that wait, or wait for an acknowledgement.
    messages: usize,
    bytes: usize,
}

impl<S> Queue<S> {
    pub(super) const fn new() -> Self {
        Self { waiting: VecDeque::new(), consumers: Vec::new(), turn: 0, messages: 0, bytes: 0 }
    }

    pub(super) const fn messages(&self) -> usize {
        self.messages
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is lost if the queue is forgotten.
    pub(super) fn is_unused(&self) -> bool {
        self.messages == 0 && self.consumers.is_empty()
    }

    pub(super) fn push(&mut self, message: QueueMessage) {
        self.messages += 1;
        self.bytes += message.bytes();
        self.waiting.push_back(message);
    }

    pub(super) fn join(&mut self, consumer: Consumer<S>) {
        self.consumers.push(consumer);
    }

    /// Removes a consumer. Its unacknowledged messages come before those that wait, in their order.
    pub(super) fn leave(&mut self, key: u64) -> Option<Consumer<S>> {
        let at = self.consumers.iter().position(|consumer| consumer.key == key)?;
        let mut consumer = self.consumers.remove(at);
        if self.turn > at {
            self.turn -= 1;
        }
        self.put_back(consumer.unacknowledged.drain(..).collect());
        Some(consumer)
    }

    /// Puts messages that were delivered before at their places among those that wait: a message
    /// with a smaller number was sent before one with a larger number.
    fn put_back(&mut self, messages: Vec<QueueMessage>) {
        for message in messages {
            let at = self.waiting.partition_point(|other| other.number < message.number);
            self.waiting.insert(at, message);
        }
    }

    /// Sends the messages that wait to consumers with room, in turn. `send` gets the consumer and
    /// the message. A message that was delivered `deliveries_max` times goes to nobody. Returns how
    /// many such messages were dropped.
    pub(super) fn dispatch(&mut self, deliveries_max: u32, mut send: impl FnMut(&Consumer<S>, &QueueMessage)) -> u64 {
        let mut dropped = 0;
        while let Some(front) = self.waiting.front() {
            if front.deliveries >= deliveries_max {
                dropped += 1;
                let message = self.waiting.pop_front();
                self.forget(message.as_ref());
                continue;
            }
            let Some(at) = self.next_consumer(front.refused_by) else { break };
            let Some(mut message) = self.waiting.pop_front() else { break };
            message.deliveries += 1;
            let consumer = &mut self.consumers[at];
            send(consumer, &message);
            self.turn = at + 1;
            if consumer.mode == AckMode::Auto {
                self.forget(Some(&message));
            } else {
                consumer.unacknowledged.push_back(message);
            }
        }
        dropped
    }

    /// The next consumer with room. The one that has refused the message gets it only if there is
    /// no other consumer.
    fn next_consumer(&self, refused_by: Option<u64>) -> Option<usize> {
        let count = self.consumers.len();
        let is_wanted = |at: &usize| count == 1 || Some(self.consumers[*at].key) != refused_by;
        (0..count).map(|step| (self.turn + step) % count).filter(is_wanted).find(|at| self.consumers[*at].has_room())
    }

    /// Whether a consumer has a message that waits for an acknowledgement.
    pub(super) fn waits_for(&self, key: u64, number: u64) -> bool {
        let consumer = self.consumers.iter().find(|consumer| consumer.key == key);
        consumer.is_some_and(|consumer| consumer.unacknowledged.iter().any(|message| message.number == number))
    }

    /// Takes an acknowledgement. Returns whether the message was waiting for one.
    pub(super) fn answer(&mut self, key: u64, number: u64, answer: Answer) -> bool {
        let Some(consumer) = self.consumers.iter_mut().find(|consumer| consumer.key == key) else { return false };
        let Some(at) = consumer.unacknowledged.iter().position(|message| message.number == number) else { return false };
        let first = if consumer.mode == AckMode::Client { 0 } else { at };
        let mut messages: Vec<QueueMessage> = consumer.unacknowledged.drain(first..=at).collect();
        match answer {
            Answer::Ack => messages.iter().for_each(|message| self.forget(Some(message))),
            Answer::Nack => {
                for message in &mut messages {
                    message.refused_by = Some(key);
                }
                self.put_back(messages);
            }
        }
        true
    }

    fn forget(&mut self, message: Option<&QueueMessage>) {
        if let Some(message) = message {
            self.messages -= 1;
            self.bytes -= message.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue with numbered messages and with consumers that are named by their keys.
    fn queue(messages: u64, consumers: &[(u64, AckMode, usize)]) -> Queue<()> {
        let mut queue = Queue::new();
        (1..=messages).for_each(|number| queue.push(message(number)));
        for (key, mode, prefetch) in consumers {
            queue.join(Consumer::new(*key, *mode, *prefetch, ()));
        }
        queue
    }

    fn message(number: u64) -> QueueMessage {
        QueueMessage::new(number, vec![("a".to_owned(), "bc".to_owned())], vec![0; 7])
    }

    /// What was delivered: consumer and number.
    fn dispatch(queue: &mut Queue<()>) -> Vec<(u64, u64)> {
        let mut sent = Vec::new();
        queue.dispatch(16, |consumer, message| sent.push((consumer.key, message.number)));
        sent
    }

    #[test]
    fn consumers_take_turns_and_the_order_stays() {
        let mut queue = queue(5, &[(1, AckMode::Auto, 0), (2, AckMode::Auto, 0)]);
        assert_eq!(dispatch(&mut queue), [(1, 1), (2, 2), (1, 3), (2, 4), (1, 5)]);
        assert_eq!((queue.messages(), queue.bytes()), (0, 0));
        queue.push(message(6));
        assert_eq!(dispatch(&mut queue), [(2, 6)]);
    }

    #[test]
    fn a_consumer_gets_no_more_than_it_may_hold() {
        let mut queue = queue(5, &[(1, AckMode::Individual, 2), (2, AckMode::Individual, 1)]);
        assert_eq!(dispatch(&mut queue), [(1, 1), (2, 2), (1, 3)]);
        assert_eq!((queue.messages(), queue.bytes()), (5, 50), "what waits for an acknowledgement counts");
        assert!(queue.answer(2, 2, Answer::Ack));
        assert_eq!(dispatch(&mut queue), [(2, 4)]);
        assert!(!queue.answer(2, 2, Answer::Ack), "it was acknowledged before");
        assert!(!queue.answer(1, 4, Answer::Ack), "it is another consumer's");
        assert_eq!(queue.messages(), 4);
    }

    #[test]
    fn client_acknowledges_all_up_to_a_message_and_individual_only_this_one() {
        for (mode, left) in [(AckMode::Client, &[(1, 4)][..]), (AckMode::Individual, &[(1, 1), (1, 2), (1, 4)])] {
            let mut queue = queue(4, &[(1, mode, 9)]);
            dispatch(&mut queue);
            assert!(queue.answer(1, 3, Answer::Ack));
            queue.leave(1);
            queue.join(Consumer::new(1, AckMode::Auto, 0, ()));
            assert_eq!(dispatch(&mut queue), left, "{mode:?}");
        }
    }

    #[test]
    fn unacknowledged_messages_of_a_consumer_that_leaves_come_first_and_in_order() {
        let mut queue = queue(4, &[(1, AckMode::Client, 1), (2, AckMode::Client, 1)]);
        assert_eq!(dispatch(&mut queue), [(1, 1), (2, 2)]);
        queue.leave(1);
        queue.leave(2);
        assert!(!queue.is_unused());
        queue.join(Consumer::new(3, AckMode::Auto, 0, ()));
        assert_eq!(dispatch(&mut queue), [(3, 1), (3, 2), (3, 3), (3, 4)]);
        queue.leave(3);
        assert!(queue.is_unused());
        assert!(queue.leave(3).is_none());
    }

    #[test]
    fn a_refused_message_goes_to_another_consumer_if_there_is_one() {
        let mut queue = queue(1, &[(1, AckMode::Individual, 9), (2, AckMode::Individual, 9)]);
        assert_eq!(dispatch(&mut queue), [(1, 1)]);
        queue.answer(1, 1, Answer::Nack);
        assert_eq!(dispatch(&mut queue), [(2, 1)]);
        queue.answer(2, 1, Answer::Nack);
        assert_eq!(dispatch(&mut queue), [(1, 1)]);
        queue.leave(2);
        queue.answer(1, 1, Answer::Nack);
        assert_eq!(dispatch(&mut queue), [(1, 1)], "there is no other");
    }

    #[test]
    fn a_message_that_nobody_acknowledges_is_dropped_in_the_end() {
        let mut queue = queue(2, &[(1, AckMode::Individual, 1)]);
        for round in 0..3 {
            let mut sent = Vec::new();
            assert_eq!(queue.dispatch(3, |_, message| sent.push(message.number)), 0, "round {round}");
            assert_eq!(sent, [1]);
            queue.answer(1, 1, Answer::Nack);
        }
        let mut sent = Vec::new();
        assert_eq!(queue.dispatch(3, |_, message| sent.push(message.number)), 1);
        assert_eq!((sent, queue.messages()), (vec![2], 1));
    }
}
