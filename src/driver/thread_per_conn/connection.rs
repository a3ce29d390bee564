//! One blocking connection, which two threads share.
//!
//! Owns a socket, its session, and the order in which the two threads write. Leaves reading to
//! `reader`, waiting for posted commands to `writer`, and the content of input and output to the
//! session.
//!
//! ```text
//!   reader: read ─────▶ lock ─▶ session.receive ─▶ flush ─▶ read ...      always
//!   writer: mailbox ──▶ lock ─▶ session.apply ───▶ flush ─▶ mailbox ...   from the first handle on
//! ```
//!
//! The thread that produces output writes it, without the lock. If the other thread is writing,
//! that thread writes the new output, too. So an echo stays on the reader's thread, and a publisher
//! waits only for the mailbox's lock. Each thread sleeps until the deadline that it saw last. A
//! thread that brings the deadline forward meets the new deadline itself.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use mio::{Interest, Token};

use super::Shared;
use crate::driver::clock::Clock;
use crate::driver::mailbox::Mailbox;
use crate::driver::write::write_once;
use crate::proto::{CloseReason, Outbox};
use crate::session::{Command, Context, Ending, RemoteSource, Session};

/// An outbox larger than this is not kept between two answers.
const OUTBOX_BYTES_KEPT: usize = 4 * 1024;

/// A connection. Its reader, its writer and the server's list share it; the list is for the
/// shutdown.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) socket: Arc<TcpStream>,
    pub(super) mailbox: Arc<Mailbox>,
    state: Mutex<State>,
    /// Signals that a write ended, that the session changed, or that the connection failed.
    changed: Condvar,
    /// The grace time of the shutdown is over, and the socket was shut down.
    is_cut_off: AtomicBool,
}

/// The state that the two threads share under the lock. A thread that gives up the lock keeps no
/// part of the state, except the output that it is writing.
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other, and every combination occurs")]
pub(super) struct State {
    pub(super) session: Session,
    out: Outbox,
    /// Input that the session has not used yet.
    input: Vec<u8>,
    /// The last read filled its buffer, so there is probably more input.
    pub(super) read_was_full: bool,
    /// The reader is in a read, without the lock.
    pub(super) is_reading: bool,
    /// The peer's end was read, or need not be read.
    pub(super) eof: bool,
    /// The system has reported the peer's end. There may be input before the end.
    hung_up: bool,
    /// A second descriptor of the socket, through which the system tells the server's thread of the
    /// peer's end.
    watched: Option<mio::net::TcpStream>,
    /// One of the threads is in a write, without the lock.
    writing: bool,
    /// The reader waits for a change. A wake-up is a system call even if no thread waits, so only a
    /// waiting reader is woken.
    reader_waits: bool,
    sending_ended: bool,
    shutdown_begun: bool,
    /// Set once the connection cannot go on, to the reason.
    pub(super) failed: Option<CloseReason>,
}

impl State {
    /// As [`Session::is_overdue`].
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.session.is_overdue(self.writing, &self.out, now)
    }

    /// When the writer must act on a deadline of the connection. The reader keeps the deadlines
    /// that end the peer. If such a deadline came nearer during a read, the reader wakes too late,
    /// so the writer keeps it instead.
    pub(super) fn writer_deadline(&self, clock: &Clock) -> Option<Instant> {
        let deadline = self.session.deadline().filter(|_| self.failed.is_none())?;
        if !self.is_overdue(deadline) {
            return Some(deadline);
        }
        self.is_reading.then(|| deadline.max(clock.now().instant()) + READER_GRACE)
    }
}

type Guard<'a> = MutexGuard<'a, State>;

/// What a thread that acts on a deadline knows about unread input. A deadline ends a peer only if
/// no input waits in the system, because input that waits has arrived in time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InputLeft {
    /// The socket has been read to its end since the deadline.
    Nothing,
    /// There may be more input.
    Some,
    /// The other thread is reading.
    Unknown,
}

/// How long a thread that does not read leaves a deadline to the reader. The reader may just have
/// read input that keeps the peer.
const READER_GRACE: Duration = Duration::from_millis(50);

