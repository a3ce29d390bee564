//! The session: one connection from accept to close, and the contract with its driver.
//!
//! Owns the phases of a connection, the only place where a connection ends, and the inputs of a
//! driver. A session remembers the peer's end, output that the transport did not take, and
//! deadlines that have passed. Leaves the answer to the driver's one question to `next`, messages
//! from other threads to `deliver`, the reports of a layer below to `layer`, the work inside the
//! phases to `http` and `websocket`, and reading, writing and closing to the drivers.

use std::time::Instant;

use super::caller::Caller;
use super::contract::{Need, PeerEnd, Ready, Sent};
use super::http::Http;
use super::peer::KeptPeer;
use super::progress::{Ending, Progress, Steps};
use super::rare::{Overdue, Rare};
use super::websocket::WebSocket;
use super::{Context, Peer};
use crate::proto::http1::Scheme;
use crate::proto::{CloseReason, Outbox, RemoteError};

/// One connection, independent of its driver.
///
/// ```text
///  Securing ── secured ──▶ Http ── upgrade ──▶ WebSocket
///     │                      │                     │
///     └──── end (reason) ────┴─────────────────────┴──▶ Over
///                                                        │ written, lingered or aborted
///                                                        ▼
///                                                    Next::Close
/// ```
///
/// # How to drive a session
///
/// A driver owns a transport, an [`Outbox`], the input that the session has not used yet, and a
/// clock. It gives all of them to the session by reference, and keeps nothing else about the
/// connection.
///
/// 1. Make the session with [`Session::new`] when the connection is accepted. If a layer below must
///    agree on TLS with the peer first, make it with [`Session::securing`].
/// 2. Ask [`next`](Self::next), do what it says, report the result, and ask again, until it says
///    [`Wait`](super::Next::Wait) or [`Close`](super::Next::Close).
///    - After [`Read`](super::Next::Read), report the bytes with [`received`](Self::received), or
///      the peer's end with [`peer_ended`](Self::peer_ended).
///    - After [`Write`](super::Next::Write), report with [`wrote`](Self::wrote) how much the
///      transport took.
///    - After [`EndSending`](super::Next::EndSending), there is nothing to report.
///    - If a layer below has something to say instead, report it with [`secured`](Self::secured) or
///      [`layer_failed`](Self::layer_failed). Report bytes that the layer has used for itself with
///      [`layer_read`](Self::layer_read), after a `received` without input.
/// 3. `received` returns how many bytes the session has used. Keep the unused input, and put it in
///    front of the next input. After every report and every delivery, give the unused input to
///    [`resume`](Self::resume) until `resume` uses nothing. The unused input may have waited only
///    for an answer, or for room in the output.
/// 4. While the session waits, call it for each of these events, and then go on with step 2:
///    - When the transport is ready, call [`may_read`](Self::may_read) or
///      [`may_write`](Self::may_write).
///    - When another thread has posted something, call [`deliver`](Self::deliver).
///    - At the [`deadline`](Self::deadline), call [`timed_out`](Self::timed_out).
/// 5. To shut the server down, call [`shut_down`](Self::shut_down) and go on with step 2.
/// 6. At [`Close`](super::Next::Close), or when the transport fails, close the transport and call
///    [`close`](Self::close), which is the last call.
///
/// [`driver::drive`](crate::driver::drive) holds this loop, for every transport.
///
/// This driver has two byte buffers instead of a socket:
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Instant, SystemTime};
/// use pushlab::proto::{Now, Outbox};
/// use pushlab::session::{Address, Command, Context, Io, Need, Next, PeerEnd, Post, Ready};
/// use pushlab::session::{RemoteSource, Session, Surroundings};
/// use pushlab::{Reply, Request, Response, Settings, Stats};
///
/// /// A real driver delivers what other threads post. Here, no other thread has a handle.
/// struct NoPosts;
/// impl Post for NoPosts {
///     fn post(&self, _: Address, _: Command) {}
/// }
/// impl RemoteSource for NoPosts {
///     fn post(&self) -> Arc<dyn Post> {
///         Arc::new(NoPosts)
///     }
///     fn slot(&self) -> u32 {
///         0
///     }
///     fn issue_serial(&self) -> u64 {
///         1
///     }
/// }
///
/// let (settings, stats) = (Settings::default(), Stats::default());
/// let now = Now::new(Instant::now(), SystemTime::now());
/// let app = |request: &Request<'_>, reply: Reply<'_>| reply.send(Response::text(format!("you asked for {}\n", request.path())));
/// let cx = Context { app: &app, surroundings: Surroundings { now: &now, settings: &settings, stats: &stats, remote: &NoPosts } };
///
/// let mut from_peer = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
/// let (mut to_peer, mut input, mut out) = (Vec::new(), Vec::new(), Outbox::new());
/// let mut session = Session::new(std::net::SocketAddr::from(([127, 0, 0, 1], 4711)), &cx);
/// session.may_read();
/// let reason = loop {
///     match session.next(Io::NON_BLOCKING, &mut out, &cx) {
///         Next::Read(_) if from_peer.is_empty() => session.peer_ended(PeerEnd::Read),
///         Next::Read(most) => {
///             input.extend(from_peer.drain(..most.min(from_peer.len())));
///             let used = session.received(&mut input, Ready::Perhaps, &mut out, &cx);
///             input.drain(..used);
///         }
///         Next::Write => {
///             to_peer.extend(out.chunks().flatten());
///             let len = out.len();
///             out.advance(len);
///             session.wrote(len, Ready::Perhaps, Need::Nothing, &mut out, &cx);
///         }
///         Next::EndSending(_) => {}
///         Next::Wait(_) => unreachable!("this peer sends everything at once"),
///         Next::Close(reason) => break reason,
///     }
/// };
/// session.close(reason, &cx);
/// assert!(to_peer.starts_with(b"HTTP/1.1 200 OK\r\n") && to_peer.ends_with(b"you asked for /x\n"));
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/x"]);
/// ```
pub struct Session {
    pub(super) phase: Phase,
    peer: KeptPeer,
    pub(super) rare: Rare,
    pub(super) peer_end: Option<PeerEnd>,
    /// Bytes of input that the driver keeps, because the session has not used them.
    pub(super) unused: u32,
    /// The unused input waits for an answer, or for room in the output.
    pub(super) is_paused: bool,
    /// The transport may have input that was not read.
    pub(super) unread: bool,
    /// The transport may take output.
    pub(super) writable: bool,
}

