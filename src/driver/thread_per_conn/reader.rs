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

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, InputLeft, State, is_timeout};
use super::writer;
use crate::driver::OVERDUE_BYTES_MAX;
use crate::driver::clock::Clock;
use crate::proto::CloseReason;

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
        clock: Clock::new(),
        buffer: vec![0; QUIET_BYTES],
        short_reads: 0,
        time_out: None,
        timed_out: false,
        asked_for_writer: false,
        overdue_bytes: 0,
    };
    let reason = reader.serve(connection);
    connection.close(reason, &reader.clock);
}

struct Reader {
    clock: Clock,
    buffer: Vec<u8>,
    short_reads: u32,
    /// The socket's read time-out.
    time_out: Option<Duration>,
    /// Whether the last read ended because of the time-out.
    timed_out: bool,
    /// Whether the writer has been started or refused.
    asked_for_writer: bool,
    /// Bytes read since the deadline that ends the peer has passed.
    overdue_bytes: u32,
}

impl Reader {
    fn serve(&mut self, connection: &Arc<Connection>) -> CloseReason {
        let mut state = connection.lock();
        loop {
            if let Some(reason) = state.failed {
                return reason;
            }
            let mut most = state.session.deadline().map(|deadline| self.clock.until(deadline));
            let mut fresh = 0;
            let wanted = connection.wanted_bytes(&state, &self.clock);
            if wanted > 0 {
                connection.unwatch(&mut state);
                state.is_reading = true;
                drop(state);
                let read = self.read(connection, wanted, most);
                state = connection.lock();
                state.is_reading = false;
                match read {
                    // A socket that this side has shut down reads as the end of file, too.
                    Ok(Some(0)) => match connection.own_end() {
                        Some(reason) => return reason,
                        None => state.eof = true,
                    },
                    Ok(len) => fresh = len.unwrap_or_default(),
                    Err(reason) => return connection.own_end().unwrap_or(reason),
                }
            } else if connection.has_left(&state, &self.clock) {
                state.eof = true;
            } else {
                if !state.eof && state.is_overdue(self.clock.now().instant()) {
                    // Nothing is read because output waits. The write time-out decides about this
                    // peer.
                    most = None;
                }
                connection.watch(&mut state, &self.clock);
                state = connection.wait_for_change(state, most);
            }
            state.read_was_full = fresh > 0 && fresh == wanted.min(self.buffer.len());
            self.clock.read();
            let input_left = self.input_left(&state, wanted, fresh);
            state = connection.digest(state, &mut self.buffer[..fresh], input_left, &self.clock);
            self.fit_buffer(fresh, connection.shared.config.receive_buffer_bytes);
            if !self.asked_for_writer && connection.mailbox.has_handles() && state.failed.is_none() {
                // A refusal takes the lock itself, and starting a thread takes long.
                drop(state);
                self.start_writer(connection);
                state = connection.lock();
            }
        }
    }

    /// Reads once, `wanted` bytes at most. Returns the number of bytes, 0 at the end of file, or
    /// `None` if nothing came before the time-out.
    fn read(&mut self, connection: &Connection, wanted: usize, most: Option<Duration>) -> Result<Option<usize>, CloseReason> {
        self.set_time_out(connection, most).map_err(|_| CloseReason::Transport)?;
        let wanted = wanted.min(self.buffer.len());
        loop {
            match (&*connection.socket).read(&mut self.buffer[..wanted]) {
                Ok(len) => {
                    connection.shared.stats.bytes_in.add(len as u64);
                    return Ok(Some(len));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    self.timed_out = true;
                    return Ok(None);
                }
                Err(_) => return Err(CloseReason::Transport),
            }
        }
    }

    /// What the last read tells about more input. Past [`OVERDUE_BYTES_MAX`], all input that had
    /// arrived at the deadline has been read, so a peer that sends without a pause cannot avoid the
    /// deadline.
    fn input_left(&mut self, state: &State, wanted: usize, fresh: usize) -> InputLeft {
        let is_overdue = state.is_overdue(self.clock.now().instant());
        self.overdue_bytes = if is_overdue { self.overdue_bytes.saturating_add(fresh as u32) } else { 0 };
        let has_been_read = state.eof || wanted > 0 && !state.read_was_full;
        if has_been_read || self.overdue_bytes >= OVERDUE_BYTES_MAX { InputLeft::Nothing } else { InputLeft::Some }
    }

    /// Sets the read time-out. This costs a system call, so a time-out that is too short stays
    /// until it has ended one read too early.
    fn set_time_out(&mut self, connection: &Connection, wanted: Option<Duration>) -> std::io::Result<()> {
        let timed_out = std::mem::take(&mut self.timed_out);
        let wakes_in_time = match (self.time_out, wanted) {
            (Some(set), Some(wanted)) => is_in_time(set, wanted) && !timed_out,
            (Some(_), None) => !timed_out,
            (None, wanted) => wanted.is_none(),
        };
        if !wakes_in_time {
            self.time_out = wanted.map(time_out_for);
            connection.socket.set_read_timeout(self.time_out)?;
        }
        Ok(())
    }

    /// Fits the buffer to the input: a full read makes it larger, for bulk data, and a row of short
    /// reads makes it small again.
    fn fit_buffer(&mut self, len: usize, most: usize) {
        if len == self.buffer.len() && len < most {
            self.buffer = vec![0; (len * 4).min(most)];
        }
        self.short_reads = if len <= QUIET_BYTES && self.buffer.len() > QUIET_BYTES { self.short_reads + 1 } else { 0 };
        if self.short_reads == SHORT_READS {
            self.buffer = vec![0; QUIET_BYTES];
        }
    }

    /// Starts the writer, because the connection has given out its first handle.
    fn start_writer(&mut self, connection: &Arc<Connection>) {
        self.asked_for_writer = true;
        let shared = &connection.shared;
        let started = shared.permits.take().and_then(|permit| {
            let connection = Arc::clone(connection);
            shared.spawn(permit, move || writer::run(&connection)).ok()
        });
        if started.is_none() {
            if let Some(count) = shared.stats.thread_refusals.add_and_report() {
                log::warn!(
                    "a held request, stream or WebSocket was refused, because it needs a second thread and there is none; `max_threads` \
                     is {} (refusal {count})",
                    shared.config.max_threads
                );
            }
            connection.refuse(&self.clock);
        }
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
