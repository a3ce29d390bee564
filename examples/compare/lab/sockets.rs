//! Subscribers that have a WebSocket each, plain or over TLS, with or without compression.
//!
//! Owns their connections, and a round of messages: each one is published, and then read by each
//! subscriber, before the next one is. The figures are those of the server, so the subscribers are
//! read one after the other. Leaves the server to its caller. `subscribers` knows all techniques,
//! but no TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::certificate::NAME;
use super::wire::{self, ACCEPTED};
use crate::Result;
use crate::interrupt;

const TOPIC: &str = "sockets";
/// RFC 7692, section 7.1: no window is kept between messages.
const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const RSV1: u8 = 0x40;

/// How the clients connect.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) address: SocketAddr,
    /// `None`: without TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Whether the clients offer permessage-deflate. If so, each message must arrive compressed.
    pub(crate) deflate: bool,
}

/// The subscribers of one server, and the connection of their publisher.
pub(crate) struct Sockets {
    access: Access,
    /// Connected for the first message: servers end connections that send nothing for too long.
    publisher: Option<Stream>,
    subscribers: Vec<Stream>,
    frame: Vec<u8>,
}

impl Sockets {
    pub(crate) const fn new(access: Access) -> Self {
        Self { access, publisher: None, subscribers: Vec::new(), frame: Vec::new() }
    }

    /// Opens `WebSockets` until there are `count`.
    pub(crate) fn grow(&mut self, count: usize) -> Result<()> {
        while self.subscribers.len() < count {
            let mut socket = Stream::connect(&self.access)?;
            let extensions = if self.access.deflate { format!("Sec-WebSocket-Extensions: {OFFER}\r\n") } else { String::new() };
            socket.write_all(&wire::websocket_request(&format!("/topics/{TOPIC}/ws"), &extensions))?;
            let head = wire::read_head(&mut socket)?;
            let text = String::from_utf8_lossy(&head);
            if !text.contains(ACCEPTED) || text.contains("permessage-deflate") != self.access.deflate {
                return Err(wire::unexpected(&head).into());
            }
            self.subscribers.push(socket);
        }
        Ok(())
    }

    /// Publishes messages with this text, one after the other, and reads each one at each
    /// subscriber. Returns the bytes of TCP that a delivery took.
    pub(crate) fn deliver(&mut self, text: &str, messages: usize) -> Result<f64> {
        let request = wire::post(&format!("/topics/{TOPIC}"), text.as_bytes());
        let before = self.bytes_read();
        let publisher = match &mut self.publisher {
            Some(publisher) => publisher,
            none => none.insert(Stream::connect(&self.access)?),
        };
        for _ in 0..messages {
            if interrupt::is_asked() {
                return Err("interrupted".into());
            }
            let answer = wire::ask(publisher, &request)?;
            if answer.status != 202 {
                return Err(wire::unexpected(&answer.bytes).into());
            }
            for subscriber in &mut self.subscribers {
                read_message(subscriber, &mut self.frame)?;
                if (self.frame[0] & RSV1 != 0) != self.access.deflate {
                    return Err(wire::unexpected(&self.frame).into());
                }
            }
        }
        Ok((self.bytes_read() - before) as f64 / (messages * self.subscribers.len()) as f64)
    }

    fn bytes_read(&self) -> u64 {
        self.subscribers.iter().map(|subscriber| subscriber.tcp().bytes_read).sum()
    }
}

/// Reads the frame of one data message of a server into `frame`. Skips control frames.
fn read_message(socket: &mut Stream, frame: &mut Vec<u8>) -> io::Result<()> {
    const FIN: u8 = 0x80;
    const CONTROL: u8 = 0x08;
    loop {
        frame.resize(2, 0);
        socket.read_exact(frame)?;
        let more = match frame[1] {
            126 => 2,
            127 => 8,
            128.. => return Err(wire::unexpected(frame)), // a server does not mask
            _ => 0,
        };
        frame.resize(2 + more, 0);
        socket.read_exact(&mut frame[2..])?;
        let length = match more {
            0 => usize::from(frame[1]),
            _ => frame[2..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
        };
        frame.resize(2 + more + length, 0);
        socket.read_exact(&mut frame[2 + more..])?;
        if frame[0] & FIN == 0 {
            return Err(wire::unexpected(frame));
        }
        if frame[0] & CONTROL == 0 {
            return Ok(());
        }
    }
}

/// A connection of a client.
enum Stream {
    Plain(Counted),
    Tls(Box<StreamOwned<ClientConnection, Counted>>),
}

impl Stream {
    fn connect(access: &Access) -> Result<Self> {
        let tcp = Counted { socket: wire::connect(access.address)?, bytes_read: 0 };
        let Some(config) = &access.tls else { return Ok(Self::Plain(tcp)) };
        let connection = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME)?)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }

    fn tcp(&self) -> &Counted {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A TCP connection that counts what was read from it.
struct Counted {
    socket: TcpStream,
    bytes_read: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.socket.read(buffer)?;
        self.bytes_read += len as u64;
        Ok(len)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
