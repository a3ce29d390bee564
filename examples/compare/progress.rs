//! The progress of the run, with the time left.
//!
//! Owns its form on standard error: a bar on a terminal, plain lines elsewhere. The time left is
//! the expected time of the claims that are left, corrected by how long the finished ones took.
//! Leaves the figures to `report`.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// So many seconds at the expected pace count before any measurement: a first part that was faster
/// or slower says little about the others.
const PRIOR_SECONDS: f64 = 15.0;

pub(crate) struct Progress {
    /// `None` where standard error is not a terminal.
    bar: Option<ProgressBar>,
    begin: Instant,
    part_begin: Instant,
    /// The expected seconds of all parts, of the finished parts, and of the current part.
    expected: f64,
    finished: f64,
    part: f64,
    title: String,
}

impl Progress {
    /// `expected` is the number of seconds that all parts take together.
    pub(crate) fn new(expected: f64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            // A message that is wider than the terminal is cut: wrapped lines could not be redrawn.
            let style = ProgressStyle::with_template("{elapsed:>4} [{bar:24}] {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(expected.ceil() as u64).with_style(style.progress_chars("=> "))
        });
        let now = Instant::now();
        Self { bar, begin: now, part_begin: now, expected, finished: 0.0, part: 0.0, title: String::new() }
    }

    /// Begins a part, which should take so many seconds.
    pub(crate) fn part(&mut self, title: &str, seconds: f64) {
        self.finished += std::mem::replace(&mut self.part, seconds);
        self.part_begin = Instant::now();
        title.clone_into(&mut self.title);
        if self.bar.is_none() {
            let left = self.left().as_secs();
            // Without a standard error, the progress is not shown.
            let _ = writeln!(std::io::stderr(), "[{:>3} s] {title} (about {left} s left)", self.begin.elapsed().as_secs());
        }
        self.step("");
    }

    /// Shows what the current part measures.
    pub(crate) fn step(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.done() as u64);
            let what = if what.is_empty() { String::new() } else { format!(": {what}") };
            // The time comes first, because the end of a long message is cut.
            bar.set_message(format!("{} s left, {}{what}", self.left().as_secs(), self.title));
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// How many of the expected seconds are done.
    fn done(&self) -> f64 {
        self.finished + self.part_begin.elapsed().as_secs_f64().min(self.part)
    }

    fn left(&self) -> Duration {
        left(self.begin.elapsed().as_secs_f64(), self.done(), self.expected)
    }
}

/// The time that is left after `elapsed` seconds, if `done` of the `expected` seconds are done.
fn left(elapsed: f64, done: f64, expected: f64) -> Duration {
    let pace = (elapsed + PRIOR_SECONDS) / (done + PRIOR_SECONDS);
    Duration::try_from_secs_f64((expected - done) * pace).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_pace() {
        let seconds = |elapsed, done| left(elapsed, done, 90.0).as_secs();
        assert_eq!([seconds(0.0, 0.0), seconds(75.0, 30.0), seconds(45.0, 90.0)], [90, 120, 0]);
        assert_eq!(seconds(0.2, 2.0), 78, "a first part that was fast says little");
        assert_eq!(seconds(10.0, 91.0), 0, "more was done than was expected");
    }
}
