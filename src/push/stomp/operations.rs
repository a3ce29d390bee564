//! What the frames of a connected client do.
//!
//! Owns SEND, SUBSCRIBE, UNSUBSCRIBE, ACK, NACK, BEGIN, COMMIT and ABORT: the headers that they
//! need, and the checks before anything happens. Leaves receipts to `session`.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::queue::{AckMode, Answer};
use super::queues::{self, QUEUE, Sent, Sink};
use super::refusal::Refusal;
use super::session::{StompSession, Unconfirmed};
use super::subscriptions::{Subscribed, TopicSubscription};
use super::transactions::Step;
use crate::proto::stomp::{Command, Frame, Version};
use crate::push::hub::{Access, Publishing, Subscription};
use crate::push::model::{
    EncodeNote, Id, Note, PRESENCE, Payload, StompForm, StompVariant, TOPIC, Topics, WireForm, check_topic_name, is_valid_name,
};
use crate::session::Socket;

/// The name of this technique in counters and presence messages.
const TECHNIQUE: &str = "stomp";
/// The most unacknowledged messages for which a consumer may ask.
const PREFETCH_MAX: usize = 10_000;

/// A destination that clients can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination<'a> {
    Topic(&'a str),
    Queue(&'a str),
}

impl<'a> Destination<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        if let Some(topic) = text.strip_prefix(TOPIC) {
            check_topic_name(topic).map_err(|error| Refusal::policy(error.to_string()))?;
            return Ok(Self::Topic(topic));
        }
        match text.strip_prefix(QUEUE) {
            Some(queue) if is_valid_name(queue) => Ok(Self::Queue(queue)),
            Some(_) => Err(Refusal::policy("a queue's name must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`")),
            None => Err(Refusal::policy("a destination must begin with /topic/ or /queue/")),
        }
    }
}

fn required<'a>(frame: &Frame<'a>, name: &'static str) -> Result<&'a str, Refusal> {
    frame.headers.get(name).ok_or_else(|| Refusal::protocol(format!("{} needs the header {name}", frame.command.name())))
}

