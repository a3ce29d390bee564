//! A load with a fixed rate, for latencies.
//!
//! Owns the schedule. A request is due at its time even if the answers before it are late, and its
//! latency counts from that time. So a server that stops for a while is not asked less often
//! meanwhile, as it is in a closed loop ("coordinated omission"). Leaves the connections' first
//! answers to `wire`.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Poll};

use super::load::{establish_all, latencies};
use super::wire::{ANSWER_TIMEOUT, Exchange};
use crate::Result;

/// Connections to one server. Each has at most one request in flight.
pub(crate) struct OpenLoop {
    poll: Poll,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    request: Vec<u8>,
    answer_bytes: usize,
    buffer: Vec<u8>,
}

struct Connection {
    socket: TcpStream,
    missing_bytes: usize,
    /// When the request should have been sent.
    due: Instant,
}

impl OpenLoop {
    pub(crate) fn connect(exchange: Exchange, address: SocketAddr, count: usize) -> Result<Self> {
        let (poll, sockets, answer_bytes) = establish_all(exchange, address, count)?;
        let connections = sockets.into_iter().map(|socket| Connection { socket, missing_bytes: 0, due: Instant::now() }).collect();
        Ok(Self { poll, idle: (0..count).collect(), connections, request: exchange.bytes(), answer_bytes, buffer: vec![0; 128 * 1024] })
    }

    /// Sends `per_second` requests a second for `time`, and waits for the last answers. Returns the
    /// latencies in nanoseconds.
    ///
    /// # Errors
    /// If no answer comes for [`ANSWER_TIMEOUT`].
    pub(crate) fn run(&mut self, per_second: f64, time: Duration) -> Result<Histogram<u64>> {
        let mut latencies = latencies();
        let (begin, interval) = (Instant::now(), Duration::from_secs_f64(1.0 / per_second));
        let mut next = begin;
        let mut waiting: VecDeque<Instant> = VecDeque::new();
        let mut events = Events::with_capacity(1_024);
        let mut heard = begin;
        loop {
            let now = Instant::now();
            while next <= now && next < begin + time {
                waiting.push_back(next);
                next += interval;
            }
            while let (Some(due), Some(slot)) = (waiting.front().copied(), self.idle.last().copied()) {
                self.send(slot, due)?;
                waiting.pop_front();
                self.idle.pop();
            }
            let is_over = next >= begin + time && waiting.is_empty();
            if is_over && self.idle.len() == self.connections.len() {
                return Ok(latencies);
            }
            if now.duration_since(heard) > ANSWER_TIMEOUT {
                return Err(format!("no request got an answer in {ANSWER_TIMEOUT:?}").into());
            }
            let wait = if is_over { ANSWER_TIMEOUT } else { next.saturating_duration_since(now) };
            // A poll waits for whole milliseconds, rounded up. The rest is waited for without sleep,
            // so that requests are sent in time.
            let wait = Duration::from_millis(wait.as_millis() as u64);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                heard = Instant::now();
                let slot = event.token().0;
                if let Some(due) = self.receive(slot)? {
                    latencies.saturating_record(heard.duration_since(due).as_nanos() as u64);
                    self.idle.push(slot);
                }
            }
        }
    }

    fn send(&mut self, slot: usize, due: Instant) -> Result<()> {
        let connection = &mut self.connections[slot];
        (connection.missing_bytes, connection.due) = (self.answer_bytes, due);
        let len = connection.socket.write(&self.request)?;
        if len == self.request.len() { Ok(()) } else { Err("an idle socket took only a part of a request".into()) }
    }

    /// Returns when the request was due, if its answer is complete.
    fn receive(&mut self, slot: usize) -> Result<Option<Instant>> {
        let connection = &mut self.connections[slot];
        while connection.missing_bytes > 0 {
            match connection.socket.read(&mut self.buffer) {
                Ok(0) => return Err("the server closed a busy connection".into()),
                Ok(len) => {
                    let missing = connection.missing_bytes.checked_sub(len);
                    connection.missing_bytes = missing.ok_or("an answer is too long")?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(connection.due))
    }
}
