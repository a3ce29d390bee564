//! The topics that there are, by name and by place.
//!
//! Owns what a topic has, who is told of its messages in which form, and which topic is forgotten for a new one. Refuses the sequence,
//! cursors, and who somebody is.

use std::collections::HashMap;
use std::ops::{Deref, Index, IndexMut};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use slab::Slab;

use super::history::History;
use super::message::Form;
use super::polls::Polls;
use super::topic::{PRESENCE, Topics};
use super::{Message, PerTechnique};
use crate::session::{Audience, Pusher};

/// How a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Form(Form),
    /// A script element that calls this function.
    Script(Arc<str>),
}

impl Wire {
    pub(super) fn frame(&self, message: &Message, boundary: &str) -> crate::proto::Frame {
        match self {
            Self::Form(form) => message.frame(*form, boundary).clone(),
            Self::Script(callback) => message.script(callback),
        }
    }
}

/// One topic.
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) history: History,
    pub(super) published: u64,
    pub(super) gaps: u64,
    /// Counted without the lock: where messages are dropped, a connection is at work.
    pub(super) drops: Arc<AtomicU64>,
    pub(super) subscribers: PerTechnique,
    /// Who is online without a token.
    pub(super) nameless: PerTechnique,
    used: u64,
    audiences: [Audience; Form::COUNT],
    scripts: HashMap<Arc<str>, Audience>,
    pub(super) polls: Polls,
}

impl Topic {
    fn new(name: Arc<str>, history: History, used: u64) -> Self {
        Self {
            name,
            history,
            published: 0,
            gaps: 0,
            drops: Arc::default(),
            subscribers: PerTechnique::default(),
            nameless: PerTechnique::default(),
            used,
            audiences: Default::default(),
            scripts: HashMap::new(),
            polls: Polls::default(),
        }
    }

    /// Whether somebody has a place here, who must find it again.
    fn is_in_use(&self) -> bool {
        self.subscribers.sum() + self.nameless.sum() > 0
    }

    pub(super) fn is_presence(&self) -> bool {
        self.name.ends_with(PRESENCE)
    }

    /// Posts a message to everybody who streams, in the form of each.
    pub(super) fn push(&self, message: &Message, boundary: &str) {
        for (form, audience) in FORMS.into_iter().zip(&self.audiences) {
            if !audience.is_empty() {
                audience.push(message.frame(form, boundary));
            }
        }
        for (callback, audience) in &self.scripts {
            audience.push(&message.script(callback));
        }
    }

    pub(super) fn add(&mut self, pusher: &Pusher, wire: &Wire) {
        self.audience(wire).insert(pusher);
    }

    pub(super) fn remove(&mut self, pusher: &Pusher, wire: &Wire) {
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

/// Where topics are, for as long as somebody is counted there: as a subscriber, or as online.
#[derive(Clone)]
pub(super) enum Places {
    One(usize),
    Several(Arc<[usize]>),
}

impl Deref for Places {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Several(places) => places,
        }
    }
}

/// All topics.
pub(super) struct Board {
    topics: Slab<Topic>,
    names: HashMap<Arc<str>, usize>,
    most: usize,
    /// The place in the sequence up to which messages of forgotten topics may be gone.
    forgotten_to: u64,
    forgotten: u64,
    uses: u64,
    /// Topics on which joining and leaving is published.
    presence_topics: usize,
}

impl Board {
    /// A board with room for so many topics.
    pub(super) fn new(most: usize) -> Self {
        Self { topics: Slab::new(), names: HashMap::new(), most, forgotten_to: 0, forgotten: 0, uses: 0, presence_topics: 0 }
    }

    /// The topic of this name, if there is one.
    pub(super) fn get(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).map(|place| &self.topics[*place])
    }

    /// Makes a topic if need be; `None` if there is no room for it.
    pub(super) fn make_one(&mut self, name: &Arc<str>) -> Option<usize> {
        self.uses += 1;
        if let Some(place) = self.names.get(name) {
            self.topics[*place].used = self.uses;
            return Some(*place);
        }
        if self.topics.len() >= self.most {
            self.forget_one()?;
        }
        let topic = Topic::new(Arc::clone(name), History::unknown_to(self.forgotten_to), self.uses);
        self.presence_topics += usize::from(topic.is_presence());
        let place = self.topics.insert(topic);
        self.names.insert(Arc::clone(name), place);
        Some(place)
    }

    /// Forgets the topic that was used least recently, of those that nobody listens to. What it had is gone, and which topic it was is
    /// forgotten, too: a cursor from before meets a gap in every topic that is made from now on.
    fn forget_one(&mut self) -> Option<()> {
        let idle = self.topics.iter().filter(|(_, topic)| !topic.is_in_use());
        let (place, _) = idle.min_by_key(|(_, topic)| topic.used)?;
        let topic = self.topics.remove(place);
        self.names.remove(&topic.name);
        self.presence_topics -= usize::from(topic.is_presence());
        self.forgotten += 1;
        self.forgotten_to = self.forgotten_to.max(topic.history.last());
        Some(())
    }

    /// Makes these topics; `None` if there is no room for all.
    pub(super) fn make(&mut self, topics: &Topics) -> Option<Places> {
        match topics.shared() {
            [name] => self.make_one(name).map(Places::One),
            names => {
                let places: Option<Arc<[usize]>> = names.iter().map(|name| self.make_one(name)).collect();
                // The last one may have taken the place of the first.
                let places = places.filter(|_| names.iter().all(|name| self.names.contains_key(name)))?;
                Some(Places::Several(places))
            }
        }
    }

    /// Those of these places at which somebody is counted as online. Nobody is at the topic of a presence: once nothing is heard of it any
    /// more it may be forgotten, and its place be another's.
    pub(super) fn without_presence(&self, places: &Places) -> Places {
        if places.iter().all(|place| !self.topics[*place].is_presence()) {
            return places.clone();
        }
        Places::Several(places.iter().copied().filter(|place| !self.topics[*place].is_presence()).collect())
    }

    /// The places of those of these topics that there are.
    pub(super) fn find(&self, topics: &Topics) -> Vec<usize> {
        topics.shared().iter().filter_map(|name| self.names.get(name).copied()).collect()
    }

    /// The place in the sequence up to which messages of a topic that is not there may be gone.
    pub(super) const fn forgotten_to(&self) -> u64 {
        self.forgotten_to
    }

    pub(super) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Topics that had to go.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether there is a topic on which joining and leaving is published.
    pub(super) const fn has_presence(&self) -> bool {
        self.presence_topics > 0
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.topics.iter_mut().map(|(_, topic)| topic)
    }
}

impl Index<usize> for Board {
    type Output = Topic;

    fn index(&self, place: usize) -> &Topic {
        &self.topics[place]
    }
}

impl IndexMut<usize> for Board {
    fn index_mut(&mut self, place: usize) -> &mut Topic {
        &mut self.topics[place]
    }
}

/// In the order of their audiences.
const FORMS: [Form; Form::COUNT] =
    [Form::Line, Form::RawLine, Form::Event, Form::JsonEvent, Form::WsJson, Form::WsRaw, Form::Part, Form::JsonPart];
