//! The load generator: a closed loop in one thread.
//!
//! Owns connections with one request or message in flight each. It sends the next one when the
//! answer is complete. Leaves checking the first answer to `wire`: all answers have the same
//! length, so that this loop only counts bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Result;
use crate::interrupt;
use crate::wire::{self, ANSWER_TIMEOUT, Use};

/// The maximum number of operations in a round, on any machine.
const OPERATIONS_MAX: u64 = 100_000_000;
const EVENTS_MAX: usize = 1_024;

pub(crate) struct Client {
    poll: Poll,
    connections: Vec<Connection>,
    request: Vec<u8>,
    answer_bytes: usize,
}

struct Connection {
    socket: TcpStream,
    /// The bytes of the answer that have not arrived yet.
    missing_bytes: usize,
    sent_at: Instant,
}

/// The result of a round.
pub(crate) struct Round {
    pub(crate) operations: u64,
    pub(crate) elapsed: Duration,
}

impl Client {
    pub(crate) fn connect(purpose: Use, address: SocketAddr, count: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let request = if purpose == Use::Echo { wire::echo_frame() } else { purpose.request() };
        let (mut connections, mut answer_bytes) = (Vec::with_capacity(count), 0);
        for slot in 0..count {
            let (mut socket, first_bytes) = wire::establish(purpose, address)?;
            answer_bytes = if purpose == Use::Echo { wire::try_echo(&mut socket)? } else { first_bytes };
            socket.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(socket);
            poll.registry().register(&mut socket, Token(slot), Interest::READABLE)?;
            connections.push(Connection { socket, missing_bytes: 0, sent_at: Instant::now() });
        }
        Ok(Self { poll, connections, request, answer_bytes })
    }

    /// Keeps every connection busy for `time` or until an interrupt, then waits for the last
    /// answers. Records latencies in nanoseconds.
    pub(crate) fn run(&mut self, time: Duration, latencies: &mut Histogram<u64>) -> Result<Round> {
        let begin = Instant::now();
        let end = begin + time;
        for connection in &mut self.connections {
            connection.send(&self.request, self.answer_bytes, Instant::now())?;
        }
        let (mut in_flight, mut operations) = (self.connections.len(), 0);
        let mut events = Events::with_capacity(EVENTS_MAX);
        while in_flight > 0 {
            match self.poll.poll(&mut events, Some(ANSWER_TIMEOUT)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() {
                return Err(format!("{in_flight} requests got no answer in {ANSWER_TIMEOUT:?}").into());
            }
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if !connection.receive()? {
                    continue;
                }
                let now = Instant::now();
                latencies.saturating_record(now.duration_since(connection.sent_at).as_nanos() as u64);
                operations += 1;
                if now < end && operations < OPERATIONS_MAX && !interrupt::is_asked() {
                    connection.send(&self.request, self.answer_bytes, now)?;
                } else {
                    in_flight -= 1;
                }
            }
        }
        Ok(Round { operations, elapsed: begin.elapsed() })
    }
}

impl Connection {
    fn send(&mut self, request: &[u8], answer_bytes: usize, now: Instant) -> Result<()> {
        self.missing_bytes = answer_bytes;
        self.sent_at = now;
        // The request before was answered, so the socket's buffer is empty and takes the whole
        // request.
        let len = self.socket.write(request)?;
        if len == request.len() { Ok(()) } else { Err("a socket without unsent bytes took only a part of a request".into()) }
    }

    /// Reads once: a second read after a short read would only return `WouldBlock`. Returns whether
    /// the answer is complete.
    fn receive(&mut self) -> Result<bool> {
        // Larger than any answer, so that a longer one shows as an error below.
        let mut buffer = [0; 1_024];
        match self.socket.read(&mut buffer) {
            Ok(0) => Err("the server closed a busy connection".into()),
            Ok(len) if len <= self.missing_bytes => {
                self.missing_bytes -= len;
                Ok(self.missing_bytes == 0)
            }
            Ok(len) => Err(format!("an answer is {} bytes too long", len - self.missing_bytes).into()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
