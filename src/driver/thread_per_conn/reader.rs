//! The first thread of a connection, which reads.
//!
//! Owns the receive buffer, the read time-out, and the start of the writer. Leaves the session,
//! writing and the deadlines to `connection`.
//!
//! A thread that is not reading cannot see the peer's end. While a client waits for an answer and
//! has pipelined more than the server takes meanwhile, the reader does not read; then the accepting
//! thread watches for the peer's end. The reader also does not read while it writes. So the write
//! time-out ends a client that first sends more than the system buffers and only then reads its
//! last answer; the event loop would go on reading.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, ThreadShare, is_timeout};
use super::writer;
use crate::driver::clock::Clock;
use crate::driver::drive::{Done, Rest, Side, Transport, drive};
use crate::proto::Outbox;
use crate::session::{Io, Need, Next, Ready};

/// The size of a quiet connection's receive buffer: the head of a browser's request, or an Ethernet
/// segment. Together with the three pages of stack that a thread touches, a quiet connection stays
/// below 16 KiB.
const QUIET_BYTES: usize = 1_536;
/// After so many short reads in a row, the buffer shrinks to [`QUIET_BYTES`].
const SHORT_READS: u32 = 4;

/// How late a read time-out may end, for a deadline of any distance.
const LATE_MAX: Duration = Duration::from_millis(50);

/// Whether a read with the time-out `set` returns in time for `wanted`. Linux keeps socket
/// time-outs in a wheel whose slots become wider with the distance. So a long time-out ends late by
/// up to an eighth (`kernel/time/timer.c`), such as 2 s for 25 s.
fn is_in_time(set: Duration, wanted: Duration) -> bool {
    set + set / 8 <= wanted + LATE_MAX
}

/// The time-out to set for a deadline in `wanted`. For a far deadline it is shorter, and the reader
/// sets it again for the rest. This also saves system calls where each read brings the deadline
/// nearer, as with the next ping of a busy WebSocket.
fn time_out_for(wanted: Duration) -> Duration {
    if wanted / 4 <= LATE_MAX { wanted } else { wanted / 4 * 3 }
}

/// Serves a connection until it is over.
pub(super) fn run(connection: &Arc<Connection>) {
    let mut reader = Reader {
        connection,
        share: ThreadShare::new(connection, Io::BLOCKING, None),
        clock: Clock::new(),
        buffer: vec![0; QUIET_BYTES],
        short_reads: 0,
        patience: None,
        has_writer: false,
    };
    let mut socket = Socket { connection, time_out: None, timed_out: false };
    let reason = loop {
        match drive(&mut reader, &mut socket) {
            Rest::Close(reason) => break reason,
            Rest::Wait(_) | Rest::Again => reader.wait(),
        }
        if let Some(reason) = connection.own_end() {
            break reason;
        }
    };
    drop(reader.share);
    connection.close(connection.own_end().unwrap_or(reason), &reader.clock);
}

/// The reader's side of a connection.
struct Reader<'a> {
    connection: &'a Arc<Connection>,
    share: ThreadShare<'a>,
    clock: Clock,
    buffer: Vec<u8>,
    short_reads: u32,
    /// How long the next read may wait.
    patience: Option<Duration>,
    /// Whether the writer has been started or refused.
    has_writer: bool,
}

impl Side for Reader<'_> {
    fn step(&mut self, done: Done, need: Need) -> Option<Next> {
        // After a write, the time of the read before it is exact enough.
        if !matches!(done, Done::Wrote(..)) {
            self.clock.read();
        }
        let Self { share, clock, buffer, patience, .. } = self;
        let mut has_handles = false;
        let next = share.step(done, buffer, need, clock, |_, state| {
            *patience = state.driven.session.read_deadline().map(|deadline| clock.until(deadline));
            has_handles = state.has_handles();
        });
        if let Done::Read(len, _) = done {
            self.fit_buffer(len);
        }
        // The first output is written first, because starting a thread takes long.
        if has_handles && !self.has_writer && matches!(next, Next::Read(_) | Next::Wait(_)) {
            self.start_writer();
            return self.step(Done::Nothing, need);
        }
        Some(next)
    }

    fn room(&mut self, most: usize) -> &mut [u8] {
        let len = most.min(self.buffer.len());
        &mut self.buffer[..len]
    }

    fn patience(&self) -> Option<Duration> {
        self.patience
    }

    fn output(&mut self) -> &mut Outbox {
        &mut self.share.lent
    }
}

