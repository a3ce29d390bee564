//! The results of a run, and their forms.
//!
//! Owns [`Report`], which is everything that a page or a table shows, and its JSON. Leaves the
//! table to `terminal`, and the page to `html`.

pub(crate) mod terminal;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::claims::{Chart, Claim};
use crate::findings::{Findings, Noise, Ruling, Verdict};
use crate::lab::Effort;
use crate::lab::proc::Machine;

/// Which files this program can read. It changes when a field changes its meaning.
const FORMAT: u32 = 1;

/// A whole run on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) format: u32,
    pub(crate) version: String,
    pub(crate) machine: Machine,
    pub(crate) effort: Effort,
    /// Ctrl-C ended the run: claims are missing.
    pub(crate) is_interrupted: bool,
    pub(crate) is_release_build: bool,
    /// Whether the server and the load had a core each.
    pub(crate) is_pinned: bool,
    pub(crate) descriptors: usize,
    pub(crate) rounds: usize,
    pub(crate) round_seconds: f64,
    /// From measuring `event-loop` against itself. `None` if no claim is timed.
    pub(crate) noise: Option<Noise>,
    pub(crate) seconds: f64,
    pub(crate) entries: Vec<Entry>,
}

/// One claim with its results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) sentence: String,
    pub(crate) source: String,
    pub(crate) setup: String,
    pub(crate) measured: String,
    pub(crate) rule: String,
    pub(crate) explanation: String,
    /// The source file that the explanation is about.
    pub(crate) file: String,
    pub(crate) chart: Chart,
    pub(crate) findings: Findings,
    pub(crate) ruling: Ruling,
    /// How many processors other programs kept busy meanwhile.
    pub(crate) others_busy: Option<f64>,
    pub(crate) seconds: f64,
}

impl Entry {
    pub(crate) fn new(claim: &Claim, findings: Findings, ruling: Ruling) -> Self {
        let own = str::to_owned;
        Self {
            id: own(claim.id),
            sentence: own(claim.sentence),
            source: own(claim.source),
            setup: own(claim.setup),
            measured: own(claim.measured),
            rule: own(claim.rule),
            explanation: own(claim.explanation),
            file: own(claim.file),
            chart: claim.chart.clone(),
            findings,
            ruling,
            others_busy: None,
            seconds: 0.0,
        }
    }
}

impl Report {
    /// A report without entries.
    pub(crate) fn new(machine: Machine, effort: Effort) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine,
            effort,
            is_interrupted: false,
            is_release_build: !cfg!(debug_assertions),
            is_pinned: false,
            descriptors: 0,
            rounds: effort.rounds(),
            round_seconds: effort.round_time().as_secs_f64(),
            noise: None,
            seconds: 0.0,
            entries: Vec::new(),
        }
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has no map with keys that are no strings")
    }

    /// Reads a file that `--json` has written.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let told = |why: &dyn std::fmt::Display| format!("--merge: {}: {why}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| told(&error))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        if format != Some(u64::from(FORMAT)) {
            return Err(told(&format!("expected a file of `compare --json` with \"format\": {FORMAT}")).into());
        }
        Ok(serde_json::from_value(value).map_err(|error| told(&error))?)
    }

    /// The number of claims that hold, that do not hold, and that are not shown.
    pub(crate) fn tally(&self) -> [usize; 3] {
        [Verdict::Holds, Verdict::DoesNotHold, Verdict::NotShown]
            .map(|verdict| self.entries.iter().filter(|entry| entry.ruling.verdict == verdict).count())
    }

    /// The first sentence of a report.
    pub(crate) fn summary(&self) -> String {
        let [holds, does_not, not_shown] = self.tally();
        let verb = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        format!("{}, {}, {}.", verb(holds, "claim holds", "claims hold"), verb(does_not, "does not", "do not"), {
            verb(not_shown, "is not shown", "are not shown")
        })
    }

    /// How the figures were measured, for readers of a table or a page.
    pub(crate) fn method(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "Measured on {}, {} processors, {}, over the loopback interface.",
            self.machine.cpu, self.machine.cores, self.machine.system
        )];
        lines.push(format!(
            "Each figure is the median of {} rounds. Models are measured in turn; a round of a load takes {} s.",
            self.rounds, self.round_seconds
        ));
        lines.push(if self.is_pinned {
            "The server runs on one core and the load on another one.".to_owned()
        } else {
            "The server and the load share the processors, because they could not be pinned to cores.".to_owned()
        });
        if let Some(noise) = self.noise {
            let percent = |factor: f64| format!("{:.1} %", (factor - 1.0) * 100.0);
            lines.push(format!(
                "Noise, from `event-loop` against itself: {} for operations per second, {} for server CPU, {} for latency.",
                percent(noise.rate),
                percent(noise.cpu),
                percent(noise.latency)
            ));
        }
        if !self.is_release_build {
            lines.push("This is a debug build: its figures mean nothing. Add --release.".to_owned());
        }
        if self.is_interrupted {
            lines.push("The run was interrupted: claims are missing.".to_owned());
        }
        lines
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::claims::CLAIMS;

    /// A report of which all claims have a verdict and a figure.
    pub(crate) fn sample() -> Report {
        let machine = Machine { cpu: "a <test> processor".to_owned(), cores: 2, system: "linux 6".to_owned() };
        let mut report = Report::new(machine, Effort::Quick);
        report.noise = Some(Noise { rate: 1.02, cpu: 1.03, latency: 1.1 });
        for (at, (claim, verdict)) in
            CLAIMS.iter().zip([Verdict::Holds, Verdict::DoesNotHold, Verdict::NotShown].into_iter().cycle()).enumerate()
        {
            let quantity = crate::findings::Quantity { name: CLAIMS[at].chart.quantity.as_ref().to_owned().leak(), unit: "µs" };
            let mut findings = Findings::default();
            for model in [crate::lab::model::Model::EventLoop, crate::lab::model::Model::Threads] {
                findings.add(quantity, model, "10 & more", 10.0, vec![1.0, 2.0, 3.0]);
                findings.add(quantity, model, "100 & more", 100.0, vec![4.0, f64::NAN, 6.0]);
            }
            let ruling = Ruling::new(verdict, "A figure <decided> it.").beside("published: 1.2", "here: 1.3");
            report.entries.push(Entry::new(claim, findings, ruling));
        }
        report
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = sample();
        let path = std::env::temp_dir().join(format!("pushlab-compare-{}.json", std::process::id()));
        std::fs::write(&path, report.json()).unwrap();
        let read = Report::read(&path).unwrap();
        assert_eq!(read.json(), report.json());
        std::fs::write(&path, "{}").unwrap();
        let told = Report::read(&path).unwrap_err().to_string();
        assert!(told.ends_with("expected a file of `compare --json` with \"format\": 1"), "{told}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_summary_counts_verdicts() {
        let mut report = sample();
        report.entries.truncate(1);
        assert_eq!(report.summary(), "1 claim holds, 0 do not, 0 are not shown.");
    }
}
