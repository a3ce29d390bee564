//! How a server ends a connection on purpose.
//!
//! Owns the beginning of such an end, the cut of a connection, and the time that a slow reader has
//! for its last word. Leaves the last word to the phases, and the rest of the end to `session` and
//! `next`.

use super::Context;
use super::last_word::Leaving;
use super::progress::{Ending, Progress};
use super::session::{Over, Phase, Session};
use crate::proto::{CloseReason, Outbox};

impl Session {
    /// Begins to end the connection, because the server shuts down. The phase of the connection
    /// decides how it ends. `come_back_ms` is the time after which the client should return.
    pub fn shut_down(&mut self, come_back_ms: u64, out: &mut Outbox, cx: &Context<'_>) {
        self.leave(Leaving::Shutdown, come_back_ms, out, cx);
    }

    /// As [`shut_down`](Self::shut_down), for one connection: the driver has no thread left that
    /// could serve it.
    pub fn refuse(&mut self, come_back_ms: u64, out: &mut Outbox, cx: &Context<'_>) {
        self.leave(Leaving::NoThread, come_back_ms, out, cx);
    }

    /// Ends the connection without writing the rest of the output, because the transport failed or
    /// must be cut. [`next`](Self::next) then says [`Close`](super::Next::Close). The reason counts
    /// only if the session was not over before.
    pub fn abort(&mut self, reason: CloseReason, cx: &Context<'_>) {
        self.end(Ending::Abort, reason, cx);
        if let Phase::Over(over) = &mut self.phase {
            over.ending = Ending::Abort;
        }
        self.rare.calm(|rare| rare.stalled_until = None);
    }

    /// The driver has closed the transport. The reason counts only if the session was not over
    /// before.
    pub fn close(&mut self, reason: CloseReason, cx: &Context<'_>) {
        self.end(Ending::Abort, reason, cx);
        if let Phase::Over(over) = &self.phase {
            self.phase = Phase::Closed(over.reason);
            self.rare.calm(|rare| rare.stalled_until = None);
            cx.stats.open.subtract(1);
        }
    }

    fn leave(&mut self, leaving: Leaving, come_back_ms: u64, out: &mut Outbox, cx: &Context<'_>) {
        let come_back_ms = u32::try_from(come_back_ms).unwrap_or(u32::MAX);
        let progress = match &mut self.phase {
            Phase::Securing(_) => Progress::End(Ending::Abort, CloseReason::Shutdown),
            Phase::Http(http) => http.leave(leaving, come_back_ms, out, cx),
            Phase::WebSocket(websocket) => websocket.end_with(leaving.last_word(come_back_ms), out, cx),
            Phase::Over(_) | Phase::Closed(_) => return,
        };
        self.advance(progress, out, cx);
    }

    /// Ends the connection of a reader that is too slow, with a last word if the protocol has one.
    /// The reader has [`close_timeout`](crate::Limits::close_timeout) to take the output and the
    /// last word, however it spreads its reads.
    #[cold]
    pub(super) fn end_slow(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.end_slow(out, cx),
            Phase::WebSocket(websocket) => websocket.end_slow(out, cx),
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => return,
        };
        self.advance(progress, out, cx);
    }

    /// Bounds the time for the last word of a session that is over.
    pub(super) fn bound_last_word(&mut self, cx: &Context<'_>) {
        if self.is_telling_slow() {
            let until = cx.now.instant() + cx.settings.limits.close_timeout;
            let stalled = self.rare.facts().stalled_until.get_or_insert(until);
            *stalled = until.min(*stalled);
        }
    }

    /// Whether the last word to a slow reader is on its way.
    pub(super) const fn is_telling_slow(&self) -> bool {
        matches!(
            &self.phase,
            Phase::Over(Over { reason: CloseReason::SlowConsumer, ending: Ending::Flush | Ending::Linger, until: None, .. })
        )
    }

    /// The peer has taken output, perhaps all of it. That begins the write time-out anew, except for
    /// a slow reader, which has a fixed time for the last word.
    #[cold]
    pub(super) fn note_taken(&mut self, is_all: bool) {
        if is_all || !self.is_telling_slow() {
            self.rare.calm(|rare| rare.stalled_until = None);
        }
    }
}
