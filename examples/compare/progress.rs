//! The progress of the run.
//!
//! Owns its form on standard error: a bar on a terminal, plain lines elsewhere. Leaves the figures
//! to `table`.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Progress {
    /// `None` where standard error is not a terminal.
    bar: Option<ProgressBar>,
    steps: u64,
    step: u64,
}

impl Progress {
    pub(crate) fn new(steps: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{elapsed:>4} [{bar:30}] {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(steps).with_style(style.progress_chars("=> "))
        });
        Self { bar, steps, step: 0 }
    }

    /// Shows that a step begins.
    pub(crate) fn step(&mut self, what: &str) {
        self.step += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.step - 1);
                bar.set_message(what.to_owned());
            }
            None => {
                // Without a standard error, the progress is not shown.
                let _ = writeln!(std::io::stderr(), "[{}/{}] {what}", self.step, self.steps);
            }
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
