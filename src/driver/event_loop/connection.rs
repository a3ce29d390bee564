//! One non-blocking connection.
//!
//! Owns a socket, its session, and what could not be worked on yet: the rest of the input, the rest of the output. An idle connection owns
//! neither. Refuses to look into either.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use mio::event::Event;
use mio::net::TcpStream;

use crate::driver::clock::Clock;
use crate::driver::inbox::Inbox;
use crate::driver::outboxes::Outboxes;
use crate::driver::timers::{Armed, Timers};
use crate::driver::write::write_once;
use crate::driver::{Config, EDGES_ARE_REAL, OVERDUE_BYTES_MAX};
use crate::proto::{CloseReason, Frame, Outbox};
use crate::session::{Burst, Command, Context, Ending, Handler, Post, RemoteSource, Session, Stats};

/// What all connections of a loop share and only read.
pub(super) struct Env {
    pub(super) config: Config,
    pub(super) stats: Arc<Stats>,
    pub(super) app: Box<dyn Handler>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) clock: Clock,
    /// The last serial that was given out.
    pub(super) serial: Cell<u64>,
}

/// What all connections of a loop use in turn.
pub(super) struct Tools {
    /// The one receive buffer.
    pub(super) receive: Vec<u8>,
    pub(super) share: Share,
    /// A connection without unsent output has none.
    pub(super) outboxes: Outboxes,
    pub(super) timers: Timers,
}

/// What one connection may do in a turn, so that others have theirs soon.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) read_bytes: usize,
    /// Past it no further input is worked on in this turn, though all of its answers have left.
    pub(super) write_bytes: usize,
}

/// How handles reach one connection of the loop.
struct Remote<'a> {
    env: &'a Env,
    slot: u32,
}

impl RemoteSource for Remote<'_> {
    fn post(&self) -> Arc<dyn Post> {
        Arc::clone(&self.env.inbox) as Arc<dyn Post>
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    fn issue_serial(&self) -> u64 {
        self.env.serial.set(self.env.serial.get() + 1);
        self.env.serial.get()
    }
}

macro_rules! context {
    ($env:expr, $slot:expr) => {
        Context {
            now: $env.clock.now(),
            settings: &$env.config.settings,
            stats: &$env.stats,
            app: &*$env.app,
            remote: &Remote { env: $env, slot: $slot },
        }
    };
}

/// A connection of the event loop.
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other, and every combination occurs")]
pub(super) struct Connection {
    socket: TcpStream,
    /// When the timer heap will bring this connection up.
    pub(super) armed: Option<Armed>,
    /// Input that the session has not used yet.
    input: Vec<u8>,
    /// Output that the system has not taken yet, or that is being gathered in this turn.
    output: Option<Box<Outbox>>,
    /// When to give up on a peer that takes no output.
    stalled_until: Option<Instant>,
    /// A deadline has passed that ends the peer, unless its socket has input. The bytes that were read since.
    overdue: Option<u32>,
    /// There may be more to read.
    readable: bool,
    /// The peer's end is announced: read on to it even after a short read.
    hangup: bool,
    /// The peer's end was read.
    eof: bool,
    /// This side has said that it sends no more.
    sending_ended: bool,
    /// Already in the loop's list of connections to be driven.
    pub(super) queued: bool,
    session: Session,
}

/// What the loop is to do with a connection after driving it.
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    Keep,
    /// It has used up its share of this turn.
    Again,
    Close(CloseReason),
}