pub(super) enum Phase {
    /// A layer below agrees on TLS with the peer, until this time at most.
    Securing(Instant),
    Http(Http),
    WebSocket(WebSocket),
    Over(Over),
    Closed(CloseReason),
}

/// A session that is over, and whose last output is still being sent.
pub(super) struct Over {
    pub(super) ending: Ending,
    pub(super) reason: CloseReason,
    /// When lingering ends; `None` until this side has ended sending.
    pub(super) until: Option<Instant>,
    /// What the peer was sent before the session was over.
    pub(super) sent: Sent,
}

impl Session {
    /// A connection that was just accepted.
    pub fn new(peer: impl Into<Peer>, cx: &Context<'_>) -> Self {
        Self::begin(Phase::Http(Http::new(Scheme::Http, cx)), peer.into(), cx)
    }

    pub(super) fn begin(phase: Phase, peer: Peer, cx: &Context<'_>) -> Self {
        cx.stats.accepted.add(1);
        cx.stats.open.add(1);
        Self { phase, peer: peer.into(), rare: Rare::default(), peer_end: None, unused: 0, is_paused: false, unread: false, writable: true }
    }

    /// A non-blocking transport reports that it may have input.
    #[inline]
    pub const fn may_read(&mut self) {
        self.unread = true;
    }

