//! When a session must be asked again, and whether its peer is late.
//!
//! Owns the questions about deadlines. Leaves the deadlines themselves to the phases, and what
//! happens when one has passed to `session` and `next`.

use std::time::Instant;

use super::contract::Need;
use super::progress::Ending;
use super::session::{Over, Phase, Session};
use crate::proto::Outbox;

impl Session {
    /// Whether a deadline has passed that ends the connection because the peer sent nothing in
    /// time. Every other deadline only makes output.
    #[inline]
    pub fn is_overdue(&self, out: &Outbox, now: Instant) -> bool {
        let ends_peer = match &self.phase {
            Phase::Http(http) => !http.is_answering(),
            Phase::WebSocket(websocket) => websocket.timeout_ends_peer(self.output_waits(out)),
            Phase::Securing(_) | Phase::Over(_) => true,
            Phase::Closed(_) => false,
        };
        ends_peer && self.phase_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Whether there is output that the transport has not taken: in the outbox, on its way with
    /// another thread, or in a layer of the transport.
    #[inline]
    pub(super) fn output_waits(&self, out: &Outbox) -> bool {
        !out.is_empty() || out.is_lent() || self.rare.need() == Need::Write
    }

    /// Whether the transport has taken no output for the whole write time-out. One more write
    /// decides.
    pub fn is_stalled(&self, now: Instant) -> bool {
        self.rare.stalled_until().is_some_and(|until| until <= now)
    }

    /// When [`timed_out`](Self::timed_out) must be called. There is no deadline while the session
    /// waits for the read that follows a deadline.
    #[inline(always)]
    pub fn deadline(&self) -> Option<Instant> {
        if self.rare.is_empty() {
            return self.phase_deadline();
        }
        let phase = if self.rare.overdue().is_some() { None } else { self.phase_deadline() };
        match (phase, self.rare.stalled_until()) {
            (phase, None) => phase,
            (None, stalled) => stalled,
            (Some(phase), Some(stalled)) => Some(phase.min(stalled)),
        }
    }

    /// When a read that waits must return: at the [`deadline`](Self::deadline), or at once if a
    /// deadline has passed.
    pub fn read_deadline(&self) -> Option<Instant> {
        if self.rare.overdue().is_some() { self.phase_deadline() } else { self.deadline() }
    }

    #[inline(always)]
    pub(super) fn phase_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Securing(until) => Some(*until),
            Phase::Http(http) => http.deadline(),
            Phase::WebSocket(websocket) => websocket.deadline(),
            Phase::Over(Over { ending: Ending::Linger, until, .. }) => *until,
            Phase::Over(_) | Phase::Closed(_) => None,
        }
    }
}
