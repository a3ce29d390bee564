//! The progress of the run, with the time left.
//!
//! Owns its form on standard error: a bar on a terminal, plain lines elsewhere. The time left is
//! the expected time of the claims that are left, corrected by how long the finished ones took.
//! Leaves the figures to `report`.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Progress {
    /// `None` where standard error is not a terminal.
    bar: Option<ProgressBar>,
    begin: Instant,
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
            let style = ProgressStyle::with_template("{elapsed:>4} [{bar:24}] {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(expected.ceil() as u64).with_style(style.progress_chars("=> "))
        });
        Self { bar, begin: Instant::now(), expected, finished: 0.0, part: 0.0, title: String::new() }
    }

    /// Begins a part, which should take so many seconds.
    pub(crate) fn part(&mut self, title: &str, seconds: f64) {
        self.finished += std::mem::replace(&mut self.part, seconds);
        title.clone_into(&mut self.title);
        if self.bar.is_none() {
            let left = self.left().map_or_else(String::new, |left| format!(", about {} s left", left.as_secs()));
            // Without a standard error, the progress is not shown.
            let _ = writeln!(std::io::stderr(), "[{:>3} s] {title}{left}", self.begin.elapsed().as_secs());
        }
        self.step("");
    }

    /// Shows what the current part measures.
    pub(crate) fn step(&self, what: &str) {
        if let Some(bar) = &self.bar {
            let left = self.left().map_or_else(String::new, |left| format!(" ({} s left)", left.as_secs()));
            bar.set_position(self.finished as u64);
            let what = if what.is_empty() { String::new() } else { format!(": {what}") };
            bar.set_message(format!("{}{what}{left}", self.title));
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn left(&self) -> Option<Duration> {
        left(self.begin.elapsed().as_secs_f64(), self.finished, self.expected)
    }
}

fn left(elapsed: f64, finished: f64, expected: f64) -> Option<Duration> {
    let pace = if finished > 0.0 { elapsed / finished } else { 1.0 };
    Duration::try_from_secs_f64((expected - finished) * pace).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_pace() {
        let seconds = |elapsed, finished| left(elapsed, finished, 90.0).map(|left| left.as_secs());
        assert_eq!([seconds(0.0, 0.0), seconds(60.0, 30.0), seconds(45.0, 90.0)], [Some(90), Some(120), Some(0)]);
        assert_eq!(seconds(10.0, 91.0), None, "more was done than was expected");
    }
}
