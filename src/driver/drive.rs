//! The one loop that drives a session.
//!
//! Owns the loop, the input that a session has not used yet, and [`Transport`], through which the
//! loop reads and writes. Leaves what to do next to the session, waiting to the drivers, and
//! buffers, locks and clocks to a [`Side`], which is one caller of the loop.
//!
//! ```text
//!              ┌──────────────── Wait, Close, or no share left: return
//!              │
//!   report ─▶ next ─▶ read | write | end sending
//!      ▲                        │
//!      └────────────────────────┘
//! ```
//!
//! | User | Side | Transport |
//! |---|---|---|
//! | the event loop | [`Turn`] | a non-blocking socket |
//! | reader and writer threads | one each, under the connection's lock | a blocking socket |
//! | the tests of sessions, and their fuzzers | [`Turn`] | byte buffers on a virtual clock |
//! | `examples/third_driver.rs` | its own | a blocking socket with a time-out |

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::proto::{CloseReason, Frame, Outbox, RemoteError};
use crate::session::{Burst, Context, Delivered, Delivery, Io, Need, Next, PeerEnd, Ready, Sent, Session, Steps, TlsInfo};

/// Moves bytes to and from one peer.
///
/// There may be a layer between the transport and the system, such as TLS. If the layer must read
/// or write for itself, it says so with [`need`](Self::need).
///
/// The example of [`drive`] implements it.
pub trait Transport {
    /// Reads once into `room`, which is not empty. A transport that waits for input waits no longer
    /// than `patience`.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if there is no input now. Any other error ends the connection,
    /// except [`ErrorKind::Interrupted`].
    fn read(&mut self, room: &mut [u8], patience: Option<Duration>) -> io::Result<Input>;

    /// Writes once from `out`, and [removes](Outbox::advance) the bytes that were written. Returns
    /// their number, and whether the transport may take more. `out` is empty only if the transport
    /// [needs](Self::need) a write.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if the transport takes nothing now, and [`ErrorKind::TimedOut`] if
    /// it has waited for the whole write time-out. Any other error ends the connection, except
    /// [`ErrorKind::Interrupted`].
    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)>;

    /// Ends the sending side (TCP's FIN). A layer that has an end of its own, such as TLS's
    /// `close_notify`, sends it only if `sent` is the whole, and may [need](Self::need) one more
    /// write for it.
    ///
    /// # Errors
    /// When the connection is broken.
    fn end_sending(&mut self, sent: Sent) -> io::Result<()>;

    /// What the transport needs, beside the bytes of the session.
    #[inline]
    fn need(&self) -> Need {
        Need::Nothing
    }
}

/// The result of a read. `Ready` says whether there may be more input.
///
/// A transport without a layer returns `Bytes` and `End`, as in the example of [`drive`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This number of bytes is in the room. It is at least 1.
    Bytes(usize, Ready),
    /// All input was read, and the peer has ended its sending side.
    End,
    /// There are no bytes for the session. A layer has used this number of bytes for itself.
    Nothing(usize, Ready),
    /// A layer has agreed on TLS with the peer. Then this number of bytes is in the room, if any.
    Secured(Box<TlsInfo>, usize, Ready),
    /// A layer has found that the peer broke a rule.
    Failed(RemoteError, Ready),
}

/// The result of the last step of the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// There was no step yet, or it has no result.
    Nothing,
    /// The result of a read. Bytes are in the room of the side.
    Read(Input),
    /// This number of bytes has left. The transport then has this need.
    Wrote(usize, Ready, Need),
}

/// One caller of the loop. It has the session and the buffers, and may share them with other
/// threads. [`Turn`] is one side, and `examples/third_driver.rs` has another.
pub trait Side {
    /// Reports the last step to the session, and asks it for the next one. `need` asks the
    /// transport what it needs. A side that shares its connection with other threads calls it under
    /// the lock. Returns `None` if the next step has to wait for another turn.
    fn step(&mut self, done: Done, need: impl Fn() -> Need) -> Option<Next>;
    /// Where to read at most `most` bytes.
    fn room(&mut self, most: usize) -> &mut [u8];
    /// How long a read may wait.
    #[inline]
    fn patience(&self) -> Option<Duration> {
        None
    }
    /// The output to write, after a step that returned [`Next::Write`].
    fn output(&mut self) -> &mut Outbox;
    /// The write is over, also if it has failed.
    #[inline]
    fn has_written(&mut self) {}
}

