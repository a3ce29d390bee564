//! One request and its response, from the head to the last byte.
//!
//! Owns what a connection keeps for a request that is not answered within the handler's call, and
//! what the handler did with a request. Leaves the state of a stream to `stream`, parsing and
//! encoding to `proto`, and the steps between the states to `http`.

use std::sync::Arc;
use std::time::Instant;

use super::carried::Carried;
use super::link::Serial;
use super::stream::Streaming;
use super::{HoldAnswers, LastWord, WebSocketHandler};
use crate::proto::ws::Agreement;

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
    Stream(Streaming),
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
    pub(super) serial: Serial,
    pub(super) carried: Carried,
    /// `None` for a time that the clock cannot represent.
    pub(super) until: Option<Instant>,
    /// The answers that do not come from the handle.
    pub(super) answers: Arc<dyn HoldAnswers>,
}

/// What the handler did with its request.
pub(super) enum Handling {
    /// The reply was dropped.
    Unanswered,
    /// The response is whole.
    Answered,
    Held(Box<Hold>),
    Stream(Streaming),
    Upgraded(Box<Upgraded>),
}

impl Handling {
    /// Notes that the response is whole. The handler has one reply, so nothing was done before, and
    /// nothing is to be dropped: a plain assignment would ask for it, with 20 instructions.
    #[inline(always)]
    pub(super) fn answer(&mut self) {
        let before = std::mem::replace(self, Self::Answered);
        debug_assert!(matches!(before, Self::Unanswered), "a reply is consumed");
        std::mem::forget(before);
    }
}

/// A handshake that was accepted: the connection speaks WebSocket from the next byte on.
pub(super) struct Upgraded {
    pub(super) handler: Box<dyn WebSocketHandler>,
    pub(super) protocol: Option<&'static str>,
    pub(super) deflate: Option<Agreement>,
    pub(super) carried: Carried,
    /// The last word of a server that ends the connection already.
    pub(super) last_word: Option<LastWord>,
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use crate::session::link::Link;
    use crate::session::stream::Parts;

    /// The memory of a connection that waits, without what its handles and its driver have.
    #[test]
    fn what_waits_is_small() {
        assert!(size_of::<Hold>() <= 56, "{}", size_of::<Hold>());
        assert!(size_of::<Exchange>() <= 16, "{}", size_of::<Exchange>());
        assert!(size_of::<Parts>() <= 56, "{}", size_of::<Parts>());
        assert!(size_of::<Link>() <= 16, "{}", size_of::<Link>());
    }
}
