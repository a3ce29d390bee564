//! The ways to subscribe.
//!
//! Owns their names, and numbers per technique. Refuses to know how they work: that is one file each in `techniques`.

use std::fmt::Write;
use std::ops::{Index, IndexMut};

/// A way to subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Technique {
    /// A page that reloads itself.
    MetaRefresh,
    /// Requests at intervals.
    ShortPoll,
    /// Requests that wait for their answer.
    LongPoll,
    /// Either of these by script elements.
    Jsonp,
    /// A response without end, one message a line.
    Stream,
    /// A page without end, one script element a message.
    Iframe,
    /// A response in parts, one message each.
    Multipart,
    /// Server-sent events.
    Sse,
    /// WebSocket.
    Ws,
}

impl Technique {
    /// Every technique.
    pub const ALL: [Self; 9] =
        [Self::MetaRefresh, Self::ShortPoll, Self::LongPoll, Self::Jsonp, Self::Stream, Self::Iframe, Self::Multipart, Self::Sse, Self::Ws];

    /// Its name in counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MetaRefresh => "page",
            Self::ShortPoll => "poll",
            Self::LongPoll => "long-poll",
            Self::Jsonp => "jsonp",
            Self::Stream => "stream",
            Self::Iframe => "iframe",
            Self::Multipart => "multipart",
            Self::Sse => "events",
            Self::Ws => "ws",
        }
    }
}

/// A number for each technique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerTechnique([u64; Technique::ALL.len()]);

impl PerTechnique {
    /// Of all together.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// These and others.
    pub(crate) fn plus(&self, others: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] + others.0[at]))
    }

    /// A JSON object with those that are not 0.
    pub(crate) fn append_json(&self, out: &mut String) {
        let mut separator = '{';
        for technique in Technique::ALL.into_iter().filter(|technique| self[*technique] > 0) {
            let _ = write!(out, "{separator}\"{}\":{}", technique.name(), self[technique]);
            separator = ',';
        }
        out.push_str(if separator == '{' { "{}" } else { "}" });
    }
}

impl Index<Technique> for PerTechnique {
    type Output = u64;

    fn index(&self, technique: Technique) -> &u64 {
        &self.0[technique as usize]
    }
}

impl IndexMut<Technique> for PerTechnique {
    fn index_mut(&mut self, technique: Technique) -> &mut u64 {
        &mut self.0[technique as usize]
    }
}
