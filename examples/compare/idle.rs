//! The cost of an idle connection for its server. It tests the claim that a held connection
//! occupies a thread, and so does not scale.
//!
//! Owns opening connections in steps, and the figures at each step. Leaves reading `/proc` to
//! `proc`. Each kind of connection and each IO model gets a new server: a used server would reuse
//! freed memory, and the growth would look too small.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use pushlab::IoModel;

use crate::Result;
use crate::interrupt;
use crate::options::Options;
use crate::proc::{self, DescriptorLimits, KernelMemory};
use crate::process::ServerProcess;
use crate::progress::Progress;
use crate::wire::{self, Use};

/// The kinds of idle connections, with their names.
const KINDS: [(Use, &str); 3] =
    [(Use::Requests, "HTTP keep-alive"), (Use::EventStream, "SSE with a pusher"), (Use::WebSocket, "WebSocket with a pusher")];
/// The descriptors that a process needs for other purposes.
pub(crate) const DESCRIPTORS_RESERVED: usize = 64;
/// The number of bare connections whose memory is measured. Both ends are in this process.
const BARE_CONNECTIONS: usize = 1_000;
/// Connections that are opened before counting begins. They use up the free memory that the kernel
/// and the allocator still hold, which the first counted connections would otherwise get without
/// any growth.
pub(crate) const CUSHION: usize = 200;
/// Growth of memory counts only if it is more than this many times the fluctuation that was seen.
const TRUSTED_TIMES: u64 = 4;
/// Growth of memory counts only if it is more than this: programs in the background may take or
/// free as much.
const TRUSTED_BYTES: u64 = 1024 * 1024;

/// All results about idle connections.
pub(crate) struct Idle {
    pub(crate) groups: Vec<Group>,
    /// The kernel memory of one end of a bare connection.
    pub(crate) end_bytes: Option<f64>,
    /// Why an IO model did not reach a number of connections.
    pub(crate) notes: Vec<String>,
}

/// The results for one kind and one number of connections.
pub(crate) struct Group {
    pub(crate) kind: &'static str,
    pub(crate) asked: usize,
    /// In the order of [`IoModel::ALL`]. `None` if no more connections were possible than for a
    /// smaller number.
    pub(crate) models: [Option<Figures>; 2],
}

pub(crate) struct Figures {
    pub(crate) connections: usize,
    pub(crate) threads: Option<u64>,
    pub(crate) user_bytes: Option<f64>,
    pub(crate) kernel_bytes: Option<f64>,
}

/// The number of progress steps: one for the bare connections, then one for each kind, IO model and
/// number.
pub(crate) fn steps(options: &Options) -> u64 {
    1 + (KINDS.len() * IoModel::ALL.len() * options.idle.len()) as u64
}

pub(crate) fn measure(options: &Options, limits: DescriptorLimits, progress: &mut Progress) -> Result<Idle> {
    progress.step("bare connections, for the kernel's memory");
    let available = limits.soft.saturating_sub(DESCRIPTORS_RESERVED);
    let cushion = CUSHION.min(available / 4);
    let most = available - cushion;
    let mut idle = Idle { groups: Vec::new(), end_bytes: measure_bare(BARE_CONNECTIONS.min(most / 2)), notes: Vec::new() };
    for (purpose, kind) in KINDS {
        let mut columns = IoModel::ALL.map(|_| Vec::new());
        for (model, column) in IoModel::ALL.into_iter().zip(&mut columns) {
            let measured = measure_column(&mut idle, (purpose, kind), model, [cushion, most], options, progress, column);
            // The interrupt itself may cause an error in a running step. Such an error says nothing
            // about the server.
            measured.or_else(|error| if interrupt::is_asked() { Ok(()) } else { Err(error) })?;
        }
        let finished = columns[0].len().max(columns[1].len());
        let [mut first, mut second] = columns.map(Vec::into_iter);
        for &asked in &options.idle[..finished] {
            idle.groups.push(Group { kind, asked, models: [first.next().flatten(), second.next().flatten()] });
        }
    }
    Ok(idle)
}

/// Measures one kind on one IO model. Adds the figures of each number to the column, until all are
/// measured or an interrupt comes.
fn measure_column(
    idle: &mut Idle,
    (purpose, kind): (Use, &str),
    model: IoModel,
    [cushion, most]: [usize; 2],
    options: &Options,
    progress: &mut Progress,
    column: &mut Vec<Option<Figures>>,
) -> Result<()> {
    if interrupt::is_asked() {
        return Ok(());
    }
    let mut crowd = Crowd::gather(purpose, model, cushion)?;
    for &asked in &options.idle {
        progress.step(&format!("{asked} idle connections: {kind}, {model}"));
        let before = crowd.sockets.len();
        let grown = crowd.grow(asked.min(most));
        if interrupt::is_asked() {
            return Ok(());
        }
        if let Err(error) = grown {
            let reached = crowd.sockets.len();
            idle.notes.push(format!("{kind}, {model}: no more than {reached} of {asked} connections: {error}{}", hint(model)));
        }
        crowd.server.check()?;
        column.push((crowd.sockets.len() > before).then(|| crowd.figures(idle.end_bytes)));
    }
    Ok(())
}

