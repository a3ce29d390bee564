//! A transport with TLS above it.
//!
//! Owns the lock around the TLS of a connection, and the order of reading, writing and the end of
//! sending. Leaves records to `records`, and the socket to the transport below.
//!
//! The lock is not held while the transport below reads or writes. So with a thread per connection,
//! a reader that waits for input does not delay the writer, and the other way round. Records leave in
//! the order in which they were made, because the session lets one thread write at a time.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::UnbufferedServerConnection;

use super::records::Records;
use crate::driver::drive::{Input, Transport};
use crate::proto::Outbox;
use crate::session::{Need, Ready};

/// TLS of one connection, for all its threads. The example of [`Acceptor`](super::Acceptor) reads
/// through one.
pub struct TlsLayer(Mutex<State>);

struct State {
    records: Records,
    /// The session has ended its sending side. The transport ends its own when all records are sent.
    ends_sending: bool,
}

impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLayer").finish_non_exhaustive()
    }
}

impl TlsLayer {
    pub(super) fn new(connection: UnbufferedServerConnection, handshake_bytes: usize) -> Self {
        Self(Mutex::new(State { records: Records::new(connection, handshake_bytes), ends_sending: false }))
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

    /// Ends the sending side of TLS before the connection is closed, if the peer has been sent
    /// everything. Otherwise, the peer must not take the end for the whole of what it was to get.
    pub fn close(&self, below: &mut impl Transport) {
        let mut state = self.lock();
        if state.records.held.is_empty() {
            state.records.close();
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
        Ok(match self.below.read(room, patience)? {
            Input::Bytes(len, ready) => self.layer.lock().records.take(room, len, ready),
            Input::End => self.layer.lock().records.ended(),
            other => other,
        })
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        let mut held = {
            let State { records, .. } = &mut *self.layer.lock();
            records.encrypt(out);
            std::mem::take(&mut records.held)
        };
        let written = if held.is_empty() { Ok((0, Ready::Perhaps)) } else { self.below.write(&mut held) };
        let mut state = self.layer.lock();
        if !held.is_empty() {
            // What another thread has made meanwhile comes behind.
            held.append(&mut state.records.held);
            state.records.held = held;
        }
        if written.is_ok() && state.ends_sending && state.records.held.is_empty() {
            state.ends_sending = false;
            self.below.end_sending()?;
        }
        written
    }

    fn end_sending(&mut self) -> io::Result<()> {
        let mut state = self.layer.lock();
        state.records.close();
        if state.records.held.is_empty() {
            return self.below.end_sending();
        }
        state.ends_sending = true;
        Ok(())
    }

    fn need(&self) -> Need {
        if self.layer.has_unsent() { Need::Write } else { Need::Nothing }
    }
}
