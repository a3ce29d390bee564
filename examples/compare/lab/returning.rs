//! Clients of event streams that come back by themselves, as `EventSource` does.
//!
//! Owns many such clients in one thread: each reads the `retry` that the server sends, and connects
//! again so long after its stream has ended. Leaves the server's restart to the claims.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::wire;
use crate::Result;

/// A client that was refused tries again after this time.
const REFUSED: Duration = Duration::from_millis(50);

pub(crate) struct Returning {
    poll: Poll,
    address: SocketAddr,
    request: Vec<u8>,
    clients: Vec<Client>,
}

struct Client {
    stage: Stage,
    /// What the server said last.
    retry: Duration,
    /// When it first tried to come back.
    tried: Option<Instant>,
}

/// ```text
/// Open ──end──▶ Away ──retry──▶ Connecting ──head──▶ Open
///                 ▲                  │
///                 └──refused, cut────┘
/// ```
enum Stage {
    Open(TcpStream, Vec<u8>),
    Away(Instant),
    Connecting(TcpStream, Vec<u8>),
}

/// How the clients came back.
pub(crate) struct Return {
    /// From the begin to the last client's answer.
    pub(crate) seconds: f64,
    /// The longest time from a client's first attempt to its answer.
    pub(crate) slowest: Duration,
    /// The most clients that connected within 100 ms.
    pub(crate) most_within_100_ms: usize,
    /// How many connection attempts failed.
    pub(crate) failed: usize,
}

impl Returning {
    pub(crate) fn connect(address: SocketAddr, target: &str, count: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(count);
        for slot in 0..count {
            let (socket, bytes) = wire::open(address, target, "Accept: text/event-stream\r\n", "HTTP/1.1 200 ")?;
            socket.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(socket);
            poll.registry().register(&mut socket, Token(slot), Interest::READABLE | Interest::WRITABLE)?;
            clients.push(Client { stage: Stage::Open(socket, bytes), retry: Duration::from_secs(3), tried: None });
        }
        Ok(Self { poll, address, request: wire::get(target, "Accept: text/event-stream\r\n"), clients })
    }

    /// Waits until all streams have ended, and until all clients are back.
    ///
    /// # Errors
    /// If this takes longer than `most`.
    pub(crate) fn come_back(&mut self, most: Duration) -> Result<Return> {
        let begin = Instant::now();
        let mut events = Events::with_capacity(1_024);
        let (mut attempts, mut failed) = (Vec::new(), 0);
        let mut back = vec![false; self.clients.len()];
        let mut missing = self.clients.len();
        let mut slowest = Duration::ZERO;
        while missing > 0 {
            let now = Instant::now();
            if now.duration_since(begin) > most {
                return Err(format!("{missing} of {} clients were not back after {most:?}", self.clients.len()).into());
            }
            let mut next = now + Duration::from_millis(100);
            for slot in 0..self.clients.len() {
                let Stage::Away(until) = self.clients[slot].stage else { continue };
                if until <= now {
                    attempts.push(now);
                    self.begin(slot, now)?;
                } else {
                    next = next.min(until);
                }
            }
            match self.poll.poll(&mut events, Some(next.saturating_duration_since(now))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                let slot = event.token().0;
                let was_connecting = matches!(self.clients[slot].stage, Stage::Connecting(..));
                self.go_on(slot);
                match self.clients[slot].stage {
                    Stage::Open(..) if was_connecting && !back[slot] => {
                        back[slot] = true;
                        missing -= 1;
                        slowest = slowest.max(self.clients[slot].tried.map_or(Duration::ZERO, |tried| tried.elapsed()));
                    }
                    Stage::Away(_) if was_connecting => failed += 1,
                    _ => {}
                }
            }
        }
        Ok(Return {
            seconds: begin.elapsed().as_secs_f64(),
            slowest,
            most_within_100_ms: most_within(&attempts, Duration::from_millis(100)),
            failed,
        })
    }

    /// Begins to connect.
    fn begin(&mut self, slot: usize, now: Instant) -> Result<()> {
        let client = &mut self.clients[slot];
        client.tried.get_or_insert(now);
        client.stage = match TcpStream::connect(self.address) {
            Ok(mut socket) => {
                self.poll.registry().register(&mut socket, Token(slot), Interest::READABLE | Interest::WRITABLE)?;
                Stage::Connecting(socket, self.request.clone())
            }
            Err(_) => Stage::Away(now + REFUSED),
        };
        Ok(())
    }

    /// The socket of a client is ready.
    fn go_on(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        let now = Instant::now();
        let away = match &mut client.stage {
            Stage::Away(_) => return,
            Stage::Connecting(socket, request) => match send_and_read(socket, request) {
                // The whole request is sent, and the head of the answer has come.
                Ok(bytes) if request.is_empty() && !bytes.is_empty() => {
                    let Stage::Connecting(socket, _) = std::mem::replace(&mut client.stage, Stage::Away(now)) else { return };
                    client.stage = Stage::Open(socket, bytes);
                    return;
                }
                Ok(_) => return,
                Err(_) => REFUSED,
            },
            Stage::Open(socket, bytes) => {
                if read_all(socket, bytes).is_ok() {
                    return;
                }
                client.retry = last_retry(bytes).unwrap_or(client.retry);
                client.retry
            }
        };
        client.stage = Stage::Away(now + away);
    }
}

fn send_and_read(socket: &mut TcpStream, request: &mut Vec<u8>) -> std::io::Result<Vec<u8>> {
    if !request.is_empty() {
        match socket.write(request) {
            Ok(len) => drop(request.drain(..len)),
            // The connection is still being made.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    let mut bytes = Vec::new();
    read_all(socket, &mut bytes)?;
    Ok(bytes)
}

/// Reads all that is there. The end of the stream is an error.
fn read_all(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut buffer = [0; 4_096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => bytes.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The last `retry` of a stream (WHATWG HTML, section 9.2.6). Nothing else on these streams looks
/// like one, so the chunks need not be decoded.
fn last_retry(bytes: &[u8]) -> Option<Duration> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().filter_map(|line| line.strip_prefix("retry: ")).next_back()?;
    line.trim().parse().ok().map(Duration::from_millis)
}

/// The most times that fall within one window.
fn most_within(times: &[Instant], window: Duration) -> usize {
    let count = |first: usize| times[first..].iter().take_while(|time| time.duration_since(times[first]) < window).count();
    (0..times.len()).map(count).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_retry_counts() {
        let stream = b"HTTP/1.1 200 OK\r\n\r\n1a\r\nretry: 1000\nid: 1-0\n\n\r\n10\r\nretry: 2345\n\n\r\n0\r\n\r\n";
        assert_eq!(last_retry(stream), Some(Duration::from_millis(2_345)));
        assert_eq!(last_retry(b"data: retry\n\n"), None);
    }

    #[test]
    fn the_densest_window_is_found() {
        let begin = Instant::now();
        let times = [0, 10, 50, 149, 150, 400].map(|ms| begin + Duration::from_millis(ms));
        assert_eq!(most_within(&times, Duration::from_millis(100)), 3);
        assert_eq!(most_within(&[], Duration::from_millis(100)), 0);
    }
}
