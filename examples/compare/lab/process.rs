//! A server process, seen from its parent.
//!
//! Owns starting it, reading its address, its figures, and ending it. Leaves what it serves to
//! `server`. The process ends when its standard input is closed. Other processes of this program are
//! started and ended in the same way.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::model::Model;
use super::proc::{self, Memory};
use crate::Result;
use crate::server::Setup;

/// A server that has not printed its address after this time counts as failed.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server. Dropping it ends the process.
pub(crate) struct ServerProcess {
    pub(crate) model: Model,
    pub(crate) address: SocketAddr,
    /// `None` for a foreign server, which runs already.
    child: Option<Child>,
}

/// The sums of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    cpu_seconds: Option<f64>,
    switches: Option<u64>,
}

/// What a process has used between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) seconds: f64,
    /// NaN where the system does not tell.
    pub(crate) cpu_seconds: f64,
    /// Context switches of all threads. NaN where the system does not tell.
    pub(crate) switches: f64,
}

impl ServerProcess {
    /// Starts `binary`, which is this program or a build of it for another model.
    pub(crate) fn start(binary: &Path, setup: &Setup) -> Result<Self> {
        Self::start_under(&[], binary, setup)
    }

    /// Starts the server under a tool: `tool` is a command, to which the server's is added.
    pub(crate) fn start_under(tool: &[&OsStr], binary: &Path, setup: &Setup) -> Result<Self> {
        let mut words = tool.iter().copied().chain([binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg("--serve").arg(setup.arguments().join("\n"));
        let (child, address) = launch(&format!("{} server", setup.model), &mut command)?;
        Ok(Self { model: setup.model, address, child: Some(child) })
    }

    /// A server that this program has not started, so that it knows no figures of its process.
    pub(crate) const fn foreign(address: SocketAddr) -> Self {
        Self { model: Model::Foreign, address, child: None }
    }

    fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) fn usage(&self) -> Usage {
        usage(self.id())
    }

    pub(crate) fn memory(&self) -> Option<Memory> {
        proc::memory(self.id()?)
    }

    /// The number of sockets that the process has open.
    pub(crate) fn sockets(&self) -> Option<u64> {
        proc::sockets(self.id()?)
    }

    /// The number of threads, once it has stopped changing: a connection's second thread may start
    /// after its first answer. The thread that reads standard input belongs to this program, and
    /// does not count.
    pub(crate) fn settled_threads(&self) -> Option<u64> {
        const LOOKS_MAX: usize = 100;
        const EQUAL_LOOKS: usize = 3;
        let (mut threads, mut equal) = (proc::threads(self.id()?)?, 0);
        for _ in 0..LOOKS_MAX {
            thread::sleep(Duration::from_millis(20));
            let now = proc::threads(self.id()?)?;
            equal = if now == threads { equal + 1 } else { 0 };
            if equal == EQUAL_LOOKS {
                break;
            }
            threads = now;
        }
        Some(threads.saturating_sub(1))
    }

    /// # Errors
    /// If the process has ended. An error of a connection alone would not say this.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        // A process that dies closes its connections a little before its exit status can be read.
        thread::sleep(Duration::from_millis(50));
        match child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("the {} server ended while it was measured: {status}", self.model).into()),
        }
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn end(mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        drop(child.stdin.take());
        child.wait()?;
        Ok(())
    }

    /// Waits until the process has ended by itself, and returns whether it did within `time`.
    pub(crate) fn wait(&mut self, time: Duration) -> Result<bool> {
        let Some(child) = &mut self.child else { return Ok(false) };
        let end = Instant::now() + time;
        while Instant::now() < end {
            if child.try_wait()?.is_some() {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }
}

/// Starts a process that prints its address when it listens. It ends with its standard input.
pub(super) fn launch(name: &str, command: &mut Command) -> Result<(Child, SocketAddr)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start the {name} ({}): {error}", command.get_program().display()))?;
    match read_address(name, &mut child) {
        Ok(address) => Ok((child, address)),
        Err(error) => {
            end(&mut child);
            Err(error)
        }
    }
}

/// Ends a process at once.
pub(super) fn end(child: &mut Child) {
    drop(child.stdin.take());
    // An error means that the process has already ended.
    let _ = child.kill();
    let _ = child.wait();
}

fn read_address(name: &str, child: &mut Child) -> Result<SocketAddr> {
    let stdout = child.stdout.take().ok_or("the process's output was not captured")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
    });
    let line =
        receiver.recv_timeout(START_TIMEOUT).map_err(|_| format!("the {name} did not print its address within {START_TIMEOUT:?}"))??;
    line.trim().parse().map_err(|_| match child.wait() {
        Ok(status) if line.is_empty() => format!("the {name} ended before it listened: {status}").into(),
        _ => format!("the {name} printed {line:?} instead of its address").into(),
    })
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

/// The sums of any process, or nothing but the time.
fn usage(id: Option<u32>) -> Usage {
    Usage { at: Instant::now(), cpu_seconds: id.and_then(proc::cpu_seconds), switches: id.and_then(proc::context_switches) }
}

/// The sums of a process that is no server of this program.
pub(crate) fn usage_of(id: u32) -> Usage {
    usage(Some(id))
}

/// The sums of this process.
pub(crate) fn own_usage() -> Usage {
    usage(Some(std::process::id()))
}

impl Usage {
    /// What was used from `self` to `later`.
    pub(crate) fn until(self, later: Self) -> Used {
        let difference = |before: Option<f64>, after: Option<f64>| before.zip(after).map_or(f64::NAN, |(before, after)| after - before);
        let count = |count: Option<u64>| count.map(|count| count as f64);
        Used {
            seconds: later.at.duration_since(self.at).as_secs_f64(),
            cpu_seconds: difference(self.cpu_seconds, later.cpu_seconds),
            switches: difference(count(self.switches), count(later.switches)),
        }
    }
}
