//! A transport with TLS above it.
//!
//! Owns the lock around the TLS of a connection, and the order of reading, writing and the end of
//! sending. Leaves records to `records`, and the socket to the transport below.
//!
//! The lock is not held while the transport below waits in a read or a write. So with a thread per
//! connection, a reader that waits for input does not delay the writer, and the other way round.
//! Records leave in the order in which they were made, because the session lets one thread write at
//! a time.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::UnbufferedServerConnection;

use super::records::Records;
use crate::driver::drive::{Input, Transport};
use crate::proto::Outbox;
use crate::session::{Need, Ready, Sent};

/// Reads from the system have at least this size. The session may want fewer bytes, and then
/// reads of a few bytes would bring a record in thousands of calls.
const READ_BYTES_MIN: usize = 1_024;

/// TLS of one connection, for all its threads. The example of [`Acceptor`](super::Acceptor) reads
/// through one. It is boxed, because a connection without TLS has none.
pub struct TlsLayer(Box<Mutex<State>>);

struct State {
    records: Records,
    /// The session has ended its sending side. The transport ends its own when all records are
    /// sent.
    ends_sending: Option<Sent>,
}

impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLayer").finish_non_exhaustive()
    }
}

impl TlsLayer {
    pub(super) fn new(connection: UnbufferedServerConnection, handshake_bytes: usize) -> Self {
        Self(Box::new(Mutex::new(State { records: Records::new(connection, handshake_bytes), ends_sending: None })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transport `below` with this TLS above it.
    pub const fn over<'a, T: Transport>(&'a self, below: &'a mut T) -> Secured<'a, T> {
        Secured { layer: self, below }
    }

    /// Whether there are records that the transport has not taken.
    pub fn has_unsent(&self) -> bool {
        !self.lock().records.held.is_empty()
    }

    /// Sends `close_notify` before the connection is closed. The caller calls it only if the peer
    /// has been sent the whole, with a transport that does not wait. If the transport does not take
    /// the record at once, the connection ends without it.
    pub fn close(&self, below: &mut impl Transport) {
        let mut state = self.lock();
        if state.records.held.is_empty() {
            state.records.end_sending(Sent::Whole);
            if !state.records.held.is_empty() {
                // The peer may be gone.
                let _ = below.write(&mut state.records.held);
            }
        }
    }
}

/// A transport with TLS above it. The example of [`Acceptor`](super::Acceptor) has one.
pub struct Secured<'a, T> {
    layer: &'a TlsLayer,
    below: &'a mut T,
}

impl<T: Transport> Transport for Secured<'_, T> {
    fn read(&mut self, room: &mut [u8], patience: Option<Duration>) -> io::Result<Input> {
        if let Some(input) = self.layer.lock().records.pending(room, Ready::Perhaps) {
            return Ok(input);
        }
        let mut more_room = [0; READ_BYTES_MIN];
        let raw = if room.len() < READ_BYTES_MIN { &mut more_room[..] } else { &mut *room };
        let (len, ready) = match self.below.read(raw, patience)? {
            Input::Bytes(len, ready) => (len, ready),
            Input::End => return Ok(self.layer.lock().records.ended()),
            other => return Ok(other),
        };
        let records = &mut self.layer.lock().records;
        records.decode(&mut raw[..len]);
        Ok(records.pending(room, ready).unwrap_or(Input::Nothing(len, ready)))
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        let mut held = {
            let State { records, .. } = &mut *self.layer.lock();
            records.encrypt(out).map_err(|()| ErrorKind::InvalidData)?;
            std::mem::take(&mut records.held)
        };
        let written = if held.is_empty() { Ok((0, Ready::Perhaps)) } else { self.below.write(&mut held) };
        let mut state = self.layer.lock();
        if !held.is_empty() {
            // What another thread has made meanwhile comes behind.
            held.append(&mut state.records.held);
            state.records.held = held;
        }
        if written.is_ok()
            && state.records.held.is_empty()
            && let Some(sent) = state.ends_sending.take()
        {
            self.below.end_sending(sent)?;
        }
        written
    }

    fn end_sending(&mut self, sent: Sent) -> io::Result<()> {
        let mut state = self.layer.lock();
        state.records.end_sending(sent);
        if state.records.held.is_empty() {
            return self.below.end_sending(sent);
        }
        state.ends_sending = Some(sent);
        Ok(())
    }

    fn need(&self) -> Need {
        if self.layer.has_unsent() { Need::Write } else { Need::Nothing }
    }
}
