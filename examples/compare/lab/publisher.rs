//! The publisher: one POST for each message, at its time.
//!
//! Owns the schedule and the payloads. A payload begins with the message's number and the time at
//! which it was due, so that a subscriber of this process knows its latency. A message is due at its
//! time even if the answers before it are late. Leaves waiting to the loop of `subscribers`.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::wire::{self, ANSWER_TIMEOUT, field, head_end};
use crate::Result;

/// The nanoseconds from the process's first call to `at`. All latencies use this clock.
pub(crate) fn nanoseconds(at: Instant) -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    at.saturating_duration_since(*BEGIN.get_or_init(|| at.checked_sub(Duration::from_secs(1)).unwrap_or(at))).as_nanos() as u64
}

/// A connection that publishes.
pub(crate) struct Publisher {
    address: SocketAddr,
    topic: String,
    socket: TcpStream,
    payload_bytes: usize,
    /// The messages that the server has accepted.
    sent: u64,
    /// When the messages that wait for an answer before them were due.
    waiting: VecDeque<Instant>,
    is_in_flight: bool,
    answer: Vec<u8>,
    schedule: Schedule,
}

/// The messages that are still to come.
struct Schedule {
    next: Instant,
    interval: Duration,
    left: u64,
}

impl Publisher {
    /// Publishes to `topic`, which must be new: its subscribers expect messages from 1 on.
    pub(crate) fn connect(address: SocketAddr, topic: impl Into<String>, payload_bytes: usize) -> Result<Self> {
        let socket = wire::connect(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            address,
            topic: topic.into(),
            socket: TcpStream::from_std(socket),
            payload_bytes,
            sent: 0,
            waiting: VecDeque::new(),
            is_in_flight: false,
            answer: Vec::new(),
            schedule: Schedule { next: Instant::now(), interval: Duration::ZERO, left: 0 },
        })
    }

    /// The messages that the server has accepted so far.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Changes the size of the payloads to come.
    pub(crate) const fn set_payload_bytes(&mut self, bytes: usize) {
        self.payload_bytes = bytes;
    }

    /// Prepares `count` messages, the first one at `begin`.
    pub(super) fn schedule(&mut self, begin: Instant, interval: Duration, count: u64) {
        self.schedule = Schedule { next: begin, interval, left: count };
    }

    pub(super) fn is_done(&self) -> bool {
        self.schedule.left == 0 && self.waiting.is_empty() && !self.is_in_flight
    }

    /// When the next message is due.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.schedule.left > 0).then_some(self.schedule.next)
    }

    /// Sends what is due.
    pub(super) fn tick(&mut self, now: Instant) -> Result<()> {
        while self.schedule.left > 0 && self.schedule.next <= now {
            self.waiting.push_back(self.schedule.next);
            self.schedule.next += self.schedule.interval;
            self.schedule.left -= 1;
        }
        if !self.is_in_flight
            && let Some(due) = self.waiting.pop_front()
        {
            let mut payload = format!("{} {} ", self.sent + 1, nanoseconds(due));
            payload.extend(std::iter::repeat_n('x', self.payload_bytes.saturating_sub(payload.len())));
            let request = wire::post(&format!("/topics/{}", self.topic), payload.as_bytes());
            let len = self.socket.write(&request)?;
            if len < request.len() {
                return Err("the publisher's idle socket took only a part of a request".into());
            }
            self.is_in_flight = true;
        }
        Ok(())
    }

    /// Reads what is there of an answer.
    pub(super) fn receive(&mut self, now: Instant) -> Result<()> {
        let mut buffer = [0; 4_096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err("the server closed the publisher's connection".into()),
                Ok(len) => self.answer.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(head_len) = head_end(&self.answer) else { return Ok(()) };
        let head = String::from_utf8_lossy(&self.answer[..head_len]);
        let length = field(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if self.answer.len() < head_len + length {
            return Ok(());
        }
        if !head.starts_with("HTTP/1.1 202 ") {
            return Err(wire::unexpected(&self.answer).into());
        }
        self.answer.clear();
        self.is_in_flight = false;
        self.sent += 1;
        self.tick(now)
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> Result<()> {
        Ok(registry.register(&mut self.socket, token, Interest::READABLE)?)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> Result<()> {
        Ok(registry.deregister(&mut self.socket)?)
    }

    /// Waits until the hub counts at least so many subscribers of one technique.
    pub(crate) fn await_subscribers(&self, counted_as: &str, count: usize) -> Result<()> {
        let mut socket = wire::connect(self.address)?;
        let end = Instant::now() + ANSWER_TIMEOUT;
        let name = format!("\"{counted_as}\":");
        loop {
            let answer = wire::ask(&mut socket, &wire::get(&format!("/topics/{}", self.topic), ""))?;
            let text = String::from_utf8_lossy(&answer.body);
            let counters = text.split_once("\"subscribers\":").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(list, _)| list);
            let digits = counters.split_once(&name).map_or("0", |(_, rest)| rest.split([',', '}']).next().unwrap_or("0"));
            let there: usize = digits.parse().unwrap_or(0);
            if there >= count {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("the hub counts {there} of {count} `{counted_as}` subscribers after {ANSWER_TIMEOUT:?}").into());
            }
        }
    }
}
