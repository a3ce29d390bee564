//! Figures of processes and of the system, from `/proc`.
//!
//! Owns reading and parsing these files. Leaves to its callers when to read. Figures are `None` if
//! the system does not have them; the report then says n/a.

use std::fs;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `USER_HZ`: 100 on every Linux that Rust's standard library supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// The user and system time of all threads of a process, including those that have ended, in
/// seconds. The clock counts nanoseconds.
pub(crate) fn cpu_seconds(id: u32) -> Option<f64> {
    imp::cpu_seconds(id)
}

/// The processor time of this process and of its children that have ended, in seconds.
pub(crate) fn family_cpu_seconds() -> Option<f64> {
    imp::family_cpu_seconds()
}

/// The number of threads of a process.
pub(crate) fn threads(id: u32) -> Option<u64> {
    number(&fs::read_to_string(format!("/proc/{id}/status")).ok()?, "Threads:")
}

/// The memory of one process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The size of the address space.
    pub(crate) address_space: u64,
    /// What the process has written and shares with no other process.
    pub(crate) private_dirty: u64,
    /// The page tables of the process.
    pub(crate) page_tables: u64,
}

pub(crate) fn memory(id: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    Some(Memory {
        address_space: number(&status, "VmSize:")? * 1024,
        private_dirty: private_dirty_bytes(id)?,
        page_tables: number(&status, "VmPTE:")? * 1024,
    })
}

/// The bytes of one thread's stack in the kernel: the mean of all threads of the system, which have
/// stacks of the same size. The system does not tell the sum for one process.
pub(crate) fn kernel_stack_bytes() -> Option<f64> {
    let sum = number(&fs::read_to_string("/proc/meminfo").ok()?, "KernelStack:")? * 1024;
    Some(sum as f64 / running_threads()? as f64)
}

/// The number of threads of the whole system.
fn running_threads() -> Option<usize> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// The processor time of all programs, the kernel and other virtual machines since the system
/// started, in seconds.
pub(crate) fn system_cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks = text.lines().next()?.split_whitespace().skip(1).map(|word| word.parse::<u64>().ok()).collect::<Option<Vec<_>>>()?;
    // user, nice, system; idle and iowait are left out; irq, softirq, steal.
    Some([0, 1, 2, 5, 6, 7].into_iter().map(|at| ticks.get(at)).sum::<Option<u64>>()? as f64 / TICKS_PER_SECOND)
}

/// How many times a thread of the process gave up its processor or lost it. Threads that have ended
/// do not count.
pub(crate) fn context_switches(id: u32) -> Option<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten() {
        // A thread may end while the others are read.
        let Ok(status) = fs::read_to_string(thread.path().join("status")) else { continue };
        sum += number(&status, "voluntary_ctxt_switches:")? + number(&status, "nonvoluntary_ctxt_switches:")?;
    }
    Some(sum)
}

/// The bytes of memory that the process has written and shares with no other process.
pub(crate) fn private_dirty_bytes(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    Some(number(&text, "Private_Dirty:")? * 1024)
}

/// The bytes that the kernel uses for its own data, in the whole system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KernelMemory(pub(crate) u64);

impl KernelMemory {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        let sum = ["Slab:", "KernelStack:", "PageTables:"].into_iter().map(|name| number(&text, name)).sum::<Option<u64>>()?;
        Some(Self(sum * 1024))
    }

    /// The median of seven readings, and the difference between the largest and the smallest.
    pub(crate) fn settled() -> Option<(Self, u64)> {
        const READINGS: usize = 7;
        let mut readings = Vec::with_capacity(READINGS);
        for _ in 0..READINGS {
            thread::sleep(Duration::from_millis(20));
            readings.push(Self::read()?);
        }
        readings.sort_unstable();
        Some((readings[READINGS / 2], readings[READINGS - 1].0 - readings[0].0))
    }
}

/// How many descriptors this process and each child may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DescriptorLimits {
    pub(crate) soft: usize,
    pub(crate) hard: usize,
}

pub(crate) fn descriptor_limits() -> DescriptorLimits {
    let read = || {
        let text = fs::read_to_string("/proc/self/limits").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let mut numbers = line.split_whitespace().map(|word| word.parse().unwrap_or(usize::MAX));
        Some(DescriptorLimits { soft: numbers.next()?, hard: numbers.next()? })
    };
    read().unwrap_or(DescriptorLimits { soft: usize::MAX, hard: usize::MAX })
}

/// The number of sockets that a process has open.
pub(crate) fn sockets(id: u32) -> Option<u64> {
    let descriptors = fs::read_dir(format!("/proc/{id}/fd")).ok()?;
    // A descriptor may be closed while the others are read.
    let is_socket = |path: std::path::PathBuf| fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
    Some(descriptors.flatten().filter(|entry| is_socket(entry.path())).count() as u64)
}

/// How many threads a process that is about to start can have, and the limit that says so. An
/// eighth of the limits of the system is left to other programs.
pub(crate) fn threads_max() -> (usize, &'static str) {
    let whole = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let processes = || {
        let text = fs::read_to_string("/proc/self/limits").ok()?;
        text.lines().find_map(|line| line.strip_prefix("Max processes"))?.split_whitespace().next()?.parse::<usize>().ok()
    };
    let group = || {
        let text = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
        whole(&format!("/sys/fs/cgroup{path}/pids.max"))
    };
    let running = running_threads().unwrap_or(0);
    let of_system = |limit: Option<usize>| limit.map(|limit| (limit - limit / 8).saturating_sub(running));
    // A thread of a Rust program has four mappings: its stack, the stack of its signal handlers, and
    // the page that guards each. This limit is the process's own, so only a part for its other
    // mappings is left. Beyond the limit, Rust's standard library aborts the process.
    let mapped = whole("/proc/sys/vm/max_map_count").map(|limit| (limit - limit / 32) / 4);
    let limits = [
        (of_system(whole("/proc/sys/kernel/pid_max")), "kernel.pid_max"),
        (of_system(whole("/proc/sys/kernel/threads-max")), "kernel.threads-max"),
        (of_system(processes()), "`ulimit -u`"),
        (of_system(group()), "pids.max of the control group"),
        (mapped, "vm.max_map_count"),
    ];
    let known = limits.into_iter().filter_map(|(threads, name)| Some((threads?, name)));
    known.min().unwrap_or((usize::MAX, "no limit that is known"))
}

/// The machine on which the figures were measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(": "));
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: model.map_or_else(|| format!("a processor of type {}", std::env::consts::ARCH), |(_, model)| model.trim().to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, release.trim()),
        }
    }
}

/// The number on the line that begins with `name`.
fn number(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(target_os = "linux")]
mod imp {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::time::clock_getcpuclockid;
    use nix::unistd::Pid;

    pub(super) fn cpu_seconds(id: u32) -> Option<f64> {
        let clock = clock_getcpuclockid(Pid::from_raw(id.try_into().ok()?)).ok()?;
        let time = clock.now().ok()?;
        Some(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
    }

    pub(super) fn family_cpu_seconds() -> Option<f64> {
        let mut sum = 0.0;
        for usage in [getrusage(UsageWho::RUSAGE_SELF).ok()?, getrusage(UsageWho::RUSAGE_CHILDREN).ok()?] {
            for time in [usage.user_time(), usage.system_time()] {
                sum += time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
            }
        }
        Some(sum)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn cpu_seconds(_: u32) -> Option<f64> {
        None
    }

    pub(super) fn family_cpu_seconds() -> Option<f64> {
        None
    }
}
