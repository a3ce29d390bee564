//! Commands from other threads to one connection that has threads of its own.
//!
//! Owns the bounded queue, its slow-consumer policy and the condition variable that the connection's writer waits on. Refuses the session: a
//! publisher that posts here never waits for the peer, nor for a handler of this connection that takes long.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;

use super::Config;
use super::sync::{Condvar, Mutex, MutexGuard};
use crate::session::{Address, Backlog, Command, Post, Queued, RemoteSource, SlowConsumer, Stats};

/// One connection's mailbox. Handles keep it alive, but neither the connection nor the server.
pub(crate) struct Mailbox {
    slot: u32,
    config: Arc<Config>,
    stats: Arc<Stats>,
    /// To be cut when the queue overflows: the writer may be blocked by the very peer that does not read.
    socket: Weak<TcpStream>,
    inner: Mutex<Inner>,
    filled: Condvar,
}

#[derive(Default)]
struct Inner {
    /// The hold, stream or WebSocket that is posted to now; commands for earlier ones come too late. 0 while there is none.
    serial: u64,
    /// The last serial that was given out, 0 while there was none.
    issued: u64,
    frames: Backlog,
    /// What comes after the frames: a release or a close.
    last: Option<Command>,
    overflow: bool,
    closed: bool,
    /// Waking the writer costs a system call, whether or not it waits.
    writer_waits: bool,
}

/// What the writer finds.
pub(crate) enum Mail {
    Command(u64, Command),
    /// Nothing, until the deadline.
    Nothing,
    /// The connection is over.
    Closed,
}

impl Mailbox {
    pub(crate) fn new(slot: u32, config: Arc<Config>, stats: Arc<Stats>, socket: Weak<TcpStream>) -> Self {
        Self { slot, config, stats, socket, inner: Mutex::new(Inner::default()), filled: Condvar::new() }
    }

    /// Whether a handle was ever given out.
    pub(crate) fn has_handles(&self) -> bool {
        self.lock().issued > 0
    }

    /// Waits for mail until `deadline`.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Mail {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return Mail::Closed;
            }
            if let Some((serial, command)) = inner.take() {
                return Mail::Command(serial, command);
            }
            inner.writer_waits = true;
            inner = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return Mail::Nothing,
                Some(left) => self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            inner.writer_waits = false;
        }
    }

    /// Takes the next command without waiting, for one more write with everything that is there.
    pub(crate) fn try_take(&self) -> Option<(u64, Command)> {
        self.lock().take()
    }

    /// The connection is over: the writer ends, and nothing is taken any more.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.forget();
        inner.closed = true;
        drop(inner);
        self.filled.notify_one();
    }

    /// Whether the slow-consumer policy has ended the connection.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.lock().overflow
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Forgets what was posted.
    fn forget(&mut self) {
        self.frames = Backlog::default();
        self.last = None;
    }

    fn take(&mut self) -> Option<(u64, Command)> {
        let lost = self.frames.take_lost();
        if lost > 0 {
            return Some((self.serial, Command::Lost(lost)));
        }
        let command = self.frames.pop().map(Command::Push).or_else(|| self.last.take())?;
        Some((self.serial, command))
    }
}

impl RemoteSource for Arc<Mailbox> {
    fn post(&self) -> Arc<dyn Post> {
        Arc::clone(self) as Arc<dyn Post>
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    /// Makes room for the next hold, stream or WebSocket, and forgets what came for the one before.
    fn issue_serial(&self) -> u64 {
        let mut inner = self.lock();
        inner.forget();
        inner.issued += 1;
        inner.serial = inner.issued;
        inner.serial
    }

    /// The writer may be busy for long with what comes behind: what nobody hears must not fill the queue meanwhile.
    fn retire_serial(&self, serial: u64) {
        let mut inner = self.lock();
        if inner.serial == serial {
            inner.forget();
            inner.serial = 0;
        }
    }
}

impl Post for Mailbox {
    fn post(&self, address: Address, command: Command) {
        let mut inner = self.lock();
        if inner.closed || inner.overflow || inner.serial != address.serial || inner.last.is_some() {
            return;
        }
        match command {
            Command::Push(frame) => {
                let settings = &self.config.settings;
                let policy = match settings.slow_consumer {
                    // What has just come waits for the writer to wake up, and not yet for a slow reader.
                    SlowConsumer::KeepLatest if inner.frames.bytes() < settings.limits.output_bytes => SlowConsumer::DropOldest,
                    policy => policy,
                };
                match inner.frames.push(frame, settings.limits.queue_bytes, policy) {
                    Queued::Dropping(0) => {}
                    Queued::Dropping(dropped) => self.stats.dropped.add(dropped as u64),
                    Queued::Overflow => {
                        inner.overflow = true;
                        drop(inner);
                        if let Some(socket) = self.socket.upgrade() {
                            let _ = socket.shutdown(Shutdown::Both);
                        }
                        return;
                    }
                }
            }
            last => inner.last = Some(last),
        }
        let writer_waits = std::mem::take(&mut inner.writer_waits);
        drop(inner);
        if writer_waits {
            self.filled.notify_one();
        }
    }
}
