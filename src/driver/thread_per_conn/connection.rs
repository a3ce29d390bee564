//! One blocking connection, which one or two threads drive.
//!
//! Owns a socket with its session, the lock around the session, and what each of the two threads
//! needs to be a side of `drive`. Leaves reading to `reader`, waiting for posted commands to
//! `reader` and `writer`, the socket from which no thread reads to `watch`, the end of the
//! connection to `end`, and the choice of the next step to the session.
//!
//! ```text
//!   reader:                           read ────▶ lock ─▶ session ─▶ write ─▶ lock ─▶ session ─▶ read
//!   reader, while a request is held:  mailbox ─▶ lock ─▶ session ─▶ write ─▶ lock ─▶ session ─▶ read
//!   writer, from the first pusher:    mailbox ─▶ lock ─▶ session ─▶ write ─▶ lock ─▶ session ─▶ mailbox
//! ```
//!
//! A held request gets one answer, and its client waits for it. So the reader itself waits, and the
//! connection needs no second thread. A stream or a WebSocket goes both ways at once. Its writer
//! stays, and takes the mail of later holds, too.
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
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::Shared;
use super::watched::Watched;
use crate::driver::clock::CachedClock;
use crate::driver::drive::{Done, Driven, Input, Rest, Side, Transport, drive};
use crate::driver::mailbox::{Mail, Mailbox, Posted};
use crate::driver::tls::{Acceptor, TlsLayer};
use crate::driver::write::{is_timeout, write};
use crate::proto::Outbox;
use crate::proto::http1::KnownFields;
use crate::session::{Context, Delivery, Io, Mode, Need, Next, Peer, Post, Ready, RemoteSource, Sent, Session};

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
    pub(super) tls: Option<TlsLayer>,
    pub(super) mailbox: Arc<Mailbox>,
    state: Mutex<State>,
    /// Signals the reader, if it waits, that the session may have more for it to do.
    pub(super) changed: Condvar,
    /// The grace time of the shutdown is over, and the socket was shut down.
    pub(super) is_cut_off: AtomicBool,
}

/// What the reader waits for outside of a read. A wake-up is a system call even if no thread waits,
/// so only a waiting reader is woken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReaderWaits {
    No,
    /// For the other thread to write or to change the session.
    ForChange,
    /// For the answer of a held request.
    ForMail,
}

/// The state that the two threads share under the lock.
pub(super) struct State {
    pub(super) driven: Driven,
    pub(super) out: Outbox,
    /// The serial that the mailbox takes commands for; 0 for none.
    issued: u64,
    /// The system tells the server's thread of input and of the peer's end.
    pub(super) watched: Option<Watched>,
    pub(super) reader_waits: ReaderWaits,
    /// When a thread that does not read first saw that the peer is late.
    late_since: Option<Instant>,
    pub(super) shutdown_begun: bool,
    /// Beside a thread, a kilobyte is little.
    known: KnownFields,
}

impl State {
    /// Whether a hold, stream or WebSocket has given out a handle.
    pub(super) const fn has_handles(&self) -> bool {
        self.issued > 0
    }

    /// Whether a request is held.
    #[inline(always)]
    pub(super) const fn is_holding(&self) -> bool {
        // Most connections have given out nothing, which is known without a look at the session.
        self.has_handles() && self.driven.session.is_holding()
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
    known: Option<&'a KnownFields>,
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

    #[inline]
    fn known_fields(&self) -> Option<&KnownFields> {
        self.known
    }
}

impl SharedConnection {
    pub(super) fn new(socket: TcpStream, peer: Peer, slot: u32, shared: &Arc<Shared>, clock: &CachedClock) -> Self {
        let socket = Arc::new(socket);
        let mailbox = Arc::new(Mailbox::new(slot, Arc::clone(&shared.config), Arc::clone(&shared.stats), Arc::clone(&shared.overflows)));
        let remote = Remote { mailbox: &mailbox, issued: Cell::new(0), known: None };
        let cx = shared.context(clock, &remote);
        let driven = Driven::new(match &shared.acceptor {
            None => Session::new(peer, &cx),
            Some(acceptor) => Session::securing(peer, acceptor.handshake_timeout(), &cx),
        });
        let state = State {
            driven,
            out: Outbox::new(),
            issued: 0,
            watched: None,
            reader_waits: ReaderWaits::No,
            late_since: None,
            shutdown_begun: false,
            known: KnownFields::default(),
        };
        Self {
            shared: Arc::clone(shared),
            socket,
            tls: shared.acceptor.as_ref().map(Acceptor::accept),
            mailbox,
            state: Mutex::new(state),
            changed: Condvar::new(),
            is_cut_off: AtomicBool::new(false),
        }
    }

    pub(super) fn lock(&self) -> Guard<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives the session over a transport of one thread, with TLS above it if the connection has
    /// it.
    #[inline(always)]
    pub(super) fn drive(&self, side: &mut impl Side, transport: &mut impl Transport) -> Rest {
        match &self.tls {
            None => drive(side, transport),
            Some(tls) => drive(side, &mut tls.over(transport)),
        }
    }

