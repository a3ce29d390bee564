//! What a layer between the session and the system reports, such as TLS.
//!
//! Owns the beginning of HTTP behind the layer, the end of a connection whose layer has failed, and
//! whether a layer may tell its peer of an orderly end.
//! Leaves TLS itself to the layer.

use std::time::Duration;

use super::caller::TlsInfo;
use super::contract::{PeerEnd, Sent};
use super::http::Http;
use super::progress::{Ending, Progress};
use super::session::{Phase, Session};
use super::{Context, Limits, Peer};
use crate::proto::http1::Scheme;
use crate::proto::{CloseReason, Outbox, RemoteError};

impl Session {
    /// As [`new`](Self::new), for a connection that speaks HTTP only after a layer below has agreed
    /// on TLS with the peer. The session ends the connection if this takes longer than `timeout`.
    pub fn securing(peer: impl Into<Peer>, timeout: Duration, cx: &Context<'_>) -> Self {
        let timeout = timeout.min(Limits::TIMEOUT_MAX);
        Self::begin(Phase::Securing(cx.now.instant() + timeout), peer.into(), cx)
    }

    /// The layer below has agreed on TLS with the peer. HTTP begins.
    pub fn secured(&mut self, tls: Box<TlsInfo>, cx: &Context<'_>) {
        if let Phase::Securing(_) = self.phase {
            cx.stats.tls_handshakes.add(1);
            self.rare.facts().tls = Some(tls);
            self.phase = Phase::Http(Http::new(Scheme::Https, cx));
        }
    }

    /// The layer below has used this number of bytes for itself. They count as input of a peer that
    /// is late. If the system has reported the peer's end, reading goes on until a read finds the
    /// end.
    pub fn layer_read(&mut self, bytes: usize) {
        if let Some(overdue) = self.rare.overdue_mut() {
            overdue.bytes = overdue.bytes.saturating_add(bytes as u32);
        }
        if let Some(PeerEnd::Reported | PeerEnd::Failed) = self.peer_end {
            self.unread = true;
        }
    }

    /// The layer below has found that the peer broke a rule. The layer takes no input for the
    /// session any more.
    ///
    /// After [`PlainHttp`](RemoteError::PlainHttp), the layer lets the session answer without TLS.
    /// After [`TlsTruncated`](RemoteError::TlsTruncated), the peer has ended the connection; this
    /// is an error only in the middle of a request, because browsers do the same with idle
    /// connections. After any other error, the layer sends what it has to say, and discards the
    /// session's output.
    pub fn layer_failed(&mut self, error: RemoteError, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match (&mut self.phase, error) {
            (Phase::Over(_) | Phase::Closed(_), _) => return self.abort(CloseReason::Transport, cx),
            (Phase::Securing(_), RemoteError::PlainHttp) => {
                let mut http = Http::new(Scheme::Http, cx);
                let progress = http.fail(error, out, cx);
                self.phase = Phase::Http(http);
                progress
            }
            (Phase::WebSocket(_), RemoteError::TlsTruncated) => Progress::End(Ending::Abort, CloseReason::Peer(1006)),
            (Phase::Http(http), RemoteError::TlsTruncated) if http.is_idle() || http.is_answering() => {
                Progress::End(Ending::Abort, CloseReason::Transport)
            }
            (_, RemoteError::TlsTruncated) => {
                cx.stats.count_broken(error);
                Progress::End(Ending::Abort, CloseReason::Remote(error))
            }
            _ => {
                cx.stats.count_broken(error);
                Progress::End(Ending::Linger, CloseReason::Remote(error))
            }
        };
        self.advance(progress, out, cx);
    }

    /// Whether the peer has been sent the whole of what has begun, or has only to take it.
    pub const fn sent(&self) -> Sent {
        match &self.phase {
            Phase::Http(http) if http.is_mid_response() => Sent::Part,
            Phase::Over(over) => over.sent,
            Phase::Securing(_) | Phase::Http(_) | Phase::WebSocket(_) | Phase::Closed(_) => Sent::Whole,
        }
    }
}
