//! The baseline: counts that are checked in, and the machine and tools that they came from.
//!
//! Owns the file, and the comparison of a count with it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use pushlab::IoModel;
use serde_json::{Map, Value, json};

/// A row that has grown by so much fails. The counts repeat to less than 1 %.
const GROWTH_MAX: f64 = 0.03;
/// The same for other tools than those of the baseline. Another compiler moves a row by a few percent.
const GROWTH_MAX_OF_OTHER_TOOLS: f64 = 0.10;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json");

/// What the counts depend on, beside the code.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tools(BTreeMap<String, String>);

impl Tools {
    pub(crate) fn here(valgrind: String) -> Self {
        let found =
            [("compiler", env!("COMPILER").to_owned()), ("C library", c_library()), ("processor", processor()), ("valgrind", valgrind)];
        Self(found.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Each tool that is another one here, as a sentence.
    fn differences(&self, here: &Self) -> Vec<String> {
        let other = here.0.iter().filter(|(name, value)| self.0.get(*name) != Some(value));
        other
            .map(|(name, value)| format!("{name}: the baseline has {}, here is {value}", self.0.get(name).map_or("none", |own| own)))
            .collect()
    }
}

/// The C library has the allocator, and copies memory.
fn c_library() -> String {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The architecture, and those features by which the C library and `httparse` choose their code.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let mut name = std::env::consts::ARCH.to_owned();
    for feature in ["sse4_2", "avx2", "erms"] {
        if flags.split_whitespace().any(|flag| flag == feature) {
            name = format!("{name} {feature}");
        }
    }
    name
}

/// The checked-in counts.
pub(crate) struct Baseline {
    tools: Tools,
    counts: Map<String, Value>,
}

/// How a count compares with the baseline.
pub(crate) enum Verdict {
    /// Within the bound. The change as a fraction of the baseline.
    Within(f64),
    Grown(f64),
    /// Smaller by more than the bound.
    Shrunk(f64),
    /// The baseline does not have this row.
    New,
}

impl Baseline {
    /// Reads the file. Without a file, all rows are new.
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        if !Path::new(FILE).exists() {
            return Ok(Self { tools: Tools(BTreeMap::new()), counts: Map::new() });
        }
        let file: Value = serde_json::from_str(&fs::read_to_string(FILE)?).map_err(|error| format!("{FILE} is not JSON: {error}"))?;
        let (Some(tools), Some(counts)) = (file["tools"].as_object(), file["instructions"].as_object()) else {
            return Err(format!("{FILE} has no objects `tools` and `instructions`; --update writes it anew").into());
        };
        let tools = tools.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        Ok(Self { tools: Tools(tools), counts: counts.clone() })
    }

    /// Replaces the counts of these rows. With other tools than before, all rows have to be counted anew.
    pub(crate) fn update(mut self, here: &Tools, counts: &[(IoModel, &str, f64)], is_whole: bool) -> Result<(), Box<dyn Error>> {
        if is_whole {
            self.counts.clear();
        } else if self.tools != *here {
            return Err("the baseline comes from other tools: update all rows together".into());
        }
        for (model, name, count) in counts {
            let of_model = self.counts.entry(model.to_string()).or_insert_with(|| json!({}));
            of_model[*name] = json!((count * 10.0).round() / 10.0);
        }
        let file = json!({ "tools": here.0, "instructions": self.counts });
        fs::write(FILE, serde_json::to_string_pretty(&file)? + "\n")?;
        println!("wrote {FILE}");
        Ok(())
    }

    pub(crate) fn count(&self, model: IoModel, name: &str) -> Option<f64> {
        self.counts.get(&model.to_string())?.get(name)?.as_f64()
    }

    pub(crate) fn verdict(&self, here: &Tools, model: IoModel, name: &str, count: f64) -> Verdict {
        let Some(before) = self.count(model, name) else { return Verdict::New };
        let change = count / before - 1.0;
        match change {
            _ if change >= self.growth_max(here) => Verdict::Grown(change),
            _ if change <= -self.growth_max(here) => Verdict::Shrunk(change),
            _ => Verdict::Within(change),
        }
    }

    pub(crate) fn growth_max(&self, here: &Tools) -> f64 {
        if self.tools == *here { GROWTH_MAX } else { GROWTH_MAX_OF_OTHER_TOOLS }
    }

    pub(crate) fn differences(&self, here: &Tools) -> Vec<String> {
        self.tools.differences(here)
    }
}
