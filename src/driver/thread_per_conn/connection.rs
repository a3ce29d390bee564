//! One blocking connection, which two threads share.
//!
//! Owns a socket with its session, the lock around the session, and what each of the two threads
//! needs to be a side of `drive`. Leaves reading to `reader`, waiting for posted commands to
//! `writer`, and the choice of the next step to the session.
//!
//! ```text
//!   reader, always:                 read ────▶ lock ─▶ session ─▶ write ─▶ lock ─▶ session ─▶ read
//!   writer, from the first handle:  mailbox ─▶ lock ─▶ session ─▶ write ─▶ lock ─▶ session ─▶ mailbox
//! ```
//!
//! A thread writes the output that it makes. The output is lent to the thread, which writes it
//! without the lock. If output is already lent to the other thread, that thread writes the new
//! output, too. So an echo stays on the reader's thread, and a publisher waits only for the
//! mailbox's lock.
//!
//! Each thread sleeps until the deadline that it saw last. If a thread brings the deadline forward,
//! this thread acts at the new deadline.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use mio::{Interest, Token};

use super::Shared;
use crate::driver::clock::CachedClock;
use crate::driver::drive::{Done, Driven, Rest, Side, Transport, drive};
use crate::driver::mailbox::{Mail, Mailbox};
use crate::driver::write::{is_timeout, write};
use crate::proto::{CloseReason, Outbox};
use crate::session::{Context, Delivery, Io, Mode, Need, Next, Peer, PeerEnd, Post, Ready, RemoteSource, Session};

/// An outbox larger than this is not kept between two answers.
const OUTBOX_BYTES_KEPT: usize = 4 * 1024;

/// How long a thread that does not read waits before it acts on a late peer. The reader may just
/// have read input, and reports it in this time. Then the peer is no longer late.
const READER_GRACE: Duration = Duration::from_millis(50);

/// A connection, which its reader, its writer and the server's list of connections share. The
/// server's thread needs the list for the shutdown, and to report a peer's end.
pub(super) struct SharedConnection {
    pub(super) shared: Arc<Shared>,
    pub(super) socket: Arc<TcpStream>,
    pub(super) mailbox: Arc<Mailbox>,
    state: Mutex<State>,
    /// Signals the reader, if it waits, that the session may have more for it to do.
    changed: Condvar,
    /// The grace time of the shutdown is over, and the socket was shut down.
    is_cut_off: AtomicBool,
}

/// The state that the two threads share under the lock.
pub(super) struct State {
    pub(super) driven: Driven,
    pub(super) out: Outbox,
    /// The serial that the mailbox takes commands for; 0 for none.
    issued: u64,
    /// A second descriptor of the socket, through which the system tells the server's thread of the
    /// peer's end.
    watched: Option<mio::net::TcpStream>,
    /// The reader waits for a change. A wake-up is a system call even if no thread waits, so only a
    /// waiting reader is woken.
    reader_waits: bool,
    /// When a thread that does not read first saw that the peer is late.
    late_since: Option<Instant>,
    shutdown_begun: bool,
}

impl State {
    /// Whether a hold, stream or WebSocket has given out a handle.
    pub(super) const fn has_handles(&self) -> bool {
        self.issued > 0
    }

    /// Whether a thread that does not read has seen that the peer is late.
    pub(super) const fn is_known_late(&self) -> bool {
        self.late_since.is_some()
    }

    /// When a thread that does not read must act on a late peer; `None` if the peer is not late.
    /// The reader sleeps past the deadline if the deadline was brought forward during its read.
    #[inline]
    pub(super) fn late_deadline(&mut self, clock: &CachedClock) -> Option<Instant> {
        let now = clock.now().instant();
        if !self.driven.session.is_overdue(&self.out, now) {
            self.late_since = None;
            return None;
        }
        Some(*self.late_since.get_or_insert(now) + READER_GRACE)
    }
}

pub(super) type Guard<'a> = MutexGuard<'a, State>;

/// The source of addresses for handles of one connection, during one call of its session.
struct Remote<'a> {
    mailbox: &'a Arc<Mailbox>,
    issued: Cell<u64>,
}