/// Why the loop returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing is to be done until the transport is ready, a command comes, or this time is
    /// reached.
    Wait(Option<Instant>),
    /// The side has used up its share of this turn.
    Again,
    /// The connection must be closed.
    Close(CloseReason),
}

/// Does what the session of `side` asks for, until the session waits or is over, or the side has no
/// share left.
///
/// This driver has two byte buffers instead of a socket:
///
/// ```
/// use std::io::{self, Read};
/// use std::time::{Duration, Instant, SystemTime};
/// use pushlab::driver::drive::{Driven, Input, Rest, Share, Transport, Turn, drive};
/// use pushlab::proto::{Now, Outbox};
/// use pushlab::session::{Context, Ready, Sent, Session, Surroundings};
/// use pushlab::{Reply, Request, Response, Settings, Stats};
/// # use pushlab::session::{Address, Command, Post, RemoteSource};
/// # struct NoPosts;
/// # impl Post for NoPosts {
/// #     fn post(&self, _: Address, _: Command) {}
/// # }
/// # impl RemoteSource for NoPosts {
/// #     fn post(&self) -> std::sync::Arc<dyn Post> {
/// #         std::sync::Arc::new(NoPosts)
/// #     }
/// #     fn slot(&self) -> u32 {
/// #         0
/// #     }
/// #     fn issue_serial(&self) -> u64 {
/// #         1
/// #     }
/// # }
///
/// struct Buffers {
///     from_peer: &'static [u8],
///     to_peer: Vec<u8>,
/// }
///
/// impl Transport for Buffers {
///     fn read(&mut self, room: &mut [u8], _: Option<Duration>) -> io::Result<Input> {
///         Ok(match self.from_peer.read(room)? {
///             0 => Input::End,
///             len => Input::Bytes(len, Ready::Perhaps),
///         })
///     }
///     fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
///         let len = out.len();
///         self.to_peer.extend(out.chunks().flatten());
///         out.advance(len);
///         Ok((len, Ready::Perhaps))
///     }
///     fn end_sending(&mut self, _: Sent) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let (settings, stats) = (Settings::default(), Stats::default());
/// let now = Now::new(Instant::now(), SystemTime::now());
/// let app = |request: &Request<'_>, reply: Reply<'_>| reply.send(Response::text(format!("you asked for {}\n", request.path())));
/// let cx = Context { app: &app, surroundings: Surroundings { now: &now, settings: &settings, stats: &stats, remote: &NoPosts } };
///
/// let mut buffers = Buffers { from_peer: b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", to_peer: Vec::new() };
/// let mut driven = Driven::new(Session::new(std::net::SocketAddr::from(([127, 0, 0, 1], 4711)), &cx));
/// driven.session.may_read();
/// let (mut out, mut buffer) = (Outbox::new(), vec![0; 1024]);
/// let mut turn = Turn { driven: &mut driven, out: &mut out, buffer: &mut buffer, share: Share::UNLIMITED, cx: &cx };
/// let Rest::Close(reason) = drive(&mut turn, &mut buffers) else { panic!("this peer sends everything at once, and ends") };
/// driven.session.close(reason, &cx);
/// assert!(buffers.to_peer.ends_with(b"you asked for /x\n"));
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/x"]);
/// ```
///
/// `examples/third_driver.rs` is a whole driver.
#[inline]
pub fn drive(side: &mut impl Side, transport: &mut impl Transport) -> Rest {
    let mut next = side.step(Done::Nothing, || transport.need());
    loop {
        // Most connections read, then write, then wait. For them this is a straight line, where one
        // `match` would be entered three times.
        if let Some(Next::Read(most)) = next {
            let patience = side.patience();
            next = match transport.read(side.room(most), patience) {
                // The usual result has a step of its own, for which no `Done` is put together.
                Ok(Input::Bytes(len, ready)) => side.step(Done::Read(Input::Bytes(len, ready)), || transport.need()),
                Ok(input) => step_rarely(side, transport, Done::Read(input)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    step_rarely(side, transport, Done::Read(Input::Nothing(0, Ready::No)))
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => step_rarely(side, transport, Done::Nothing),
                Err(_) => return Rest::Close(CloseReason::Transport),
            };
        }
        if let Some(Next::Write) = next {
            let written = transport.write(side.output());
            side.has_written();
            let (len, ready) = match written {
                Ok(written) => written,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => (0, Ready::No),
                    ErrorKind::Interrupted => (0, Ready::Perhaps),
                    ErrorKind::TimedOut => return Rest::Close(CloseReason::WriteStalled),
                    _ => return Rest::Close(CloseReason::Transport),
                },
            };
            next = side.step(Done::Wrote(len, ready, transport.need()), || transport.need());
        }
        match next {
            Some(Next::Wait(until)) => return Rest::Wait(until),
            Some(Next::Read(_) | Next::Write) => {}
            Some(Next::EndSending(sent)) => match transport.end_sending(sent) {
                Ok(()) => next = step_rarely(side, transport, Done::Nothing),
                Err(_) => return Rest::Close(CloseReason::Transport),
            },
            Some(Next::Close(reason)) => return Rest::Close(reason),
            None => return Rest::Again,
        }
    }
}

