//! Commands from other threads to one connection.
//!
//! Owns the bounded queue, its slow-consumer policy and the condition variable that the connection's writer waits on. Refuses the socket and
//! the session: a publisher that posts here never waits for the peer, nor for a handler of this connection that takes long.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Shared;
use super::connection::Disconnect;
use crate::session::{Address, Backlog, Command, Post, Queued};

/// One connection's mailbox. Handles keep it alive, but not the connection.
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    filled: Condvar,
    shared: Arc<Shared>,
    disconnect: Disconnect,
}

#[derive(Default)]
struct Inner {
    /// The hold, stream or WebSocket that is posted to now; commands for earlier ones come too late.
    serial: u64,
    frames: Backlog,
    /// What comes after the frames: a release or a close.
    last: Option<Command>,
    /// The reader wants the writer to look at the session: there is output, or an earlier deadline.
    stirred: bool,
    overflow: bool,
    closed: bool,
}

/// What the writer finds.
pub(super) enum Mail {
    Command(u64, Command),
    /// Look at the session: its deadline has come or changed, or it has output.
    Look,
    /// The connection is over.
    Closed,
}

impl Mailbox {
    pub(super) fn new(shared: Arc<Shared>, disconnect: Disconnect) -> Self {
        Self { inner: Mutex::default(), filled: Condvar::new(), shared, disconnect }
    }

    /// Makes room for the next hold, stream or WebSocket, and forgets what came for the one before.
    pub(super) fn next_serial(&self) -> u64 {
        let mut inner = self.lock();
        inner.serial += 1;
        inner.frames.clear();
        inner.last = None;
        inner.serial
    }

    /// Waits for mail until `deadline`.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Mail {
        let mut inner = self.lock();
        loop {
            if let Some(mail) = inner.next() {
                return mail;
            }
            inner = match deadline {
                None => self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Mail::Look;
                    }
                    self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes the next command without waiting, for one more write with everything that is there.
    pub(super) fn try_take(&self) -> Option<(u64, Command)> {
        match self.lock().take_command() {
            Some(Mail::Command(serial, command)) => Some((serial, command)),
            _ => None,
        }
    }

    /// Calls the writer to the session.
    pub(super) fn stir(&self) {
        self.lock().stirred = true;
        self.filled.notify_one();
    }

    /// The connection is over: the writer ends, and nothing is taken any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.frames.clear();
        inner.last = None;
        drop(inner);
        self.filled.notify_one();
    }

    /// Whether the slow-consumer policy has ended the connection.
    pub(super) fn has_overflowed(&self) -> bool {
        self.lock().overflow
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn next(&mut self) -> Option<Mail> {
        if self.closed {
            return Some(Mail::Closed);
        }
        self.take_command().or_else(|| std::mem::take(&mut self.stirred).then_some(Mail::Look))
    }

    fn take_command(&mut self) -> Option<Mail> {
        let command = self.frames.pop().map(Command::Push).or_else(|| self.last.take())?;
        Some(Mail::Command(self.serial, command))
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
                let settings = &self.shared.config.settings;
                match inner.frames.push(frame, settings.limits.queue_bytes, settings.slow_consumer) {
                    Queued::Dropping(0) => {}
                    Queued::Dropping(dropped) => self.shared.stats.dropped.add(dropped as u64),
                    Queued::Overflow => {
                        inner.overflow = true;
                        drop(inner);
                        // The writer may be blocked by the very peer that does not read.
                        return self.disconnect.now();
                    }
                }
            }
            last => inner.last = Some(last),
        }
        drop(inner);
        self.filled.notify_one();
    }
}
