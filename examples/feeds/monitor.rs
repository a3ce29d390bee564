//! The kernel's figures about this machine (proc(5)).
//!
//! Owns reading `/proc`, and the differences between two readings. Leaves temperatures and voltages
//! to `sensors`. A figure that cannot be read is `null`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sensors;

pub(crate) struct Monitor {
    root: PathBuf,
    cores: HashMap<String, Ticks>,
    interfaces: HashMap<String, Traffic>,
    read: Instant,
}

/// The time of a core since the machine was started, in units of the kernel's clock.
#[derive(Clone, Copy)]
struct Ticks {
    busy: u64,
    all: u64,
}

/// The traffic of an interface since it was added.
#[derive(Clone, Copy)]
struct Traffic {
    bytes_in: u64,
    bytes_out: u64,
}

impl Monitor {
    /// `None` where there is no `proc/stat`.
    pub(crate) fn open(root: &Path) -> Option<Self> {
        let mut monitor = Self { root: root.to_owned(), cores: HashMap::new(), interfaces: HashMap::new(), read: Instant::now() };
        monitor.text("stat")?;
        monitor.sample();
        Some(monitor)
    }

    pub(crate) fn sample(&mut self) -> Value {
        let elapsed = self.read.elapsed();
        self.read = Instant::now();
        json!({
            "load": self.load(),
            "cores": self.busy_shares(),
            "memory": self.memory(),
            "network": self.network(elapsed),
            "process": process(),
            "sensors": sensors::read(&self.root),
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join("proc").join(name)).ok()
    }

    /// The mean number of processes that run or wait for a disk, over 1, 5 and 15 minutes.
    fn load(&self) -> Option<Vec<f64>> {
        let text = self.text("loadavg")?;
        text.split_whitespace().take(3).map(|number| number.parse().ok()).collect()
    }

    /// The share of the time since the last reading in which each core was busy, from 0 to 1.
    fn busy_shares(&mut self) -> Option<Vec<f64>> {
        let text = self.text("stat")?;
        let mut now = HashMap::new();
        let mut shares = Vec::new();
        for line in text.lines() {
            let Some((name, ticks)) = core_ticks(line) else { continue };
            let before = self.cores.get(name).copied().unwrap_or(ticks);
            // Waiting for a disk counts as idle. The kernel's counter of it sometimes decreases
            // (proc(5)), so the differences saturate.
            let all = ticks.all.saturating_sub(before.all);
            let busy = ticks.busy.saturating_sub(before.busy).min(all);
            shares.push(f64::from((busy * 1_000 / all.max(1)) as u32) / 1_000.0);
            now.insert(name.to_owned(), ticks);
        }
        self.cores = now;
        Some(shares)
    }

    fn memory(&self) -> Option<Value> {
        let text = self.text("meminfo")?;
        let bytes = |name| kibibytes(&text, name);
        let (total, available) = (bytes("MemTotal:")?, bytes("MemAvailable:")?);
        Some(json!({ "total_bytes": total, "used_bytes": total.saturating_sub(available) }))
    }

    /// The rates in bytes a second. A new interface has the rate 0 in its first reading.
    fn network(&mut self, elapsed: Duration) -> Option<Vec<Value>> {
        let text = self.text("net/dev")?;
        let mut now = HashMap::new();
        let mut rates = Vec::new();
        for line in text.lines() {
            let Some((name, traffic)) = interface_traffic(line) else { continue };
            let before = self.interfaces.get(name).copied().unwrap_or(traffic);
            let rate = |now: u64, before: u64| now.saturating_sub(before).saturating_mul(1_000) / (elapsed.as_millis() as u64).max(1);
            let (bytes_in, bytes_out) = (rate(traffic.bytes_in, before.bytes_in), rate(traffic.bytes_out, before.bytes_out));
            rates.push(json!({ "name": name, "in": bytes_in, "out": bytes_out }));
            now.insert(name.to_owned(), traffic);
        }
        self.interfaces = now;
        Some(rates)
    }
}

/// Parses `cpu3 user nice system idle iowait irq softirq steal ...`. The line for all cores
/// together begins with `cpu` alone, and is skipped. The time of guests, which follows, is already
/// contained in `user` and `nice`.
fn core_ticks(line: &str) -> Option<(&str, Ticks)> {
    let (name, rest) = line.split_once(' ')?;
    name.strip_prefix("cpu")?.parse::<u32>().ok()?;
    let ticks: Vec<u64> = rest.split_whitespace().take(8).map_while(|number| number.parse().ok()).collect();
    let (idle, all) = (ticks.get(3)? + ticks.get(4).unwrap_or(&0), ticks.iter().sum());
    Some((name, Ticks { busy: all - idle, all }))
}

/// Parses `eth0: bytes packets errs drop fifo frame compressed multicast bytes ...`: eight fields
/// about input, then those about output.
fn interface_traffic(line: &str) -> Option<(&str, Traffic)> {
    let (name, rest) = line.split_once(':')?;
    let number = |at| rest.split_whitespace().nth(at)?.parse().ok();
    Some((name.trim(), Traffic { bytes_in: number(0)?, bytes_out: number(8)? }))
}

/// The figures of this process. They are read from the real `/proc`, whatever `--root` is.
fn process() -> Option<Value> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let threads: u64 = line_of(&text, "Threads:")?.parse().ok()?;
    Some(json!({ "rss_bytes": kibibytes(&text, "VmRSS:")?, "threads": threads }))
}

/// The value of `Name:   123 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let number: u64 = line_of(text, name)?.strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

fn line_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