/// A step that is not on the usual way.
#[inline(never)]
fn step_rarely(side: &mut impl Side, transport: &impl Transport, done: Done) -> Option<Next> {
    side.step(done, || transport.need())
}

/// A session with the input that it has not used yet. An idle connection has no such input.
///
/// The example of [`drive`] has one.
pub struct Driven {
    /// The session.
    pub session: Session,
    unused: Option<Box<Unused>>,
}

/// Input that a session has not used. It is boxed, because most connections have none.
struct Unused {
    bytes: Vec<u8>,
    /// This number of bytes at the front has been used. They are removed when fresh input comes, so
    /// that the others move once, and not after each answer.
    skipped: usize,
}

impl Driven {
    /// A session without unused input.
    pub const fn new(session: Session) -> Self {
        Self { session, unused: None }
    }

    /// The input that waits to be used.
    #[inline]
    pub fn unused(&self) -> &[u8] {
        self.unused.as_ref().map_or(&[], |unused| &unused.bytes[unused.skipped..])
    }

    /// Reports the last step of [`drive`] to the session. `room` has the bytes that were read. The
    /// caller then calls [`resume`](Self::resume), which goes on with the unused input.
    #[inline(always)]
    pub fn report(&mut self, done: Done, room: &mut [u8], out: &mut Outbox, cx: &Context<'_>) {
        self.report_within(&mut Steps::unlimited(), done, room, out, cx);
    }

    #[inline(always)]
    fn report_within(&mut self, steps: &mut Steps, done: Done, room: &mut [u8], out: &mut Outbox, cx: &Context<'_>) {
        match done {
            Done::Nothing => {}
            Done::Read(Input::Bytes(len, ready)) => self.take_in(steps, &mut room[..len], ready, out, cx),
            Done::Read(Input::End) => self.session.peer_ended(PeerEnd::Read),
            Done::Read(Input::Nothing(0, ready)) => self.take_in(steps, &mut [], ready, out, cx),
            Done::Read(Input::Nothing(bytes, ready)) => self.take_nothing(steps, bytes, ready, out, cx),
            Done::Read(Input::Secured(tls, len, ready)) => {
                self.session.secured(tls, cx);
                self.take_in(steps, &mut room[..len], ready, out, cx);
                self.session.layer_read(0);
            }
            Done::Read(Input::Failed(error, ready)) => {
                self.session.layer_failed(error, out, cx);
                self.take_nothing(steps, 0, ready, out, cx);
            }
            Done::Wrote(len, ready, need) => {
                if len > 0 {
                    cx.stats.wrote(len);
                }
                self.session.wrote(len, ready, need, out, cx);
            }
        }
    }

