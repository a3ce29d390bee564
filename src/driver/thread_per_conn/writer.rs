//! The second thread of a connection that can be pushed to.
//!
//! Owns waiting for mail. Refuses to read.

use super::connection::{Connection, InputLeft};
use crate::driver::clock::Clock;
use crate::driver::mailbox::Mail;

/// Writes for a connection until it is over.
pub(super) fn run(connection: &Connection) {
    let mut clock = Clock::new();
    let mut deadline = None;
    loop {
        let mut next = match connection.mailbox.wait(deadline) {
            Mail::Closed => return,
            Mail::Nothing => None,
            Mail::Command(serial, command) => Some((serial, command)),
        };
        clock.read();
        let mut state = connection.lock();
        // Everything that has come is written at once. A full output is written first: what waits is bounded in the mailbox.
        while let Some((serial, command)) = next {
            let has_room = connection.apply(&mut state, serial, command, &clock);
            next = if has_room { connection.mailbox.try_take() } else { None };
        }
        // A released request may have others waiting behind it.
        let state = connection.digest(state, &mut [], InputLeft::Unknown, &clock);
        // Once the connection has failed there is only the mailbox's end to wait for.
        deadline = state.writer_deadline(&clock);
    }
}
