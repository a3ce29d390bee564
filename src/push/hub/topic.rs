//! One topic.
//!
//! Owns the topic's counters, its users and its streams by wire form. Leaves to `topic_table` which
//! topics exist, and messages to the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use slab::Slab;

use super::polls::Polls;
use super::roster::Roster;
use crate::push::model::{PRESENCE, PerTechnique, TopicMessage, WireForm};
use crate::session::Destination;

/// A topic.
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) published: u64,
    pub(crate) gaps: u64,
    /// Atomic, because a connection with a control channel counts without the hub's lock.
    pub(crate) drops: Arc<AtomicU64>,
    pub(super) users: Users,
    /// The streams and `WebSocket`s, by the form in which they get messages.
    readers: Slab<(WireForm, Roster)>,
    /// The index of each form in `readers`. STOMP clients and hidden iframes can bring many forms.
    forms: HashMap<WireForm, u32>,
    pub(crate) polls: Polls,
}

/// The room for so many forms is kept by a topic without readers.
const FORMS_KEPT: usize = 16;

/// The place of a stream or a WebSocket in a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The index of its form.
    form: u32,
    /// Its place in the roster of the form.
    place: u32,
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
            readers: Slab::new(),
            forms: HashMap::new(),
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
        for (_, (form, roster)) in &self.readers {
            match form {
                // The message keeps these forms for its replay.
                WireForm::Shared(form) => roster.send_to_all(message.shared_frame(*form, boundary)),
                other => roster.send_to_all(&other.encode(message, boundary)),
            }
        }
    }

    /// Adds a stream or a WebSocket of a subscriber.
    pub(super) fn add_reader(&mut self, reader: &Destination, wire_form: &WireForm, subscriber: u32) -> Place {
        let form = self.forms.get(wire_form).copied().unwrap_or_else(|| {
            let form = self.readers.insert((wire_form.clone(), Roster::default())) as u32;
            self.forms.insert(wire_form.clone(), form);
            form
        });
        Place { form, place: self.readers[form as usize].1.insert(reader, subscriber) }
    }

    /// Removes the stream or WebSocket of this driver at a place. Returns the subscriber whose place
    /// this is now.
    pub(super) fn remove_reader(&mut self, driver: usize, place: Place) -> Option<u32> {
        let (wire_form, roster) = self.readers.get_mut(place.form as usize)?;
        let moved = roster.remove(driver, place.place);
        if roster.is_empty() {
            self.forms.remove(wire_form);
            self.readers.remove(place.form as usize);
        }
        if self.readers.is_empty() && self.readers.capacity() > FORMS_KEPT {
            (self.readers, self.forms) = (Slab::new(), HashMap::new());
        }
        moved
    }

    /// Where the stream or WebSocket at a place takes commands.
    pub(super) fn reader(&self, driver: usize, place: Place) -> Option<Destination> {
        self.readers.get(place.form as usize)?.1.destination(driver, place.place)
    }
}
