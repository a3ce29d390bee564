//! The claims of textbooks and papers, one file each.
//!
//! Owns their shape: a sentence and its source, how it is measured, and a rule that was written
//! before the run. A rule sees the figures and the noise alone, so tests can show it figures of
//! their own. Leaves the measuring tools to `lab`, and the presentation to `report`.
//!
//! To add a claim, write its file and add it to [`CLAIMS`].

mod agreement;
mod c01_short_polling;
mod c02_long_polling;
mod c03_streaming;
mod c04_overhead;
mod c05_held;
mod c06_exhausted;
mod c07_events;
mod c08_blocking;
mod c09_push_cpu;
mod c10_vanished;
mod c11_two_connections;
mod c12_buffering;
mod c13_fan_out;
mod c14_account;
mod c15_faster;
mod c16_poll;
mod c17_cores;
mod c18_handoff;
mod c19_stacks;
mod c20_waiting;
mod c21_storm;
mod c22_six_tabs;
mod c23_one_way;
mod c24_any_server;
mod c25_tls;
pub(crate) mod c26_comparison;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::model::Model;

/// All claims, in the order of the report.
pub(crate) const CLAIMS: &[&Claim] = &[
    &c01_short_polling::CLAIM,
    &c02_long_polling::CLAIM,
    &c03_streaming::CLAIM,
    &c04_overhead::CLAIM,
    &c05_held::CLAIM,
    &c06_exhausted::CLAIM,
    &c07_events::CLAIM,
    &c08_blocking::CLAIM,
    &c09_push_cpu::CLAIM,
    &c10_vanished::CLAIM,
    &c11_two_connections::CLAIM,
    &c12_buffering::CLAIM,
    &c13_fan_out::CLAIM,
    &c14_account::CLAIM,
    &c15_faster::CLAIM,
    &c16_poll::CLAIM,
    &c17_cores::CLAIM,
    &c18_handoff::CLAIM,
    &c19_stacks::CLAIM,
    &c20_waiting::CLAIM,
    &c21_storm::CLAIM,
    &c22_six_tabs::CLAIM,
    &c23_one_way::CLAIM,
    &c24_any_server::CLAIM,
    &c25_tls::CLAIM,
    &c26_comparison::CLAIM,
];

/// One claim.
pub(crate) struct Claim {
    /// Such as `C5`.
    pub(crate) id: &'static str,
    /// The claim, in one sentence.
    pub(crate) sentence: &'static str,
    /// Author, year, and where the sentence or its figures stand.
    pub(crate) source: &'static str,
    /// What runs, with all numbers.
    pub(crate) setup: &'static str,
    /// What is measured.
    pub(crate) measured: &'static str,
    /// When the claim holds, when it does not, and when nothing is shown.
    pub(crate) rule: &'static str,
    /// The models without which the rule cannot decide.
    pub(crate) needs: &'static [Model],
    /// The models that can be measured, too.
    pub(crate) takes: &'static [Model],
    /// Whether other work on the machine changes the figures. Counts of bytes, requests or threads
    /// do not change.
    pub(crate) is_timed: bool,
    pub(crate) chart: Chart,
    /// Why the figures are as they are.
    pub(crate) explanation: &'static str,
    /// The file that the explanation is about.
    pub(crate) file: &'static str,
    /// How many seconds a quick and a full run of this claim take, about.
    pub(crate) seconds: [f64; 2],
    pub(crate) measure: fn(&mut Lab<'_>) -> Result<Findings>,
    pub(crate) judge: fn(&Findings, &Noise) -> Ruling,
}

/// What the claim's chart shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chart {
    /// The name of the quantity that the bars or the lines show.
    pub(crate) quantity: Cow<'static, str>,
    /// What the settings are, such as `connections`: the name of the horizontal axis of lines.
    pub(crate) x: Cow<'static, str>,
    pub(crate) form: Form,
    /// Whether the axis of the quantity is logarithmic.
    pub(crate) is_log: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// A group of bars for each setting, one bar for each column.
    Bars,
    /// A line for each column over a logarithmic horizontal axis.
    Lines,
}

impl Chart {
    pub(crate) const fn bars(quantity: Quantity, x: &'static str) -> Self {
        Self::new(quantity, x, Form::Bars)
    }

    /// The horizontal axis is logarithmic.
    pub(crate) const fn lines(quantity: Quantity, x: &'static str) -> Self {
        Self::new(quantity, x, Form::Lines)
    }

    const fn new(quantity: Quantity, x: &'static str, form: Form) -> Self {
        Self { quantity: Cow::Borrowed(quantity.name), x: Cow::Borrowed(x), form, is_log: false }
    }

    /// With a logarithmic axis of the quantity.
    pub(crate) const fn log(mut self) -> Self {
        self.is_log = true;
        self
    }
}

impl Claim {
    /// The models to measure, in the order of the report.
    pub(crate) fn models(&self, chosen: &[Model]) -> Vec<Model> {
        let is_wanted = |model: &Model| self.needs.contains(model) || self.takes.contains(model) && chosen.contains(model);
        Model::ALL.into_iter().chain([Model::Foreign]).filter(is_wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_numbered_and_whole() {
        let numbers: Vec<u32> = CLAIMS.iter().map(|claim| claim.id.strip_prefix('C').unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for claim in CLAIMS {
            for text in [claim.sentence, claim.source, claim.setup, claim.measured, claim.rule, claim.explanation] {
                assert!(text.len() > 15 && text.ends_with('.'), "{}: {text:?}", claim.id);
            }
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(claim.file);
            assert!(file.is_file(), "{}: {} is not there", claim.id, claim.file);
            assert!(!claim.needs.is_empty() || !claim.takes.is_empty(), "{}: no model", claim.id);
        }
    }

    #[test]
    fn a_claim_without_figures_is_not_shown() {
        for claim in CLAIMS {
            let ruling = (claim.judge)(&Findings::default(), &Noise::NONE);
            assert_eq!(ruling.verdict, crate::findings::Verdict::NotShown, "{}: {}", claim.id, ruling.because);
        }
    }
}