    /// A non-blocking transport reports that it may take output.
    #[inline]
    pub const fn may_write(&mut self) {
        self.writable = true;
    }

    /// Takes the result of a read. `input` is the unused input with the fresh bytes behind it. If
    /// the transport had no input, it is the unused input alone. `ready` says whether the transport
    /// may have more.
    ///
    /// Returns how many bytes the session has used. The driver gives the others again, at the front
    /// of the next input or to [`resume`](Self::resume).
    ///
    /// The session uses nothing if the client has sent more than the server can answer now: while a
    /// request is being answered, or while the output is full.
    #[inline(always)]
    pub fn received(&mut self, input: &mut [u8], ready: Ready, out: &mut Outbox, cx: &Context<'_>) -> usize {
        self.received_within(&mut Steps::unlimited(), input, ready, out, cx)
    }

    /// As [`received`](Self::received), with at most `steps` of work. The session uses no further
    /// input when no steps are left.
    #[inline(always)]
    pub(crate) fn received_within(
        &mut self,
        steps: &mut Steps,
        input: &mut [u8],
        ready: Ready,
        out: &mut Outbox,
        cx: &Context<'_>,
    ) -> usize {
        let fresh = input.len() - self.unused as usize;
        // If the system has reported the peer's end, reading goes on until a read finds the end.
        self.unread = ready == Ready::Perhaps || fresh > 0 && self.peer_end.is_some();
        if let Some(overdue) = self.rare.overdue_mut() {
            overdue.bytes = overdue.bytes.saturating_add(fresh as u32);
        }
        self.work(steps, input, out, cx)
    }

    /// Takes the unused input again, if it waited for an answer or for room in the output. Returns
    /// how many bytes the session has used. The driver calls this after every report and every
    /// delivery, until the session uses nothing.
    #[inline(always)]
    pub fn resume(&mut self, input: &mut [u8], out: &mut Outbox, cx: &Context<'_>) -> usize {
        self.resume_within(&mut Steps::unlimited(), input, out, cx)
    }

    /// As [`resume`](Self::resume), with at most `steps` of work.
    #[inline(always)]
    pub(crate) fn resume_within(&mut self, steps: &mut Steps, input: &mut [u8], out: &mut Outbox, cx: &Context<'_>) -> usize {
        if self.is_paused { self.work(steps, input, out, cx) } else { 0 }
    }

    fn work(&mut self, steps: &mut Steps, input: &mut [u8], out: &mut Outbox, cx: &Context<'_>) -> usize {
        let mut used = 0;
        let mut is_paused = false;
        // Asked for once, and not for each request: 20 instructions.
        let known = if let Phase::Http(_) = self.phase { cx.remote.known_fields() } else { None };
        while used < input.len() && !is_paused {
            let (step, progress) = match &mut self.phase {
                // Input is discarded here even if the output is full. It will never be used, and
                // keeping it would cost memory.
                Phase::Over(over) => {
                    if over.ending == Ending::Flush && self.peer_end != Some(PeerEnd::Read) {
                        over.ending = Ending::Linger;
                    }
                    (input.len() - used, Progress::Wait)
                }
                Phase::Securing(_) | Phase::Closed(_) => (input.len() - used, Progress::Wait),
                _ if out.len() >= cx.settings.limits.output_bytes || steps.is_used_up() => {
                    is_paused = true;
                    break;
                }
                Phase::Http(http) => {
                    steps.take(0);
                    let caller = Caller { peer: &self.peer, tls: self.rare.tls() };
                    http.step(known, &input[used..], caller, out, cx)
                }
                Phase::WebSocket(websocket) => websocket.step(steps, &mut input[used..], out, cx),
            };
            used += step;
            match progress {
                // The driver retires the handles of this exchange before the next one begins.
                Progress::More => is_paused = self.has_ended_handle(),
                Progress::Wait => {
                    is_paused = self.is_answering();
                    break;
                }
                other => self.advance(other, out, cx),
            }
        }
        self.is_paused = is_paused;
        self.unused = (input.len() - used) as u32;
        used
    }

