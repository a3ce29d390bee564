//! The second thread of a connection, which carries out posted commands and writes.
//!
//! Owns waiting for mail, how many commands go into one write, and the deadlines that came nearer
//! while the reader was in a read. Leaves reading to `reader`, and the session to `connection`.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::time::Duration;

use super::connection::{Connection, ThreadShare};
use crate::driver::clock::Clock;
use crate::driver::drive::{Done, Rest, Side, Transport, drive};
use crate::driver::mailbox::Mail;
use crate::proto::Outbox;
use crate::session::{Io, Need, Next, Ready};

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
        let io = Io { reads: connection.reads_for_reader(&mut state, &clock), ..Io::BLOCKING };
        let mut writer = Writer { share: ThreadShare::new(connection, io, Some(state)), clock: &clock };
        deadline = match drive(&mut writer, &mut WriteOnly(connection)) {
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

struct Writer<'a> {
    share: ThreadShare<'a>,
    clock: &'a Clock,
}

impl Side for Writer<'_> {
    fn step(&mut self, done: Done, need: Need) -> Option<Next> {
        Some(self.share.step(done, &mut [], need, self.clock, |_, _| ()))
    }

    /// Any room will do: [`WriteOnly`] reads nothing.
    fn room(&mut self, _: usize) -> &mut [u8] {
        &mut []
    }

    fn output(&mut self) -> &mut Outbox {
        &mut self.share.lent
    }
}

/// The socket, for the thread that does not read.
struct WriteOnly<'a>(&'a Connection);

impl Transport for WriteOnly<'_> {
    fn read(&mut self, _: &mut [u8], _: Option<Duration>) -> io::Result<(usize, Ready)> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        self.0.write(out)
    }

    fn end_sending(&mut self) -> io::Result<()> {
        self.0.socket.shutdown(Shutdown::Write)
    }
}
