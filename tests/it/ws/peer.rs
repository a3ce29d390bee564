//! A client's wire bytes, and what a server's connection makes of them however they are cut.

use pushlab::proto::ws::{Conn, Event, FrameHead, Message, Next, Opcode, mask};
use pushlab::proto::{Outbox, ProtocolLimits, RemoteError};

use crate::support::splits::splits;

/// A masked frame.
pub fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xFA, 0x21, 0x3D];
    let mut bytes = FrameHead { fin, ..FrameHead::client(opcode, payload.len() as u64, key) }.encode().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask::apply(key, 0, &mut bytes[start..]);
    bytes
}

pub fn text(payload: &str) -> Vec<u8> {
    frame(true, Opcode::Text, payload.as_bytes())
}

pub fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(true, Opcode::Close, &[&code.to_be_bytes(), reason].concat())
}

/// An event that outlives its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Error(RemoteError),
}

impl Seen {
    fn new(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(text.into()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.into()),
            Event::Ping(payload) => Self::Ping(payload.into()),
            Event::Pong(payload) => Self::Pong(payload.into()),
            Event::Close { code, reason } => Self::Close(code, reason.into()),
        }
    }
}

/// A server's connection that is fed pieces.
#[derive(Debug, Default)]
pub struct Server {
    pub conn: Conn,
    pub limits: ProtocolLimits,
    pub seen: Vec<Seen>,
    out: Outbox,
    left: Vec<u8>,
    arrived: usize,
}

impl Server {
    pub fn new(limits: &ProtocolLimits) -> Self {
        Self { limits: limits.clone(), ..Self::default() }
    }

    /// One read of a socket. What has arrived bounds the memory of the reader and the answers, whatever was announced.
    pub fn feed(&mut self, piece: &[u8]) {
        self.arrived += piece.len();
        self.work(piece);
        let (capacity, most) = (self.conn.reader.capacity(), self.capacity_max());
        assert!(capacity <= 512 + most, "{capacity} bytes of memory for {} that have arrived", self.arrived);
        // A pong is shorter than its ping, and there is one close frame.
        assert!(self.out.len() <= self.arrived + 127, "{} bytes of output for {} that have arrived", self.out.len(), self.arrived);
    }

    #[cfg(not(feature = "deflate"))]
    fn capacity_max(&self) -> usize {
        2 * self.arrived.min(self.limits.message_bytes.saturating_mul(2))
    }

    /// What inflates grows beyond what has arrived, and never beyond the limit.
    #[cfg(feature = "deflate")]
    fn capacity_max(&self) -> usize {
        let is_inflating = self.conn.writer.agreement().is_some();
        if is_inflating { self.limits.message_bytes } else { 2 * self.arrived.min(self.limits.message_bytes.saturating_mul(2)) }
    }

    fn work(&mut self, piece: &[u8]) {
        self.left.extend_from_slice(piece);
        let mut at = 0;
        loop {
            let (reader, writer) = self.conn.split();
            match reader.next_event(&mut self.left[at..], writer, &mut self.out, &self.limits) {
                Ok((used, Next::Event(event))) => {
                    self.seen.push(Seen::new(event));
                    at += used;
                }
                Ok((used, Next::NeedData)) => {
                    self.left.drain(..at + used);
                    assert!(self.left.len() < 14, "no more than an incomplete head is left over");
                    return;
                }
                Err(error) => {
                    self.seen.push(Seen::Error(error));
                    writer.fail(error, &mut self.out);
                }
            }
        }
    }

    pub fn close(&mut self) {
        self.conn.writer.send_close(1001, "", &mut self.out).unwrap();
    }

    pub fn output(&self) -> Vec<u8> {
        self.out.chunks().collect::<Vec<_>>().concat()
    }
}

/// Runs `input` whole, byte by byte and at random cuts, and gives back the events and the output, which are the same each time.
pub fn run_with(input: &[u8], limits: &ProtocolLimits) -> (Vec<Seen>, Vec<u8>) {
    run_on(input, || Server::new(limits))
}

/// As [`run_with`], on servers of another kind.
pub fn run_on(input: &[u8], server: impl Fn() -> Server) -> (Vec<Seen>, Vec<u8>) {
    let runs = splits(input.len(), 40).map(|pieces| {
        let (mut server, mut rest) = (server(), input);
        for piece in &pieces {
            let (now, later) = rest.split_at(*piece);
            server.feed(now);
            rest = later;
        }
        ((server.seen.clone(), server.output()), pieces)
    });
    runs.reduce(|first, other| {
        assert_eq!(first.0, other.0, "cut into {:?}", other.1);
        first
    })
    .unwrap()
    .0
}
