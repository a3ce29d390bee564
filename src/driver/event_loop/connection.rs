//! One non-blocking connection.
//!
//! Owns a socket, its session, the input that the session has not used yet, and the output that the
//! system has not taken yet. An idle connection has no such input or output. Leaves the content of
//! both to the session, and the turn to the event loop.

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

/// The data that all connections of a loop share and only read.
pub(super) struct Env {
    pub(super) config: Config,
    pub(super) stats: Arc<Stats>,
    pub(super) app: Box<dyn Handler>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) clock: Clock,
    /// The last serial that was given out.
    pub(super) serial: Cell<u64>,
}

/// The buffers, bounds and timers that the connections of a loop use one after the other.
pub(super) struct Tools {
    /// The one receive buffer.
    pub(super) receive: Vec<u8>,
    pub(super) share: Share,
    /// Outboxes to lend: a connection without unsent output has none.
    pub(super) outboxes: Outboxes,
    pub(super) timers: Timers,
}

/// How much one connection may do in a turn, so that other connections are served soon.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) read_bytes: usize,
    /// Above it, no further input is worked on in this turn, even if all answers have left.
    pub(super) write_bytes: usize,
}

/// The source of addresses for handles of one connection of the loop.
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
    /// The connection's live entry in the timer heap.
    pub(super) armed: Option<Armed>,
    /// Input that the session has not used yet.
    input: Vec<u8>,
    /// Output that the system has not taken yet, or that is gathered in this turn.
    output: Option<Box<Outbox>>,
    /// When to give up a peer that takes no output.
    stalled_until: Option<Instant>,
    /// Set when a deadline that ends the peer has passed: the bytes that were read since. The peer
    /// is ended if its socket has no input.
    overdue: Option<u32>,
    /// The socket may have more to read.
    readable: bool,
    /// The system has reported the peer's end. Even after a short read, reading goes on until the
    /// end is read.
    hangup: bool,
    /// The peer's end was read.
    eof: bool,
    /// This side has ended sending.
    sending_ended: bool,
    /// Whether the connection is in one of the loop's lists of connections to be driven.
    pub(super) queued: bool,
    session: Session,
}

