//! The first thread of a connection, which reads.
//!
//! Owns the receive buffer, the read time-out, what the reader waits for, and the start of the
//! writer. Leaves the session, writing and the deadlines to `connection`.
//!
//! ```text
//!             ┌──────────────────────── answered ────────────────────────┐
//!             ▼                                                          │
//!   read ─▶ session ─── a request is held ──▶ watch, wait for mail ──▶ session
//!             │                                   ▲    │ input, or the peer's end
//!             │ a pusher was given out            │    ▼
//!             ▼                                   └─ read without waiting ──▶ over
//!   read, and start a writer
//! ```
//!
//! A thread that is not reading cannot see the peer's end. So the server's thread watches the socket
//! while a request is held, and while a client waits for an answer and has pipelined more than the
//! server takes meanwhile. The reader also does not read while it writes. So the write
//! time-out ends a client that first sends more than the system buffers and only then reads its
//! last answer; the event loop would go on reading.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{SharedConnection, State, ThreadShare};
use super::writer;
use crate::driver::clock::CachedClock;
use crate::driver::drive::{Done, Driven, Input, Rest, Side, Transport};
use crate::driver::read_time_out::ReadTimeOut;
use crate::driver::write::{is_timeout, write};
use crate::proto::Outbox;
use crate::session::{Context, Mode, Need, Next, Ready, Sent};

/// The size of a quiet connection's receive buffer: the head of a browser's request, or an Ethernet
/// segment. Together with the three pages of stack that a thread touches, a quiet connection stays
/// below 16 KiB.
const QUIET_BYTES: usize = 1_536;
/// After so many short reads in a row, the buffer shrinks to [`QUIET_BYTES`].
const SHORT_READS: u32 = 4;

/// The patience of a read while a request is held. The answer must not wait for input.
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

/// Serves a connection until it is over.
pub(super) fn run(connection: &Arc<SharedConnection>, has_last_permit: bool) {
    let mut reader = ReadSide {
        connection,
        share: ThreadShare::of_reader(connection),
        clock: CachedClock::new(),
        buffer: vec![0; QUIET_BYTES],
        room_bytes: 0,
        short_reads: 0,
        patience: None,
        has_last_permit,
        admitted: 0,
    };
    let mut socket = ReaderSocket { connection, time_out: ReadTimeOut::default() };
    let reason = loop {
        match connection.drive(&mut reader, &mut socket) {
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
struct ReadSide<'a> {
    connection: &'a Arc<SharedConnection>,
    share: ThreadShare<'a>,
    clock: CachedClock,
    buffer: Vec<u8>,
    /// The size of the room of the last read.
    room_bytes: usize,
    short_reads: u32,
    /// How long the next read may wait.
    patience: Option<Duration>,
    /// Whether this thread was the last one that the server may have. While no other thread is free, it
    /// holds no request.
    has_last_permit: bool,
    /// The serial of the last held request that may take this thread.
    admitted: u64,
}

impl Side for ReadSide<'_> {
    #[inline(always)]
    fn step(&mut self, mut done: Done, need: impl Fn() -> Need) -> Option<Next> {
        loop {
            let done = std::mem::replace(&mut done, Done::Nothing);
            let has_written = matches!(done, Done::Wrote(..));
            let read = if let Done::Read(Input::Bytes(len, ready) | Input::Nothing(len, ready)) = done { Some((len, ready)) } else { None };
            // After a write, the time of the read before it is exact enough.
            if !has_written {
                self.clock.read();
            }
            let Self { connection, share, clock, buffer, patience, .. } = self;
            let (takes_mail, mut needs_writer) = (share.takes_mail, false);
            let report = |driven: &mut Driven, out: &mut Outbox, cx: &Context<'_>| driven.report(done, buffer, out, cx);
            // What the handlers post while they work on this input is joined.
            let put_off = read.is_some().then(|| connection.shared.wakes.put_off());
            let next = share.step(has_written, &need, clock, report, |next, state| {
                let is_holding = takes_mail && state.is_holding();
                if is_holding {
                    *patience = AT_ONCE;
                } else if let Next::Read(_) = next {
                    *patience = state.driven.session.read_deadline().map(|deadline| clock.until(deadline));
                }
                needs_writer = takes_mail && state.has_handles() && !is_holding;
            });
            drop(put_off);
            if let Some((len, ready)) = read {
                self.fit_buffer(len, ready);
            }
            // The first output is written first, because starting a thread takes long.
            if !needs_writer || !matches!(next, Next::Read(_) | Next::Wait(_)) {
                return Some(next);
            }
            self.start_writer();
        }
    }

    fn room(&mut self, most: usize) -> &mut [u8] {
        self.room_bytes = most.min(self.buffer.len());
        &mut self.buffer[..self.room_bytes]
    }

    fn patience(&self) -> Option<Duration> {
        self.patience
    }

    fn output(&mut self) -> &mut Outbox {
        &mut self.share.lent
    }
}

impl ReadSide<'_> {
    /// Nothing is to be read or written by this thread. Waits until that changes.
    fn wait(&mut self) {
        self.clock.read();
        let mut state = self.share.lock();
        if self.share.takes_mail && state.is_holding() {
            if self.has_last_permit && !self.may_hold(&state) {
                drop(state);
                return self.refuse();
            }
            if self.connection.watch(&mut state) {
                let state = self.connection.wait_for_mail(state, &mut self.clock);
                return self.share.keep(state);
            }
            drop(state);
            // The reader has to read to find the peer's end.
            return self.start_writer();
        }
        self.connection.watch_for_end(&mut state, &self.clock);
        let most = state.driven.session.deadline().map(|deadline| self.clock.until(deadline));
        self.connection.wait_for_change(state, most);
    }

    /// Fits the buffer to the input: a full read makes it larger, for bulk data, and a row of short
    /// reads makes it small again.
    fn fit_buffer(&mut self, len: usize, ready: Ready) {
        let most = self.connection.shared.config.receive_buffer_bytes;
        if is_too_small(self.buffer.len(), self.room_bytes, ready) && self.buffer.len() < most {
            self.buffer = vec![0; (self.buffer.len() * 4).min(most)];
        }
        self.short_reads = if len <= QUIET_BYTES && self.buffer.len() > QUIET_BYTES { self.short_reads + 1 } else { 0 };
        if self.short_reads == SHORT_READS {
            self.buffer = vec![0; QUIET_BYTES];
        }
    }

    /// Starts the writer, because the connection has given out a handle for which the reader cannot
    /// wait.
    fn start_writer(&mut self) {
        self.share.takes_mail = false;
        // Starting a thread takes long, and a refusal takes the lock itself.
        drop(self.share.lock());
        let shared = &self.connection.shared;
        let started = shared.permits.take().and_then(|permit| {
            let connection = Arc::clone(self.connection);
            shared.spawn(permit, move || writer::run(&connection)).ok()
        });
        if started.is_none() {
            self.refuse();
        }
    }

    /// Whether the request that is held may take this thread. Held requests leave one thread for others,
    /// because another request may bring their answers.
    #[cold]
    fn may_hold(&mut self, state: &State) -> bool {
        let serial = state.driven.session.serial().unwrap_or_default();
        let is_new = std::mem::replace(&mut self.admitted, serial) != serial;
        !is_new || !self.connection.shared.permits.are_all_taken()
    }

    fn refuse(&self) {
        let shared = &self.connection.shared;
        if let Some(count) = shared.stats.thread_refusals.add_and_report() {
            log::warn!(
                "a held request, stream or WebSocket was refused, because all `max_threads` ({}) are taken (refusal {count})",
                shared.config.max_threads
            );
        }
        self.connection.refuse(&self.clock);
    }
}

