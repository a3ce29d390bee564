//! WebSocket (RFC 6455).
//!
//! On the wire: a handshake, then one frame per message, with a frame head of 2 to 10 bytes.
//! Messages go both ways: the hub publishes the client's messages to the first of the client's
//! topics, as text or as binary. Costs the least per message, but is a protocol of its own:
//! intermediaries do not understand it, and the client itself must reconnect. Choose it where both
//! sides send often.
//!
//! With [`HubConfig::deflate`](crate::push::HubConfig::deflate), messages are compressed (RFC 7692)
//! for clients that offer it: once for each message, not once for each client.
//!
//! Missed messages are sent as the client reads, and the slow-consumer policy never drops them. The
//! last word of a server that ends the connection on purpose is the close frame, with a code and a
//! sentence. With `format=raw`, frames cannot express ids or gaps. So a cursor that cannot be
//! resumed is refused with 410, and a gap that opens later ends the connection with close code
//! 4410.

use std::sync::Arc;

use crate::proto::Frame;
use crate::proto::ws::Message;
use crate::push::http::{Call, Endpoint, Form, GapForm, Rejection, Technique};
use crate::push::hub::{Access, ChannelFeed, FeedPlan, Hub, PublishError, Publishing, Subscription, SubscriptionGuard};
use crate::push::log::Patience;
use crate::push::model::{EncodeNote, Format, Gap, Note, PRESENCE, Payload, SharedForm};
use crate::session::{LastWord, Notices, Reply, Socket, Upgrade, WebSocketHandler};

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "ws",
    title: "WebSocket",
    summary: "Both sides send messages over one connection.",
    example: "ws?after=earliest",
    endpoint: Some(Endpoint { path: "ws", parameters: &["format", "control"], serve }),
    forms: &[
        Form { format: Format::Json, content_type: "", messages: Some(SharedForm::WsJson), gap: GapForm::InBand },
        Form { format: Format::Raw, content_type: "", messages: Some(SharedForm::WsRaw), gap: GapForm::Refused },
    ],
    heartbeat: b"",
};

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    let upgrade = Upgrade { deflate: call.hub.config().deflate, ..Upgrade::default() };
    match begin(call) {
        Ok(Beginning { target, encode, subscription, plan: None }) => {
            reply.upgrade_with(upgrade, PushSocket { target, encode, following: Following::Behind(subscription) });
        }
        Ok(Beginning { target, subscription, plan: Some(plan), .. }) => {
            let plan = Some((plan, subscription));
            reply.upgrade_with(upgrade, ControlledSocket { hub: call.hub.clone(), target, plan, feed: None });
        }
        Err(rejection) => call.reject(reply, &rejection),
    }
}

/// What the handler of a connection begins with.
struct Beginning {
    target: Option<Arc<str>>,
    encode: fn(Note<'_>) -> Option<Frame>,
    subscription: Box<Subscription>,
    /// What it needs in addition if it has a control channel.
    plan: Option<FeedPlan>,
}

fn begin(call: &Call<'_>) -> Result<Beginning, Rejection> {
    let form = call.form()?;
    let secret = call.channel_secret(form)?;
    let missed = call.replay(call.after()?, Patience::UntilRead)?;
    let (from, has_gap) = missed.begin();
    if has_gap && form.gap == GapForm::Refused {
        return Err(Rejection::new(410, format!("messages behind the cursor are missing; those behind {from} are there")));
    }
    let target = call.topics.first();
    let may_publish = !target.ends_with(PRESENCE) && call.hub.allows(call.request, Access::Publish, target);
    let target = may_publish.then(|| call.hub.shared_name(target));
    // The close frame has the last word.
    let encode: fn(Note<'_>) -> Option<Frame> = match form.gap {
        GapForm::InBand => |note| (!matches!(note, Note::End(_))).then(|| Frame::text(&note.json())),
        GapForm::HeadOnly | GapForm::Refused => |_| None,
    };
    let subscription = Box::new(call.subscription_after(missed, form.shared(), EncodeNote::Plain(encode)));
    let plan = call.feed_plan(secret, form.shared(), EncodeNote::Plain(encode));
    Ok(Beginning { target, encode, subscription, plan })
}

/// A server has one for each subscriber, so each byte counts: it has 40 of them, with what speaks in
/// the place of messages and ends the subscription.
struct PushSocket {
    /// The topic to which the hub publishes the client's messages. `None` if the client may not
    /// publish.
    target: Option<Arc<str>>,
    /// How the connection tells its client of a gap.
    encode: fn(Note<'_>) -> Option<Frame>,
    following: Following,
}

enum Following {
    /// The client has not got all missed messages yet, or the WebSocket closes. Boxed, because most
    /// sockets are subscribed for nearly all of their time, and then need no room for it.
    Behind(Box<Subscription>),
    Subscribed(SubscriptionGuard),
}

impl PushSocket {
    fn catch_up(&mut self, socket: &mut Socket<'_>) {
        let Following::Behind(subscription) = &mut self.following else { return };
        let (status, guard) = subscription.advance_for_handler(socket);
        if let Some(word) = status.last_word() {
            close(socket, word.code(), word.sentence());
        }
        if let Some(guard) = guard {
            self.following = Following::Subscribed(guard);
        }
    }