impl RemoteSource for Remote<'_> {
    fn post(&self) -> Arc<dyn Post> {
        Arc::clone(self.mailbox) as Arc<dyn Post>
    }

    fn slot(&self) -> u32 {
        self.mailbox.slot()
    }

    fn issue_serial(&self) -> u64 {
        self.issued.set(self.mailbox.issue_serial());
        self.issued.get()
    }
}

impl SharedConnection {
    pub(super) fn new(socket: TcpStream, peer: Peer, slot: u32, shared: &Arc<Shared>, clock: &CachedClock) -> Self {
        let socket = Arc::new(socket);
        let mailbox = Arc::new(Mailbox::new(slot, Arc::clone(&shared.config), Arc::clone(&shared.stats), Arc::downgrade(&socket)));
        let remote = Remote { mailbox: &mailbox, issued: Cell::new(0) };
        let driven = Driven::new(Session::new(peer, &shared.context(clock, &remote)));
        let state =
            State { driven, out: Outbox::new(), issued: 0, watched: None, reader_waits: false, late_since: None, shutdown_begun: false };
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

    /// `None` if a thread holds the lock. It may hold it for as long as a handler runs.
    fn try_lock(&self) -> Option<Guard<'_>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Calls the session.
    #[inline(always)]
    pub(super) fn call<T>(
        &self,
        state: &mut State,
        clock: &CachedClock,
        call: impl FnOnce(&mut Driven, &mut Outbox, &Context<'_>) -> T,
    ) -> T {
        let remote = Remote { mailbox: &self.mailbox, issued: Cell::new(state.issued) };
        let result = call(&mut state.driven, &mut state.out, &self.shared.context(clock, &remote));
        state.issued = remote.issued.get();
        if state.issued > 0 && state.driven.session.serial() != Some(state.issued) {
            // The writer may be busy for long with the next requests. Commands that nothing can
            // receive must not fill the mailbox meanwhile.
            self.mailbox.retire_serial(state.issued);
            state.issued = 0;
        }
        result
    }

    /// Goes on with the unused input, and asks for the next step. Each request is worked on in a
    /// call of its own. So the handles of an answered request are retired before the next request
    /// begins.
    fn resume_and_ask(&self, state: &mut State, io: Io, is_clock_read: bool, clock: &CachedClock) -> Next {
        while self.call(state, clock, Driven::resume) {}
        self.call(state, clock, |driven, out, cx| ask(driven, io, is_clock_read, out, cx))
    }

    /// How a thread that does not read answers if the session asks it for a read from a late peer.
    /// When the reader has had its time, and the system has neither input nor the peer's end, the
    /// thread reports a read without input. Otherwise it reports none.
    pub(super) fn reads_for_reader(&self, state: &mut State, clock: &CachedClock) -> Mode {
        let now = clock.now().instant();
        // While output is lent, the other thread may write. On a non-blocking socket, its write
        // would end early.
        if state.late_deadline(clock).is_none_or(|late| late > now) || state.out.is_lent() {
            return Mode::Never;
        }
        state.late_since = Some(now);
        let _ = self.socket.set_nonblocking(true);
        let peeked = self.socket.peek(&mut [0]);
        // The reader's read may end early because of this. Then it is started again.
        let _ = self.socket.set_nonblocking(false);
        if peeked.as_ref().is_err_and(is_timeout) { Mode::AtOnce } else { Mode::Never }
    }

    /// Makes the server's thread watch for the peer's end, if the reader cannot read and will wait.
    /// If the process has no descriptor left for this, the next write shows the end.
    pub(super) fn watch(&self, state: &mut State, clock: &CachedClock) {
        if state.watched.is_some() || !self.call(state, clock, |driven, out, cx| driven.session.awaits_peer_end(out, cx)) {
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
    fn unwatch(&self, state: &mut State) {
        if let Some(mut socket) = state.watched.take() {
            // Closing this descriptor would not end the watch: the system watches the open socket,
            // which the connection's own descriptor keeps open.
            let _ = self.shared.registry.deregister(&mut socket);
        }
    }

    /// Tells the session that the system has reported the peer's end. Returns `false` if a thread
    /// holds the lock, because the server's thread must not wait for the lock.
    pub(super) fn try_hang_up(&self) -> bool {
        let Some(mut state) = self.try_lock() else { return false };
        state.driven.session.peer_ended(PeerEnd::Reported);
        self.wake_reader(&state);
        true
    }

    fn wake_reader(&self, state: &State) {
        if state.reader_waits {
            self.changed.notify_one();
        }
    }

    /// Waits until the other thread writes or changes the session, and no longer than `most`.
    pub(super) fn wait_for_change(&self, mut state: Guard<'_>, most: Option<Duration>) {
        state.reader_waits = true;
        let mut state = match most {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.reader_waits = false;
    }

    /// Called by the server's thread during a shutdown. The first call begins the connection's
    /// shutdown, and each call acts on its deadline. Does nothing if a thread holds the lock: a
    /// peer that does not read must not delay the others.
    pub(super) fn try_shut_down(&self, clock: &CachedClock) {
        let Some(mut state) = self.try_lock() else { return };
        if !std::mem::replace(&mut state.shutdown_begun, true) {
            self.end_session(&mut state, clock);
        }
        // While output is lent, the thread that writes it goes on with the rest.
        if state.out.is_lent() {
            return;
        }
        let reads = self.reads_for_reader(&mut state, clock);
        state.driven.session.may_write();
        // The lock is kept while the socket is non-blocking, except in the write. So no other
        // thread begins a write that ends early. A read that ends early is started again.
        let _ = self.socket.set_nonblocking(true);
        let io = Io { reads, ..Io::NON_BLOCKING };
        let mut helper = WriteSide { share: ThreadShare::new(self, io), clock: clock.clone(), mail: Mail::Nothing };
        helper.share.keep(state);
        let rest = drive(&mut helper, &mut WriteOnly(self, Mode::AtOnce));
        let _ = self.socket.set_nonblocking(false);
        drop(helper);
        if let Rest::Close(reason) = rest {
            self.fail(reason, clock);
        }
    }

    /// No thread is available to write for this connection. The connection ends as in a shutdown,
    /// and its client is told to come back.
    pub(super) fn refuse(&self, clock: &CachedClock) {
        self.end_session(&mut self.lock(), clock);
    }

    fn end_session(&self, state: &mut State, clock: &CachedClock) {
        let come_back_ms = self.shared.config.come_back_ms(self.mailbox.slot());
        self.call(state, clock, |driven, out, cx| driven.session.shut_down(come_back_ms, out, cx));
    }

    /// Cuts the connection when the grace time is over. The server's thread repeats the call until
    /// the connection is gone, because a thread of the connection may be about to wait.
    pub(super) fn cut_off(&self) {
        // The flag is set before the socket is shut down. So a thread whose call fails finds the
        // true reason.
        self.is_cut_off.store(true, SeqCst);
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

    /// A thread that does not read has found the end of the connection. The reader closes it.
    pub(super) fn fail(&self, reason: CloseReason, clock: &CachedClock) {
        let reason = self.own_end().unwrap_or(reason);
        let mut state = self.lock();
        if reason != CloseReason::Shutdown {
            self.call(&mut state, clock, |driven, _, cx| driven.session.abort(reason, cx));
        }
        self.cut();
        self.wake_reader(&state);
    }

    /// Ends the connection. The reader calls this last.
    pub(super) fn close(&self, reason: CloseReason, clock: &CachedClock) {
        let mut state = self.lock();
        if reason == CloseReason::Shutdown && (state.driven.session.is_owing() || !state.out.is_empty()) {
            self.shared.stats.cut.add(1);
        }
        self.call(&mut state, clock, |driven, _, cx| driven.session.close(reason, cx));
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

/// Tells the session the time, if the caller has read the clock, and asks it for the next step.
#[inline(always)]
fn ask(driven: &mut Driven, io: Io, is_clock_read: bool, out: &mut Outbox, cx: &Context<'_>) -> Next {
    if is_clock_read {
        driven.keep_time(out, cx);
    }
    driven.session.next(io, out, cx)
}

/// What one thread has of a connection while the thread drives it: the lock, or the output that the
/// thread writes.
pub(super) struct ThreadShare<'a> {
    connection: &'a SharedConnection,
    pub(super) io: Io,
    /// The lock, between two steps that need it.
    held: Option<Guard<'a>>,
    pub(super) lent: Outbox,
}

impl<'a> ThreadShare<'a> {
    pub(super) const fn new(connection: &'a SharedConnection, io: Io) -> Self {
        Self { connection, io, held: None, lent: Outbox::new() }
    }

    /// Keeps the lock for the next step.
    pub(super) fn keep(&mut self, state: Guard<'a>) {
        self.held = Some(state);
    }

    /// The lock.
    pub(super) fn lock(&mut self) -> Guard<'a> {
        self.held.take().unwrap_or_else(|| self.connection.lock())
    }

    /// Gives the lock back.
    pub(super) fn release(&mut self) {
        self.held = None;
    }

    /// Reports the last step to the session with `report`, and asks for the next one. `after` gets
    /// the next step and the state, under the lock. The lock is kept if the thread will neither
    /// read nor write.
    #[inline(always)]
    pub(super) fn step(
        &mut self,
        done: Done,
        need: Need,
        clock: &CachedClock,
        report: impl FnOnce(&mut Driven, &mut Outbox, &Context<'_>),
        after: impl FnOnce(Next, &mut State),
    ) -> Next {
        let connection = self.connection;
        let mut state = self.lock();
        if let Done::Wrote(..) = done {
            state.out.give_back(&mut self.lent);
            for out in [&mut state.out, &mut self.lent] {
                if out.is_empty() && out.capacity() > OUTBOX_BYTES_KEPT {
                    *out = Outbox::new();
                }
            }
        }
        let io = Io { need, ..self.io };
        // The clock is not read after a write.
        let is_clock_read = !matches!(done, Done::Wrote(..));
        let next = connection.call(&mut state, clock, |driven, out, cx| {
            report(driven, out, cx);
            driven.unused().is_empty().then(|| ask(driven, io, is_clock_read, out, cx))
        });
        let next = match next {
            Some(next) => next,
            None => connection.resume_and_ask(&mut state, io, is_clock_read, clock),
        };
        match next {
            Next::Write => state.out.lend(&mut self.lent),
            Next::Read(_) => connection.unwatch(&mut state),
            Next::EndSending | Next::Wait(_) | Next::Close(_) => {}
        }
        connection.wake_reader(&state);
        after(next, &mut state);
        if let Next::EndSending | Next::Wait(_) | Next::Close(_) = next {
            self.keep(state);
        }
        next
    }
}

/// The side of a thread that does not read: the writer, or the server's thread, which helps a
/// connection to end.
pub(super) struct WriteSide<'a> {
    pub(super) share: ThreadShare<'a>,
    pub(super) clock: CachedClock,
    /// What the writer has taken from the mailbox.
    pub(super) mail: Mail,
}

impl Side for WriteSide<'_> {
    #[inline(always)]
    fn step(&mut self, done: Done, need: Need) -> Option<Next> {
        let Self { share, clock, mail } = self;
        let mailbox = &share.connection.mailbox;
        Some(share.step(
            done,
            need,
            clock,
            |driven, out, cx| {
                driven.report(done, &mut [], out, cx);
                // One write sends all commands that have come. If the output is full, it is written
                // first, so that further messages stay in the mailbox, which is bounded.
                while let Mail::Command(posted) = std::mem::replace(mail, Mail::Nothing) {
                    driven.deliver(posted.serial, Delivery::Command(posted.command), out, cx);
                    if posted.has_more && out.len() < cx.settings.limits.output_bytes {
                        *mail = mailbox.try_take();
                    }
                }
            },
            |_, _| (),
        ))
    }

    fn room(&mut self, _: usize) -> &mut [u8] {
        &mut []
    }

    fn output(&mut self) -> &mut Outbox {
        &mut self.share.lent
    }
}

/// The socket of a connection, for a thread that does not read. The session asks this thread for a
/// read only after [`reads_for_reader`](SharedConnection::reads_for_reader) has found no input.
pub(super) struct WriteOnly<'a>(pub(super) &'a SharedConnection, pub(super) Mode);

impl Transport for WriteOnly<'_> {
    fn read(&mut self, _: &mut [u8], _: Option<Duration>) -> io::Result<(usize, Ready)> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        write(&self.0.socket, out, self.1)
    }

    fn end_sending(&mut self) -> io::Result<()> {
        self.0.socket.shutdown(Shutdown::Write)
    }
}
