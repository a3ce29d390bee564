//! The answer to a driver's one question: what to do next.
//!
//! Owns the order in which a session asks for reads and writes, and the decisions that follow from
//! what was read: the end of the peer's input, and a peer that is late. Leaves the inputs to
//! `session`.

use super::contract::{Io, Mode, Need, Next, PeerEnd};
use super::progress::{Ending, Progress};
use super::rare::Overdue;
use super::session::{Over, Phase, Session};
use super::{Context, HalfClose};
use crate::proto::{CloseReason, Outbox};

/// How many bytes the session reads from a peer that goes on sending after its deadline. Then the
/// session ends the peer. The number is larger than what the system buffers for a socket (Linux:
/// `tcp_rmem`, 6 MiB at most by default). So everything that had arrived at the deadline is read.
const OVERDUE_BYTES_MAX: u32 = 8 * 1024 * 1024;

impl Session {
    /// What to do next.
    ///
    /// [`Next::Write`] comes before [`Next::Read`], so that output does not pile up. While output
    /// is [lent](Outbox::lend) to another thread, the session does not ask for a write.
    #[inline(always)]
    pub fn next(&mut self, io: Io, out: &mut Outbox, cx: &Context<'_>) -> Next {
        self.rare.set_need(io.need);
        if self.is_special()
            && let Some(next) = self.next_if_special(io, out, cx)
        {
            return next;
        }
        if self.can_write(io, out) {
            return Next::Write;
        }
        // Without this check, a session that has read everything would compute what it wants to
        // read.
        if self.unread || io.reads != Mode::AtOnce {
            let mut wanted = self.wanted_bytes(out.len(), cx);
            if io.need == Need::Read {
                wanted = wanted.max(1);
            }
            if wanted > 0 && self.can_read(io) {
                return Next::Read(wanted);
            }
        }
        Next::Wait(self.deadline())
    }

    /// Whether [`next`](Self::next) has more to look at than input and output.
    #[inline(always)]
    fn is_special(&self) -> bool {
        self.peer_end.is_some() || self.rare.overdue().is_some() || self.is_over()
    }

    #[cold]
    fn next_if_special(&mut self, io: Io, out: &mut Outbox, cx: &Context<'_>) -> Option<Next> {
        self.notice_peer_end(out, cx);
        self.notice_overdue(out, cx);
        let (has_ended, output_waits) = (self.peer_end == Some(PeerEnd::Read), self.output_waits(out));
        let over = match &mut self.phase {
            Phase::Securing(_) | Phase::Http(_) | Phase::WebSocket(_) => return None,
            Phase::Closed(reason) => return Some(Next::Close(*reason)),
            Phase::Over(over) => over,
        };
        if over.ending == Ending::Abort {
            return Some(Next::Close(over.reason));
        }
        let is_sending_ended = over.until.is_some();
        if !is_sending_ended && output_waits {
            return None;
        }
        if over.ending == Ending::Flush {
            if has_ended || !self.unread {
                note_told(over, cx);
                return Some(Next::Close(over.reason));
            }
            if io.reads == Mode::AtOnce {
                // Closing with unread input would reset the connection and could destroy the last
                // answer. This read shows whether there is any.
                return Some(Next::Read(usize::MAX));
            }
            over.ending = Ending::Linger;
        }
        if over.until.is_none() {
            note_told(over, cx);
            over.until = Some(cx.now.instant() + cx.settings.limits.close_timeout);
            return Some(Next::EndSending(over.sent));
        }
        // A layer may have to write its own end of sending.
        if self.can_write(io, out) {
            return Some(Next::Write);
        }
        Some(if self.can_read(io) { Next::Read(usize::MAX) } else { Next::Wait(self.deadline()) })
    }

    /// Acts on the peer's end, after the session has worked on all input before it. With
    /// [`HalfClose::Waits`], the session looks at the end again after each answer.
    fn notice_peer_end(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        if self.peer_end.is_some_and(|end| end != PeerEnd::Read) && self.awaits_peer_end(out, cx) {
            // The rest of the input stays unread. A peer that had sent less would be dropped now,
            // so this one is dropped, too.
            self.peer_end = Some(PeerEnd::Read);
        }
        if self.peer_end != Some(PeerEnd::Read) {
            return;
        }
        let (is_full, is_answering) = (out.len() >= cx.settings.limits.output_bytes, self.is_answering());
        let progress = match &mut self.phase {
            // Input that waits only for room in the output, or for the next turn of its connection,
            // is worked on before the peer's end.
            Phase::Http(_) | Phase::WebSocket(_) if self.unused > 0 && (is_full || self.is_paused && !is_answering) => return,
            Phase::Http(http) => http.handle_eof(out, cx),
            Phase::Securing(_) => Progress::End(Ending::Abort, CloseReason::Transport),
            Phase::WebSocket(_) => Progress::End(Ending::Abort, CloseReason::Peer(1006)),
            // An abort stays an abort: the peer may have ended its side and still not read.
            Phase::Over(over) => {
                if over.ending == Ending::Linger {
                    over.ending = Ending::Flush;
                }
                return;
            }
            Phase::Closed(_) => return,
        };
        match progress {
            // The peer has ended its side, so no input can come for which to linger.
            Progress::End(Ending::Linger, reason) => self.end(Ending::Flush, reason, cx),
            other => self.advance(other, out, cx),
        }
    }

