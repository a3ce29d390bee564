//! One request and its response, from the head to the last byte.
//!
//! Owns what a connection keeps for a request that is not answered within the handler's call: the
//! parts of a body that is still arriving, a hold, a stream. Leaves parsing and encoding to
//! `proto`, and the steps between the states to `http`.

use std::sync::Arc;
use std::time::Instant;

use super::link::Link;
use super::{Context, Response, StreamSource, WebSocketHandler};

/// The state of the current request.
///
/// ```text
///             ┌────────────────── answered ──────────────────┐
///             ▼                                              │
///          ┌──────┐ head, body incomplete ┌─────────┐ end of body: handler
///  ──────▶ │ Idle │ ────────────────────▶ │ Partial │ ──────────┤
///          └──┬───┘                       └─────────┘           │
///             │ head and body: handler                          │
///             ├──────── hold ──────▶ Held ─── released, timed out┤
///             └─────── stream ─────▶ Stream ─────── ended ───────┘
/// ```
#[derive(Default)]
pub(super) enum Exchange {
    #[default]
    Idle,
    Partial(Box<Partial>),
    Held(Box<Hold>),
    Stream(Box<Streaming>),
}

/// A request whose body is still arriving.
#[derive(Default)]
pub(super) struct Partial {
    /// The head section, to be parsed again when the body is complete.
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// A request that is answered later.
pub(super) struct Hold {
    pub(super) link: Link,
    /// `None` for a time that the clock cannot represent.
    pub(super) until: Option<Instant>,
    /// The answer when the time has passed.
    pub(super) fallback: Arc<Response>,
}

/// A response whose length is not known.
pub(super) struct Streaming {
    pub(super) link: Link,
    /// The source that sends at the pace of the reader.
    pub(super) source: Option<Box<dyn StreamSource>>,
    pub(super) heartbeat: Option<Heartbeat>,
    /// The stream ends after so many more bytes of payload.
    pub(super) left_bytes: Option<usize>,
    /// Whether this is an event stream, which tells its client when to come back before it ends.
    pub(super) is_event_stream: bool,
}

impl Streaming {
    /// Whether the source may send: waiting messages go out first, and nothing goes out after the
    /// end.
    pub(super) const fn takes_feed(&self) -> bool {
        self.source.is_some() && self.link.is_free() && self.link.close_asked().is_none()
    }

    /// Postpones the next heartbeat, because the peer gets other bytes now.
    pub(super) fn put_off_heartbeat(&mut self, cx: &Context<'_>) {
        if let (Some(heartbeat), Some(every)) = (&mut self.heartbeat, cx.settings.limits.heartbeat) {
            heartbeat.due = cx.now.instant() + every;
        }
    }

    /// Ends the stream's link, and drops the source and the carried values.
    pub(super) fn let_go(&mut self, cx: &Context<'_>) {
        let source = self.source.take();
        cx.contain(|| drop(source));
        self.link.let_go(cx);
    }

    /// Asks for the end of a stream that has sent all bytes of its limit. The end follows the
    /// output that waits.
    pub(super) fn end_if_enough(&mut self) {
        if self.left_bytes == Some(0) {
            self.link.ask_close(0);
        }
    }
}

/// Bytes to send when no message was sent for a while.
#[derive(Clone, Copy)]
pub(super) struct Heartbeat {
    pub(super) bytes: &'static [u8],
    pub(super) due: Instant,
}

/// What the handler did with its request.
pub(super) enum Outcome {
    /// The reply was dropped.
    Unanswered,
    /// The response is whole.
    Answered,
    Held(Box<Hold>),
    Stream(Box<Streaming>),
    Upgraded(Box<Upgraded>),
}

/// A handshake that was accepted: the connection speaks WebSocket from the next byte on.
pub(super) struct Upgraded {
    pub(super) handler: Box<dyn WebSocketHandler>,
    pub(super) protocol: Option<&'static str>,
    pub(super) link: Link,
}
