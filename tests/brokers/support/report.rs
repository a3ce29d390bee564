//! The printed figures of a test.
//!
//! Owns the table, and the times of the phases. It is printed at once, so that the tables of tests
//! that run side by side do not mix.

use std::fmt::{Display, Write as _};
use std::time::Instant;

pub(crate) struct Report {
    title: &'static str,
    lines: Vec<(String, String)>,
    begin: Instant,
    phase: Instant,
}

impl Report {
    pub(crate) fn new(title: &'static str) -> Self {
        let now = Instant::now();
        Self { title, lines: Vec::new(), begin: now, phase: now }
    }

    pub(crate) fn figure(&mut self, name: &str, value: impl Display) {
        self.lines.push((name.to_owned(), value.to_string()));
    }

    /// Ends a phase, which began when the one before it ended.
    pub(crate) fn phase(&mut self, name: &str) {
        let seconds = self.phase.elapsed().as_secs_f64();
        self.phase = Instant::now();
        self.figure(&format!("phase: {name}"), format!("{seconds:.1} s"));
    }

    pub(crate) fn print(mut self) {
        let seconds = self.begin.elapsed().as_secs_f64();
        self.figure("in all", format!("{seconds:.1} s"));
        let width = self.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = format!("\n{}\n", self.title);
        for (name, value) in &self.lines {
            let _ = writeln!(text, "  {name:width$}  {value}");
        }
        println!("{text}");
    }
}