impl StompSession {
    fn destination<'a>(&self, frame: &Frame<'a>, access: Access) -> Result<(Destination<'a>, &'a str), Refusal> {
        let name = required(frame, "destination")?;
        let destination = Destination::parse(name)?;
        let asked = name.strip_suffix(PRESENCE).filter(|_| name.starts_with(TOPIC)).unwrap_or(name);
        let is_allowed = self.shared.policy.allows(&self.user, access, asked);
        // The hub alone publishes to presence topics.
        let is_own = access == Access::Publish && matches!(destination, Destination::Topic(topic) if topic.ends_with(PRESENCE));
        if !is_allowed || is_own {
            self.shared.hub.count_refused(403);
            return Err(Refusal::policy(match access {
                Access::Publish => "this client may not send to this destination",
                Access::Subscribe => "this client may not subscribe to this destination",
            }));
        }
        Ok((destination, name))
    }

    pub(super) fn send(&mut self, frame: &Frame<'_>) -> Result<Unconfirmed, Refusal> {
        let (destination, _) = self.destination(frame, Access::Publish)?;
        let step = match destination {
            Destination::Topic(topic) => {
                let payload = payload(frame);
                self.shared.hub.check_payload(&payload)?;
                Step::Publish { topic: topic.to_owned(), payload }
            }
            Destination::Queue(queue) => Step::Send(Sent::new(queue, frame.headers.iter(), frame.body)),
        };
        self.now_or_later(frame, step)
    }

    /// Carries out a step, or adds it to the transaction that the frame names.
    fn now_or_later(&mut self, frame: &Frame<'_>, step: Step) -> Result<Unconfirmed, Refusal> {
        let Some(transaction) = frame.headers.get("transaction") else { return self.carry_out(vec![step]) };
        let headers: usize = frame.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.transactions.add(transaction, step, frame.body.len() + headers, self.shared.config.transaction_bytes)?;
        Ok(Vec::new())
    }

    /// Carries out steps. The queues take all messages or none, and nothing else happens before. An
    /// acknowledgement of an unknown message is refused before anything happens.
    fn carry_out(&mut self, steps: Vec<Step>) -> Result<Unconfirmed, Refusal> {
        let (mut sent, mut rest) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Send(message) => sent.push(message),
                Step::Answer { id, subscription, answer } => {
                    self.find_waiting(&id, subscription.as_deref())?;
                    rest.push(Step::Answer { id, subscription, answer });
                }
                Step::Publish { .. } => rest.push(step),
            }
        }
        self.shared.queues.send(sent).map_err(|full| Refusal::full(full.sentence()))?;
        let mut unconfirmed = Vec::new();
        for step in rest {
            match step {
                Step::Publish { topic, payload } => match self.shared.hub.begin_publish(&topic, payload) {
                    Publishing::Done(outcome) => _ = outcome.inspect_err(|error| self.shared.hub.count_refused(error.status()))?,
                    publishing @ Publishing::Waiting(_) => unconfirmed.push(publishing),
                },
                Step::Answer { id, subscription, answer } => self.answer_message(&id, subscription.as_deref(), answer)?,
                Step::Send(_) => {}
            }
        }
        Ok(unconfirmed)
    }

    /// The id of a subscription. In STOMP 1.0 it is optional, and the destination stands for it.
    fn subscription_id<'a>(&self, frame: &Frame<'a>) -> Result<&'a str, Refusal> {
        match frame.headers.get("id") {
            Some(id) => Ok(id),
            None if self.version == Version::V1_0 => required(frame, "destination"),
            None => required(frame, "id"),
        }
    }

    pub(super) fn subscribe(&mut self, frame: &Frame<'_>, socket: &mut Socket<'_>) -> Result<(), Refusal> {
        // Before the policy is asked: it may change its mind while it is asked.
        let revocations = self.shared.hub.revocations().load(SeqCst);
        let (destination, name) = self.destination(frame, Access::Subscribe)?;
        let id = self.subscription_id(frame)?;
        let most = self.shared.config.subscriptions;
        if self.subscriptions.by_id.contains_key(id) {
            return Err(Refusal::protocol("this connection has a subscription with this id already"));
        }
        if self.subscriptions.by_id.len() >= most {
            return Err(Refusal::full(format!("a connection may have at most {most} subscriptions")));
        }
        let mode = AckMode::parse(frame.headers.get("ack"));
        let mode = mode.ok_or_else(|| Refusal::protocol("ack must be auto, client or client-individual"))?;
        let subscribed = match destination {
            Destination::Topic(topic) => self.subscribe_topic(frame, topic, name, id, mode, revocations)?,
            Destination::Queue(queue) => self.subscribe_queue(frame, queue, id, mode, socket)?,
        };
        self.subscriptions.by_id.insert(id.to_owned(), subscribed);
        Ok(())
    }

    fn subscribe_topic(
        &self,
        frame: &Frame<'_>,
        topic: &str,
        destination: &str,
        id: &str,
        mode: AckMode,
        revocations: u64,
    ) -> Result<Subscribed, Refusal> {
        let cursor = frame.headers.get("after").unwrap_or_default().parse();
        let cursor = cursor.map_err(|_| Refusal::protocol("after must be earliest, or the message-id of a topic's message"))?;
        let topics = Topics::parse(topic, 1).map_err(|error| Refusal::policy(error.to_string()))?;
        let acks = mode != AckMode::Auto;
        let form = StompForm::new(id, destination, StompVariant { version: self.version, acks });
        let form = Arc::new(form.ok_or_else(|| Refusal::protocol("this version cannot carry the id of the subscription"))?);
        let of_gaps = Arc::clone(&form);
        // The connection has the last word, and not one of its subscriptions.
        let encode_note = EncodeNote::of_request(move |note| match note {
            Note::Gap(gap) => Some(of_gaps.encode_gap(gap)),
            // A subscription has no control channel.
            Note::End(_) | Note::GapOf(..) | Note::Secret(_) | Note::Joined(..) | Note::Left(..) => None,
        });
        let replay = Subscription::to_topic(&self.shared.hub, &topics, TECHNIQUE, WireForm::Stomp(form), encode_note, cursor);
        let replay = replay.map_err(|error| Refusal::from(error.last_word()))?.for_user(&self.user).checked_at(revocations);
        Ok(Subscribed::Topic(Box::new(TopicSubscription { replay: Some(replay), guard: None, acks })))
    }

    fn subscribe_queue(
        &self,
        frame: &Frame<'_>,
        queue: &str,
        id: &str,
        mode: AckMode,
        socket: &mut Socket<'_>,
    ) -> Result<Subscribed, Refusal> {
        if frame.headers.get("after").is_some() {
            return Err(Refusal::protocol("after is for topics: a queue gives each message to one consumer"));
        }
        let prefetch = match frame.headers.get("prefetch-count") {
            None => self.shared.config.prefetch,
            Some(count) => {
                let count = count.parse().ok().filter(|count| (1..=PREFETCH_MAX).contains(count));
                count.ok_or_else(|| Refusal::protocol(format!("prefetch-count must be a number from 1 to {PREFETCH_MAX}")))?
            }
        };
        let sink = Sink { pusher: socket.pusher(), version: self.version, subscription: id.to_owned() };
        let guard = self.shared.queues.subscribe(queue, mode, prefetch, sink);
        Ok(Subscribed::Queue(guard.map_err(|full| Refusal::full(full.sentence()))?))
    }

    pub(super) fn unsubscribe(&mut self, frame: &Frame<'_>) -> Result<(), Refusal> {
        let id = self.subscription_id(frame)?;
        if self.subscriptions.remove(id) { Ok(()) } else { Err(Refusal::protocol("this connection has no subscription with this id")) }
    }

    pub(super) fn answer(&mut self, frame: &Frame<'_>) -> Result<Unconfirmed, Refusal> {
        if self.version == Version::V1_0 && frame.command == Command::Nack {
            return Err(Refusal::protocol("STOMP 1.0 has no NACK"));
        }
        // In 1.2, `id` is the `ack` header of the message. Here, the `ack` header is the message's
        // id.
        let id = required(frame, if self.version == Version::V1_2 { "id" } else { "message-id" })?.to_owned();
        let subscription = match self.version {
            Version::V1_1 => Some(required(frame, "subscription")?.to_owned()),
            _ => None,
        };
        let answer = if frame.command == Command::Ack { Answer::Ack } else { Answer::Nack };
        self.now_or_later(frame, Step::Answer { id, subscription, answer })
    }

    fn answer_message(&self, id: &str, subscription: Option<&str>, answer: Answer) -> Result<(), Refusal> {
        let found = self.find_waiting(id, subscription)?;
        if let (Subscribed::Queue(consumer), Some(number)) = (found, queues::number_of(id)) {
            consumer.answer(number, answer);
        }
        // A topic's message needs no acknowledgement: its id is a cursor.
        Ok(())
    }

    /// The subscription in which a message waits for an acknowledgement.
    fn find_waiting(&self, id: &str, subscription: Option<&str>) -> Result<&Subscribed, Refusal> {
        let number = queues::number_of(id);
        let is_id = id.parse::<Id>().is_ok();
        let waits = |subscribed: &Subscribed| match (subscribed, number) {
            (Subscribed::Queue(consumer), Some(number)) => consumer.waits_for(number),
            (Subscribed::Topic(topic), None) => topic.acks && is_id,
            _ => false,
        };
        let mut subscribed = self.subscriptions.by_id.iter().filter(|(known, _)| subscription.is_none_or(|wanted| wanted == *known));
        let found = subscribed.find(|(_, subscribed)| waits(subscribed)).map(|(_, subscribed)| subscribed);
        found.ok_or_else(|| Refusal::protocol("no message with this id waits for an acknowledgement"))
    }

    pub(super) fn transact(&mut self, frame: &Frame<'_>) -> Result<Unconfirmed, Refusal> {
        let name = required(frame, "transaction")?;
        match frame.command {
            Command::Begin => self.transactions.begin(name, self.shared.config.transactions)?,
            Command::Commit => {
                let steps = self.transactions.end(name)?;
                return self.carry_out(steps);
            }
            _ => drop(self.transactions.end(name)?),
        }
        Ok(Vec::new())
    }
}

/// The payload of a SEND to a topic. It is text if its type is text or JSON, or if it has no type,
/// and if it is UTF-8.
fn payload(frame: &Frame<'_>) -> Payload {
    let content_type = frame.headers.get("content-type").unwrap_or("text/plain").trim();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_text = essence.starts_with("text/") || essence == "application/json" || essence.ends_with("+json");
    let payload = match std::str::from_utf8(frame.body) {
        Ok(text) if is_text => Payload::text(text),
        _ => Payload::binary(frame.body),
    };
    match frame.headers.get("event") {
        Some(event) => payload.event(event),
        None => payload,
    }
}
