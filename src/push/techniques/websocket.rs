//! WebSocket (RFC 6455).
//!
//! On the wire: a handshake, then a frame a message, with 2 to 10 bytes around it, both ways: what the client sends is published to the first
//! of its topics, as text or as binary. Costs the least per message, and a protocol of its own: no intermediary understands it, and coming
//! back is the client's work. Choose it where both sides speak often.
//!
//! What was missed is fed as the client reads, and never drops by the slow-consumer policy. With `format=raw` frames have no room for ids or
//! gaps: a cursor that cannot be resumed is refused with 410.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::board::Wire;
use super::super::call::Call;
use super::super::hub::{Joined, Wish};
use super::super::message::Form;
use super::super::query::{Format, Rejection};
use super::super::state::Sink;
use super::super::topic::PRESENCE;
use super::super::{Access, Hub, Id, Payload, PublishError, Replay, Technique, Topics, envelope};
use crate::proto::Frame;
use crate::proto::ws::Message;
use crate::session::{Reply, Sent, Socket, WebSocketHandler};

pub(in super::super) const PARAMETERS: &[&str] = &["format"];

pub(in super::super) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    match connection(call) {
        Ok(connection) => reply.upgrade(connection),
        Err(rejection) => call.reject(reply, &rejection),
    }
}

fn connection(call: &Call<'_>) -> Result<Connection, Rejection> {
    let is_json = call.format(Format::Json)? == Format::Json;
    let replay = call.replay(call.after()?, call.hub.config().replay_bytes)?;
    if replay.gap && !is_json {
        let sentence = format!("messages behind the cursor are missing; those behind {} are there", replay.from);
        return Err(Rejection { status: 410, sentence });
    }
    let target = call.topics.first();
    let may_publish = !target.ends_with(PRESENCE) && call.hub.allows(call.request, Access::Publish, target);
    let mut connection = Connection {
        hub: call.hub.clone(),
        topics: call.topics.clone(),
        client: call.client.clone(),
        may_publish,
        form: if is_json { Form::WsJson } else { Form::WsRaw },
        position: replay.last,
        waiting: VecDeque::new(),
        is_subscribed: false,
    };
    connection.take(&replay);
    Ok(connection)
}

struct Connection {
    hub: Hub,
    topics: Topics,
    client: Option<Arc<str>>,
    may_publish: bool,
    form: Form,
    /// Everything up to here was sent, or is in `waiting`.
    position: Id,
    waiting: VecDeque<Frame>,
    is_subscribed: bool,
}

impl Connection {
    fn take(&mut self, replay: &Replay) {
        if replay.gap {
            self.waiting.push_back(Frame::text(&envelope::gap(replay.from)));
        }
        let boundary = &self.hub.constants().boundary;
        self.waiting.extend(replay.messages.iter().map(|message| message.frame(self.form, boundary).clone()));
        self.position = replay.last;
    }

    /// Sends what was missed for as long as the client takes it, and subscribes when nothing is missing.
    fn catch_up(&mut self, socket: &mut Socket<'_>) {
        while !self.is_subscribed {
            while let Some(frame) = self.waiting.pop_front() {
                if socket.send_frame(&frame) != Sent::Accepted {
                    return;
                }
            }
            let wish = Wish { topics: &self.topics, technique: Technique::Ws, client: self.client.as_ref(), position: self.position };
            let sink = Sink::Stream { pusher: socket.pusher(), wire: Wire::Form(self.form) };
            match self.hub.join(&wish, sink) {
                Joined::Subscribed(leave, drops) => {
                    let gap = (self.form == Form::WsJson).then(|| Frame::text(envelope::DROPPED));
                    socket.on_drop(move |count| {
                        drops.add(count);
                        gap.clone()
                    });
                    self.is_subscribed = true;
                    socket.carry(leave);
                }
                Joined::Behind(replay) if replay.gap && self.form == Form::WsRaw => {
                    self.hub.count_refused(410);
                    return close(socket, 4_410, "messages are missing");
                }
                Joined::Behind(replay) => self.take(&replay),
                Joined::NoRoom => {
                    self.hub.count_refused(503);
                    return close(socket, 1_013, "too many topics");
                }
            }
        }
    }
}

impl WebSocketHandler for Connection {
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
        match self.hub.publish(self.topics.first(), payload) {
            Ok(_) => {}
            Err(error @ PublishError::TooLarge) => close(socket, 1_009, &error.to_string()),
            Err(error) => close(socket, 1_013, &error.to_string()),
        }
    }
}

fn close(socket: &mut Socket<'_>, code: u16, reason: &str) {
    // It is closing already otherwise.
    let _ = socket.close(code, reason);
}