    /// `None` if a thread holds the lock. It may hold it for as long as a handler runs.
    pub(super) fn try_lock(&self) -> Option<Guard<'_>> {
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
        let remote = Remote { mailbox: &self.mailbox, issued: Cell::new(state.issued), known: Some(&state.known) };
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
    fn resume_and_ask(&self, state: &mut State, io: Io, takes_mail: bool, is_clock_read: bool, clock: &CachedClock) -> Next {
        while self.call(state, clock, Driven::resume) {}
        self.call(state, clock, |driven, out, cx| ask(driven, io, takes_mail, is_clock_read, out, cx))
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

    #[inline(always)]
    pub(super) fn wake_reader(&self, state: &State) {
        match state.reader_waits {
            ReaderWaits::No => {}
            ReaderWaits::ForChange => self.changed.notify_one(),
            ReaderWaits::ForMail => self.mailbox.nudge(),
        }
    }

    /// Waits until the other thread writes or changes the session, and no longer than `most`.
    pub(super) fn wait_for_change(&self, mut state: Guard<'_>, most: Option<Duration>) {
        state.reader_waits = ReaderWaits::ForChange;
        let mut state = match most {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.reader_waits = ReaderWaits::No;
    }

    /// Waits for the answer of a held request, until the session's deadline, or until another
    /// thread changes the session. An answer that was posted before this call is in the mailbox.
    pub(super) fn wait_for_mail<'a>(&'a self, mut state: Guard<'a>, clock: &mut CachedClock) -> Guard<'a> {
        state.reader_waits = ReaderWaits::ForMail;
        let deadline = state.driven.session.deadline();
        drop(state);
        let mail = self.mailbox.wait(deadline);
        clock.read();
        let mut state = self.lock();
        state.reader_waits = ReaderWaits::No;
        if let Mail::Command(Posted { serial, command, .. }) = mail {
            // Before the answer leaves: the next request must not wake the server's thread.
            self.unwatch(&mut state);
            self.call(&mut state, clock, |driven, out, cx| driven.deliver(serial, Delivery::Command(command), out, cx));
        }
        state
    }
}

/// Tells the session the time, if the caller has read the clock, and asks it for the next step. A
/// thread that takes the mail of a held request must not wait in a read.
#[inline(always)]
fn ask(driven: &mut Driven, mut io: Io, takes_mail: bool, is_clock_read: bool, out: &mut Outbox, cx: &Context<'_>) -> Next {
    if is_clock_read {
        driven.keep_time(out, cx);
    }
    if takes_mail && driven.session.is_holding() {
        io.reads = Mode::AtOnce;
    }
    driven.session.next(io, out, cx)
}

/// What one thread has of a connection while the thread drives it: the lock, or the output that the
/// thread writes.
pub(super) struct ThreadShare<'a> {
    connection: &'a SharedConnection,
    pub(super) io: Io,
    /// The thread itself waits for the answer of a held request: it is a reader without a writer.
    pub(super) takes_mail: bool,
    /// The lock, between two steps that need it.
    held: Option<Guard<'a>>,
    pub(super) lent: Outbox,
}

impl<'a> ThreadShare<'a> {
    pub(super) const fn new(connection: &'a SharedConnection, io: Io) -> Self {
        Self { connection, io, takes_mail: false, held: None, lent: Outbox::new() }
    }

    /// A reader, which takes the mail until a writer is started.
    pub(super) fn of_reader(connection: &'a SharedConnection) -> Self {
        Self { takes_mail: true, ..Self::new(connection, Io::BLOCKING) }
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

    /// Reports the last step to the session with `report`, and asks for the next one. `has_written`
    /// says whether it was a write. `after` gets the next step and the state, under the lock. The
    /// lock is kept if the thread will neither read nor write, and for a read that does not wait.
    #[inline(always)]
    pub(super) fn step(
        &mut self,
        has_written: bool,
        need: impl Fn() -> Need,
        clock: &CachedClock,
        report: impl FnOnce(&mut Driven, &mut Outbox, &Context<'_>),
        after: impl FnOnce(Next, &mut State),
    ) -> Next {
        let connection = self.connection;
        let mut state = self.lock();
        if has_written {
            state.out.give_back(&mut self.lent);
            for out in [&mut state.out, &mut self.lent] {
                if out.is_empty() && out.capacity() > OUTBOX_BYTES_KEPT {
                    *out = Outbox::new();
                }
            }
        }
        let (io, takes_mail) = (Io { need: need(), ..self.io }, self.takes_mail);
        // The clock is not read after a write.
        let is_clock_read = !has_written;
        let next = connection.call(&mut state, clock, |driven, out, cx| {
            report(driven, out, cx);
            driven.unused().is_empty().then(|| ask(driven, io, takes_mail, is_clock_read, out, cx))
        });
        let next = match next {
            Some(next) => next,
            None => connection.resume_and_ask(&mut state, io, takes_mail, is_clock_read, clock),
        };
        match next {
            Next::Write => state.out.lend(&mut self.lent),
            Next::Read(_) => connection.unwatch(&mut state),
            Next::EndSending(_) | Next::Wait(_) | Next::Close(_) => {}
        }
        connection.wake_reader(&state);
        after(next, &mut state);
        match next {
            // No other thread may change the mode of the socket during this read.
            Next::Read(_) if takes_mail && state.is_holding() => self.keep(state),
            Next::Read(_) | Next::Write => {}
            Next::EndSending(_) | Next::Wait(_) | Next::Close(_) => self.keep(state),
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
    fn step(&mut self, done: Done, need: impl Fn() -> Need) -> Option<Next> {
        let Self { share, clock, mail } = self;
        let mailbox = &share.connection.mailbox;
        Some(share.step(
            matches!(done, Done::Wrote(..)),
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
    fn read(&mut self, _: &mut [u8], _: Option<Duration>) -> io::Result<Input> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        write(&self.0.socket, out, self.1)
    }

    fn end_sending(&mut self, _: Sent) -> io::Result<()> {
        self.0.socket.shutdown(Shutdown::Write)
    }
}
