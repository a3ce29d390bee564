//! The session: one connection from accept to close.
//!
//! Owns the phases of a connection, and the only place where a connection ends, with exactly one
//! reason. Leaves the work inside the phases to `http` and `websocket`, and reading, writing and
//! closing to the drivers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::http::Http;
use super::link::Pushed;
use super::progress::{Ending, Progress};
use super::websocket::WebSocket;
use super::{Burst, Command, Context, HalfClose, canonical};
use crate::proto::{CloseReason, Frame, Outbox};

/// One connection, independent of its driver.
///
/// ```text
///  Http ── upgrade ──▶ WebSocket
///    │                     │
///    └───── end (reason) ──┴──▶ Over ── flushed, lingered or aborted by the driver ──▶ closed
/// ```
pub struct Session {
    phase: Phase,
    peer: SocketAddr,
}

enum Phase {
    Http(Http),
    WebSocket(Box<WebSocket>),
    Over {
        ending: Ending,
        /// When lingering ends; `None` while output waits.
        until: Option<Instant>,
    },
    Closed,
}

impl Session {
    /// A connection that was just accepted.
    pub fn new(peer: SocketAddr, cx: &Context<'_>) -> Self {
        cx.stats.accepted.add(1);
        cx.stats.open.add(1);
        Self { phase: Phase::Http(Http::new(cx)), peer: canonical(peer) }
    }

    /// Works on input. Returns how many bytes were used. The driver gives the rest again, at the
    /// front of the next input.
    ///
    /// Stops early if the client has sent more than the server can answer now: while a request is
    /// being answered, or while the output is full.
    pub fn receive(&mut self, input: &mut [u8], out: &mut Outbox, cx: &Context<'_>) -> usize {
        let mut used = 0;
        loop {
            let (step, progress) = match &mut self.phase {
                // Input is discarded here even if the output is full. It will never be used, and
                // keeping it would cost memory.
                Phase::Over { .. } | Phase::Closed => {
                    if used < input.len() {
                        self.linger();
                    }
                    return input.len();
                }
                _ if out.len() >= cx.settings.limits.output_bytes => break,
                Phase::Http(http) => http.step(&input[used..], self.peer, out, cx),
                Phase::WebSocket(websocket) => websocket.step(&mut input[used..], out, cx),
            };
            used += step;
            match progress {
                Progress::More if used < input.len() => {}
                Progress::More | Progress::Wait => break,
                other => self.advance(other, out, cx),
            }
        }
        used
    }

    /// The peer has sent more than was read, or probably has. Closing the socket now would reset
    /// the connection.
    pub fn linger(&mut self) {
        if let Phase::Over { ending: ending @ Ending::Flush, .. } = &mut self.phase {
            *ending = Ending::Linger;
        }
    }

    /// The system has taken all output, and this side has ended sending. The peer's time to end its
    /// side begins now.
    pub fn sending_ended(&mut self, cx: &Context<'_>) {
        if let Phase::Over { until, .. } = &mut self.phase {
            *until = Some(cx.now.instant() + cx.settings.limits.close_timeout);
        }
    }

