//! The second thread of a connection, which carries out posted commands and writes.
//!
//! Owns waiting for mail, and how many commands go into one write. Leaves reading to `reader`, and
//! the session to `connection`.

use super::connection::{Connection, InputLeft};
use crate::driver::clock::Clock;
use crate::driver::mailbox::Mail;

/// Carries out commands and writes, until the connection is over.
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
        // One write sends all commands that have come. If the output is full, it is written first,
        // so that further messages stay in the mailbox, which is bounded.
        while let Some((serial, command)) = next {
            let has_room = connection.apply(&mut state, serial, command, &clock);
            next = if has_room { connection.mailbox.try_take() } else { None };
        }
        // After a held request was answered, pipelined requests may be waiting in the input.
        let state = connection.digest(state, &mut [], InputLeft::Unknown, &clock);
        // A failed connection has no deadline. The thread then waits until the mailbox is closed.
        deadline = state.writer_deadline(&clock);
    }
}