/// Whether a read has filled a buffer of `size` bytes, of which it was given `room`. The number of
/// bytes of input does not tell: with TLS, it is smaller than that of the records. If the session
/// gave less room than the buffer has, a larger buffer helps nothing.
fn is_too_small(size: usize, room: usize, ready: Ready) -> bool {
    ready == Ready::Perhaps && room == size
}

/// The socket of a connection, for its reader.
struct ReaderSocket<'a> {
    connection: &'a SharedConnection,
    time_out: ReadTimeOut,
}

impl Transport for ReaderSocket<'_> {
    fn read(&mut self, room: &mut [u8], patience: Option<Duration>) -> io::Result<Input> {
        if patience == AT_ONCE {
            return self.read_at_once(room);
        }
        self.time_out.fit(patience, |time_out| self.connection.socket.set_read_timeout(time_out))?;
        match self.read_once(room) {
            Err(error) if is_timeout(&error) => {
                self.time_out.has_ended();
                Err(ErrorKind::WouldBlock.into())
            }
            read => read,
        }
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        write(&self.connection.socket, out, Mode::Waiting)
    }

    fn end_sending(&mut self, _: Sent) -> io::Result<()> {
        self.connection.socket.shutdown(Shutdown::Write)
    }
}

impl ReaderSocket<'_> {
    #[inline(always)]
    fn read_once(&self, room: &mut [u8]) -> io::Result<Input> {
        match (&*self.connection.socket).read(room) {
            // A socket that this side has shut down reads as the end of file, too.
            Ok(0) if self.connection.own_end().is_some() => Err(ErrorKind::ConnectionAborted.into()),
            Ok(0) => Ok(Input::End),
            Ok(len) => Ok(Input::Bytes(len, if len == room.len() { Ready::Perhaps } else { Ready::No })),
            Err(error) => Err(error),
        }
    }

    /// The input or the end that was reported may have been read before. The caller has the lock, so
    /// that no other thread changes the mode of the socket, or writes while it does not wait.
    #[cold]
    fn read_at_once(&self, room: &mut [u8]) -> io::Result<Input> {
        self.connection.socket.set_nonblocking(true)?;
        let read = self.read_once(room);
        self.connection.socket.set_nonblocking(false)?;
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_read_that_fills_the_whole_buffer_makes_it_larger() {
        assert!(is_too_small(1_536, 1_536, Ready::Perhaps));
        assert!(!is_too_small(1_536, 1_536, Ready::No), "a short read");
        assert!(!is_too_small(1_536, 800, Ready::Perhaps), "the session wants no more");
    }
}
