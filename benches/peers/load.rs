//! The load: one thread, and the same for all peers.
//!
//! Owns the connections under load, and the check of their answers. A connection sends its bytes, counts
//! the answers by their last byte, and compares their length with what it expects. So a server that
//! answers too little, too much or something else is not fast, but an error. Leaves what is sent to
//! `scenarios`.

use std::io::{self, Error, ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memchr_iter;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::server::MARK;

/// No answer takes as long, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a connection does in a round.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) output: Arc<[u8]>,
    pub(crate) answers: usize,
    pub(crate) length: Length,
    /// Whether the answers are operations. The answer to a publisher is none.
    pub(crate) counts: bool,
}

/// The bytes of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    Exactly(usize),
    /// A message of an event stream, whose length depends on its id and on the chunks.
    AtLeast(usize),
}

/// When no further round begins.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) operations: u64,
    pub(crate) time: Duration,
}

pub(crate) struct Load {
    poll: Poll,
    connections: Vec<Connection>,
    room: Vec<u8>,
    /// Whether a round begins on all connections at once.
    is_joint: bool,
}

impl Load {
    pub(crate) fn new(is_joint: bool) -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, connections: Vec::new(), room: vec![0; 256 * 1024], is_joint })
    }

    pub(crate) fn add(&mut self, socket: std::net::TcpStream, exchange: Exchange) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        self.poll.registry().register(&mut socket, Token(self.connections.len()), Interest::READABLE | Interest::WRITABLE)?;
        self.connections.push(Connection { socket, exchange, sent: 0, answers: 0, bytes: 0, is_busy: false });
        Ok(())
    }

    /// Does rounds until a bound is reached and all connections have their answers. Returns the number of
    /// operations.
    pub(crate) fn run(&mut self, bounds: Bounds) -> io::Result<u64> {
        let (mut events, begin) = (Events::with_capacity(1_024), Instant::now());
        let (mut operations, mut busy) = (0, 0);
        for connection in &mut self.connections {
            connection.begin()?;
            busy += 1;
        }
        while busy > 0 {
            if let Err(error) = self.poll.poll(&mut events, Some(PATIENCE)) {
                if error.kind() == ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            if events.is_empty() {
                return Err(Error::other(format!("{busy} connections wait for answers, and for {PATIENCE:?} none has come")));
            }
            let is_over = begin.elapsed() >= bounds.time;
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if !connection.advance(&mut self.room)? {
                    continue;
                }
                busy -= 1;
                if connection.exchange.counts {
                    operations += connection.exchange.answers as u64;
                }
                if !self.is_joint && !is_over && operations < bounds.operations {
                    connection.begin()?;
                    busy += 1;
                }
            }
            if self.is_joint && busy == 0 && !is_over && operations < bounds.operations {
                for connection in &mut self.connections {
                    connection.begin()?;
                    busy += 1;
                }
            }
        }
        Ok(operations)
    }
}

struct Connection {
    socket: TcpStream,
    exchange: Exchange,
    /// Bytes of the output of this round.
    sent: usize,
    answers: usize,
    bytes: usize,
    is_busy: bool,
}

impl Connection {
    fn begin(&mut self) -> io::Result<()> {
        (self.sent, self.is_busy) = (0, true);
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        while self.is_busy && self.sent < self.exchange.output.len() {
            match self.socket.write(&self.exchange.output[self.sent..]) {
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes and reads what can be. Returns whether a round has ended.
    fn advance(&mut self, room: &mut [u8]) -> io::Result<bool> {
        self.write()?;
        loop {
            match self.socket.read(room) {
                Ok(0) => return Err(Error::other("the server has closed a connection")),
                Ok(len) => {
                    self.count(&room[..len])?;
                    // A short read is the end of what was there, and an event tells of more.
                    if len < room.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if !self.is_busy || self.answers < self.exchange.answers {
            return Ok(false);
        }
        self.check()?;
        (self.answers, self.bytes, self.is_busy) = (0, 0, false);
        Ok(true)
    }

    fn count(&mut self, input: &[u8]) -> io::Result<()> {
        self.bytes += input.len();
        self.answers += memchr_iter(MARK, input).count();
        let asked = if self.is_busy { self.exchange.answers } else { 0 };
        if self.answers <= asked {
            return Ok(());
        }
        Err(Error::other(format!("{} answers have come, and {asked} were asked for", self.answers)))
    }

    fn check(&self) -> io::Result<()> {
        let (is_right, expected, word) = match self.exchange.length {
            Length::Exactly(len) => (self.bytes == self.answers * len, len, "exactly"),
            Length::AtLeast(len) => (self.bytes >= self.answers * len, len, "at least"),
        };
        if is_right {
            return Ok(());
        }
        Err(Error::other(format!("{} answers have {} bytes; expected: {word} {expected} each", self.answers, self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::{Bounds, Exchange, Length, Load, PATIENCE};

    /// The outcome of two rounds with a server that reads four bytes in each, and answers with `answer`.
    fn two_rounds(answer: &'static [u8], length: Length) -> Result<u64, String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let mut rounds = 0;
            // The client closes the connection after its last round, or after an error.
            while socket.read_exact(&mut [0; 4]).is_ok() && socket.write_all(answer).is_ok() {
                rounds += 1;
                if answer.is_empty() {
                    break;
                }
            }
            rounds
        });
        let mut load = Load::new(false).expect("a poll");
        let exchange = Exchange { output: (*b"four").into(), answers: 2, length, counts: true };
        load.add(TcpStream::connect(address).expect("the server listens"), exchange).expect("a socket");
        let outcome = load.run(Bounds { operations: 3, time: PATIENCE }).map_err(|error| error.to_string());
        drop(load);
        let rounds = server.join().expect("the server has not panicked");
        if outcome.is_ok() {
            assert_eq!(rounds, 2);
        }
        outcome
    }

    #[test]
    fn whole_rounds_are_counted_until_the_bound() {
        assert_eq!(two_rounds(b"12!12!", Length::Exactly(3)), Ok(4));
        assert_eq!(two_rounds(b"12!12!", Length::AtLeast(2)), Ok(4));
    }

    #[test]
    fn wrong_answers_are_errors() {
        let error = |answer, length| two_rounds(answer, length).expect_err("the answer is wrong");
        assert_eq!(error(b"1!12!", Length::Exactly(3)), "2 answers have 5 bytes; expected: exactly 3 each");
        assert_eq!(error(b"!!", Length::AtLeast(3)), "2 answers have 2 bytes; expected: at least 3 each");
        assert_eq!(error(b"12!12!12!", Length::Exactly(3)), "3 answers have come, and 2 were asked for");
        assert_eq!(error(b"", Length::Exactly(3)), "the server has closed a connection");
    }
}
