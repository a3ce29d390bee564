//! The results of a run, and their forms.
//!
//! Owns [`Report`], which is everything that a page or a table shows, and its JSON. Several reports
//! are shown side by side, so one report is a list of one. Leaves the tables of a terminal to
//! `terminal`, the page to `html`, the table of README to `techniques`, and the pictures to `chart`.

mod chart;
mod grid;
pub(crate) mod html;
pub(crate) mod techniques;
pub(crate) mod terminal;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::claims::{Chart, Claim};
use crate::findings::{Findings, Noise, Ruling, Verdict};
use crate::lab::Effort;
use crate::lab::proc::Machine;

/// Which files this program can read. It changes when a field changes its meaning.
const FORMAT: u32 = 1;
/// With so many descriptors, a process can have all connections of each claim.
pub(crate) const DESCRIPTORS_FULL: usize = 20_000;

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
        let told = |why: &dyn std::fmt::Display| {
            format!("{}: {why}; expected a file that `compare --json` has written, with \"format\": {FORMAT}", path.display())
        };
        let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| told(&error))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => Ok(serde_json::from_value(value).map_err(|error| told(&error))?),
            Some(format) => Err(told(&format!("the format is {format}")).into()),
            None => Err(told(&"there is no \"format\"").into()),
        }
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

    /// On what the figures were measured.
    pub(crate) fn place(&self) -> String {
        let Machine { cpu, cores, system } = &self.machine;
        let processors = if *cores == 1 { "processor" } else { "processors" };
        format!("Measured on {cpu}, {cores} {processors}, {system}, over the loopback interface.")
    }

    /// How the figures were measured.
    pub(crate) fn method(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "Each figure is the median of {} rounds, if a claim does not say otherwise. Models are measured in turn; a round of a load takes \
             {} s.",
            self.rounds, self.round_seconds
        )];
        lines.push(if self.is_pinned {
            "The server runs on one core and the load on another one.".to_owned()
        } else {
            "The server and the load share the processors, because they could not be pinned to cores.".to_owned()
        });
        if self.descriptors < DESCRIPTORS_FULL {
            lines.push(format!(
                "A process may have {} descriptors here. Claims that want more connections stop there; `ulimit -n {DESCRIPTORS_FULL}` allows all.",
                self.descriptors
            ));
        }
        lines
    }

    /// By how much `event-loop` differs from itself.
    pub(crate) fn noise_text(&self) -> Option<String> {
        let percent = |factor: f64| format!("{:.1} %", (factor - 1.0) * 100.0);
        self.noise.map(|noise| {
            format!(
                "{} for operations per second, {} for server CPU, {} for latency",
                percent(noise.rate),
                percent(noise.cpu),
                percent(noise.latency)
            )
        })
    }

    /// What is wrong with the whole run.
    pub(crate) fn warnings(&self) -> Vec<&'static str> {
        let debug = (!self.is_release_build).then_some("This is a debug build: its figures mean nothing. Add --release.");
        let interrupted = self.is_interrupted.then_some("The run was interrupted: claims are missing.");
        debug.into_iter().chain(interrupted).collect()
    }
}

/// A report with the name under which it is shown beside others.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) report: Report,
}

impl Named {
    /// Reads several files. A report has the name of its file, with the directory if two files have
    /// the same name.
    pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let stem = |path: &Path| path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let name = |path: &PathBuf| {
            let is_unique = paths.iter().filter(|other| stem(other) == stem(path)).count() == 1;
            if is_unique { stem(path) } else { path.display().to_string() }
        };
        let read = |path| Report::read(path).map_err(|error| format!("--merge: {error}"));
        paths.iter().map(|path| Ok(Self { name: name(path), report: read(path)? })).collect()
    }
}

/// One claim in several reports.
pub(crate) struct Row<'a> {
    /// The entry of the first report that has the claim.
    pub(crate) claim: &'a Entry,
    /// By report. `None` if the report lacks the claim.
    pub(crate) entries: Vec<Option<&'a Entry>>,
}