    /// Whether the driver should watch for the peer's end, because no read will find it. This is so
    /// while a request is being answered, and the client has sent as much further input as the
    /// session keeps. A driver that sees the end only by a read then watches the socket in another
    /// way, and reports [`PeerEnd::Reported`].
    pub fn awaits_peer_end(&self, out: &Outbox, cx: &Context<'_>) -> bool {
        self.is_answering()
            && cx.settings.half_close == HalfClose::Leaves
            && !out.is_lent()
            && out.len() < cx.settings.limits.output_bytes
            && self.wanted_bytes(out.len(), cx) == 0
    }

    /// Ends a peer whose deadline has passed, once its transport was read to the end.
    fn notice_overdue(&mut self, out: &mut Outbox, cx: &Context<'_>) {
        let Some(Overdue { bytes, is_read }) = self.rare.overdue() else { return };
        if !self.is_overdue(out, cx.now.instant()) {
            self.rare.calm(|rare| rare.overdue = None);
            return;
        }
        let wanted = self.wanted_bytes(out.len(), cx);
        // If the session does not read because output waits, the write time-out decides about this
        // peer.
        let has_been_read = self.peer_end == Some(PeerEnd::Read) || wanted > 0 && is_read && !self.unread;
        if has_been_read || bytes >= OVERDUE_BYTES_MAX {
            self.rare.calm(|rare| rare.overdue = None);
            self.handle_timeout(out, cx);
        }
    }

    #[inline(always)]
    fn can_write(&self, io: Io, out: &Outbox) -> bool {
        let has_output = !out.is_empty() || io.need == Need::Write;
        let can_write = match io.writes {
            Mode::Never => false,
            Mode::AtOnce => self.writable,
            Mode::Waiting => true,
        };
        has_output && can_write && !out.is_lent() && io.need != Need::Read
    }

    #[inline(always)]
    fn can_read(&mut self, io: Io) -> bool {
        let can_read = match io.reads {
            Mode::Never => false,
            Mode::AtOnce => self.unread,
            Mode::Waiting => self.peer_end != Some(PeerEnd::Read),
        };
        if can_read && let Some(overdue) = self.rare.overdue_mut() {
            overdue.is_read = true;
        }
        can_read
    }

    /// How many bytes of `room` to read at once, so that the read ends between two messages. Then
    /// they need no assembly.
    #[inline(always)]
    pub(crate) fn fit_read(&self, room: usize) -> usize {
        if let Phase::WebSocket(websocket) = &self.phase { websocket.reader().fit_read(room) } else { room }
    }

    /// The size of the last message of more than 125 bytes on the wire, if it was large. Otherwise
    /// 0.
    #[inline(always)]
    pub(crate) fn large_message_bytes(&self) -> usize {
        if let Phase::WebSocket(websocket) = &self.phase { websocket.reader().large_frame_bytes() } else { 0 }
    }

    /// How many bytes of input to read at most, while `out_len` bytes of output are unsent. The
    /// session sets no limit for a chunked body and for a WebSocket: the driver's buffer is the
    /// limit.
    #[inline(always)]
    fn wanted_bytes(&self, out_len: usize, cx: &Context<'_>) -> usize {
        let limits = &cx.settings.limits;
        let unused = self.unused as usize;
        match &self.phase {
            // Reading goes on while an answer is awaited, within a bound, because only a read shows
            // that the client has left.
            Phase::Http(http) if http.is_answering() => limits.protocol.pipeline_bytes.saturating_sub(unused),
            Phase::Http(_) | Phase::WebSocket(_) if out_len >= limits.output_bytes => 0,
            Phase::Http(http) => http.wanted_bytes(&limits.protocol).saturating_sub(unused),
            Phase::Over(Over { ending: Ending::Abort, .. }) | Phase::Closed(_) => 0,
            // Input is read before the close, too. The system answers input that arrives after the
            // close with a reset.
            Phase::Securing(_) | Phase::WebSocket(_) | Phase::Over(_) => usize::MAX,
        }
    }
}

/// The transport has taken all output of a session that is over.
fn note_told(over: &Over, cx: &Context<'_>) {
    if over.reason == CloseReason::SlowConsumer && over.until.is_none() {
        cx.stats.slow_told.add(1);
    }
}
