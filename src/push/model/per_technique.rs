//! Counts per technique.
//!
//! Owns one count for each name of a technique. Leaves the descriptors of the techniques to
//! `http::technique`, and the list of the hub's own techniques to `techniques`: a name is all that
//! the hub knows of a technique.

use std::fmt::Write;
use std::ptr;

use super::json::append_json_string;

/// One count for each technique, by the technique's name.
///
/// ```
/// use pushlab::push::Hub;
/// let hub = Hub::default();
/// let subscribers = hub.info("news")?.subscribers;
/// assert_eq!((subscribers.get("events"), subscribers.sum()), (0, 0));
/// # Ok::<(), pushlab::push::BadTopic>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerTechnique {
    /// The counts that are not 0, in the order of the names. A topic has clients of few techniques,
    /// so a search from the beginning is short, and a topic without clients owns no memory here.
    counts: Vec<(&'static str, u64)>,
}

impl PerTechnique {
    /// No counts.
    pub(crate) const fn none() -> Self {
        Self { counts: Vec::new() }
    }

    /// The count of a technique. It is 0 for an unknown name.
    pub fn get(&self, technique: &str) -> u64 {
        self.index_of(technique).map_or(0, |index| self.counts[index].1)
    }

    /// The names and the counts that are not 0, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().copied()
    }

    /// The sum of all counts.
    pub fn sum(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// Whether all counts are 0.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds 1 to the count of a technique.
    pub(crate) fn add_one(&mut self, technique: &'static str) {
        self.add(technique, 1);
    }

    fn add(&mut self, technique: &'static str, more: u64) {
        if let Some(index) = self.index_of(technique) {
            self.counts[index].1 += more;
        } else {
            let index = self.counts.partition_point(|(name, _)| *name < technique);
            self.counts.insert(index, (technique, more));
        }
    }

    /// The index of a technique's count.
    fn index_of(&self, technique: &str) -> Option<usize> {
        // The name nearly always comes from the same constant, so most searches compare addresses
        // and no text.
        self.counts.iter().position(|(name, _)| ptr::eq(*name, technique) || *name == technique)
    }

    /// Subtracts 1 from the count of a technique, which must not be 0.
    pub(crate) fn remove_one(&mut self, technique: &str) {
        let index = self.index_of(technique).expect("each removal follows an addition");
        self.counts[index].1 -= 1;
        if self.counts[index].1 == 0 {
            self.counts.remove(index);
        }
    }

    /// The sums of these counts and the counts of `others`, by technique.
    pub(crate) fn plus(&self, others: &Self) -> Self {
        let mut sums = self.clone();
        for (technique, count) in others.iter() {
            sums.add(technique, count);
        }
        sums
    }

    /// Appends a JSON object with the counts that are not 0. The names of `order` come first, in
    /// that order.
    pub(crate) fn append_json(&self, order: &[&str], out: &mut String) {
        let mut counts = self.counts.clone();
        counts.sort_by_key(|(name, _)| order.iter().position(|other| other == name).unwrap_or(order.len()));
        let mut separator = "";
        out.push('{');
        for (name, count) in counts {
            out.push_str(separator);
            append_json_string(name, out);
            let _ = write!(out, ":{count}");
            separator = ",";
        }
        out.push('}');
    }
}
