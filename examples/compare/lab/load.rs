//! The load generator: a closed loop in one thread.
//!
//! Owns connections with one operation in flight each. It sends the next one when the answer is
//! complete. Leaves checking the first answer to `wire`: all answers have the same length, so that
//! this loop only counts bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::process::{ServerProcess, own_usage};
use super::wire::{ANSWER_TIMEOUT, Exchange};
use crate::Result;
use crate::interrupt;

/// The maximum number of operations in a round, on any machine.
const OPERATIONS_MAX: u64 = 100_000_000;
/// The longest time for a number of operations. A server under a tool that counts is slow.
const COUNTED_TIME_MAX: Duration = Duration::from_secs(60);
const EVENTS_MAX: usize = 1_024;
/// Longer latencies are recorded as this one.
const LATENCY_MAX_NS: u64 = 60_000_000_000;
/// Significant digits of recorded latencies.
const DIGITS: u8 = 3;

/// Connections of one kind to one server.
pub(crate) struct Load {
    poll: Poll,
    connections: Vec<Connection>,
    request: Vec<u8>,
    answer_bytes: usize,
    buffer: Vec<u8>,
}

struct Connection {
    socket: TcpStream,
    /// The bytes of the answer that have not arrived yet.
    missing_bytes: usize,
    sent_at: Instant,
}

/// The figures of one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// The processor time of the server for one operation.
    pub(crate) server_cpu_us: f64,
    /// The context switches of the server for one operation.
    pub(crate) switches: f64,
    /// The share of one processor that this process used. Near 1, the load may be the limit.
    pub(crate) client_busy: f64,
}

/// An empty histogram of latencies in nanoseconds.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, DIGITS).expect("the bounds and digits are within the histogram's own limits")
}

/// Opens connections that have done one operation each, and registers them by their index. Returns
/// them with the length of every answer.
pub(super) fn establish_all(exchange: Exchange, address: SocketAddr, count: usize) -> Result<(Poll, Vec<TcpStream>, usize)> {
    let poll = Poll::new()?;
    let (mut sockets, mut answer_bytes) = (Vec::with_capacity(count), 0);
    for slot in 0..count {
        let (socket, len) = exchange.establish(address)?;
        answer_bytes = len;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        poll.registry().register(&mut socket, Token(slot), Interest::READABLE)?;
        sockets.push(socket);
    }
    Ok((poll, sockets, answer_bytes))
}

impl Load {
    pub(crate) fn connect(exchange: Exchange, address: SocketAddr, count: usize) -> Result<Self> {
        let (poll, sockets, answer_bytes) = establish_all(exchange, address, count)?;
        let connection = |socket| Connection { socket, missing_bytes: 0, sent_at: Instant::now() };
        let connections = sockets.into_iter().map(connection).collect();
        Ok(Self { poll, connections, request: exchange.bytes(), answer_bytes, buffer: vec![0; 256 * 1024] })
    }

    /// Warms up, and then measures for `time`.
    pub(crate) fn round(&mut self, server: &ServerProcess, warm_up: Duration, time: Duration) -> Result<Round> {
        self.run(warm_up, &mut latencies())?;
        let mut latencies = latencies();
        let (server_before, client_before) = (server.usage(), own_usage());
        let (operations, elapsed) = self.run(time, &mut latencies)?;
        let (used, client) = (server_before.until(server.usage()), client_before.until(own_usage()));
        let operations = operations as f64;
        let quantile_us = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Round {
            per_second: operations / elapsed.as_secs_f64(),
            p50_us: quantile_us(0.5),
            p99_us: quantile_us(0.99),
            p999_us: quantile_us(0.999),
            server_cpu_us: used.cpu_seconds * 1e6 / operations,
            switches: used.switches / operations,
            client_busy: client.cpu_seconds / client.seconds,
        })
    }

    /// Keeps every connection busy for `time` or until an interrupt, then waits for the last
    /// answers. Records latencies in nanoseconds. Returns the number of operations and the time.
    pub(crate) fn run(&mut self, time: Duration, latencies: &mut Histogram<u64>) -> Result<(u64, Duration)> {
        self.run_at_most(time, OPERATIONS_MAX, latencies)
    }

    /// Does about so many operations: each connection that is busy at the end finishes its last one.
    /// Returns their number.
    pub(crate) fn run_operations(&mut self, operations: u64) -> Result<u64> {
        Ok(self.run_at_most(COUNTED_TIME_MAX, operations, &mut latencies())?.0)
    }

    fn run_at_most(&mut self, time: Duration, operations_max: u64, latencies: &mut Histogram<u64>) -> Result<(u64, Duration)> {
        let begin = Instant::now();
        let end = begin + time;
        let Self { poll, connections, request, answer_bytes, buffer } = self;
        for connection in &mut *connections {
            connection.send(request, *answer_bytes, Instant::now())?;
        }
        let (mut in_flight, mut operations) = (connections.len(), 0);
        let mut events = Events::with_capacity(EVENTS_MAX);
        while in_flight > 0 {
            match poll.poll(&mut events, Some(ANSWER_TIMEOUT)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() {
                return Err(format!("{in_flight} requests got no answer in {ANSWER_TIMEOUT:?}").into());
            }
            for event in &events {
                let connection = &mut connections[event.token().0];
                if !connection.receive(buffer)? {
                    continue;
                }
                let now = Instant::now();
                latencies.saturating_record(now.duration_since(connection.sent_at).as_nanos() as u64);
                operations += 1;
                if now < end && operations < operations_max && !interrupt::is_asked() {
                    connection.send(request, *answer_bytes, now)?;
                } else {
                    in_flight -= 1;
                }
            }
        }
        Ok((operations, begin.elapsed()))
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

    /// Reads once, or until nothing is left of a long answer. Returns whether the answer is
    /// complete.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Err("the server closed a busy connection".into()),
                Ok(len) if len < self.missing_bytes => self.missing_bytes -= len,
                Ok(len) if len == self.missing_bytes => {
                    self.missing_bytes = 0;
                    return Ok(true);
                }
                Ok(len) => return Err(format!("an answer is {} bytes too long", len - self.missing_bytes).into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
