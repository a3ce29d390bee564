//! The second thread of a connection, which carries out posted commands and writes.
//!
//! Owns waiting for mail, how many commands go into one write, and the deadlines that came nearer
//! while the reader was in a read. Leaves reading to `reader`, and the session to `connection`.

use super::connection::{SharedConnection, ThreadShare, WriteOnly, WriteSide};
use crate::driver::clock::CachedClock;
use crate::driver::drive::Rest;
use crate::driver::mailbox::Mail;
use crate::session::{Io, Mode};

/// Carries out commands and writes, until the connection is over.
pub(super) fn run(connection: &SharedConnection) {
    let mut writer = WriteSide { share: ThreadShare::new(connection, Io::BLOCKING), clock: CachedClock::new(), mail: Mail::Nothing };
    let mut deadline = None;
    loop {
        writer.mail = connection.mailbox.wait(deadline);
        if let Mail::Closed = writer.mail {
            return;
        }
        writer.clock.read();
        let mut state = connection.lock();
        let is_late = state.is_known_late();
        let reads = if is_late { connection.reads_for_reader(&mut state, &writer.clock) } else { Mode::Never };
        writer.share.io.reads = reads;
        writer.share.keep(state);
        deadline = match connection.drive(&mut writer, &mut WriteOnly(connection, Mode::Waiting)) {
            Rest::Wait(until) => {
                let late = writer.share.lock().late_deadline(&writer.clock);
                until.into_iter().chain(late).min()
            }
            Rest::Close(reason) => {
                writer.share.release();
                connection.fail(reason, &writer.clock);
                // From now on, this thread waits until the reader closes the mailbox.
                None
            }
            Rest::Again => None,
        };
    }
}
