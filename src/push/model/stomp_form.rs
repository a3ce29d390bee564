//! The form of messages for STOMP subscriptions.
//!
//! Owns the MESSAGE frame of a topic's message, in two parts: the first differs by subscription,
//! and all subscribers of a message share the second. Leaves the grammar to `proto::stomp`, and
//! queues and all other frames to `push::stomp`.

use std::sync::Arc;

use super::envelope::Gap;
use super::id::Id;
use super::payload::Payload;
use crate::proto::Frame;
use crate::proto::stomp::{Command, FrameWriter, Version};

/// The beginning of the name of each destination that is a topic of the hub.
pub(crate) const TOPIC: &str = "/topic/";

/// What the shared part depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StompVariant {
    pub(crate) version: Version,
    /// Whether messages have an `ack` header, because the client acknowledges them.
    pub(crate) acks: bool,
}

/// The form of one subscription.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct StompForm {
    /// The first part: the command, and the header that names the subscription.
    first: String,
    variant: StompVariant,
    /// The destination as the client has named it.
    destination: String,
}

impl StompForm {
    /// The form of a subscription with this id. `None` if the version cannot carry the id.
    pub(crate) fn new(subscription: &str, destination: &str, variant: StompVariant) -> Option<Self> {
        let mut first = Vec::new();
        FrameWriter::new(Command::Message, variant.version, &mut first).header("subscription", subscription).pause().ok()?;
        Some(Self { first: String::from_utf8(first).ok()?, variant, destination: destination.to_owned() })
    }

    pub(super) const fn variant(&self) -> StompVariant {
        self.variant
    }

    /// A message in this form, of which `shared` is the second part. It is a text message of the
    /// WebSocket if its payload is text.
    pub(super) fn frame(&self, payload: &Payload, shared: &Arc<[u8]>) -> Frame {
        match payload.as_text() {
            Some(_) => Frame::text_in_parts(&self.first, shared),
            None => Frame::binary_in_parts(self.first.as_bytes(), shared),
        }
    }

    /// The notice of a gap: a MESSAGE without a body, with the header `gap`. Its value is the id
    /// after which all messages follow. The same id is the `message-id`, so that a client which
    /// keeps the last `message-id` has the right cursor.
    pub(crate) fn encode_gap(&self, gap: Gap) -> Frame {
        let from = gap.from.map(|id| id.to_string()).unwrap_or_default();
        let mut frame = self.first.clone().into_bytes();
        let writer = FrameWriter::go_on(Command::Message, self.variant.version, &mut frame);
        let writer = writer.header("message-id", &from).header("destination", &self.destination).header("gap", &from);
        writer.body(b"").expect("ids and destinations of topics need no escapes");
        Frame::text(&String::from_utf8_lossy(&frame))
    }
}

impl StompVariant {
    /// The second part of a message.
    pub(super) fn encode(self, id: Id, topic: &str, payload: &Payload) -> Arc<[u8]> {
        let id = id.to_string();
        let mut part = Vec::with_capacity(payload.bytes().len() + 160);
        let mut writer = FrameWriter::go_on(Command::Message, self.version, &mut part)
            .header("message-id", &id)
            .header("destination", &format!("{TOPIC}{topic}"));
        if self.acks {
            writer = writer.header("ack", &id);
        }
        if let Some(event) = payload.event_name() {
            writer = writer.header("event", event);
        }
        let content_type = if payload.as_text().is_some() { "text/plain; charset=utf-8" } else { "application/octet-stream" };
        let written = writer.header("content-type", content_type).body(payload.bytes());
        written.expect("ids and checked names need no escapes");
        part.into()
    }
}
