//! A closed loop through the hub: publish, and wait until all subscribers have the messages.
//!
//! Owns `WebSocket` subscribers of one topic and its publishers. Leaves checking what is delivered
//! to the library's own tests: this loop counts bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::wire::{self, ANSWER_TIMEOUT};
use crate::Result;
use crate::interrupt;

const PAYLOAD: &[u8] = b"0123456789abcdef";
/// A frame of a server has no mask.
const FRAME_BYTES: usize = 2 + PAYLOAD.len();
const EVENTS_MAX: usize = 1_024;

/// Subscribers and publishers of one topic.
pub(crate) struct Deliveries {
    poll: Poll,
    subscribers: Vec<(mio::net::TcpStream, usize)>,
    publishers: Vec<TcpStream>,
    request: Vec<u8>,
}

impl Deliveries {
    pub(crate) fn connect(address: SocketAddr, topic: &str, subscribers: usize, publishers: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut sockets = Vec::with_capacity(subscribers);
        for slot in 0..subscribers {
            let socket = wire::open_websocket(address, &format!("/topics/{topic}/ws?format=raw"))?;
            socket.set_nonblocking(true)?;
            let mut socket = mio::net::TcpStream::from_std(socket);
            poll.registry().register(&mut socket, Token(slot), Interest::READABLE)?;
            sockets.push((socket, 0));
        }
        let publishers = (0..publishers).map(|_| wire::connect(address)).collect::<std::io::Result<_>>()?;
        Ok(Self { poll, subscribers: sockets, publishers, request: wire::post(&format!("/topics/{topic}"), PAYLOAD) })
    }

    /// Publishes for `time` or until an interrupt. Each publisher has one message in flight. Returns
    /// the number of deliveries and the time.
    pub(crate) fn run(&mut self, time: Duration) -> Result<(u64, Duration)> {
        let begin = Instant::now();
        let mut deliveries = 0;
        while begin.elapsed() < time && !interrupt::is_asked() {
            self.publish()?;
            deliveries += (self.subscribers.len() * self.publishers.len()) as u64;
        }
        Ok((deliveries, begin.elapsed()))
    }

    fn publish(&mut self) -> Result<()> {
        for publisher in &mut self.publishers {
            publisher.write_all(&self.request)?;
        }
        let mut waiting = self.subscribers.len();
        for (_, missing) in &mut self.subscribers {
            *missing = self.publishers.len() * FRAME_BYTES;
        }
        let mut events = Events::with_capacity(EVENTS_MAX);
        while waiting > 0 {
            match self.poll.poll(&mut events, Some(ANSWER_TIMEOUT)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() {
                return Err(format!("{waiting} subscribers got no message in {ANSWER_TIMEOUT:?}").into());
            }
            for event in &events {
                let (socket, missing) = &mut self.subscribers[event.token().0];
                if *missing > 0 && receive(socket, missing)? {
                    waiting -= 1;
                }
            }
        }
        for publisher in &mut self.publishers {
            let answer = wire::read_answer(publisher)?;
            if answer.status != 202 {
                return Err(wire::unexpected(&answer.bytes).into());
            }
        }
        Ok(())
    }
}

/// Returns whether nothing is missing any more.
fn receive(socket: &mut mio::net::TcpStream, missing: &mut usize) -> Result<bool> {
    let mut buffer = [0; 4_096];
    while *missing > 0 {
        match socket.read(&mut buffer) {
            Ok(0) => return Err("the server closed a subscriber".into()),
            Ok(len) => *missing = missing.checked_sub(len).ok_or("a subscriber got more than was published")?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}
