//! A crowd: many connections that are open and wait.
//!
//! Owns opening them quickly, in chunks, and what each of them costs its server. Leaves the load on
//! other connections to its caller. Base and end are read from the same server, which no connection
//! has left in between: freed memory that is used again would hide a growth.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::proc::{self, KernelMemory, Memory};
use super::process::{ServerProcess, Usage};
use super::wire::{self, ACCEPTED};
use crate::Result;
use crate::interrupt;

/// The connections that are opened at once. The accept queue of the model `pool` takes as many, so
/// that no connect blocks when its threads are used up.
const CHUNK: usize = 64;
/// A server that has taken no held request for this time takes no more.
const STALL: Duration = Duration::from_secs(1);
/// The topic of all subscribers.
const TOPIC: &str = "crowd";
/// The bare connections whose memory is measured. Both ends are in this process.
const BARE_CONNECTIONS: usize = 500;
/// Growth of the kernel's memory counts only if it is more than this many times the fluctuation
/// that was seen.
const TRUSTED_TIMES: u64 = 4;
/// Growth of the kernel's memory counts only from here on: programs in the background may take or
/// free as much.
const TRUSTED_BYTES: u64 = 1024 * 1024;

/// What the connections wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The client may send its next request.
    KeepAlive,
    /// The server has not answered yet.
    Held,
    /// A message of a topic, as a server-sent event.
    EventStream,
    /// A message of a topic, over a `WebSocket`.
    WebSocket,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "idle keep-alive connections",
            Self::Held => "held requests",
            Self::EventStream => "SSE",
            Self::WebSocket => "WebSocket",
        }
    }

    fn request(self) -> Vec<u8> {
        match self {
            Self::KeepAlive => wire::get("/plaintext", ""),
            Self::Held => wire::get("/hold", ""),
            Self::EventStream => wire::get(&format!("/topics/{TOPIC}/events"), "Accept: text/event-stream\r\n"),
            Self::WebSocket => wire::websocket_request(&format!("/topics/{TOPIC}/ws"), ""),
        }
    }

    /// What the head of the answer contains.
    const fn wanted(self) -> &'static str {
        match self {
            Self::KeepAlive | Self::Held => "HTTP/1.1 200 ",
            Self::EventStream => "\r\nContent-Type: text/event-stream\r\n",
            Self::WebSocket => ACCEPTED,
        }
    }
}

/// Connections of one kind to one server.
pub(crate) struct Crowd {
    kind: Kind,
    address: SocketAddr,
    /// Asks how many requests are held. It is opened first, because a bounded pool may have no
    /// thread for it later.
    control: Option<TcpStream>,
    sockets: Vec<TcpStream>,
}

