//! One topic.
//!
//! Owns the topic's counters, its users and its streams by wire form. Leaves to `topic_table` which
//! topics exist, and messages to the log.

use std::collections::HashMap;
use std::ptr::fn_addr_eq;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::polls::Polls;
use crate::push::model::{EncodeMessage, PRESENCE, PerTechnique, SharedForm, StompForm, TopicMessage, WireForm};
use crate::session::{Audience, Pusher};

/// A topic.
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) published: u64,
    pub(crate) gaps: u64,
    /// Atomic, because a connection whose queue overflows counts its dropped messages without the
    /// hub's lock.
    pub(crate) drops: Arc<AtomicU64>,
    pub(super) users: Users,
    audiences: [Audience; SharedForm::COUNT],
    scripts: HashMap<Arc<str>, Audience>,
    /// The STOMP subscriptions, by their form. Clients often choose the same id.
    stomp: HashMap<Arc<StompForm>, Audience>,
    /// The streams and `WebSocket`s with encodings of the application. There are few encodings.
    own: Vec<(EncodeMessage, Audience)>,
    pub(crate) polls: Polls,
}

/// The users of a topic. A topic with users is never evicted, so its slot stays valid.
#[derive(Debug, Default)]
pub(crate) struct Users {
    pub(crate) subscribers: PerTechnique,
    /// Clients without a token that are online.
    pub(crate) anonymous: PerTechnique,
}

impl Users {
    pub(super) fn is_empty(&self) -> bool {
        self.subscribers.is_empty() && self.anonymous.is_empty()
    }
}

impl Topic {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            published: 0,
            gaps: 0,
            drops: Arc::default(),
            users: Users::default(),
            audiences: Default::default(),
            scripts: HashMap::new(),
            stomp: HashMap::new(),
            own: Vec::new(),
            polls: Polls::default(),
        }
    }

    pub(crate) const fn users(&self) -> &Users {
        &self.users
    }

    pub(crate) fn is_presence(&self) -> bool {
        self.name.ends_with(PRESENCE)
    }

    /// Posts a message to all streams and `WebSocket`s, to each in its wire form.
    pub(crate) fn deliver(&self, message: &TopicMessage, boundary: &str) {
        for (form, audience) in SharedForm::ALL.into_iter().zip(&self.audiences) {
            if !audience.is_empty() {
                audience.send_to_all(message.shared_frame(form, boundary));
            }
        }
        for (callback, audience) in &self.scripts {
            audience.send_to_all(&message.script(callback));
        }
        for (form, audience) in &self.stomp {
            audience.send_to_all(&message.stomp(form));
        }
        for (encode, audience) in &self.own {
            audience.send_to_all(&encode(message));
        }
    }

    pub(crate) fn add_stream(&mut self, pusher: &Pusher, wire_form: &WireForm) {
        self.audience(wire_form).insert(pusher);
    }

    pub(crate) fn remove_stream(&mut self, pusher: &Pusher, wire_form: &WireForm) {
        let audience = self.audience(wire_form);
        audience.remove(pusher);
        match wire_form {
            WireForm::Script(callback) if audience.is_empty() => _ = self.scripts.remove(callback),
            WireForm::Stomp(form) if audience.is_empty() => _ = self.stomp.remove(form),
            WireForm::Own(_) if audience.is_empty() => self.own.retain(|(_, audience)| !audience.is_empty()),
            _ => {}
        }
    }

    fn audience(&mut self, wire_form: &WireForm) -> &mut Audience {
        match wire_form {
            WireForm::Shared(form) => &mut self.audiences[*form as usize],
            WireForm::Script(callback) => self.scripts.entry(Arc::clone(callback)).or_default(),
            WireForm::Stomp(form) => self.stomp.entry(Arc::clone(form)).or_default(),
            WireForm::Own(encode) => {
                // Two addresses of one function would only make two audiences.
                let index = self.own.iter().position(|(other, _)| fn_addr_eq(*other, *encode)).unwrap_or(self.own.len());
                if index == self.own.len() {
                    self.own.push((*encode, Audience::default()));
                }
                &mut self.own[index].1
            }
        }
    }
}
