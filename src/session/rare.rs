//! What few sessions have.
//!
//! Owns the facts about TLS, about a peer that is slow or late, and about the need of a layer, in one
//! box for all of them: a field for each took 24 bytes more of every connection. Leaves what follows
//! from them to `session`, `next`, `ending` and `deadlines`.

use std::time::Instant;

use super::caller::TlsInfo;
use super::contract::Need;

/// `None` for most sessions.
#[derive(Default)]
pub(super) struct Rare(Option<Box<Facts>>);

#[derive(Default)]
pub(super) struct Facts {
    pub(super) tls: Option<Box<TlsInfo>>,
    /// When to give up a peer that takes no output.
    pub(super) stalled_until: Option<Instant>,
    pub(super) overdue: Option<Overdue>,
    /// The need of the transport when the session was asked last.
    need: Need,
}

/// A deadline that ends the peer has passed. The session ends the peer when a read shows that the
/// transport has no more input.
#[derive(Clone, Copy)]
pub(super) struct Overdue {
    /// Bytes that were read since the deadline.
    pub(super) bytes: u32,
    /// The session has asked for a read since the deadline.
    pub(super) is_read: bool,
}

impl Rare {
    /// The facts, to set one of them.
    pub(super) fn facts(&mut self) -> &mut Facts {
        self.0.get_or_insert_default()
    }

    /// Changes the facts, and frees their memory if nothing is left.
    pub(super) fn calm(&mut self, change: impl FnOnce(&mut Facts)) {
        if let Some(facts) = &mut self.0 {
            change(facts);
            let Facts { tls, stalled_until, overdue, need } = &**facts;
            if tls.is_none() && stalled_until.is_none() && overdue.is_none() && *need == Need::Nothing {
                self.0 = None;
            }
        }
    }

    /// Whether the session has none of the facts.
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(super) fn tls(&self) -> Option<&TlsInfo> {
        self.0.as_ref()?.tls.as_deref()
    }

    #[inline]
    pub(super) fn stalled_until(&self) -> Option<Instant> {
        self.0.as_ref()?.stalled_until
    }

    #[inline]
    pub(super) fn overdue(&self) -> Option<Overdue> {
        self.0.as_ref()?.overdue
    }

    #[inline]
    pub(super) fn overdue_mut(&mut self) -> Option<&mut Overdue> {
        self.0.as_mut()?.overdue.as_mut()
    }

    #[inline]
    pub(super) fn need(&self) -> Need {
        self.0.as_ref().map_or(Need::Nothing, |facts| facts.need)
    }

    #[inline]
    pub(super) fn set_need(&mut self, need: Need) {
        if need != self.need() {
            self.facts().need = need;
        }
    }
}