/// What the loop does with a connection after driving it.
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    Keep,
    /// The connection has used up its share of this turn: drive it again in the next one.
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

    /// Records what the system reports about the socket.
    pub(super) fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.hangup |= event.is_read_closed() || event.is_error();
        // A peer that had only ended its sending side may have reset the connection since. Reading
        // again returns that error.
        self.eof &= !event.is_error();
    }

    /// Takes posted messages and writes them, if nothing must be written before. All readers share
    /// the bytes of the messages. So if the system takes all bytes, the connection uses no buffer.
    /// Returns `None` if the messages must be pushed one by one.
    #[inline]
    pub(super) fn write_burst(&mut self, serial: u64, burst: &Burst<'_>, slot: u32, env: &Env, tools: &mut Tools) -> Option<Verdict> {
        if self.output.is_some() {
            return None;
        }
        let wire = self.session.take_burst(serial, burst, &context!(env, slot))?;
        // If the write fails, the error comes again when the rest is written.
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

    /// Takes a posted message. Output is gathered until the connection is driven. Returns `false`
    /// if so much has gathered that the connection should be driven at once.
    #[inline]
    pub(super) fn push(&mut self, serial: u64, frame: &Frame, slot: u32, env: &Env, tools: &mut Tools) -> bool {
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.session.push(serial, frame, out, &context!(env, slot));
        out.len() < env.config.settings.limits.output_bytes || self.stalled_until.is_some()
    }

    /// Carries out a posted command other than a push.
    pub(super) fn apply(&mut self, serial: u64, command: Command, slot: u32, env: &Env, tools: &mut Tools) {
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.session.apply(serial, command, out, &context!(env, slot));
    }

    /// The inbox had no room for a message to this connection.
    pub(super) fn overflow(&mut self, serial: u64, slot: u32, env: &Env) {
        self.session.overflow(serial, &context!(env, slot));
    }

    /// Begins the connection's shutdown.
    pub(super) fn shut_down(&mut self, come_back_ms: u64, slot: u32, env: &Env, tools: &mut Tools) {
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.session.shut_down(come_back_ms, out, &context!(env, slot));
    }

    /// The timer heap brought this connection up. The loop drives it next. Returns whether the peer
    /// may be given up because it takes no output.
    pub(super) fn handle_timer(&mut self, slot: u32, env: &Env, tools: &mut Tools) -> bool {
        self.armed = None;
        let now = env.clock.now().instant();
        let nothing = Outbox::new();
        if self.session.is_overdue(false, self.output.as_deref().unwrap_or(&nothing), now) {
            // The loop may have been delayed, and the system reports only some of the ready sockets
            // at a time. So input may wait of which no event has told yet.
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

    /// Writes the output that waits, reads the input that is there, and lets the session work,
    /// until nothing moves or the share of this turn is used up.
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
            // The session gets its input in one piece, and an idle connection keeps no buffer. So
            // the rest of the last turn moves to the front of the shared buffer.
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
            // The output that waits was offered to the system again just before.
            if self.is_stalled(cx.now.instant()) {
                return Verdict::Close(CloseReason::WriteStalled);
            }
            if self.overdue.is_some() && !self.session.is_overdue(false, out, cx.now.instant()) {
                self.overdue = None;
            }
            match self.session.ending() {
                // The session already has its reason. This one is not used.
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
            // If nothing is read because output waits, the write time-out decides about this peer.
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

    /// Whether the peer ended while the server owes it an answer. Call this only when no more is
    /// read: then the peer's end stands behind input that is not read. A peer with less input
    /// before its end would be dropped, too. Input that waits for another reason is still to be
    /// answered.
    fn has_left(&self, out_len: usize, cx: &Context<'_>) -> bool {
        self.hangup && !self.eof && self.session.ends_with_peer(cx) && out_len < cx.settings.limits.output_bytes
    }

    /// Works on the input until it is used up or needs more bytes, until the system takes no more
    /// answers, or until the answers have used up this turn's share.
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
            // Input that waits only for room in the output is worked on before the peer's end.
            if self.eof && (done == *filled || out.len() < cx.settings.limits.output_bytes) {
                self.session.handle_eof(out, cx);
            }
            // The written output may have been all that the next request, or the peer's end, waited
            // for.
            let moved = used > 0 || !out.is_empty();
            let flushed = self.flush(out, share, cx).map_err(|_| CloseReason::Transport)?;
            if !flushed || !moved || done == *filled && !self.eof || share.write_bytes == 0 {
                break;
            }
        }
        // The rest is moved once, however many requests were answered.
        if done > 0 && done < *filled {
            receive.copy_within(done..*filled, 0);
        }
        *filled -= done;
        Ok(())
    }

    /// Reads once. Where edges are real, a short read means that the system has no more input:
    /// another read would only return "would block".
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

    /// Writes until the output and its backlog are empty, the system takes no more, or the share of
    /// this turn is used up. Without the share, a handler that always has more would be written for
    /// as long as its reader keeps up. Returns whether the output is empty.
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
        // An overdue connection waits for its socket to be read, and needs no timer.
        let session = if self.overdue.is_some() { None } else { self.session.deadline() };
        let deadline = match (session, self.stalled_until) {
            (Some(session), Some(stalled)) => Some(session.min(stalled)),
            (one, other) => one.or(other),
        };
        if let Some(deadline) = deadline {
            tools.timers.arm(slot, deadline, env.clock.now().instant(), &mut self.armed);
        }
    }

    /// Whether the peer would lose an answer or output if the connection ended now.
    pub(super) fn is_owing(&self) -> bool {
        self.output.is_some() || self.session.is_owing()
    }

    /// Ends the session. Dropping the socket closes it.
    pub(super) fn close(mut self, reason: CloseReason, slot: u32, env: &Env) {
        self.session.close(reason, &context!(env, slot));
    }
}