impl Connection {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, slot: u32, env: &Env, tools: &mut Tools) -> Self {
        let session = Session::new(peer, &context!(env, slot));
        let mut connection = Self {
            socket,
            armed: None,
            input: Vec::new(),
            output: None,
            stalled_until: None,
            overdue: None,
            readable: false,
            hangup: false,
            eof: false,
            sending_ended: false,
            queued: false,
            session,
        };
        connection.arm(slot, env, tools);
        connection
    }

    pub(super) const fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Takes note of what the system says about the socket.
    pub(super) fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.hangup |= event.is_read_closed() || event.is_error();
        // A peer that had only ended its sending side may have reset the connection since.
        self.eof &= !event.is_error();
    }

    /// Takes posted messages and writes them, if nothing is in their way. Their bytes are everybody's: a connection that the system takes them
    /// all from touches no buffer. Returns `None` where they are to be pushed one by one.
    #[inline]
    pub(super) fn write_burst(&mut self, serial: u64, burst: &Burst<'_>, slot: u32, env: &Env, tools: &mut Tools) -> Option<Verdict> {
        if self.output.is_some() {
            return None;
        }
        let wire = self.session.take_burst(serial, burst, &context!(env, slot))?;
        // An error comes up again when the rest is written.
        let taken = self.socket.write(wire).unwrap_or(0);
        if taken > 0 {
            env.stats.wrote(taken);
        }
        if taken == wire.len() {
            return Some(Verdict::Keep);
        }
        self.output.insert(tools.outboxes.take()).push_shared(wire, taken..wire.len());
        Some(self.drive(slot, env, tools))
    }

    /// Takes a posted message; output is gathered until the connection is driven. Returns `false` when there is so much that the connection
    /// is better driven at once.
    #[inline]
    pub(super) fn push(&mut self, serial: u64, frame: &Frame, slot: u32, env: &Env, tools: &mut Tools) -> bool {
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.session.push(serial, frame, out, &context!(env, slot));
        out.len() < env.config.settings.limits.output_bytes || self.stalled_until.is_some()
    }

    /// Carries out another posted command.
    pub(super) fn apply(&mut self, serial: u64, command: Command, slot: u32, env: &Env, tools: &mut Tools) {
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.session.apply(serial, command, out, &context!(env, slot));
    }

    /// Something that was posted to this connection did not fit.
    pub(super) fn overflow(&mut self, serial: u64, slot: u32, env: &Env) {
        self.session.overflow(serial, &context!(env, slot));
    }

    /// Begins the connection's shutdown.
    pub(super) fn shut_down(&mut self, come_back_ms: u64, slot: u32, env: &Env, tools: &mut Tools) {
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.session.shut_down(come_back_ms, out, &context!(env, slot));
    }

    /// The timer heap brought this connection up, which is to be driven next. Returns whether the
    /// peer may be given up because it takes no output.
    pub(super) fn handle_timer(&mut self, slot: u32, env: &Env, tools: &mut Tools) -> bool {
        self.armed = None;
        let now = env.clock.now().instant();
        let nothing = Outbox::new();
        if self.session.is_overdue(false, self.output.as_deref().unwrap_or(&nothing), now) {
            // The loop may have been held up, and the system reports only some of the sockets at a
            // time: input can wait of which no event has told yet.
            self.overdue.get_or_insert(0);
            self.readable = true;
        } else if self.session.deadline().is_some_and(|deadline| deadline <= now) {
            let out = self.output.get_or_insert_with(|| tools.outboxes.take());
            self.session.handle_timeout(false, out, &context!(env, slot));
        }
        self.is_stalled(now)
    }

    fn is_stalled(&self, now: Instant) -> bool {
        self.stalled_until.is_some_and(|until| until <= now)
    }

    /// Writes what waits, reads what is there, and lets the session work, until nothing moves or this turn's share is used up.
    pub(super) fn drive(&mut self, slot: u32, env: &Env, tools: &mut Tools) -> Verdict {
        let mut out = self.output.take().unwrap_or_else(|| tools.outboxes.take());
        let mut receive = std::mem::take(&mut tools.receive);
        let verdict = self.drive_with(&mut receive, tools.share, &mut out, &context!(env, slot));
        tools.receive = receive;
        if out.is_empty() {
            self.stalled_until = None;
            tools.outboxes.give_back(out);
        } else {
            self.output = Some(out);
        }
        self.arm(slot, env, tools);
        verdict
    }

    fn drive_with(&mut self, receive: &mut [u8], share: Share, out: &mut Outbox, cx: &Context<'_>) -> Verdict {
        let mut filled = self.input.len();
        if filled > 0 {
            receive[..filled].copy_from_slice(&self.input);
            self.input = Vec::new();
        }
        let verdict = self.work(receive, &mut filled, share, out, cx);
        if filled > 0 {
            self.input = receive[..filled].to_vec();
        }
        verdict
    }

    fn work(&mut self, receive: &mut [u8], filled: &mut usize, mut share: Share, out: &mut Outbox, cx: &Context<'_>) -> Verdict {
        loop {
            if let Err(reason) = self.digest(receive, filled, &mut share, out, cx) {
                return Verdict::Close(reason);
            }
            // Output that waits has just been offered to the system once more.
            if self.is_stalled(cx.now.instant()) {
                return Verdict::Close(CloseReason::WriteStalled);
            }
            if self.overdue.is_some() && !self.session.is_overdue(false, out, cx.now.instant()) {
                self.overdue = None;
            }
            match self.session.ending() {
                // The session knows its reason already.
                Some(Ending::Abort) => return Verdict::Close(CloseReason::Local(1000)),
                Some(Ending::Flush) if out.is_empty() && (self.eof || !self.readable) => return Verdict::Close(CloseReason::Local(1000)),
                Some(Ending::Linger) if out.is_empty() && !self.sending_ended => {
                    self.sending_ended = true;
                    if self.socket.shutdown(Shutdown::Write).is_err() {
                        return Verdict::Close(CloseReason::Transport);
                    }
                    self.session.sending_ended(cx);
                }
                _ => {}
            }
            // Blocked output waits for the next writable event.
            let has_more = if out.is_empty() { *filled > 0 || self.eof } else { self.stalled_until.is_none() };
            if share.write_bytes == 0 && has_more {
                return Verdict::Again;
            }
            let room = &mut receive[*filled..];
            let wanted = if self.eof { 0 } else { self.session.wanted_bytes(*filled, out.len(), cx).min(room.len()) };
            if wanted == 0 && self.has_left(out.len(), cx) {
                self.eof = true;
                continue;
            }
            // Where nothing is read because output waits, the write time-out decides.
            let has_been_read = self.eof || wanted > 0 && !self.readable;
            if self.overdue.is_some_and(|bytes| has_been_read || bytes >= OVERDUE_BYTES_MAX) {
                self.overdue = None;
                self.session.handle_timeout(false, out, cx);
                continue;
            }
            if wanted == 0 || !self.readable {
                return Verdict::Keep;
            }
            if share.read_bytes == 0 {
                return Verdict::Again;
            }
            match self.read(&mut room[..wanted.min(share.read_bytes)], cx) {
                Ok(taken) => {
                    *filled += taken;
                    share.read_bytes = share.read_bytes.saturating_sub(taken);
                    self.overdue = self.overdue.map(|bytes| bytes.saturating_add(taken as u32));
                }
                Err(_) => return Verdict::Close(CloseReason::Transport),
            }
        }
    }

    /// Whether the peer ended while it is owed an answer; asked where no more is read meanwhile, and its end stands behind more than that. With
    /// less input before its end it would be let go, too. Input that waits for anything else is still to be answered.
    fn has_left(&self, out_len: usize, cx: &Context<'_>) -> bool {
        self.hangup && !self.eof && self.session.ends_with_peer(cx) && out_len < cx.settings.limits.output_bytes
    }

    /// Works on the input that is there until it is used up, needs more behind it, its answers cannot be written, or they are this turn's share.
    fn digest(
        &mut self,
        receive: &mut [u8],
        filled: &mut usize,
        share: &mut Share,
        out: &mut Outbox,
        cx: &Context<'_>,
    ) -> Result<(), CloseReason> {
        let mut done = 0;
        loop {
            let used = if done < *filled { self.session.receive(&mut receive[done..*filled], out, cx) } else { 0 };
            done += used;
            // Input that waits only for room in the output still comes before the end.
            if self.eof && (done == *filled || out.len() < cx.settings.limits.output_bytes) {
                self.session.handle_eof(out, cx);
            }
            // Written output may have been all that the next request waited for, or the peer's end.
            let moved = used > 0 || !out.is_empty();
            let flushed = self.flush(out, share, cx).map_err(|_| CloseReason::Transport)?;
            if !flushed || !moved || done == *filled && !self.eof || share.write_bytes == 0 {
                break;
            }
        }
        // Once, however many answers it took to get here.
        if done > 0 && done < *filled {
            receive.copy_within(done..*filled, 0);
        }
        *filled -= done;
        Ok(())
    }

    /// Reads once. A short read is the end of what is there, where edges are real: asking again would
    /// only be answered "would block".
    fn read(&mut self, room: &mut [u8], cx: &Context<'_>) -> io::Result<usize> {
        match self.socket.read(room) {
            Ok(0) => {
                self.eof = true;
                self.readable = false;
                Ok(0)
            }
            Ok(taken) => {
                cx.stats.bytes_in.add(taken as u64);
                self.readable = taken == room.len() || self.hangup || !EDGES_ARE_REAL;
                Ok(taken)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Writes until the output is empty, its backlog included, or the system takes no more, or what was behind it is for the next turn: a
    /// handler that always has more would go on for as long as its reader keeps up. Returns whether it is empty.
    fn flush(&mut self, out: &mut Outbox, share: &mut Share, cx: &Context<'_>) -> io::Result<bool> {
        while !out.is_empty() {
            match write_once(&mut self.socket, out) {
                Ok((taken, offered)) => {
                    cx.stats.wrote(taken);
                    share.write_bytes = share.write_bytes.saturating_sub(taken);
                    self.stalled_until = (taken < offered).then(|| cx.now.instant() + cx.settings.limits.write_timeout);
                    if taken < offered && EDGES_ARE_REAL {
                        return Ok(false);
                    }
                    if out.is_empty() {
                        self.session.drained(out, cx);
                        if share.write_bytes == 0 {
                            return Ok(out.is_empty());
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stalled_until.get_or_insert(cx.now.instant() + cx.settings.limits.write_timeout);
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn arm(&mut self, slot: u32, env: &Env, tools: &mut Tools) {
        // A deadline that has passed waits for the socket to be read, and needs no timer.
        let session = if self.overdue.is_some() { None } else { self.session.deadline() };
        let deadline = match (session, self.stalled_until) {
            (Some(session), Some(stalled)) => Some(session.min(stalled)),
            (one, other) => one.or(other),
        };
        if let Some(deadline) = deadline {
            tools.timers.arm(slot, deadline, env.clock.now().instant(), &mut self.armed);
        }
    }

    /// Whether the peer would miss something if the connection ended now.
    pub(super) fn is_owing(&self) -> bool {
        self.output.is_some() || self.session.is_owing()
    }

    /// Lets go of the connection; dropping the socket closes it.
    pub(super) fn close(mut self, reason: CloseReason, slot: u32, env: &Env) {
        self.session.close(reason, &context!(env, slot));
    }
}
