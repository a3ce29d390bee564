//! The session: one connection from accept to close.
//!
//! Owns the phases of a connection and the one place where it ends, with its one reason. Refuses to know how its phases work inside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::http::Http;
use super::link::Pushed;
use super::progress::{Ending, Progress};
use super::websocket::WebSocket;
use super::{Burst, Command, Context, HalfClose, canonical};
use crate::proto::{CloseReason, Frame, Outbox};

/// One connection, whatever drives it.
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
        /// When lingering is over; `None` while output waits.
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

    /// Works on input. Returns how many bytes were used up; the rest is to be given again, at the front of the next input.
    ///
    /// Stops early while the client is ahead of us: while a request is being answered, or the output is full.
    pub fn receive(&mut self, input: &mut [u8], out: &mut Outbox, cx: &Context<'_>) -> usize {
        let mut used = 0;
        loop {
            let (step, progress) = match &mut self.phase {
                // However much output waits: what will never be worked on must not be kept.
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

    /// The peer has sent, or is believed to have sent, more than was read: a plain end would reset the connection.
    pub fn linger(&mut self) {
        if let Phase::Over { ending: ending @ Ending::Flush, .. } = &mut self.phase {
            *ending = Ending::Linger;
        }
    }

    /// All output is with the system, and this side's end behind it. From now on the peer has its time to end its side.
    pub fn sending_ended(&mut self, cx: &Context<'_>) {
        if let Phase::Over { until, .. } = &mut self.phase {
            *until = Some(cx.now.instant() + cx.settings.limits.close_timeout);
        }
    }

    /// The peer ended its sending side, and all its input was given. To be called again after every
    /// output: a request that [is served on](super::HalfClose::Waits) ends the connection only then.
    pub fn handle_eof(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.handle_eof(out, cx),
            Phase::WebSocket(_) => Progress::End(Ending::Abort, CloseReason::Peer(1006)),
            // An abort stays one: the peer may have ended its side and still not read ours.
            Phase::Over { ending, .. } => {
                if *ending == Ending::Linger {
                    *ending = Ending::Flush;
                }
                return;
            }
            Phase::Closed => return,
        };
        match progress {
            // With the peer's side ended there is nothing left to linger for.
            Progress::End(Ending::Linger, reason) => self.end(Ending::Flush, reason, cx),
            other => self.advance(other, out, cx),
        }
    }

    /// Takes a posted message. One that was addressed to something that is over goes nowhere.
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

    /// Takes messages that were posted to this connection, all together, where nothing is in their way: these bytes are to be written then,
    /// before anything else. To be asked only while no output waits; what is not taken is to be [pushed](Self::push).
    #[inline]
    pub fn take_burst<'b>(&mut self, serial: u64, burst: &Burst<'b>, cx: &Context<'_>) -> Option<&'b Arc<[u8]>> {
        // One message may be as large as it is. Of several, those that come when the output is full already have to wait.
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

    /// A message that was addressed to this connection had no room before it came here, and the policy is to disconnect.
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

    /// Carries out a posted command. One that was addressed to something that is over does nothing.
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

    /// All output has been handed to the system.
    #[inline]
    pub fn drained(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        if let Phase::Http(http) = &self.phase
            && !http.is_answering()
        {
            // Between requests nothing waits for room.
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

    /// [`deadline`](Self::deadline) has come. Called too early it does nothing. `is_writing` says whether output that was taken out of `out`
    /// is still on its way to the system: a peer that is not sent a ping yet does not owe its answer. A connection that
    /// [is overdue](Self::is_overdue) is read first.
    pub fn handle_timeout(&mut self, is_writing: bool, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.handle_timeout(out, cx),
            Phase::WebSocket(websocket) => websocket.handle_timeout(is_writing, out, cx),
            Phase::Over { ending, until } => {
                // Only lingering takes time; what is to be flushed is bounded by the write time-out.
                if *ending == Ending::Linger && until.is_some_and(|until| until <= cx.now.instant()) {
                    *ending = Ending::Abort;
                }
                return;
            }
            Phase::Closed => return,
        };
        self.advance(progress, out, cx);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Http(http) => http.deadline(),
            Phase::WebSocket(websocket) => websocket.deadline(),
            Phase::Over { ending: Ending::Linger, until } => *until,
            Phase::Over { .. } | Phase::Closed => None,
        }
    }

    /// Whether the peer has sent nothing in time: [`deadline`](Self::deadline) has passed, and
    /// [`handle_timeout`](Self::handle_timeout) would end the connection for it. A driver reads the
    /// socket first, until the system has nothing more: input that waits there has arrived in time.
    /// Every other time-out only makes output. `is_writing` is as for `handle_timeout`.
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

    /// Ends the connection in the way of its phase because the server shuts down. `come_back_ms` is when its client should return.
    pub fn shut_down(&mut self, come_back_ms: u64, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.shut_down(come_back_ms, out, cx),
            Phase::WebSocket(websocket) => websocket.shut_down(out, cx),
            Phase::Over { .. } | Phase::Closed => return,
        };
        self.advance(progress, out, cx);
    }

    /// How many bytes of input should be read at most while `backlog` bytes of it already wait and `out_len` bytes of output are unsent.
    /// Without a limit, a body in chunks and a WebSocket, it is the driver's buffer that bounds them.
    #[inline]
    pub fn wanted_bytes(&self, backlog: usize, out_len: usize, cx: &Context<'_>) -> usize {
        let limits = &cx.settings.limits;
        match &self.phase {
            Phase::Http(http) if http.is_answering() => limits.pipeline_bytes.saturating_sub(backlog),
            Phase::Http(_) | Phase::WebSocket(_) if out_len >= limits.output_bytes => 0,
            Phase::Http(http) => http.wanted_bytes(limits).saturating_sub(backlog),
            Phase::Over { ending: Ending::Abort, .. } | Phase::Closed => 0,
            // Also before a plain end: what comes now would be answered with a reset.
            Phase::WebSocket(_) | Phase::Over { .. } => usize::MAX,
        }
    }

    /// Whether the peer is owed something that is not in the output yet: the answer to what it has begun to ask, the end of a stream, a closing
    /// handshake.
    pub fn is_owing(&self) -> bool {
        match &self.phase {
            Phase::Http(http) => !http.is_idle(),
            Phase::WebSocket(_) => true,
            Phase::Over { .. } | Phase::Closed => false,
        }
    }

    /// Whether the end of the peer's sending side ends the connection although it is owed an answer: a
    /// driver that cannot read up to that end, because more input stands before it than is read
    /// meanwhile, acts as if it had.
    pub fn ends_with_peer(&self, cx: &Context<'_>) -> bool {
        matches!(&self.phase, Phase::Http(http) if http.is_answering()) && cx.settings.half_close == HalfClose::Leaves
    }

    /// How the connection is to be ended, once it is over.
    #[inline]
    pub const fn ending(&self) -> Option<Ending> {
        match &self.phase {
            Phase::Over { ending, .. } => Some(*ending),
            Phase::Closed => Some(Ending::Abort),
            Phase::Http(_) | Phase::WebSocket(_) => None,
        }
    }

    /// The driver lets go of the connection. The reason counts only if the session is not over yet.
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
