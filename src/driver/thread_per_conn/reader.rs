//! The first thread of a connection.
//!
//! Owns reading, and the time as long as there is no writer. Refuses to wait for anything but the socket and room for output.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Connection, is_timeout};
use super::{Permit, writer};
use crate::driver::clock::Clock;
use crate::proto::CloseReason;
use crate::session::Session;

/// Bytes of a connection's receive buffer while it is quiet: the greater part of a quiet connection's memory.
const QUIET_BYTES: usize = 4 * 1024;
/// So many short reads in a row, and the buffer becomes a quiet one again.
const SHORT_READS: u32 = 16;

/// Serves a connection until it is over.
pub(super) fn run(connection: &Arc<Connection>) {
    let mut reader = Reader { clock: Clock::new(), buffer: vec![0; QUIET_BYTES], short_reads: 0, time_out: None, writer: None };
    let reason = reader.serve(connection);
    connection.close(reason, &reader.clock);
    if let Some(writer) = reader.writer
        && writer.join().is_err()
    {
        log::error!("a connection's writer panicked");
    }
}

struct Reader {
    clock: Clock,
    buffer: Vec<u8>,
    short_reads: u32,
    /// The socket's read time-out. Setting it costs a system call, so that it is left as it is while it does not sleep too long.
    time_out: Option<Duration>,
    writer: Option<thread::JoinHandle<()>>,
}

enum Got {
    Bytes(usize),
    Eof,
    Timeout,
}

impl Reader {
    fn serve(&mut self, connection: &Arc<Connection>) -> CloseReason {
        let mut deadline = connection.lock().session.deadline();
        loop {
            let got = match self.read(connection, deadline) {
                Ok(got) => got,
                Err(reason) => return reason,
            };
            self.clock.read();
            let mut state = connection.lock();
            let fresh = if let Got::Bytes(len) = got { len } else { 0 };
            match got {
                Got::Eof => connection.with_session(&mut state, &self.clock, Session::handle_eof),
                Got::Timeout if self.writer.is_none() => {
                    connection.with_session(&mut state, &self.clock, Session::handle_timeout);
                }
                Got::Bytes(_) | Got::Timeout => {}
            }
            state = connection.digest(state, &mut self.buffer[..fresh], &self.clock);
            self.fit_buffer(fresh, connection.shared.config.receive_buffer_bytes);
            if connection.mailbox().is_some() && self.writer.is_none() && state.failed.is_none() {
                drop(state);
                self.start_writer(connection);
                state = connection.lock();
            }
            state = connection.wait_until_readable(state, &self.clock);
            if let Some(reason) = state.failed {
                return reason;
            }
            if matches!(got, Got::Eof) {
                return CloseReason::Peer(1005);
            }
            deadline = state.session.deadline();
            if self.writer.is_some() {
                let sleeps_too_long = match (deadline, state.writer_sleeps_until) {
                    (Some(deadline), Some(until)) => deadline < until,
                    (deadline, until) => deadline.is_some() && until.is_none(),
                };
                if sleeps_too_long && let Some(mailbox) = connection.mailbox() {
                    mailbox.stir();
                }
                // The writer keeps the time.
                deadline = None;
            }
        }
    }

    fn read(&mut self, connection: &Connection, deadline: Option<Instant>) -> Result<Got, CloseReason> {
        loop {
            if let Err(error) = self.set_time_out(connection, deadline) {
                log::debug!("cannot set a read time-out: {error}");
                return Err(CloseReason::Transport);
            }
            match (&connection.socket).read(&mut self.buffer) {
                Ok(0) => return Ok(Got::Eof),
                Ok(len) => {
                    connection.shared.stats.bytes_in.add(len as u64);
                    return Ok(Got::Bytes(len));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Ok(Got::Timeout),
                Err(_) => return Err(CloseReason::Transport),
            }
        }
    }

    /// A buffer that was filled becomes larger, for bulk; one that is hardly used becomes a quiet one again.
    fn fit_buffer(&mut self, len: usize, most: usize) {
        if len == self.buffer.len() && len < most {
            self.buffer = vec![0; (len * 4).min(most)];
        }
        self.short_reads = if len <= QUIET_BYTES && self.buffer.len() > QUIET_BYTES { self.short_reads + 1 } else { 0 };
        if self.short_reads == SHORT_READS {
            self.buffer = vec![0; QUIET_BYTES];
        }
    }

    fn set_time_out(&mut self, connection: &Connection, deadline: Option<Instant>) -> std::io::Result<()> {
        let wanted = deadline.map(|deadline| deadline.saturating_duration_since(self.clock.now().instant()).max(Duration::from_millis(1)));
        let sleeps_in_time = match (self.time_out, wanted) {
            (_, None) => self.time_out.is_none(),
            (Some(set), Some(wanted)) => set <= wanted,
            (None, Some(_)) => false,
        };
        if !sleeps_in_time {
            connection.socket.set_read_timeout(wanted)?;
            self.time_out = wanted;
        }
        Ok(())
    }

    /// The connection has given out a handle: from now on there are two threads.
    fn start_writer(&mut self, connection: &Arc<Connection>) {
        let Some(mailbox) = connection.mailbox().map(Arc::clone) else { return };
        let shared = &connection.shared;
        let started = Permit::take(shared).and_then(|permit| {
            let connection = Arc::clone(connection);
            let run = move || {
                let _permit = permit;
                writer::run(&connection, &mailbox);
            };
            thread::Builder::new().stack_size(shared.config.stack_bytes).spawn(run).ok()
        });
        if let Some(writer) = started {
            self.writer = Some(writer);
            connection.lock().has_writer = true;
        } else {
            shared.stats.thread_refusals.add(1);
            log::warn!("a connection that is to be pushed to was refused: there is no thread for it");
            connection.refuse(&self.clock);
        }
    }
}