    /// The peer has ended its sending side, and the session was given all input. Call this again
    /// each time that output has been written: with [`HalfClose::Waits`](super::HalfClose::Waits),
    /// the connection ends only after the answer.
    pub fn handle_eof(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.handle_eof(out, cx),
            Phase::WebSocket(_) => Progress::End(Ending::Abort, CloseReason::Peer(1006)),
            // An abort stays an abort: the peer may have ended its side and still not read.
            Phase::Over { ending, .. } => {
                if *ending == Ending::Linger {
                    *ending = Ending::Flush;
                }
                return;
            }
            Phase::Closed => return,
        };
        match progress {
            // The peer has ended its side, so no input can come for which to linger.
            Progress::End(Ending::Linger, reason) => self.end(Ending::Flush, reason, cx),
            other => self.advance(other, out, cx),
        }
    }

    /// Takes a posted message. A message for a stream or WebSocket that is over is dropped.
    #[inline]
    pub fn push(&mut self, serial: u64, frame: &Frame, out: &mut Outbox, cx: &Context<'_>) {
        let pushed = match &mut self.phase {
            Phase::Http(http) => http.push(serial, frame, out, cx),
            Phase::WebSocket(websocket) => websocket.push(serial, frame, out, cx),
            Phase::Over { .. } | Phase::Closed => return,
        };
        if pushed == Pushed::Overflow {
            self.end(Ending::Abort, CloseReason::SlowConsumer, cx);
        }
    }

    /// Takes all posted messages of a burst, if nothing must be sent before them. The driver then
    /// writes the returned bytes before anything else. Call this only while no output waits. If it
    /// returns `None`, [push](Self::push) the messages one by one.
    #[inline]
    pub fn take_burst<'b>(&mut self, serial: u64, burst: &Burst<'b>, cx: &Context<'_>) -> Option<&'b Arc<[u8]>> {
        // A single message can have any size. Several messages that exceed the output limit must be
        // queued from the limit on, so they are pushed one by one.
        let is_one = burst.frames().len() == 1;
        let wire = burst.wire().filter(|wire| !wire.is_empty() && (is_one || wire.len() <= cx.settings.limits.output_bytes))?;
        let is_taken = match &mut self.phase {
            Phase::Http(http) => http.takes_burst(serial, burst, cx),
            Phase::WebSocket(websocket) => websocket.takes_burst(serial, burst),
            Phase::Over { .. } | Phase::Closed => false,
        };
        if !is_taken {
            return None;
        }
        cx.stats.messages_out.add(burst.messages() as u64);
        Some(wire)
    }

    /// The driver's queue had no room for a message to this connection, and the policy is to
    /// disconnect.
    pub fn overflow(&mut self, serial: u64, cx: &Context<'_>) {
        let is_addressed = match &self.phase {
            Phase::Http(http) => http.is_addressed(serial),
            Phase::WebSocket(websocket) => websocket.is_addressed(serial),
            Phase::Over { .. } | Phase::Closed => false,
        };
        if is_addressed {
            self.end(Ending::Abort, CloseReason::SlowConsumer, cx);
        }
    }

    /// Carries out a posted command. A command for a hold, stream or WebSocket that is over does
    /// nothing.
    pub fn apply(&mut self, serial: u64, command: Command, out: &mut Outbox, cx: &Context<'_>) {
        if let Command::Push(frame) = command {
            return self.push(serial, &frame, out, cx);
        }
        let progress = match &mut self.phase {
            Phase::Http(http) => http.apply(serial, command, out, cx),
            Phase::WebSocket(websocket) => websocket.apply(serial, &command, out, cx),
            Phase::Over { .. } | Phase::Closed => return,
        };
        self.advance(progress, out, cx);
    }

    /// The system has taken all output.
    #[inline]
    pub fn drained(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        if let Phase::Http(http) = &self.phase
            && !http.is_answering()
        {
            // Between requests, no messages and no source wait for room.
            return;
        }
        self.drained_while_pushing(out, cx);
    }

    fn drained_while_pushing(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.drained(out, cx),
            Phase::WebSocket(websocket) => websocket.drained(out, cx),
            Phase::Over { .. } | Phase::Closed => return,
        };
        self.advance(progress, out, cx);
    }

    /// Acts on a [`deadline`](Self::deadline) that has passed. A call before the deadline does
    /// nothing. `is_writing` tells whether output that the driver took out of `out` is still being
    /// written: a peer that has not received a ping yet does not owe the pong. If the connection
    /// [is overdue](Self::is_overdue), read the socket first.
    pub fn handle_timeout(&mut self, is_writing: bool, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.handle_timeout(out, cx),
            Phase::WebSocket(websocket) => websocket.handle_timeout(is_writing, out, cx),
            Phase::Over { ending, until } => {
                // Only lingering has a deadline of its own. The write time-out bounds a flush.
                if *ending == Ending::Linger && until.is_some_and(|until| until <= cx.now.instant()) {
                    *ending = Ending::Abort;
                }
                return;
            }
            Phase::Closed => return,
        };
        self.advance(progress, out, cx);
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Http(http) => http.deadline(),
            Phase::WebSocket(websocket) => websocket.deadline(),
            Phase::Over { ending: Ending::Linger, until } => *until,
            Phase::Over { .. } | Phase::Closed => None,
        }
    }

    /// Whether the [`deadline`](Self::deadline) has passed and
    /// [`handle_timeout`](Self::handle_timeout) would end the connection because the peer sent
    /// nothing in time. The driver then first reads the socket until the system has no more input,
    /// because input that waits there has arrived in time. Every other time-out only makes output.
    /// `is_writing` is as for `handle_timeout`.
    pub fn is_overdue(&self, is_writing: bool, out: &Outbox, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now) && self.timeout_ends_peer(is_writing || !out.is_empty())
    }

    fn timeout_ends_peer(&self, output_waits: bool) -> bool {
        match &self.phase {
            Phase::Http(http) => !http.is_answering(),
            Phase::WebSocket(websocket) => websocket.timeout_ends_peer(output_waits),
            Phase::Over { .. } => true,
            Phase::Closed => false,
        }
    }

    /// Ends the connection because the server shuts down, in the way of its phase. `come_back_ms`
    /// is the time after which the client should return.
    pub fn shut_down(&mut self, come_back_ms: u64, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.shut_down(come_back_ms, out, cx),
            Phase::WebSocket(websocket) => websocket.shut_down(out, cx),
            Phase::Over { .. } | Phase::Closed => return,
        };
        self.advance(progress, out, cx);
    }

    /// How many bytes of input to read at most, while `backlog` bytes of input already wait and
    /// `out_len` bytes of output are unsent. For a chunked body and for a WebSocket the session
    /// sets no limit; the driver's buffer bounds them.
    #[inline]
    pub fn wanted_bytes(&self, backlog: usize, out_len: usize, cx: &Context<'_>) -> usize {
        let limits = &cx.settings.limits;
        match &self.phase {
            // Reading goes on while an answer is awaited, within a bound, because only a read shows
            // that the client has left.
            Phase::Http(http) if http.is_answering() => limits.pipeline_bytes.saturating_sub(backlog),
            Phase::Http(_) | Phase::WebSocket(_) if out_len >= limits.output_bytes => 0,
            Phase::Http(http) => http.wanted_bytes(limits).saturating_sub(backlog),
            Phase::Over { ending: Ending::Abort, .. } | Phase::Closed => 0,
            // Input is read before a plain close, too: input that arrives after the close is
            // answered with a reset.
            Phase::WebSocket(_) | Phase::Over { .. } => usize::MAX,
        }
    }

    /// Whether the server owes the peer something that is not in the output yet: the answer to a
    /// request that has begun to arrive, the end of a stream, or a closing handshake.
    pub fn is_owing(&self) -> bool {
        match &self.phase {
            Phase::Http(http) => !http.is_idle(),
            Phase::WebSocket(_) => true,
            Phase::Over { .. } | Phase::Closed => false,
        }
    }

    /// Whether the end of the peer's sending side ends the connection although the server owes an
    /// answer. A driver that has stopped reading, because enough input waits before that end, then
    /// acts as if it had read the end.
    pub fn ends_with_peer(&self, cx: &Context<'_>) -> bool {
        matches!(&self.phase, Phase::Http(http) if http.is_answering()) && cx.settings.half_close == HalfClose::Leaves
    }

    /// How to end the connection, once the session is over.
    #[inline]
    pub const fn ending(&self) -> Option<Ending> {
        match &self.phase {
            Phase::Over { ending, .. } => Some(*ending),
            Phase::Closed => Some(Ending::Abort),
            Phase::Http(_) | Phase::WebSocket(_) => None,
        }
    }

    /// The driver has closed the connection. The reason counts only if the session was not over
    /// before.
    pub fn close(&mut self, reason: CloseReason, cx: &Context<'_>) {
        self.end(Ending::Abort, reason, cx);
        if !matches!(self.phase, Phase::Closed) {
            self.phase = Phase::Closed;
            cx.stats.open.subtract(1);
        }
    }

    fn advance(&mut self, progress: Progress, out: &mut Outbox, cx: &Context<'_>) {
        match progress {
            Progress::More | Progress::Wait => {}
            Progress::End(ending, reason) => self.end(ending, reason, cx),
            Progress::Upgrade(upgraded) => {
                let mut websocket = Box::new(WebSocket::new(*upgraded, cx));
                let progress = websocket.open(out, cx);
                self.phase = Phase::WebSocket(websocket);
                if let Progress::End(ending, reason) = progress {
                    self.end(ending, reason, cx);
                }
            }
        }
    }

    fn end(&mut self, ending: Ending, reason: CloseReason, cx: &Context<'_>) {
        if matches!(self.phase, Phase::Over { .. } | Phase::Closed) {
            return;
        }
        log::debug!("{}: {reason}", self.peer);
        match reason {
            CloseReason::SlowConsumer => cx.stats.slow_disconnects.add(1),
            CloseReason::WriteStalled => cx.stats.write_stalls.add(1),
            _ => {}
        }
        match std::mem::replace(&mut self.phase, Phase::Over { ending, until: None }) {
            Phase::Http(mut http) => http.drop_exchange(cx),
            Phase::WebSocket(websocket) => websocket.close(reason, cx),
            Phase::Over { .. } | Phase::Closed => {}
        }
    }
}
