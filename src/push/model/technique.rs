//! The techniques of server push.
//!
//! Owns their names, and counts per technique. Leaves the work of each technique to its file in
//! `techniques`.

use std::fmt::Write;
use std::ops::{Index, IndexMut};

/// A technique by which a client receives messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Technique {
    /// A page that reloads itself.
    MetaRefresh,
    /// Requests at intervals, each of which is answered at once.
    ShortPoll,
    /// Requests that are held until there is a message.
    LongPoll,
    /// Short or long polls by script elements.
    Jsonp,
    /// A response without end, with one message per line.
    Stream,
    /// A page without end, with one script element per message.
    Iframe,
    /// A response in parts, with one message per part.
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

    /// The technique's name in counters.
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

/// One count for each technique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerTechnique([u64; Technique::ALL.len()]);

impl PerTechnique {
    /// The sum of all counts.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The sums of these counts and the counts of `others`, by technique.
    pub(crate) fn plus(&self, others: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] + others.0[at]))
    }

    /// Appends a JSON object with the counts that are not 0.
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
