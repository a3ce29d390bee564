//! The process of the attacked server, seen from outside.
//!
//! Owns starting the process under a limit of descriptors, reading its figures from `/proc`, and
//! ending it. Leaves what the process does to `server`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pushlab::IoModel;
use serde_json::Value;

use crate::scenario::Strain;
use crate::{Result, wire};

pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    child: Child,
}

/// What the process uses at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) cpu: Duration,
}

impl Target {
    pub(crate) fn start(model: IoModel, strain: Strain) -> Result<Self> {
        // The standard library cannot set a limit for a child; the shell's built-in `ulimit` can.
        // `exec` keeps the process id.
        let limit = strain.descriptors.map_or(String::new(), |most| format!("ulimit -n {most} && "));
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limit}exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe()?)
            .args(["--serve", &model.to_string(), &strain.max_threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the server's output was not captured")?).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(address) => Ok(Self { address, child }),
            Err(_) => Err(format!("the {model} server said {line:?} instead of its address: {}", child.wait()?).into()),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn figures(&self) -> Result<Figures> {
        let directory = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{directory}/status"))?;
        let number = |name: &str| -> Option<u64> {
            status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
        };
        let stat = fs::read_to_string(format!("{directory}/stat"))?;
        // `utime` and `stime` in hundredths of a second, the twelfth and thirteenth field after the
        // command's name (proc(5)).
        let ticks = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().skip(11).take(2);
        Ok(Figures {
            descriptors: fs::read_dir(format!("{directory}/fd"))?.count(),
            threads: number("Threads:").unwrap_or_default() as usize,
            memory_bytes: number("VmRSS:").unwrap_or_default() * 1024,
            cpu: Duration::from_millis(ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10),
        })
    }

    /// The server's own counters.
    pub(crate) fn counters(&self) -> Result<Value> {
        Ok(serde_json::from_str(&wire::get(self.address, "/stats")?)?)
    }

    /// A sentence if the process has ended by itself. `None` while it runs.
    pub(crate) fn has_ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| format!("the server has ended: {status}"))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