    fn hub(&self) -> &Hub {
        match &self.following {
            Following::Behind(subscription) => subscription.hub(),
            Following::Subscribed(guard) => guard.hub(),
        }
    }
}

impl Notices for PushSocket {
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        // The policy drops no message of a replay.
        if let Following::Subscribed(guard) = &self.following {
            guard.count_drops(count);
        }
        (self.encode)(Note::Gap(Gap { from: None }))
    }

    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        (self.encode)(Note::End(word))
    }
}

/// A WebSocket with a control channel. It is a type of its own, so that the others stay as small as
/// they are.
struct ControlledSocket {
    hub: Hub,
    /// As [`PushSocket::target`].
    target: Option<Arc<str>>,
    /// `None` after the WebSocket has opened.
    plan: Option<(FeedPlan, Box<Subscription>)>,
    /// `None` before the WebSocket has opened, and after it was closed.
    feed: Option<ChannelFeed>,
}

impl ControlledSocket {
    fn catch_up(&mut self, socket: &mut Socket<'_>) {
        let Some(feed) = &mut self.feed else { return };
        if let Some(word) = feed.advance(socket).last_word() {
            close(socket, word.code(), word.sentence());
            self.feed = None;
        }
    }
}

impl WebSocketHandler for ControlledSocket {
    fn open(&mut self, socket: &mut Socket<'_>) {
        if let Some((plan, subscription)) = self.plan.take() {
            self.feed = Some(plan.open(&self.hub, *subscription, socket));
        }
        self.catch_up(socket);
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        self.catch_up(socket);
    }

    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        publish(&self.hub, self.target.as_ref(), message, socket);
    }
}

impl WebSocketHandler for PushSocket {
    fn open(&mut self, socket: &mut Socket<'_>) {
        self.catch_up(socket);
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        self.catch_up(socket);
    }

    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        publish(self.hub(), self.target.as_ref(), message, socket);
    }

    fn notices(&mut self) -> Option<&mut dyn Notices> {
        Some(self)
    }
}

/// Publishes a client's message.
fn publish(hub: &Hub, target: Option<&Arc<str>>, message: Message<'_>, socket: &mut Socket<'_>) {
    let Some(target) = target else {
        hub.count_refused(403);
        return close(socket, 1_008, "this connection may not publish");
    };
    let payload = match message {
        Message::Text(text) => Payload::text(text),
        Message::Binary(bytes) => Payload::binary(bytes),
    };
    let code = |error| if error == PublishError::TooLarge { 1_009 } else { 1_013 };
    let refuse = |error: PublishError, socket: &mut Socket<'_>| {
        hub.count_refused(error.status());
        close(socket, code(error), &error.to_string());
    };
    match hub.begin_publish(target, payload) {
        Publishing::Done(Ok(_)) => {}
        Publishing::Done(Err(error)) => refuse(error, socket),
        publishing => {
            let (pusher, weak) = (socket.pusher(), hub.downgrade());
            publishing.then(move |outcome| {
                let Err(error) = outcome else { return };
                if let Some(hub) = weak.upgrade() {
                    hub.count_refused(error.status());
                }
                pusher.end_with(LastWord::new(code(error), error.to_string()));
            });
        }
    }
}

fn close(socket: &mut Socket<'_>, code: u16, reason: &str) {
    // An error means that the connection is closing already.
    let _ = socket.close(code, reason);
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::PushSocket;

    /// With the allocator's part, 48 bytes.
    #[test]
    fn a_handler_is_small() {
        assert!(size_of::<PushSocket>() <= 40, "{}", size_of::<PushSocket>());
    }
}
