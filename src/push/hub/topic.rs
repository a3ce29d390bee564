//! One topic.
//!
//! Owns its history, its counters, its users and its audiences by wire form. Leaves to `topic_table` which topics there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::polls::Polls;
use crate::push::model::{Form, History, Message, PRESENCE, PerTechnique, Wire};
use crate::session::{Audience, Pusher};

/// One topic.
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) history: History,
    pub(crate) published: u64,
    pub(crate) gaps: u64,
    /// Counted without the lock: where messages are dropped, a connection is at work.
    pub(crate) drops: Arc<AtomicU64>,
    pub(super) users: Users,
    /// When the board looks for messages that are too old; `None` while there are no messages.
    pub(super) ages_at: Option<Instant>,
    audiences: [Audience; Form::COUNT],
    scripts: HashMap<Arc<str>, Audience>,
    pub(crate) polls: Polls,
}

/// The users of a topic. A topic with users keeps its place.
#[derive(Debug, Default)]
pub(crate) struct Users {
    pub(crate) subscribers: PerTechnique,
    /// Clients without a token that are online.
    pub(crate) nameless: PerTechnique,
}

impl Users {
    pub(super) fn is_empty(&self) -> bool {
        self.subscribers.sum() + self.nameless.sum() == 0
    }
}

impl Topic {
    pub(super) fn new(name: Arc<str>, history: History) -> Self {
        Self {
            name,
            history,
            published: 0,
            gaps: 0,
            drops: Arc::default(),
            users: Users::default(),
            ages_at: None,
            audiences: Default::default(),
            scripts: HashMap::new(),
            polls: Polls::default(),
        }
    }

    pub(crate) const fn users(&self) -> &Users {
        &self.users
    }

    pub(crate) fn is_presence(&self) -> bool {
        self.name.ends_with(PRESENCE)
    }

    /// Posts a message to everybody who streams, in the form of each.
    pub(crate) fn push(&self, message: &Message, boundary: &str) {
        for (form, audience) in Form::ALL.into_iter().zip(&self.audiences) {
            if !audience.is_empty() {
                audience.push(message.shared_frame(form, boundary));
            }
        }
        for (callback, audience) in &self.scripts {
            audience.push(&message.script(callback));
        }
    }

    pub(crate) fn add(&mut self, pusher: &Pusher, wire: &Wire) {
        self.audience(wire).insert(pusher);
    }

    pub(crate) fn remove(&mut self, pusher: &Pusher, wire: &Wire) {
        let audience = self.audience(wire);
        audience.remove(pusher);
        if let (true, Wire::Script(callback)) = (audience.is_empty(), wire) {
            self.scripts.remove(callback);
        }
    }

    fn audience(&mut self, wire: &Wire) -> &mut Audience {
        match wire {
            Wire::Form(form) => &mut self.audiences[*form as usize],
            Wire::Script(callback) => self.scripts.entry(Arc::clone(callback)).or_default(),
        }
    }
}
