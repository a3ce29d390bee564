//! The watch over a connection from which no thread reads.
//!
//! Owns when such a socket is watched, and what the server's thread tells the connection: its peer has
//! ended, or input has come. Leaves the registration to `watched`, waiting to `reader`, and the sleep
//! of the server's thread to the module above.
//!
//! A reader does not read while its client has pipelined more than the server takes, and while a
//! request is held and the reader itself waits for the answer. The second case is as frequent as
//! requests are, so a watch costs two system calls and no descriptor.

use mio::Token;

use super::connection::{ReaderWaits, SharedConnection, State};
use super::watched::Watched;
use crate::driver::clock::CachedClock;
use crate::session::PeerEnd;

impl SharedConnection {
    /// Makes the server's thread watch the socket, because the reader does not read and will wait.
    /// Returns `false` if the system has no room for this.
    pub(super) fn watch(&self, state: &mut State) -> bool {
        if state.watched.is_none() {
            let token = Token(self.mailbox.slot() as usize);
            state.watched = Watched::begin(&self.socket, &self.shared.registry, token).ok();
        }
        state.watched.is_some()
    }

    /// As [`watch`](Self::watch), if only the watch can find the peer's end. If the system has no
    /// room for it, the next write shows the end.
    pub(super) fn watch_for_end(&self, state: &mut State, clock: &CachedClock) {
        if self.awaits_peer_end(state, clock) {
            self.watch(state);
        }
    }

    /// Ends the watch, because the reader reads again. Otherwise, input would wake the server's
    /// thread.
    pub(super) fn unwatch(&self, state: &mut State) {
        if let Some(watched) = state.watched.take() {
            watched.end(&self.shared.registry);
        }
    }

    /// Tells the session what the system has reported. Returns `false` if a thread holds the lock,
    /// because the server's thread must not wait for the lock.
    ///
    /// A report may be late: the reader may have read since. So a reader that holds a request reads
    /// without waiting.
    pub(super) fn try_report(&self, report: Report, clock: &CachedClock) -> bool {
        let Some(mut state) = self.try_lock() else { return false };
        match report {
            Report::End => state.driven.session.peer_ended(PeerEnd::Reported),
            // A client that has pipelined as much as the server takes is not read from.
            Report::Input if state.reader_waits != ReaderWaits::ForMail || self.awaits_peer_end(&mut state, clock) => return true,
            Report::Input => state.driven.session.may_read(),
        }
        self.wake_reader(&state);
        true
    }

    fn awaits_peer_end(&self, state: &mut State, clock: &CachedClock) -> bool {
        self.call(state, clock, |driven, out, cx| driven.session.awaits_peer_end(out, cx))
    }
}

/// What the system reports of a socket that is watched.
#[derive(Clone, Copy)]
pub(super) enum Report {
    /// The peer has ended its sending side, or the connection is broken.
    End,
    /// There is input.
    Input,
}

impl From<&mio::event::Event> for Report {
    fn from(event: &mio::event::Event) -> Self {
        if event.is_read_closed() || event.is_error() { Self::End } else { Self::Input }
    }
}