const fn hint(model: IoModel) -> &'static str {
    match model {
        IoModel::EventLoop => "",
        IoModel::ThreadPerConnection => {
            " (threads are bounded by `ulimit -u`, kernel.threads-max, kernel.pid_max, vm.max_map_count, pids.max)"
        }
    }
}

/// A server and its idle connections.
struct Crowd {
    server: ServerProcess,
    purpose: Use,
    sockets: Vec<TcpStream>,
    /// See [`CUSHION`].
    cushion: Vec<TcpStream>,
    base: Base,
}

/// The state before the first connection that counts.
struct Base {
    idle_threads: Option<u64>,
    threads: Option<u64>,
    /// Read after the first connection of the cushion: the memory that a server needs only once is
    /// then allocated, and no freed memory is left over yet.
    user_bytes: Option<u64>,
    kernel: Option<KernelMemory>,
    /// How much the kernel's memory changes by itself.
    fluctuation: u64,
}

impl Crowd {
    fn gather(purpose: Use, model: IoModel, cushion_len: usize) -> Result<Self> {
        let server = ServerProcess::start(model)?;
        let id = server.id();
        let connect = || wire::establish(purpose, server.address).map_err(|error| format!("the {model} server: {error}"));
        // The thread that reads standard input belongs to this program, not to the library.
        let idle_threads = settled_threads(id).map(|threads| threads - 1);
        let mut cushion = vec![connect()?.0];
        settled_threads(id);
        let user_bytes = proc::private_dirty_bytes(id);
        while cushion.len() < cushion_len {
            cushion.push(connect()?.0);
        }
        let threads = settled_threads(id);
        let (kernel, fluctuation) = KernelMemory::settled().unzip();
        let base = Base { idle_threads, threads, user_bytes, kernel, fluctuation: fluctuation.unwrap_or_default() };
        Ok(Self { server, purpose, sockets: Vec::new(), cushion, base })
    }

    fn grow(&mut self, count: usize) -> std::io::Result<()> {
        while self.sockets.len() < count && !interrupt::is_asked() {
            self.sockets.push(wire::establish(self.purpose, self.server.address)?.0);
        }
        Ok(())
    }

    fn figures(&self, end_bytes: Option<f64>) -> Figures {
        let id = self.server.id();
        let connections = self.sockets.len();
        let threads_now = settled_threads(id);
        let threads = || Some(self.base.idle_threads? + threads_now? - self.base.threads?);
        let user_bytes = || {
            let grown = proc::private_dirty_bytes(id)?.saturating_sub(self.base.user_bytes?);
            Some(grown as f64 / (connections + self.cushion.len() - 1) as f64)
        };
        let kernel_bytes = || {
            let (now, fluctuation) = KernelMemory::settled()?;
            let base = self.base.kernel?;
            let both_ends = is_trusted(base, now, fluctuation.max(self.base.fluctuation)).then(|| (now.0 - base.0) as f64)?;
            Some(both_ends / connections as f64 - end_bytes?)
        };
        Figures { connections, threads: threads(), user_bytes: user_bytes(), kernel_bytes: kernel_bytes() }
    }
}

/// The number of threads, once it has stopped changing: a connection's second thread may start
/// after its first answer.
fn settled_threads(id: u32) -> Option<u64> {
    const LOOKS_MAX: usize = 100;
    const EQUAL_LOOKS: usize = 4;
    let (mut threads, mut equal) = (proc::process(id)?.threads, 0);
    for _ in 0..LOOKS_MAX {
        thread::sleep(Duration::from_millis(20));
        let now = proc::process(id)?.threads;
        equal = if now == threads { equal + 1 } else { 0 };
        if equal == EQUAL_LOOKS {
            break;
        }
        threads = now;
    }
    Some(threads)
}

/// Half of the kernel memory of a connected pair of sockets. It is the client's share, which is
/// subtracted from the figures.
fn measure_bare(count: usize) -> Option<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
    let address = listener.local_addr().ok()?;
    let (before, _) = KernelMemory::settled()?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push((TcpStream::connect(address).ok()?, listener.accept().ok()?));
    }
    let (after, fluctuation) = KernelMemory::settled()?;
    is_trusted(before, after, fluctuation).then_some((after.0 - before.0) as f64 / count as f64 / 2.0)
}

const fn is_trusted(before: KernelMemory, after: KernelMemory, fluctuation: u64) -> bool {
    let grown = after.0.saturating_sub(before.0);
    grown > TRUSTED_TIMES * fluctuation && grown > TRUSTED_BYTES
}