/// The charts of a run as files of their own: names and contents. Outside of the page, a chart needs
/// a background and a margin.
pub(crate) fn charts(report: &Report) -> Result<Vec<(String, String)>> {
    let mut charts = Vec::new();
    for entry in &report.entries {
        if let Some(svg) = chart::svg(&entry.findings, &entry.chart)? {
            charts.push((format!("{}.svg", entry.id.to_lowercase()), chart::on_paper(&svg)));
        }
    }
    Ok(charts)
}

/// All claims of all reports, in the order of their numbers.
pub(crate) fn rows<'a>(reports: &'a [Named]) -> Vec<Row<'a>> {
    let number = |id: &str| id.trim_start_matches('C').parse::<u32>().unwrap_or(u32::MAX);
    let mut claims: Vec<&Entry> = Vec::new();
    for entry in reports.iter().flat_map(|named| &named.report.entries) {
        if claims.iter().all(|claim| claim.id != entry.id) {
            claims.push(entry);
        }
    }
    claims.sort_by_key(|claim| number(&claim.id));
    let entry = |named: &'a Named, id: &str| named.report.entries.iter().find(|entry| entry.id == id);
    let row = |claim: &'a Entry| Row { claim, entries: reports.iter().map(|named| entry(named, &claim.id)).collect() };
    claims.into_iter().map(row).collect()
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

    pub(crate) fn named(name: &str, report: Report) -> Named {
        Named { name: name.to_owned(), report }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let directory = std::env::temp_dir().join(format!("pushlab-compare-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("laptop.json");
        std::fs::write(&path, sample().json()).unwrap();
        let read = Named::read_all(std::slice::from_ref(&path)).unwrap();
        assert_eq!((&*read[0].name, read[0].report.json()), ("laptop", sample().json()));
        let twice = Named::read_all(&[path.clone(), path.clone()]).unwrap();
        assert_eq!(twice[1].name, path.display().to_string(), "the name alone would say nothing");
        for (text, why) in [("{}", "there is no \"format\""), ("{\"format\": 2}", "the format is 2"), ("{\"format\": 1}", "missing field")]
        {
            std::fs::write(&path, text).unwrap();
            let told = Report::read(&path).unwrap_err().to_string();
            assert!(told.starts_with(&format!("{}: {why}", path.display())), "{told}");
            assert!(told.ends_with("; expected a file that `compare --json` has written, with \"format\": 1"), "{told}");
        }
        std::fs::remove_dir_all(&directory).unwrap();
        let told = Report::read(&path).unwrap_err().to_string();
        assert!(told.contains("No such file") || told.contains("not find"), "{told}");
    }

    #[test]
    fn each_chart_is_a_file_on_white_paper() {
        let charts = charts(&sample()).unwrap();
        assert_eq!((charts.len(), &*charts[0].0), (CLAIMS.len(), "c1.svg"));
        for (name, svg) in &charts {
            assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>\n</svg>") && svg.contains("<rect "), "{name}: {svg}");
        }
    }

    #[test]
    fn the_summary_counts_verdicts() {
        let mut report = sample();
        report.entries.truncate(1);
        assert_eq!(report.summary(), "1 claim holds, 0 do not, 0 are not shown.");
    }

    #[test]
    fn reports_are_merged_by_claim() {
        let (mut first, second) = (sample(), sample());
        let last = first.entries.pop().unwrap();
        first.entries[0].id = "C99".to_owned();
        let reports = [named("a", first), named("b", second)];
        let rows = rows(&reports);
        assert_eq!(rows.len(), CLAIMS.len() + 1);
        let row = |id: &str| rows.iter().find(|row| row.claim.id == id).unwrap();
        assert_eq!(row(&last.id).entries.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
        assert_eq!(rows.last().unwrap().claim.id, "C99", "C99 comes after all others");
    }

    #[test]
    fn a_limit_of_descriptors_is_told() {
        let mut report = sample();
        report.descriptors = 1_024;
        assert!(report.method()[2].contains("1024 descriptors") && report.method()[2].contains("`ulimit -n 20000`"));
        report.descriptors = DESCRIPTORS_FULL;
        assert_eq!(report.method().len(), 2);
    }
}
