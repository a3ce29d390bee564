//! The subscriptions of one connection.
//!
//! Owns the table of their ids, and the step of each topic's subscription from its cursor to the
//! present. Leaves the replay to the hub's `Subscription`, and the frames that make and end a
//! subscription to `operations`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::queues::ConsumerGuard;
use super::refusal::Refusal;
use crate::proto::Frame;
use crate::push::hub::{HubNotices, PushConnection, Subscription, SubscriptionGuard, SubscriptionStatus};
use crate::push::model::EncodeNote;
use crate::session::{Destination, Outcome, Pusher, Socket};

/// The notices of all subscriptions of a connection, which count the messages that the slow-consumer
/// policy has dropped. The connection's queue calls them, on any thread.
pub(super) type Drops = Arc<Mutex<HashMap<String, HubNotices>>>;

/// One subscription.
pub(super) enum Subscribed {
    Topic(Box<TopicSubscription>),
    Queue(ConsumerGuard),
}

/// A subscription to a topic.
pub(super) struct TopicSubscription {
    /// `None` once the subscription has reached the present.
    pub(super) replay: Option<Subscription>,
    /// Ends the subscription when it is dropped.
    pub(super) guard: Option<SubscriptionGuard>,
    /// Whether the client has asked to acknowledge messages.
    pub(super) acks: bool,
}

/// The subscriptions of one connection.
#[derive(Default)]
pub(super) struct Subscriptions {
    pub(super) by_id: HashMap<String, Subscribed>,
    pub(super) drops: Drops,
}

impl Subscriptions {
    /// Ends a subscription. Returns whether there was one.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        self.drops.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.by_id.remove(id).is_some()
    }

    /// Sends missed messages of all subscriptions, until the output is full or all have reached the
    /// present.
    pub(super) fn advance(&mut self, socket: &mut Socket<'_>) -> Result<(), Refusal> {
        for (id, subscribed) in &mut self.by_id {
            let Subscribed::Topic(topic) = subscribed else { continue };
            let Some(replay) = &mut topic.replay else { continue };
            let mut connection = OneOfSeveral { socket, id, guard: &mut topic.guard, drops: &self.drops };
            let status = replay.advance_on(&mut connection);
            if let Some(word) = status.last_word() {
                return Err(word.into());
            }
            if status == SubscriptionStatus::Behind {
                return Ok(());
            }
            topic.replay = None;
        }
        Ok(())
    }
}

/// A WebSocket that carries several subscriptions. Each keeps its own guard, so that it can end
/// before the connection.
struct OneOfSeveral<'a, 'b> {
    socket: &'a mut Socket<'b>,
    id: &'a str,
    guard: &'a mut Option<SubscriptionGuard>,
    drops: &'a Drops,
}

impl PushConnection for OneOfSeveral<'_, '_> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        self.socket.send_frame(frame)
    }

    fn pusher(&mut self) -> Pusher {
        self.socket.pusher()
    }

    fn destination(&mut self) -> Option<Destination> {
        Some(self.socket.destination())
    }

    fn notices(&mut self, notices: HubNotices) {
        self.drops.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id.to_owned(), notices);
    }

    fn carry(&mut self, guard: SubscriptionGuard, encode_note: EncodeNote) {
        self.notices(HubNotices::of(&guard, encode_note));
        *self.guard = Some(guard);
    }
}