    /// The peer has ended its sending side.
    pub const fn peer_ended(&mut self, end: PeerEnd) {
        match (self.peer_end, end) {
            (Some(PeerEnd::Read), PeerEnd::Reported) => {}
            (_, PeerEnd::Read) => {
                self.peer_end = Some(PeerEnd::Read);
                self.unread = false;
            }
            (_, PeerEnd::Reported | PeerEnd::Failed) => {
                self.peer_end = Some(end);
                self.unread = true;
            }
        }
    }

    /// Takes the result of a write. The transport has taken this number of bytes, and they have
    /// left `out`. `ready` says whether the transport may take more, and `need` what it needs now.
    ///
    /// If a non-blocking transport takes nothing for the whole
    /// [write time-out](crate::Limits::write_timeout), the session ends the connection. A blocking
    /// transport has a write time-out of its own.
    #[inline(always)]
    pub fn wrote(&mut self, bytes: usize, ready: Ready, need: Need, out: &mut Outbox, cx: &Context<'_>) {
        if bytes > 0 && self.rare.stalled_until().is_some() {
            self.note_taken(out.is_empty() && need != Need::Write);
        }
        self.writable = ready == Ready::Perhaps;
        if !self.writable {
            let now = cx.now.instant();
            if *self.rare.facts().stalled_until.get_or_insert_with(|| now + cx.settings.limits.write_timeout) <= now {
                return self.abort(CloseReason::WriteStalled, cx);
            }
        }
        if out.is_empty() && need != Need::Write {
            self.written(out, cx);
        }
    }

    /// The transport has taken all output.
    #[inline(always)]
    fn written(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        // Between requests, no messages and no source wait for room.
        let waits_for_room = match &self.phase {
            Phase::Http(http) => http.is_answering(),
            Phase::WebSocket(websocket) => websocket.waits_for_room(),
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => false,
        };
        if waits_for_room {
            self.written_while_pushing(out, cx);
        }
    }

