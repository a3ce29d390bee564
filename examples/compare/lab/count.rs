//! Counts of instructions and system calls, which do not depend on the machine's speed.
//!
//! Owns running a server under valgrind's callgrind, and under strace. Two runs with different
//! numbers of operations are subtracted, so that the start of the process does not count. Leaves
//! what is counted to the claims.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Lab;
use super::load::Load;
use super::model::Model;
use super::process::ServerProcess;
use super::wire::Exchange;
use crate::Result;

/// The operations of the two runs.
const OPERATIONS: [u64; 2] = [500, 3_000];
const CONNECTIONS: usize = 16;

/// What one operation takes. `None` if the tool is not installed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// Instructions outside the kernel.
    pub(crate) instructions: Option<f64>,
    pub(crate) system_calls: Option<f64>,
}

/// The sentence for a tool that is missing.
pub(crate) const HOW_TO_GET: &str = "`--count` needs valgrind and strace: `apt-get install valgrind strace`.";

/// Counts for one model.
pub(crate) fn count(lab: &mut Lab<'_>, model: Model, exchange: Exchange) -> Result<Counts> {
    lab.step(&format!("instructions, {}, {model}", exchange.name()))?;
    let instructions =
        per_operation(lab, model, exchange, "valgrind", |file| vec!["--tool=callgrind".into(), join("--callgrind-out-file=", file)])?;
    lab.step(&format!("system calls, {}, {model}", exchange.name()))?;
    let system_calls = per_operation(lab, model, exchange, "strace", |file| {
        vec!["-f".into(), "-c".into(), "-U".into(), "calls,name".into(), "-o".into(), file.into()]
    })?;
    Ok(Counts { instructions, system_calls })
}

fn join(flag: &str, file: &Path) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from(flag);
    word.push(file);
    word
}

fn per_operation(
    lab: &Lab<'_>,
    model: Model,
    exchange: Exchange,
    tool: &str,
    arguments: impl Fn(&Path) -> Vec<std::ffi::OsString>,
) -> Result<Option<f64>> {
    if !is_installed(tool) {
        return Ok(None);
    }
    let file = File::new(tool);
    let arguments = arguments(&file.0);
    let words: Vec<&OsStr> = std::iter::once(OsStr::new(tool)).chain(arguments.iter().map(|word| &**word)).collect();
    let mut totals = [(0, 0.0); 2];
    for (total, operations) in totals.iter_mut().zip(OPERATIONS) {
        let server = ServerProcess::start_under(&words, lab.binary(model)?, &lab.setup(model))?;
        let mut load = Load::connect(exchange, server.address, CONNECTIONS)?;
        let done = load.run_operations(operations)?;
        drop(load);
        server.end()?;
        let text = fs::read_to_string(&file.0).map_err(|error| format!("{tool} wrote no counts: {error}"))?;
        let counted = if tool == "strace" { system_calls(&text) } else { instructions(&text) };
        *total = (done, counted.ok_or_else(|| format!("the counts of {tool} are not understood"))?);
    }
    let [(few, first), (many, second)] = totals;
    Ok(Some((second - first) / (many - few) as f64))
}

fn is_installed(tool: &str) -> bool {
    Command::new(tool)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The line `summary: N` or `totals: N` of a callgrind file.
fn instructions(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The line of the sum in a table of `strace -c`.
fn system_calls(text: &str) -> Option<f64> {
    let line = text.lines().rev().find(|line| line.trim_end().ends_with("total"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A file for one count, which is removed afterwards.
struct File(PathBuf);

impl File {
    fn new(tool: &str) -> Self {
        Self(std::env::temp_dir().join(format!("pushlab-{tool}-{}", std::process::id())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_found() {
        assert_eq!(instructions("version: 1\nevents: Ir\nfn=(1)\n1 2\nsummary: 12345\n"), Some(12_345.0));
        assert_eq!(system_calls("    calls syscall\n--- ---\n      10 read\n       5 write\n--- ---\n      15 total\n"), Some(15.0));
        assert_eq!((instructions(""), system_calls("")), (None, None));
    }
}