    /// A layer has used this number of bytes, and has none for the session.
    fn take_nothing(&mut self, steps: &mut Steps, bytes: usize, ready: Ready, out: &mut Outbox, cx: &Context<'_>) {
        self.take_in(steps, &mut [], ready, out, cx);
        self.session.layer_read(bytes);
    }

    #[inline(always)]
    fn take_in(&mut self, steps: &mut Steps, fresh: &mut [u8], ready: Ready, out: &mut Outbox, cx: &Context<'_>) {
        cx.stats.bytes_in.add(fresh.len() as u64);
        if self.unused.is_some() {
            return self.take_in_behind(steps, fresh, ready, out, cx);
        }
        let used = self.session.received_within(steps, fresh, ready, out, cx);
        if used < fresh.len() {
            self.unused = Some(Box::new(Unused { bytes: fresh[used..].to_vec(), skipped: 0 }));
        }
    }

    /// The session gets its input in one piece, so fresh input goes behind the unused input.
    fn take_in_behind(&mut self, steps: &mut Steps, fresh: &[u8], ready: Ready, out: &mut Outbox, cx: &Context<'_>) {
        let Some(unused) = &mut self.unused else { return };
        unused.bytes.drain(..unused.skipped);
        unused.bytes.extend_from_slice(fresh);
        unused.skipped = self.session.received_within(steps, &mut unused.bytes, ready, out, cx);
        self.forget_used();
    }

    /// Gives the unused input to the session again. Returns whether the session has used some of
    /// it. Then the next call may use more.
    #[inline(always)]
    pub fn resume(&mut self, out: &mut Outbox, cx: &Context<'_>) -> bool {
        self.resume_within(&mut Steps::unlimited(), out, cx)
    }

    #[inline(always)]
    fn resume_within(&mut self, steps: &mut Steps, out: &mut Outbox, cx: &Context<'_>) -> bool {
        let Some(unused) = &mut self.unused else { return false };
        let used = self.session.resume_within(steps, &mut unused.bytes[unused.skipped..], out, cx);
        unused.skipped += used;
        self.forget_used();
        used > 0
    }

    fn forget_used(&mut self) {
        self.unused.take_if(|unused| unused.skipped == unused.bytes.len());
    }

    /// Delivers to the session, and appends what the session sends to `out`. A driver that writes
    /// shared bytes directly calls [`Session::deliver`] instead.
    #[inline(always)]
    pub fn deliver(&mut self, serial: u64, delivery: Delivery<'_>, out: &mut Outbox, cx: &Context<'_>) {
        let burst = if let Delivery::Messages(burst) = delivery { burst.frames() } else { &[] };
        match self.session.deliver(serial, delivery, out, cx) {
            Delivered::Taken => {}
            Delivered::Shared(wire) => out.push_shared(wire, 0..wire.len()),
            Delivered::OneByOne => self.deliver_one_by_one(serial, burst, out, cx),
        }
    }

    fn deliver_one_by_one(&mut self, serial: u64, burst: &[Frame], out: &mut Outbox, cx: &Context<'_>) {
        for frame in burst {
            self.deliver(serial, Delivery::Messages(&Burst::one(frame)), out, cx);
        }
    }

    /// Tells the session the time, if its deadline has passed.
    #[inline(always)]
    pub fn keep_time(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        if self.session.deadline().is_some_and(|deadline| deadline <= cx.now.instant()) {
            self.session.timed_out(out, cx);
        }
    }
}

/// How many bytes a connection may still read and write in a turn, so that other connections are
/// served soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Bytes to read.
    pub read_bytes: usize,
    /// Bytes to write. Once they are written, the connection reads no further input in this turn.
    pub write_bytes: usize,
    /// Work to do, as in [`new`](Self::new).
    steps: Steps,
}