    fn written_while_pushing(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.drained(out, cx),
            Phase::WebSocket(websocket) => websocket.drained(out, cx),
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => return,
        };
        self.advance(progress, out, cx);
    }

    /// Acts on a [`deadline`](Self::deadline) that has passed. A call before the deadline does
    /// nothing.
    ///
    /// Some deadlines end a peer that has sent or read nothing in time. This call does not yet end
    /// such a peer. The driver itself may have been delayed, and input that waits in the transport
    /// has arrived in time. So [`next`](Self::next) asks for one more read or write. If that moves
    /// no bytes, the session ends the connection.
    pub fn timed_out(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        let now = cx.now.instant();
        if self.is_stalled(now) {
            if self.is_telling_slow() {
                return self.abort(CloseReason::SlowConsumer, cx);
            }
            self.writable = true;
        }
        if self.is_overdue(out, now) {
            if self.rare.overdue().is_none() {
                self.rare.facts().overdue = Some(Overdue { bytes: 0, is_read: false });
                self.unread = self.peer_end != Some(PeerEnd::Read);
            }
        } else if self.phase_deadline().is_some_and(|deadline| deadline <= now) {
            self.handle_timeout(out, cx);
        }
    }

    pub(super) fn handle_timeout(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        let output_waits = self.output_waits(out);
        let progress = match &mut self.phase {
            Phase::Securing(_) => {
                let error = RemoteError::TlsHandshakeTimeout;
                cx.stats.count_broken(error);
                Progress::End(Ending::Abort, CloseReason::Remote(error))
            }
            Phase::Http(http) => http.handle_timeout(out, cx),
            Phase::WebSocket(websocket) => websocket.handle_timeout(output_waits, out, cx),
            Phase::Over(over) => {
                // Only lingering has a deadline of its own. The write time-out bounds a flush.
                if over.ending == Ending::Linger && over.until.is_some_and(|until| until <= cx.now.instant()) {
                    over.ending = Ending::Abort;
                }
                return;
            }
            Phase::Closed(_) => return,
        };
        self.advance(progress, out, cx);
    }

    #[inline(always)]
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_) | Phase::Closed(_))
    }

    #[inline(always)]
    pub(super) const fn is_answering(&self) -> bool {
        matches!(&self.phase, Phase::Http(http) if http.is_answering())
    }

    /// Whether an exchange that had given out a handle has ended since the last call.
    #[inline]
    const fn has_ended_handle(&mut self) -> bool {
        if let Phase::Http(http) = &mut self.phase { http.take_ended_handle() } else { false }
    }

    /// Whether the server owes the peer something that is not in the output yet: the answer to a
    /// request that has begun to arrive, the end of a stream, or a closing handshake.
    pub fn is_owing(&self) -> bool {
        match &self.phase {
            Phase::Http(http) => !http.is_idle(),
            Phase::WebSocket(_) => true,
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => false,
        }
    }

    /// Whether a request is held. The one thing that the session then waits for, beside its
    /// deadline and the peer's end, is one command with the answer.
    #[inline]
    pub const fn is_holding(&self) -> bool {
        matches!(&self.phase, Phase::Http(http) if http.is_holding())
    }

    /// The serial of the current hold, stream or WebSocket, if it has given out a handle. A driver
    /// can drop what was posted to any other serial.
    pub fn serial(&self) -> Option<u64> {
        match &self.phase {
            Phase::Http(http) => http.serial(),
            Phase::WebSocket(websocket) => websocket.serial(),
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => None,
        }
    }

    /// How the connection ends, once the session is over.
    pub const fn ending(&self) -> Option<Ending> {
        match &self.phase {
            Phase::Over(over) => Some(over.ending),
            Phase::Closed(_) => Some(Ending::Abort),
            Phase::Securing(_) | Phase::Http(_) | Phase::WebSocket(_) => None,
        }
    }

    #[inline]
    pub(super) fn advance(&mut self, progress: Progress, out: &mut Outbox, cx: &Context<'_>) {
        if !matches!(progress, Progress::More | Progress::Wait) {
            self.change_phase(progress, out, cx);
        }
    }

    fn change_phase(&mut self, progress: Progress, out: &mut Outbox, cx: &Context<'_>) {
        match progress {
            Progress::More | Progress::Wait => {}
            Progress::End(ending, reason) => self.end(ending, reason, cx),
            Progress::Upgrade(upgraded) => {
                let mut websocket = WebSocket::new(*upgraded, cx);
                let progress = websocket.open(out, cx);
                self.phase = Phase::WebSocket(websocket);
                self.advance(progress, out, cx);
            }
        }
    }

    pub(super) fn end(&mut self, ending: Ending, reason: CloseReason, cx: &Context<'_>) {
        if self.is_over() {
            return;
        }
        log::debug!("{}: {reason}", self.peer.get());
        match reason {
            CloseReason::SlowConsumer => cx.stats.slow_disconnects.add(1),
            CloseReason::WriteStalled => cx.stats.write_stalls.add(1),
            _ => {}
        }
        let sent = self.sent();
        match std::mem::replace(&mut self.phase, Phase::Over(Over { ending, reason, until: None, sent })) {
            Phase::Http(mut http) => http.drop_exchange(cx),
            Phase::WebSocket(websocket) => websocket.close(reason, cx),
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => {}
        }
        self.bound_last_word(cx);
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// A table of connections has one for each.
    #[test]
    fn a_session_is_small() {
        assert!(size_of::<WebSocket>() <= 96, "{}", size_of::<WebSocket>());
        assert!(size_of::<Session>() <= 128, "{}", size_of::<Session>());
    }
}
