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
//! Missed messages are sent as the client reads, and the slow-consumer policy never drops them.
//! The last word of a server that ends the connection on purpose is the close frame, with a code and a
//! sentence. With `format=raw`, frames cannot express ids or gaps. So a cursor that cannot be resumed is
//! refused with 410, and a gap that opens later ends the connection with close code 4410.

use std::sync::Arc;

use crate::proto::Frame;
use crate::proto::ws::Message;
use crate::push::http::{Call, Endpoint, Form, GapForm, Rejection, Technique};
use crate::push::hub::{Access, ChannelFeed, FeedPlan, Hub, PublishError, Publishing, Subscription, SubscriptionStatus};
use crate::push::log::Patience;
use crate::push::model::{EncodeNote, Format, Note, PRESENCE, Payload, SharedForm};
use crate::session::{LastWord, Reply, Socket, Upgrade, WebSocketHandler};

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
    match connection(call) {
        Ok((socket, None)) => reply.upgrade_with(upgrade, socket),
        Ok((socket, Some(plan))) => reply.upgrade_with(upgrade, ControlledSocket { socket, plan: Some(plan), feed: None }),
        Err(rejection) => call.reject(reply, &rejection),
    }
}

/// The handler of a connection, and what it needs in addition if it has a control channel.
fn connection(call: &Call<'_>) -> Result<(PushSocket, Option<FeedPlan>), Rejection> {
    let form = call.form()?;
    let secret = call.channel_secret(form)?;
    let missed = call.replay(call.after()?, Patience::UntilRead)?;
    let (from, has_gap) = missed.begin();
    if has_gap && form.gap == GapForm::Refused {
        return Err(Rejection::new(410, format!("messages behind the cursor are missing; those behind {from} are there")));
    }
    let target = call.topics.first();
    let may_publish = !target.ends_with(PRESENCE) && call.hub.allows(call.request, Access::Publish, target);
    // The close frame has the last word.
    let encode_note = match form.gap {
        GapForm::InBand => EncodeNote::Plain(|note| (!matches!(note, Note::End(_))).then(|| Frame::text(&note.json()))),
        GapForm::HeadOnly | GapForm::Refused => EncodeNote::Plain(|_| None),
    };
    let subscription = Some(Box::new(call.subscription_after(missed, form.shared(), encode_note.clone())));
    let target = call.hub.shared_name(target);
    let socket = PushSocket { hub: call.hub.clone(), target, may_publish, subscription };
    Ok((socket, call.feed_plan(secret, form.shared(), encode_note)))
}

struct PushSocket {
    hub: Hub,
    /// The topic to which the hub publishes the client's messages.
    target: Arc<str>,
    may_publish: bool,
    /// `None` after the client is subscribed. Boxed, because most sockets are subscribed for nearly
    /// all of their time, and then need no room for it.
    subscription: Option<Box<Subscription>>,
}

impl PushSocket {
    fn catch_up(&mut self, socket: &mut Socket<'_>) {
        let Some(subscription) = &mut self.subscription else { return };
        let status = subscription.advance(socket);
        if status == SubscriptionStatus::Behind {
            return;
        }
        if let Some(word) = status.last_word() {
            close(socket, word.code(), word.sentence());
        }
        self.subscription = None;
    }
}

/// A WebSocket with a control channel. It is a type of its own, so that the others stay as small as
/// they are.
struct ControlledSocket {
    socket: PushSocket,
    /// `None` after the WebSocket has opened.
    plan: Option<FeedPlan>,
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
        if let (Some(plan), Some(subscription)) = (self.plan.take(), self.socket.subscription.take()) {
            self.feed = Some(plan.open(&self.socket.hub, *subscription, socket));
        }
        self.catch_up(socket);
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        self.catch_up(socket);
    }

    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        self.socket.message(message, socket);
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
        if !self.may_publish {
            self.hub.count_refused(403);
            return close(socket, 1_008, "this connection may not publish");
        }
        let payload = match message {
            Message::Text(text) => Payload::text(text),
            Message::Binary(bytes) => Payload::binary(bytes),
        };
        let code = |error| if error == PublishError::TooLarge { 1_009 } else { 1_013 };
        let refuse = |error: PublishError, socket: &mut Socket<'_>| {
            self.hub.count_refused(error.status());
            close(socket, code(error), &error.to_string());
        };
        match self.hub.begin_publish(&self.target, payload) {
            Publishing::Done(Ok(_)) => {}
            Publishing::Done(Err(error)) => refuse(error, socket),
            publishing => {
                let (pusher, weak) = (socket.pusher(), self.hub.downgrade());
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
}

fn close(socket: &mut Socket<'_>, code: u16, reason: &str) {
    // An error means that the connection is closing already.
    let _ = socket.close(code, reason);
}