impl Share {
    /// No bound.
    pub const UNLIMITED: Self = Self { read_bytes: usize::MAX, write_bytes: usize::MAX, steps: Steps::unlimited() };

    /// At most so many bytes to read and to write, and so many steps of work. A request or a
    /// message takes a step of some 0.5 us, and one more for every 4 KiB of a message.
    pub const fn new(read_bytes: usize, write_bytes: usize, steps: usize) -> Self {
        Self { read_bytes, write_bytes, steps: Steps::new(steps) }
    }
}

/// The side of a driver that never waits in a read or a write, for one connection in one turn.
///
/// The example of [`drive`] makes one.
pub struct Turn<'a> {
    /// The session and its unused input.
    pub driven: &'a mut Driven,
    /// The output.
    pub out: &'a mut Outbox,
    /// Where to read. During a write, the output may have the buffer, because a large message that
    /// goes out again is written from where it was read.
    pub buffer: &'a mut Vec<u8>,
    /// What is left of the connection's share.
    pub share: Share,
    /// The surroundings of the session.
    pub cx: &'a Context<'a>,
}

/// Input up to this size has no message that is worth a reference. An outbox copies it.
const OFFERED_ABOVE_BYTES: usize = 2 * 1024;

impl Side for Turn<'_> {
    #[inline(always)]
    fn step(&mut self, done: Done, need: impl Fn() -> Need) -> Option<Next> {
        match done {
            Done::Read(Input::Bytes(len, _) | Input::Nothing(len, _) | Input::Secured(_, len, _)) => {
                self.share.read_bytes = self.share.read_bytes.saturating_sub(len);
                // What is left is too little for a whole message, which would have to be assembled.
                if self.share.read_bytes < len && self.share.read_bytes < self.driven.session.large_message_bytes() {
                    self.share.read_bytes = 0;
                }
            }
            Done::Wrote(len, ..) => self.share.write_bytes = self.share.write_bytes.saturating_sub(len),
            Done::Nothing | Done::Read(_) => {}
        }
        let next = self.report_and_ask(done, need);
        if self.out.refers() && !matches!(next, Some(Next::Write)) {
            self.out.settle(self.buffer);
        }
        next
    }

    #[inline]
    fn room(&mut self, most: usize) -> &mut [u8] {
        let len = self.driven.session.fit_read(most.min(self.buffer.len()).min(self.share.read_bytes));
        &mut self.buffer[..len]
    }

    #[inline]
    fn output(&mut self) -> &mut Outbox {
        self.out.attach(self.buffer);
        self.out
    }

    #[inline]
    fn has_written(&mut self) {
        self.out.detach(self.buffer);
    }
}

impl Turn<'_> {
    #[inline(never)]
    fn report_much(&mut self, len: usize, ready: Ready) {
        let input = &mut self.buffer[..len];
        self.out.offer(input);
        self.driven.take_in(&mut self.share.steps, input, ready, self.out, self.cx);
        self.out.withdraw();
    }

    /// Reports the last step to the session, goes on with the unused input, and asks for the next
    /// step.
    #[inline(always)]
    fn report_and_ask(&mut self, done: Done, need: impl Fn() -> Need) -> Option<Next> {
        match done {
            Done::Read(Input::Bytes(len, ready)) if len > OFFERED_ABOVE_BYTES => self.report_much(len, ready),
            done => self.driven.report_within(&mut self.share.steps, done, self.buffer, self.out, self.cx),
        }
        let may_write = self.share.write_bytes > 0;
        if may_write {
            while self.driven.resume_within(&mut self.share.steps, self.out, self.cx) {}
        } else if !self.driven.unused().is_empty() {
            return None;
        }
        let may_work = may_write && !self.share.steps.is_used_up();
        match self.driven.session.next(Io { need: need(), ..Io::NON_BLOCKING }, self.out, self.cx) {
            Next::Read(_) if !may_work || self.share.read_bytes == 0 => None,
            Next::Write if !may_write => None,
            Next::Wait(_) if !may_work && !self.driven.unused().is_empty() => None,
            next => Some(next),
        }
    }
}
