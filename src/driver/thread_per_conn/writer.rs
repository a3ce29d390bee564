//! The second thread of a connection, which carries out posted commands and writes.
//!
//! Owns waiting for mail, how many commands go into one write, and the deadlines that came nearer
//! while the reader was in a read. Leaves reading to `reader`, and the session to `connection`.

use super::connection::{Connection, ThreadShare, WriteOnly, WriteSide};
use crate::driver::clock::Clock;
use crate::driver::drive::{Rest, drive};
use crate::driver::mailbox::Mail;
use crate::session::{Io, Mode};

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
            let has_room = connection.deliver(&mut state, serial, command, &clock);
            next = if has_room { connection.mailbox.try_take() } else { None };
        }
        let reads = if state.is_known_late() { connection.reads_for_reader(&mut state, &clock) } else { Mode::Never };
        let io = Io { reads, ..Io::BLOCKING };
        let mut writer = WriteSide { share: ThreadShare::new(connection, io, Some(state)), clock: &clock };
        deadline = match drive(&mut writer, &mut WriteOnly(connection, Mode::Waiting)) {
            Rest::Wait(until) => {
                let late = writer.share.lock().late_deadline(&clock);
                until.into_iter().chain(late).min()
            }
            Rest::Close(reason) => {
                drop(writer);
                connection.fail(reason, &clock);
                // From now on, this thread waits until the reader closes the mailbox.
                None
            }
            Rest::Again => None,
        };
    }
}
