//! The second thread of a connection that can be pushed to.
//!
//! Owns waiting for mail and for the session's deadline. Refuses to read.

use std::sync::Arc;

use super::connection::Connection;
use super::mailbox::{Mail, Mailbox};
use crate::driver::clock::Clock;
use crate::session::{Command, Session};

/// Writes for a connection until it is over.
pub(super) fn run(connection: &Arc<Connection>, mailbox: &Arc<Mailbox>) {
    let mut clock = Clock::new();
    loop {
        let sleeps_until = {
            let mut state = connection.lock();
            state.writer_sleeps_until = state.session.deadline();
            state.writer_sleeps_until
        };
        let first = match mailbox.wait(sleeps_until) {
            Mail::Closed => return,
            Mail::Look => None,
            Mail::Command(serial, command) => Some((serial, command)),
        };
        clock.read();
        work(connection, mailbox, first, &clock);
    }
}

/// Applies what has come, and writes all of it at once.
fn work(connection: &Arc<Connection>, mailbox: &Arc<Mailbox>, first: Option<(u64, Command)>, clock: &Clock) {
    let mut state = connection.lock();
    if state.failed.is_some() {
        return;
    }
    let limit = connection.shared.config.settings.limits.output_bytes;
    let mut next = first;
    while let Some((serial, command)) = next {
        let mut written_len = 0;
        connection.with_session(&mut state, clock, |session, out, cx| {
            session.apply(serial, command, out, cx);
            written_len = out.len();
        });
        // A full output is written before more is taken: what waits is bounded in the mailbox.
        next = if written_len < limit { mailbox.try_take() } else { None };
    }
    if state.session.deadline().is_some_and(|deadline| deadline <= clock.now().instant()) {
        connection.with_session(&mut state, clock, Session::handle_timeout);
    }
    // A released request may have others waiting behind it.
    let state = connection.digest(state, &mut [], clock);
    drop(state);
    connection.announce_change();
}
