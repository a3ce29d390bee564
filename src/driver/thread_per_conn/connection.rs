//! One blocking connection.
//!
//! Owns a socket, its session, and the order in which its two threads write. Refuses to look into input and output.
//!
//! ```text
//!   reader: read ─▶ lock ─▶ session.receive ─▶ flush ─▶ read ...            always
//!   writer: mailbox ─▶ lock ─▶ session.apply ─▶ flush ─▶ mailbox ...        from the first handle on; keeps the time, too
//! ```
//!
//! Whoever has produced output writes it, without the lock, unless the other thread is writing: that one then takes it along. So an echo
//! stays on its reader's thread, and a publisher never waits for anything but the mailbox's lock.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use super::Shared;
use super::mailbox::Mailbox;
use crate::driver::clock::Clock;
use crate::driver::server::come_back_ms;
use crate::driver::write::write_once;
use crate::proto::{CloseReason, Outbox};
use crate::session::{Context, Ending, Post, RemoteSource, Session};

/// An outbox larger than this is not kept between two answers.
const OUTBOX_BYTES_KEPT: usize = 4 * 1024;

/// A connection, shared by its reader, its writer and the server's list for the shutdown.
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) slot: u32,
    pub(super) shared: Arc<Shared>,
    state: Mutex<State>,
    /// A write ended, or the connection did.
    changed: Condvar,
    mailbox: OnceLock<Arc<Mailbox>>,
    this: Weak<Self>,
}

/// What the two threads take turns with.
#[expect(clippy::struct_excessive_bools, reason = "what the threads tell each other is independent of one another")]
pub(super) struct State {
    pub(super) session: Session,
    out: Outbox,
    /// Input that the session has not used yet.
    input: Vec<u8>,
    /// One of the threads is writing, without the lock.
    writing: bool,
    sending_ended: bool,
    pub(super) shutdown_begun: bool,
    /// The connection cannot go on.
    pub(super) failed: Option<CloseReason>,
    /// The writer has been started.
    pub(super) has_writer: bool,
    /// Until when the writer sleeps if nobody stirs it.
    pub(super) writer_sleeps_until: Option<Instant>,
}

/// Ends the connection from outside, without keeping it alive.
pub(super) struct Disconnect(Weak<Connection>);

impl Disconnect {
    pub(super) fn now(&self) {
        if let Some(connection) = self.0.upgrade() {
            connection.cut();
        }
    }
}

impl RemoteSource for Connection {
    fn post(&self) -> Arc<dyn Post> {
        Arc::clone(self.mailbox_or_new()) as Arc<dyn Post>
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    fn issue_serial(&self) -> u64 {
        self.mailbox_or_new().next_serial()
    }
}

impl Connection {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, slot: u32, shared: Arc<Shared>, clock: &Clock) -> Arc<Self> {
        Arc::new_cyclic(|this| {
            let unborn = Unborn { slot };
            let session = Session::new(peer, &shared.context(clock, &unborn));
            let state = State {
                session,
                out: Outbox::new(),
                input: Vec::new(),
                writing: false,
                sending_ended: false,
                shutdown_begun: false,
                failed: None,
                has_writer: false,
                writer_sleeps_until: None,
            };
            Self {
                socket,
                slot,
                shared,
                state: Mutex::new(state),
                changed: Condvar::new(),
                mailbox: OnceLock::new(),
                this: Weak::clone(this),
            }
        })
    }

    fn mailbox_or_new(&self) -> &Arc<Mailbox> {
        self.mailbox.get_or_init(|| Arc::new(Mailbox::new(Arc::clone(&self.shared), Disconnect(Weak::clone(&self.this)))))
    }

