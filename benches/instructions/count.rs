//! The count of one load, by valgrind's tool callgrind.
//!
//! Owns how the server's process is started, and how many instructions an operation takes. Leaves the
//! loads to `rows` and `growth`.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;

use pushlab::IoModel;

use crate::client::ServerProcess;
use crate::server::MARK;

/// Batches before the count: buffers, tables and the allocator's lists get their size.
const WARM_UP: usize = 3;

/// The version of valgrind, or a message that says how to get it.
pub(crate) fn valgrind() -> Result<String, String> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("valgrind is not installed. Debian and Ubuntu: `apt-get install valgrind`. Fedora: `dnf install valgrind`. \
                 It runs on Linux."
                .to_owned())
        }
        Err(error) => Err(format!("valgrind does not start: {error}")),
    }
}

/// A load that does its operations in batches.
pub(crate) trait Work {
    /// Does one batch, and returns the number of its operations.
    fn batch(&mut self, server: &mut ServerProcess) -> io::Result<usize>;
    /// What a batch costs beside its operations: the gate.
    fn empty_batch(&mut self, server: &mut ServerProcess) -> io::Result<()>;
}

/// The user-space instructions of the server for one operation of a load. valgrind's files stay in
/// `directory`, under a number.
pub(crate) fn count<W: Work>(
    model: IoModel,
    batches: usize,
    start: impl FnOnce(&mut ServerProcess) -> io::Result<W>,
    number: usize,
    directory: &Path,
) -> Result<f64, Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let profile = profile(number, directory);
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--fair-sched=try"]);
    command.arg(format!("--dump-before={MARK}"));
    command.arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(std::env::current_exe()?).args(["--serve", &model.to_string()]);
    let mut server = ServerProcess::start(command)?;
    let mut load = start(&mut server)?;
    for _ in 0..WARM_UP {
        load.batch(&mut server)?;
    }
    // The interval between the first and the second mark has no operation. It shows what the marks and the
    // gates cost.
    server.ask("/mark")?;
    for _ in 0..batches {
        load.empty_batch(&mut server)?;
    }
    server.ask("/mark")?;
    let mut operations = 0_usize;
    for _ in 0..batches {
        operations += load.batch(&mut server)?;
    }
    server.ask("/mark")?;
    let (empty, all) = (interval(&profile, 2)?, interval(&profile, 3)?);
    fs::write(&profile, without_callers(&all))?;
    Ok((total(&all)? - total(&empty)?) / f64::from(u32::try_from(operations)?))
}

/// Does two batches of a load without valgrind.
pub(crate) fn rehearse<W: Work>(model: IoModel, start: impl FnOnce(&mut ServerProcess) -> io::Result<W>) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--serve", &model.to_string()]);
    let mut server = ServerProcess::start(command)?;
    let mut load = start(&mut server)?;
    for _ in 0..2 {
        load.batch(&mut server)?;
    }
    server.ask("/mark")?;
    Ok(())
}

/// The profile of a row.
pub(crate) fn profile(number: usize, directory: &Path) -> PathBuf {
    directory.join(format!("{number}.callgrind"))
}

/// The profile of one interval. valgrind appends its number to the name of the file.
fn interval(profile: &Path, number: usize) -> io::Result<String> {
    let path = format!("{}.{number}", profile.display());
    fs::read_to_string(&path).map_err(|error| io::Error::other(format!("{path}, which valgrind writes at a call of {MARK}: {error}")))
}

/// The instructions of an interval.
fn total(interval: &str) -> io::Result<f64> {
    let total = interval.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: "))?.trim().parse().ok());
    total.ok_or_else(|| io::Error::other("valgrind has written a profile without a total"))
}

/// The profile without the functions that were called before the interval, such as `main`.
/// `callgrind_annotate` would count the whole interval as their own.
fn without_callers(interval: &str) -> String {
    let (mut text, mut lines) = (String::with_capacity(interval.len()), interval.lines());
    while let Some(line) = lines.next() {
        if line.starts_with("calls=0 ") {
            // The cost of the call stands in the next line.
            lines.next();
        } else {
            text.extend([line, "\n"]);
        }
    }
    text
}