impl Crowd {
    pub(crate) fn new(kind: Kind, address: SocketAddr) -> Result<Self> {
        let mut crowd = Self { kind, address, control: None, sockets: Vec::new() };
        if kind == Kind::Held {
            crowd.control = Some(wire::connect(address)?);
            crowd.held()?;
        }
        Ok(crowd)
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    pub(crate) fn into_sockets(self) -> Vec<TcpStream> {
        self.sockets
    }

    /// Opens connections until there are `count`, or until the server takes no more.
    ///
    /// # Errors
    /// A sentence that says why there are fewer. The crowd then has those that the server has taken.
    pub(crate) fn grow(&mut self, count: usize) -> std::result::Result<(), String> {
        while self.len() < count {
            if interrupt::is_asked() {
                return Err("interrupted".to_owned());
            }
            let taken = self.len();
            let done = self.add((count - taken).min(CHUNK));
            if let Err(error) = done {
                return Err(format!("{} of {count} {} are taken: {error}", self.len(), self.kind.name()));
            }
        }
        Ok(())
    }

    /// Sends all requests of a chunk before the first answer is read, so that the server and this
    /// process work at the same time.
    fn add(&mut self, chunk: usize) -> Result<()> {
        let request = self.kind.request();
        let taken = self.len();
        let mut opened = Vec::with_capacity(chunk);
        for _ in 0..chunk {
            let mut socket = wire::connect(self.address)?;
            socket.write_all(&request)?;
            opened.push(socket);
        }
        if self.kind == Kind::Held {
            self.sockets.extend(opened);
            return self.wait_until_held(taken);
        }
        for mut socket in opened {
            let head = if self.kind == Kind::KeepAlive { wire::read_answer(&mut socket)?.bytes } else { wire::read_head(&mut socket)? };
            if !String::from_utf8_lossy(&head).contains(self.kind.wanted()) {
                return Err(wire::unexpected(&head).into());
            }
            self.sockets.push(socket);
        }
        Ok(())
    }

    /// Connections that the server does not take are closed.
    fn wait_until_held(&mut self, mut held: usize) -> Result<()> {
        let mut progress = Instant::now();
        while held < self.len() {
            let now = self.held()?;
            if now > held {
                (held, progress) = (now, Instant::now());
            } else if progress.elapsed() > STALL {
                self.sockets.truncate(held);
                return Err(format!("the server took no further one within {STALL:?}").into());
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// How many requests the server holds.
    fn held(&mut self) -> Result<usize> {
        let Some(control) = &mut self.control else { return Err("only held requests are counted by their server".into()) };
        let answer = wire::ask(control, &wire::get("/held", ""))?;
        let held = String::from_utf8_lossy(&answer.body).parse();
        held.map_err(|_| wire::unexpected(&answer.bytes).into())
    }
}

/// The figures of a server at one moment.
pub(crate) struct Seen {
    threads: Option<u64>,
    memory: Option<Memory>,
    kernel: Option<(KernelMemory, u64)>,
    kernel_stack: Option<f64>,
    usage: Usage,
}

/// What one of `count` things costs the server. NaN where the system does not tell, or where other
/// programs hide it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) threads: f64,
    /// Memory that the process has written and shares with no other process.
    pub(crate) user_bytes: f64,
    /// All memory of the kernel, without the client's end of the connection.
    pub(crate) kernel_bytes: f64,
    pub(crate) address_space_bytes: f64,
    pub(crate) page_table_bytes: f64,
    pub(crate) kernel_stack_bytes: f64,
    pub(crate) switches: f64,
    pub(crate) cpu_us: f64,
}

impl Seen {
    /// Waits until the number of threads has stopped changing.
    pub(crate) fn now(server: &ServerProcess) -> Self {
        let threads = server.settled_threads();
        let kernel = KernelMemory::settled();
        Self { threads, memory: server.memory(), kernel, kernel_stack: proc::kernel_stack_bytes(), usage: server.usage() }
    }

    /// The cost of each of `count` things that were added between the two moments. `client_bytes` is
    /// the kernel's memory for the client's end of each.
    pub(crate) fn cost(&self, later: &Self, count: usize, client_bytes: f64) -> Cost {
        let each = |growth: Option<f64>| growth.map_or(f64::NAN, |growth| growth / count as f64);
        let grown = |before: Option<u64>, after: Option<u64>| Some(after? as f64 - before? as f64);
        let memory = |part: fn(&Memory) -> u64| grown(self.memory.as_ref().map(part), later.memory.as_ref().map(part));
        let threads = grown(self.threads, later.threads);
        let used = self.usage.until(later.usage);
        Cost {
            threads: each(threads),
            user_bytes: each(memory(|memory| memory.private_dirty)),
            kernel_bytes: each(trusted_growth(self.kernel, later.kernel)) - client_bytes,
            address_space_bytes: each(memory(|memory| memory.address_space)),
            page_table_bytes: each(memory(|memory| memory.page_tables)),
            kernel_stack_bytes: each(threads.zip(later.kernel_stack).map(|(threads, each)| threads * each)),
            switches: used.switches / count as f64,
            cpu_us: used.cpu_seconds * 1e6 / count as f64,
        }
    }
}

/// Half of the kernel's memory for a connection whose two ends are both in this process. It is the
/// client's share. NaN where other programs hide it.
pub(crate) fn client_bytes() -> f64 {
    let measure = || {
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = listener.local_addr().ok()?;
        let before = KernelMemory::settled();
        let mut pairs = Vec::with_capacity(BARE_CONNECTIONS);
        for _ in 0..BARE_CONNECTIONS {
            pairs.push((TcpStream::connect(address).ok()?, listener.accept().ok()?));
        }
        trusted_growth(before, KernelMemory::settled()).map(|growth| growth / pairs.len() as f64 / 2.0)
    };
    measure().unwrap_or(f64::NAN)
}

/// The growth in bytes, if it is larger than what the memory changes by itself.
fn trusted_growth(before: Option<(KernelMemory, u64)>, after: Option<(KernelMemory, u64)>) -> Option<f64> {
    let ((before, moved), (after, moved_later)) = before.zip(after)?;
    let grown = after.0.saturating_sub(before.0);
    (grown > TRUSTED_TIMES * moved.max(moved_later) && grown > TRUSTED_BYTES).then_some(grown as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_must_be_larger_than_the_fluctuation() {
        const MIB: u64 = 1024 * 1024;
        let at = |mib: u64, moved: u64| Some((KernelMemory(mib * MIB), moved * MIB));
        assert_eq!(trusted_growth(at(10, 0), at(15, 1)), Some(5.0 * 1024.0 * 1024.0));
        assert_eq!(trusted_growth(at(10, 2), at(15, 1)), None);
        assert_eq!(trusted_growth(at(10, 0), at(11, 0)), None);
        assert_eq!(trusted_growth(at(15, 0), at(10, 0)), None);
        assert_eq!(trusted_growth(None, at(10, 0)), None);
    }
}
