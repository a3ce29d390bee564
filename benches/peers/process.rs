//! The process of a server, and what the system tells about it.
//!
//! Owns starting and ending the process, its processor time and its memory, the cores, and the limit on
//! open files. Leaves the connections to `client` and `load`.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Error};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::server::Peer;

const THIS_THREAD: Pid = Pid::from_raw(0);

/// The core of the servers, and the core of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// The first two cores that this process may use, if there are two.
    pub(crate) fn divide() -> io::Result<Option<Self>> {
        let all = sched_getaffinity(THIS_THREAD)?;
        let mut usable = (0..CpuSet::count()).filter(|core| all.is_set(*core).unwrap_or(false));
        Ok(usable.next().zip(usable.next()).map(|(server, load)| Self { server, load }))
    }
}

/// Pins this thread, and those that it starts from now on.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(THIS_THREAD, &set).map_err(|error| Error::other(format!("this process cannot be pinned to core {core}: {error}")))
}

/// Allows this process and its children as many open files as the system lets them have.
pub(crate) fn allow_open_files(needed: u64) -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < needed {
        let message = format!("this needs {needed} open files, and `ulimit -H -n` is {hard}");
        return Err(Error::other(message));
    }
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard)?;
    }
    Ok(())
}

/// A server, which ends with this value.
pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts this program again, as a peer.
    pub(crate) fn start(peer: Peer, cores: Option<Cores>) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", peer.name()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(cores) = cores {
            command.args(["--core", &cores.server.to_string()]);
        }
        let mut child = command.spawn()?;
        let mut line = String::new();
        let read = child.stdout.take().map_or(Ok(0), |stdout| BufReader::new(stdout).read_line(&mut line));
        let address =
            read.and_then(|_| line.trim().parse().map_err(|_| Error::other("the server did not start; its message stands above")));
        match address {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The time of all threads of the process, in user space and in the system, in nanoseconds.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let id = Pid::from_raw(self.child.id().try_into().map_err(Error::other)?);
        Ok(clock_getcpuclockid(id)?.now()?.into())
    }

    /// The bytes of anonymous memory that are resident, once they have stopped changing: a thread of the
    /// server may start after an answer.
    pub(crate) fn settled_memory(&self) -> io::Result<usize> {
        const LOOKS_MAX: usize = 100;
        const EQUAL_LOOKS: usize = 3;
        let (mut memory, mut equal) = (self.memory()?, 0);
        for _ in 0..LOOKS_MAX {
            thread::sleep(Duration::from_millis(20));
            let now = self.memory()?;
            equal = if now == memory { equal + 1 } else { 0 };
            if equal == EQUAL_LOOKS {
                break;
            }
            memory = now;
        }
        Ok(memory)
    }

    fn memory(&self) -> io::Result<usize> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path)?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        kib.map(|kib| kib * 1_024).ok_or_else(|| Error::other(format!("{path} has no line `RssAnon` in kB")))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It fails only if the process has ended before.
    let _ = child.kill();
    let _ = child.wait();
}