impl Connection {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, slot: u32, shared: &Arc<Shared>, clock: &Clock) -> Self {
        let socket = Arc::new(socket);
        let mailbox = Arc::new(Mailbox::new(slot, Arc::clone(&shared.config), Arc::clone(&shared.stats), Arc::downgrade(&socket)));
        let state = State {
            session: Session::new(peer, &shared.context(clock, &mailbox)),
            out: Outbox::new(),
            input: Vec::new(),
            read_was_full: false,
            is_reading: false,
            eof: false,
            hung_up: false,
            watched: None,
            writing: false,
            reader_waits: false,
            sending_ended: false,
            shutdown_begun: false,
            failed: None,
        };
        Self {
            shared: Arc::clone(shared),
            socket,
            mailbox,
            state: Mutex::new(state),
            changed: Condvar::new(),
            is_cut_off: AtomicBool::new(false),
        }
    }

    pub(super) fn lock(&self) -> Guard<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn context<'a>(&'a self, clock: &'a Clock) -> Context<'a> {
        self.shared.context(clock, &self.mailbox)
    }

    /// Carries out a posted command. Returns whether the output has room for more.
    pub(super) fn apply(&self, state: &mut State, serial: u64, command: Command, clock: &Clock) -> bool {
        state.session.apply(serial, command, &mut state.out, &self.context(clock));
        state.out.len() < self.shared.config.settings.limits.output_bytes
    }

    /// Lets the session work on `fresh` input after the input that it has not used yet, on the
    /// peer's end, and on its deadline. Writes the output.
    pub(super) fn digest<'a>(&'a self, mut state: Guard<'a>, mut fresh: &mut [u8], input_left: InputLeft, clock: &Clock) -> Guard<'a> {
        let cx = self.context(clock);
        while state.failed.is_none() {
            let State { session, out, input, .. } = &mut *state;
            let used = if input.is_empty() && !fresh.is_empty() {
                let used = session.receive(fresh, out, &cx);
                input.extend_from_slice(&fresh[used..]);
                used
            } else {
                input.extend_from_slice(fresh);
                let used = if input.is_empty() { 0 } else { session.receive(input, out, &cx) };
                input.drain(..used);
                used
            };
            fresh = &mut [];
            if input.is_empty() {
                *input = Vec::new();
            }
            // Input that waits only for room in the output is worked on before the peer's end.
            if state.eof && (state.input.is_empty() || state.out.len() < cx.settings.limits.output_bytes) {
                let State { session, out, .. } = &mut *state;
                session.handle_eof(out, &cx);
            }
            self.keep_time(&mut state, input_left, clock);
            let moved = used > 0 || !state.out.is_empty();
            state = self.flush(state, clock, true);
            // The written output may have been all that the next request, or the peer's end, waited
            // for.
            if !moved || state.writing || state.input.is_empty() && !state.eof {
                break;
            }
        }
        state
    }

    fn keep_time(&self, state: &mut State, input_left: InputLeft, clock: &Clock) {
        let now = clock.now().instant();
        let Some(deadline) = state.session.deadline().filter(|deadline| *deadline <= now) else { return };
        let may_end_peer = match input_left {
            InputLeft::Nothing => true,
            InputLeft::Some => false,
            InputLeft::Unknown => deadline + READER_GRACE <= now && self.has_no_input(state),
        };
        if may_end_peer || !state.is_overdue(now) {
            state.session.handle_timeout(state.writing, &mut state.out, &self.context(clock));
        }
    }

    /// Whether the system has neither input for this connection nor the peer's end.
    fn has_no_input(&self, state: &State) -> bool {
        // The socket must not become non-blocking while the other thread writes. A read that ends
        // early because of this is started again.
        if state.writing {
            return false;
        }
        let _ = self.socket.set_nonblocking(true);
        let peeked = self.socket.peek(&mut [0]);
        let _ = self.socket.set_nonblocking(false);
        peeked.is_err_and(|error| is_timeout(&error))
    }

    /// Writes the output, unless the other thread is writing. Then ends the connection if the
    /// session is over.
    fn flush<'a>(&'a self, mut state: Guard<'a>, clock: &Clock, may_wait: bool) -> Guard<'a> {
        while !state.writing && !state.out.is_empty() && state.failed.is_none() && state.session.ending() != Some(Ending::Abort) {
            state.writing = true;
            let mut out = std::mem::take(&mut state.out);
            // The other thread can work on the session meanwhile, and a publisher never waits for a
            // write.
            drop(state);
            let written = self.write(&mut out, may_wait);
            state = self.lock();
            state.writing = false;
            let is_whole = out.is_empty();
            // Output of the other thread came during the write. It belongs behind the rest of this
            // output.
            if !state.out.is_empty() {
                out.append(&mut state.out);
            }
            if !out.is_empty() || out.capacity() <= OUTBOX_BYTES_KEPT {
                state.out = out;
            }
            let State { session, out, failed, .. } = &mut *state;
            match written {
                Ok(()) if !is_whole => break,
                Ok(()) if out.is_empty() => session.drained(out, &self.context(clock)),
                Ok(()) => {}
                // A write to a socket that was shut down fails, too. The first reason counts.
                Err(reason) => _ = failed.get_or_insert(reason),
            }
        }
        let is_written = !state.writing && state.out.is_empty();
        // Closing with unread input would reset the connection and could destroy the last answer.
        if state.read_was_full || !state.input.is_empty() && !state.eof {
            state.session.linger();
        }
        match state.session.ending() {
            // The session already has its reason. This one is not used.
            Some(Ending::Abort) => _ = state.failed.get_or_insert(CloseReason::Local(1000)),
            Some(Ending::Flush) if is_written => _ = state.failed.get_or_insert(CloseReason::Local(1000)),
            Some(Ending::Linger) if is_written && !state.sending_ended => {
                state.sending_ended = true;
                let _ = self.socket.shutdown(Shutdown::Write);
                state.session.sending_ended(&self.context(clock));
            }
            _ => {}
        }
        if state.failed.is_some() {
            self.cut();
        }
        if state.reader_waits {
            self.changed.notify_one();
        }
        state
    }

    /// Writes everything. The socket's write time-out bounds how long the system may take no byte.
    /// If the thread must not wait, leaves output that the system does not take at once.
    fn write(&self, out: &mut Outbox, may_wait: bool) -> Result<(), CloseReason> {
        while !out.is_empty() {
            match write_once(&*self.socket, out) {
                Ok((taken, _)) => self.shared.stats.wrote(taken),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return match self.own_end() {
                        Some(reason) => Err(reason),
                        None if is_timeout(&error) && may_wait => {
                            if self.write_at_once(out) {
                                continue;
                            }
                            Err(CloseReason::WriteStalled)
                        }
                        None if is_timeout(&error) => Ok(()),
                        None => Err(CloseReason::Transport),
                    };
                }
            }
        }
        Ok(())
    }

    /// Writes once without waiting. The write time-out may have passed while the whole process was
    /// stopped, and the peer may have taken output meanwhile.
    fn write_at_once(&self, out: &mut Outbox) -> bool {
        let _ = self.socket.set_nonblocking(true);
        let written = write_once(&*self.socket, out);
        let _ = self.socket.set_nonblocking(false);
        written.inspect(|(taken, _)| self.shared.stats.wrote(*taken)).is_ok()
    }

    /// How many bytes the reader may read at most; 0 if it must not read.
    pub(super) fn wanted_bytes(&self, state: &State, clock: &Clock) -> usize {
        if state.eof { 0 } else { state.session.wanted_bytes(state.input.len(), state.out.len(), &self.context(clock)) }
    }

    /// Whether the peer's end cannot be read: the next request waits for an answer, and more input
    /// stands before the end than is read meanwhile.
    fn is_stuck(&self, state: &State, clock: &Clock) -> bool {
        let has_room = !state.writing && state.out.len() < self.shared.config.settings.limits.output_bytes;
        has_room && !state.eof && state.session.ends_with_peer(&self.context(clock)) && self.wanted_bytes(state, clock) == 0
    }

    /// Whether the peer has ended while the server owes it an answer, and its end stands behind
    /// input that is not read. A peer with less input before its end would be dropped, too.
    pub(super) fn has_left(&self, state: &State, clock: &Clock) -> bool {
        state.hung_up && self.is_stuck(state, clock)
    }

    /// If the reader cannot read and will wait, makes the server's thread watch for the peer's end.
    /// If the process has no descriptor left for this, the end is noticed at the next write.
    pub(super) fn watch(&self, state: &mut State, clock: &Clock) {
        if state.hung_up || state.watched.is_some() || !self.is_stuck(state, clock) {
            return;
        }
        let Ok(socket) = self.socket.try_clone() else { return };
        let mut socket = mio::net::TcpStream::from_std(socket);
        if self.shared.registry.register(&mut socket, Token(self.mailbox.slot() as usize), Interest::READABLE).is_ok() {
            state.watched = Some(socket);
        }
    }

    /// Ends the watch, because the reader reads again. Otherwise, input would wake the server's
    /// thread.
    pub(super) fn unwatch(&self, state: &mut State) {
        if let Some(mut socket) = state.watched.take() {
            // Closing this descriptor would not end the watch: the system watches the open socket,
            // which the connection's own descriptor keeps open.
            let _ = self.shared.registry.deregister(&mut socket);
        }
    }

    /// The system has reported the peer's end. Returns `false` if a thread holds the lock, for
    /// which the server's thread must not wait.
    pub(super) fn try_hang_up(&self) -> bool {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        state.hung_up = true;
        if state.reader_waits {
            self.changed.notify_one();
        }
        true
    }

    /// Waits until the other thread writes or changes the session, and no longer than `most`.
    pub(super) fn wait_for_change<'a>(&'a self, mut state: Guard<'a>, most: Option<Duration>) -> Guard<'a> {
        state.reader_waits = true;
        let mut state = match most {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.reader_waits = false;
        state
    }

    /// Called by the server's thread during a shutdown. The first call begins the connection's
    /// shutdown, and each call acts on its deadline. Does nothing if a thread holds the lock: a
    /// peer that does not read must not delay the others.
    pub(super) fn try_shut_down(&self, clock: &Clock) {
        let Ok(mut state) = self.state.try_lock() else { return };
        if !std::mem::replace(&mut state.shutdown_begun, true) {
            self.end_session(&mut state, clock);
        }
        self.keep_time(&mut state, InputLeft::Unknown, clock);
        if state.writing || state.out.is_empty() {
            return drop(self.flush(state, clock, true));
        }
        // A read of the other thread that ends early because of this is started again.
        let _ = self.socket.set_nonblocking(true);
        let state = self.flush(state, clock, false);
        let _ = self.socket.set_nonblocking(false);
        drop(state);
    }

    /// No thread is available to write for this connection. The connection ends as in a shutdown,
    /// and its client is told to come back.
    pub(super) fn refuse(&self, clock: &Clock) {
        let mut state = self.lock();
        self.end_session(&mut state, clock);
        drop(self.flush(state, clock, true));
    }

    fn end_session(&self, state: &mut State, clock: &Clock) {
        let come_back_ms = self.shared.config.come_back_ms(self.mailbox.slot());
        state.session.shut_down(come_back_ms, &mut state.out, &self.context(clock));
    }

    /// Cuts the connection when the grace time is over. Repeated until the connection is gone,
    /// because a thread may be about to wait.
    pub(super) fn cut_off(&self) {
        // The flag is set before the socket is shut down. So a thread that holds the lock and whose
        // call fails finds the true reason.
        self.is_cut_off.store(true, SeqCst);
        if let Ok(mut state) = self.state.try_lock() {
            state.failed.get_or_insert(CloseReason::Shutdown);
        }
        self.cut();
        self.changed.notify_all();
    }

    /// Why the socket ended, if this side ended it.
    pub(super) fn own_end(&self) -> Option<CloseReason> {
        if self.mailbox.has_overflowed() {
            return Some(CloseReason::SlowConsumer);
        }
        self.is_cut_off.load(SeqCst).then_some(CloseReason::Shutdown)
    }

    /// Ends the connection. The reader calls this last.
    pub(super) fn close(&self, reason: CloseReason, clock: &Clock) {
        let mut state = self.lock();
        let reason = *state.failed.get_or_insert(reason);
        if reason == CloseReason::Shutdown && (state.session.is_owing() || state.writing || !state.out.is_empty()) {
            self.shared.stats.cut.add(1);
        }
        state.session.close(reason, &self.context(clock));
        self.unwatch(&mut state);
        drop(state);
        self.mailbox.close();
        self.cut();
        self.shared.connections().remove(self.mailbox.slot() as usize);
    }

    /// Shuts the socket down, so that both threads return from the system calls in which they wait.
    fn cut(&self) {
        // An error means that the peer ended the connection first.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Whether a blocking call ended because of its time-out: `EAGAIN` on Unix, `TimedOut` elsewhere.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