impl Reader<'_> {
    /// Nothing is to be read or written by this thread. Waits until that changes.
    fn wait(&mut self) {
        self.clock.read();
        let mut state = self.share.lock();
        self.connection.watch(&mut state, &self.clock);
        let most = state.driven.session.deadline().map(|deadline| self.clock.until(deadline));
        self.connection.wait_for_change(state, most);
    }

    /// Fits the buffer to the input: a full read makes it larger, for bulk data, and a row of short
    /// reads makes it small again.
    fn fit_buffer(&mut self, len: usize) {
        let most = self.connection.shared.config.receive_buffer_bytes;
        if len == self.buffer.len() && len < most {
            self.buffer = vec![0; (len * 4).min(most)];
        }
        self.short_reads = if len <= QUIET_BYTES && self.buffer.len() > QUIET_BYTES { self.short_reads + 1 } else { 0 };
        if self.short_reads == SHORT_READS {
            self.buffer = vec![0; QUIET_BYTES];
        }
    }

    /// Starts the writer, because the connection has given out its first handle.
    fn start_writer(&mut self) {
        self.has_writer = true;
        // Starting a thread takes long, and a refusal takes the lock itself.
        drop(self.share.lock());
        let shared = &self.connection.shared;
        let started = shared.permits.take().and_then(|permit| {
            let connection = Arc::clone(self.connection);
            shared.spawn(permit, move || writer::run(&connection)).ok()
        });
        if started.is_none() {
            if let Some(count) = shared.stats.thread_refusals.add_and_report() {
                log::warn!(
                    "a held request, stream or WebSocket was refused, because it needs a second thread and all `max_threads` ({}) are \
                     taken (refusal {count})",
                    shared.config.max_threads
                );
            }
            self.connection.refuse(&self.clock);
        }
    }
}

/// The socket of a connection, for its reader.
struct Socket<'a> {
    connection: &'a Connection,
    /// The socket's read time-out.
    time_out: Option<Duration>,
    /// Whether the last read ended because of the time-out.
    timed_out: bool,
}

impl Transport for Socket<'_> {
    fn read(&mut self, room: &mut [u8], patience: Option<Duration>) -> io::Result<(usize, Ready)> {
        self.set_time_out(patience)?;
        match (&*self.connection.socket).read(room) {
            // A socket that this side has shut down reads as the end of file, too.
            Ok(0) if self.connection.own_end().is_some() => Err(ErrorKind::ConnectionAborted.into()),
            Ok(len) => Ok((len, if len == room.len() { Ready::Perhaps } else { Ready::No })),
            Err(error) if is_timeout(&error) => {
                self.timed_out = true;
                Err(ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        self.connection.write(out)
    }

    fn end_sending(&mut self) -> io::Result<()> {
        self.connection.socket.shutdown(Shutdown::Write)
    }
}

impl Socket<'_> {
    /// Sets the read time-out. This costs a system call, so a time-out that is too short stays
    /// until it has ended one read too early.
    fn set_time_out(&mut self, wanted: Option<Duration>) -> io::Result<()> {
        let timed_out = std::mem::take(&mut self.timed_out);
        let wakes_in_time = match (self.time_out, wanted) {
            (Some(set), Some(wanted)) => is_in_time(set, wanted) && !timed_out,
            (Some(_), None) => !timed_out,
            (None, wanted) => wanted.is_none(),
        };
        if !wakes_in_time {
            self.time_out = wanted.map(time_out_for);
            self.connection.socket.set_read_timeout(self.time_out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads with time-outs that end as late as the system allows, until the deadline. Returns how
    /// late the deadline is met, and how many reads it took.
    fn sleep_until(wanted: Duration) -> (Duration, usize) {
        let (mut left, mut reads) = (wanted, 0);
        loop {
            let set = time_out_for(left);
            assert!(is_in_time(set, left), "{left:?}");
            reads += 1;
            let slept = set + set / 8;
            match left.checked_sub(slept) {
                Some(rest) if !rest.is_zero() => left = rest,
                _ => return (slept.saturating_sub(left), reads),
            }
        }
    }

    #[test]
    fn deadlines_are_met_whatever_the_system_adds() {
        for ms in [1, 5, 50, 200, 201, 399, 400, 1_000, 2_100, 25_000, 75_000, 365 * 86_400_000] {
            let (late, reads) = sleep_until(Duration::from_millis(ms));
            assert!(late <= LATE_MAX, "{ms} ms: late by {late:?}");
            assert!(reads <= 20, "{ms} ms: {reads} reads");
        }
        assert!(!is_in_time(Duration::from_millis(2_300), Duration::from_millis(2_100)));
        assert!(is_in_time(time_out_for(Duration::MAX / 2), Duration::MAX / 2));
    }

    /// With a message each millisecond, the time-out is set far less often than messages come.
    #[test]
    fn a_deadline_that_comes_nearer() {
        let (mut set, mut count) = (Duration::MAX / 2, 0);
        for left in (1..=25_000).rev().map(Duration::from_millis) {
            if !is_in_time(set, left) {
                set = time_out_for(left);
                count += 1;
            }
        }
        assert!(count <= 50, "{count} system calls");
    }
}
