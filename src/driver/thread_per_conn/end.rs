//! How one blocking connection ends.
//!
//! Owns the steps of a shutdown, the end of a reader that is too slow, the refusal when no thread
//! is left, the cut, and which thread finds the true reason. Leaves the connection while it lives
//! to `connection`.

use std::net::Shutdown;
use std::sync::atomic::Ordering::SeqCst;

use super::connection::{Guard, SharedConnection, State, ThreadShare, WriteOnly, WriteSide};
use crate::driver::clock::CachedClock;
use crate::driver::drive::{Driven, Rest};
use crate::driver::mailbox::Mail;
use crate::driver::tls::TlsLayer;
use crate::proto::CloseReason;
use crate::session::{Delivery, Ending, Io, Mode, Sent};

impl SharedConnection {
    /// Called by the server's thread during a shutdown. The first call begins the connection's
    /// shutdown, and each call acts on its deadline. Does nothing if a thread holds the lock: a
    /// peer that does not read must not delay the others.
    pub(super) fn try_shut_down(&self, clock: &CachedClock) {
        let Some(mut state) = self.try_lock() else { return };
        if !std::mem::replace(&mut state.shutdown_begun, true) {
            self.end_session(&mut state, clock);
        }
        self.help(state, clock);
    }

    /// Called by the server's thread until it returns `true`, after the mailbox has overflowed. The
    /// connection's own threads may wait in system calls. The first call that gets the lock begins
    /// the end, and sets `has_begun`; each call acts on the deadline. Returns whether the end needs
    /// no further calls.
    pub(super) fn try_end_slow(&self, has_begun: &mut bool, clock: &CachedClock) -> bool {
        let Some(mut state) = self.try_lock() else { return false };
        if !*has_begun {
            let serial = state.driven.session.serial();
            let Some(serial) = serial.filter(|_| self.mailbox.has_overflowed()) else {
                // The stream has ended meanwhile, or another connection has this slot.
                return true;
            };
            *has_begun = true;
            self.call(&mut state, clock, |driven, out, cx| driven.deliver(serial, Delivery::Refused, out, cx));
        }
        self.call(&mut state, clock, Driven::keep_time);
        match state.driven.session.ending() {
            None => true,
            Some(Ending::Abort) => {
                drop(state);
                self.fail(CloseReason::SlowConsumer, clock);
                true
            }
            Some(Ending::Flush | Ending::Linger) => {
                self.help(state, clock);
                false
            }
        }
    }

    /// Drives a connection whose threads may wait.
    fn help<'a>(&'a self, mut state: Guard<'a>, clock: &CachedClock) {
        // While output is lent, the thread that writes it goes on with the rest.
        if state.out.is_lent() {
            return;
        }
        let reads = self.reads_for_reader(&mut state, clock);
        state.driven.session.may_write();
        // The lock is kept while the socket is non-blocking, except in the write. So no other
        // thread begins a write that ends early. A read that ends early is started again.
        let _ = self.socket.set_nonblocking(true);
        let io = Io { reads, ..Io::NON_BLOCKING };
        let mut helper = WriteSide { share: ThreadShare::new(self, io), clock: clock.clone(), mail: Mail::Nothing };
        helper.share.keep(state);
        let rest = self.drive(&mut helper, &mut WriteOnly(self, Mode::AtOnce));
        let _ = self.socket.set_nonblocking(false);
        drop(helper);
        if let Rest::Close(reason) = rest {
            self.fail(reason, clock);
        }
    }

    /// No thread is available to write for this connection. The connection ends as in a shutdown,
    /// and its client is told to come back.
    pub(super) fn refuse(&self, clock: &CachedClock) {
        let come_back_ms = self.shared.config.come_back_ms(self.mailbox.slot());
        self.call(&mut self.lock(), clock, |driven, out, cx| driven.session.refuse(come_back_ms, out, cx));
    }

    fn end_session(&self, state: &mut State, clock: &CachedClock) {
        let come_back_ms = self.shared.config.come_back_ms(self.mailbox.slot());
        self.call(state, clock, |driven, out, cx| driven.session.shut_down(come_back_ms, out, cx));
    }

    /// Cuts the connection when the grace time is over. The server's thread repeats the call until
    /// the connection is gone, because a thread of the connection may be about to wait.
    pub(super) fn cut_off(&self) {
        // The flag is set before the socket is shut down. So a thread whose call fails finds the
        // true reason.
        self.is_cut_off.store(true, SeqCst);
        self.cut();
        self.changed.notify_all();
        self.mailbox.nudge();
    }

    /// Why the socket ended, if this side ended it.
    pub(super) fn own_end(&self) -> Option<CloseReason> {
        self.is_cut_off.load(SeqCst).then_some(CloseReason::Shutdown)
    }

    /// A thread that does not read has found the end of the connection. The reader closes it.
    pub(super) fn fail(&self, reason: CloseReason, clock: &CachedClock) {
        let reason = self.own_end().unwrap_or(reason);
        let mut state = self.lock();
        if reason != CloseReason::Shutdown {
            self.call(&mut state, clock, |driven, _, cx| driven.session.abort(reason, cx));
        }
        self.close_tls(&state);
        self.cut();
        self.wake_reader(&state);
    }

    /// Ends the sending side of TLS, if the peer has the whole. The socket is cut next.
    fn close_tls(&self, state: &State) {
        if let Some(tls) = &self.tls
            && state.out.is_empty()
            && !state.out.is_lent()
            && state.driven.session.sent() == Sent::Whole
        {
            let _ = self.socket.set_nonblocking(true);
            tls.close(&mut WriteOnly(self, Mode::AtOnce));
        }
    }

    /// Ends the connection. The reader calls this last.
    pub(super) fn close(&self, reason: CloseReason, clock: &CachedClock) {
        let mut state = self.lock();
        let has_unsent = !state.out.is_empty() || self.tls.as_ref().is_some_and(TlsLayer::has_unsent);
        if reason == CloseReason::Shutdown && (state.driven.session.is_owing() || has_unsent) {
            self.shared.stats.cut.add(1);
        }
        self.close_tls(&state);
        self.call(&mut state, clock, |driven, _, cx| driven.session.close(reason, cx));
        self.unwatch(&mut state);
        drop(state);
        self.mailbox.close();
        self.cut();
        self.shared.connections().remove(self.mailbox.slot() as usize);
    }

    /// Shuts the socket down, so that both threads return from the system calls in which they wait.
    fn cut(&self) {
        // An error means that the peer ended the connection first.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