    /// The mailbox, once a handle has been given out.
    pub(super) fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.mailbox.get()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the connection: both threads come back from whatever they wait for.
    pub(super) fn cut(&self) {
        // An error means that the peer was faster.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Lets the session work on `fresh` input behind what it has not used yet, and writes what comes of it.
    pub(super) fn digest<'a>(&'a self, mut state: MutexGuard<'a, State>, fresh: &mut [u8], clock: &Clock) -> MutexGuard<'a, State> {
        let cx = self.shared.context(clock, self);
        let mut waiting = std::mem::take(&mut state.input);
        let mut rest = if waiting.is_empty() {
            fresh
        } else {
            waiting.extend_from_slice(fresh);
            &mut waiting[..]
        };
        loop {
            let used = if rest.is_empty() {
                0
            } else {
                let State { session, out, .. } = &mut *state;
                session.receive(rest, out, &cx)
            };
            rest = &mut rest[used..];
            let moved = used > 0 || !state.out.is_empty();
            state = self.flush(state, clock);
            if !moved || rest.is_empty() || state.writing || state.failed.is_some() {
                break;
            }
        }
        state.input = rest.to_vec();
        state
    }

    /// Writes what there is to write, unless the other thread is at it, and draws the consequences of an end.
    pub(super) fn flush<'a>(&'a self, mut state: MutexGuard<'a, State>, clock: &Clock) -> MutexGuard<'a, State> {
        if state.writing {
            return state;
        }
        let cx = self.shared.context(clock, self);
        while !state.out.is_empty() && state.failed.is_none() {
            state.writing = true;
            let mut out = std::mem::take(&mut state.out);
            drop(state);
            let written = self.write_all(&mut out);
            state = self.lock();
            state.writing = false;
            if state.out.is_empty() && out.capacity() <= OUTBOX_BYTES_KEPT {
                out.clear();
                state.out = out;
            }
            match written {
                Ok(()) if state.out.is_empty() => {
                    let State { session, out, .. } = &mut *state;
                    session.drained(out, &cx);
                }
                Ok(()) => {}
                Err(reason) => state.failed = Some(reason),
            }
            self.changed.notify_all();
        }
        match state.session.ending() {
            // The session knows its reason already.
            Some(Ending::Abort | Ending::Flush) if state.failed.is_none() => state.failed = Some(CloseReason::Local(1000)),
            Some(Ending::Linger) if !state.sending_ended => {
                state.sending_ended = true;
                let _ = self.socket.shutdown(Shutdown::Write);
            }
            _ => {}
        }
        if state.failed.is_some() {
            self.cut();
            self.changed.notify_all();
        }
        state
    }

    /// Writes everything; the socket's write time-out bounds how long the system may take no byte.
    fn write_all(&self, out: &mut Outbox) -> Result<(), CloseReason> {
        while !out.is_empty() {
            match write_once(&self.socket, out) {
                Ok((taken, _)) => self.shared.stats.bytes_out.add(taken as u64),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if self.mailbox().is_some_and(|mailbox| mailbox.has_overflowed()) => return Err(CloseReason::SlowConsumer),
                Err(error) if is_timeout(&error) => return Err(CloseReason::WriteStalled),
                Err(_) => return Err(CloseReason::Transport),
            }
        }
        Ok(())
    }

    /// Waits until the session wants input again: until the other thread has written, or released what was held.
    pub(super) fn wait_until_readable<'a>(&'a self, mut state: MutexGuard<'a, State>, clock: &Clock) -> MutexGuard<'a, State> {
        let cx = self.shared.context(clock, self);
        while state.failed.is_none() && !state.session.wants_read(state.input.len(), state.out.len(), &cx) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// The session changed: a reader that waits for room looks again.
    pub(super) fn announce_change(&self) {
        self.changed.notify_all();
    }

    /// Runs one of the session's calls that only take output and context.
    pub(super) fn with_session(&self, state: &mut State, clock: &Clock, call: impl FnOnce(&mut Session, &mut Outbox, &Context<'_>)) {
        let State { session, out, .. } = state;
        call(session, out, &self.shared.context(clock, self));
    }

    /// Begins the connection's shutdown if no thread is busy with it. Returns whether it has begun.
    pub(super) fn try_shut_down(&self, clock: &Clock) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return false };
        if !std::mem::replace(&mut state.shutdown_begun, true) {
            let come_back_ms = come_back_ms(self.slot, &self.shared.config);
            self.with_session(&mut state, clock, |session, out, cx| session.shut_down(come_back_ms, out, cx));
            match self.mailbox() {
                // The writer writes; a peer that does not read must not hold up the shutdown of the others.
                Some(mailbox) if state.has_writer => mailbox.stir(),
                _ if state.out.is_empty() => drop(self.flush(state, clock)),
                // Without a writer there is only the reader. It comes back from its read at the latest when its time is up.
                _ => {
                    let _ = self.socket.shutdown(Shutdown::Read);
                }
            }
        }
        true
    }

    /// There is no thread to write for this connection: it ends as in a shutdown, and its client is told to come back.
    pub(super) fn refuse(&self, clock: &Clock) {
        let mut state = self.lock();
        let come_back_ms = come_back_ms(self.slot, &self.shared.config);
        self.with_session(&mut state, clock, |session, out, cx| session.shut_down(come_back_ms, out, cx));
        drop(self.flush(state, clock));
    }

    /// The reader's last act.
    pub(super) fn close(&self, reason: CloseReason, clock: &Clock) {
        let mut state = self.lock();
        let reason = state.failed.unwrap_or(reason);
        let reason = if self.mailbox().is_some_and(|mailbox| mailbox.has_overflowed()) { CloseReason::SlowConsumer } else { reason };
        state.failed.get_or_insert(reason);
        self.with_session(&mut state, clock, |session, _, cx| session.close(reason, cx));
        drop(state);
        if let Some(mailbox) = self.mailbox() {
            mailbox.close();
        }
        self.cut();
    }
}

/// Stands for a connection's address before there is a connection: a session that was just made gives no handles out.
struct Unborn {
    slot: u32,
}

impl RemoteSource for Unborn {
    fn post(&self) -> Arc<dyn Post> {
        unreachable!("a session gives handles out in a handler's call at the earliest")
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    fn issue_serial(&self) -> u64 {
        unreachable!("a session gives handles out in a handler's call at the earliest")
    }
}

/// Whether a blocking call came back because its time was up: `EAGAIN` on Unix, `TimedOut` elsewhere.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
