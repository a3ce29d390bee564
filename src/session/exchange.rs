//! One request and its response, from the head to the last byte.
//!
//! Owns what a connection keeps for a request that is not answered in the handler's call itself: the parts of a body that is still
//! arriving, a hold, a stream. Refuses to parse or encode.

use std::sync::Arc;
use std::time::Instant;

use super::link::Link;
use super::{Context, Response, StreamSource, WebSocketHandler};

/// What the connection is doing about its current request.
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
    /// The head section, to be read again when the body is whole.
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// A request that is answered later.
pub(super) struct Hold {
    pub(super) link: Link,
    /// `None` for a time beyond what the clock can name.
    pub(super) until: Option<Instant>,
    /// The answer when time runs out.
    pub(super) fallback: Arc<Response>,
}

/// A response whose body has no known end.
pub(super) struct Streaming {
    pub(super) link: Link,
    /// Sends as the reader reads.
    pub(super) source: Option<Box<dyn StreamSource>>,
    pub(super) heartbeat: Option<Heartbeat>,
    /// Bytes of messages after which the stream ends.
    pub(super) left_bytes: Option<usize>,
    /// An event stream tells its client when to come back before it ends.
    pub(super) is_event_stream: bool,
}

impl Streaming {
    /// Whether a source may send: waiting messages go out first, and nothing goes out behind the
    /// end.
    pub(super) const fn takes_feed(&self) -> bool {
        self.source.is_some() && self.link.is_free() && self.link.close_asked().is_none()
    }

    /// Puts the next heartbeat off, because the peer gets a sign of life now.
    pub(super) fn put_off_heartbeat(&mut self, cx: &Context<'_>) {
        if let (Some(heartbeat), Some(every)) = (&mut self.heartbeat, cx.settings.limits.heartbeat) {
            heartbeat.due = cx.now.instant() + every;
        }
    }

    /// Ends the stream's link, and drops the source and what is carried.
    pub(super) fn let_go(&mut self, cx: &Context<'_>) {
        let source = self.source.take();
        cx.contain(|| drop(source));
        self.link.let_go(cx);
    }

    /// The end comes when what was put out has been written.
    pub(super) fn end_if_enough(&mut self) {
        if self.left_bytes == Some(0) {
            self.link.ask_close(0);
        }
    }
}

/// Bytes sent after a time without messages.
#[derive(Clone, Copy)]
pub(super) struct Heartbeat {
    pub(super) bytes: &'static [u8],
    pub(super) due: Instant,
}

/// How the handler's call disposed of its request.
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
