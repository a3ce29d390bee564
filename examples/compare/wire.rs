//! The client's bytes, written by hand.
//!
//! Owns the requests, the check of a connection's first answer, and one masked frame. Leaves all
//! later answers to `client`, which only counts their bytes: a load generator that parses would
//! measure itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::server::PLAINTEXT;

/// After this time, an answer counts as missing.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any first answer of this server.
const ANSWER_BYTES_MAX: usize = 4_096;

/// The use of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Requests,
    EventStream,
    WebSocket,
    Echo,
}

impl Use {
    const fn path(self) -> &'static str {
        match self {
            Self::Requests => "/plaintext",
            Self::EventStream => "/events",
            Self::WebSocket => "/subscribe",
            Self::Echo => "/echo",
        }
    }

    const fn fields(self) -> &'static str {
        match self {
            Self::Requests => "",
            Self::EventStream => "Accept: text/event-stream\r\n",
            // The key of RFC 6455, section 1.3.
            Self::WebSocket | Self::Echo => {
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            }
        }
    }

    /// The text that the head of the answer must contain, and the body.
    const fn answer(self) -> (&'static str, &'static str) {
        match self {
            Self::Requests => ("HTTP/1.1 200 ", PLAINTEXT),
            Self::EventStream => ("\r\nContent-Type: text/event-stream\r\n", ""),
            Self::WebSocket | Self::Echo => ("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", ""),
        }
    }

    /// The request that begins this use.
    pub(crate) fn request(self) -> Vec<u8> {
        format!("GET {} HTTP/1.1\r\nHost: compare.test\r\n{}\r\n", self.path(), self.fields()).into_bytes()
    }
}

/// Connects, sends the first request and checks its complete answer. Returns the socket and the
/// answer's length.
pub(crate) fn establish(purpose: Use, address: SocketAddr) -> io::Result<(TcpStream, usize)> {
    let mut socket = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    socket.write_all(&purpose.request())?;
    let (wanted, body) = purpose.answer();
    let mut answer = Vec::new();
    let mut buffer = [0; ANSWER_BYTES_MAX];
    loop {
        let len = socket.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..len]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, rest)) = text.split_once("\r\n\r\n")
            && rest.len() >= body.len()
        {
            // `split_once` has removed the last field's line end, which `wanted` may contain.
            let is_right = format!("{head}\r\n").contains(wanted) && rest == body;
            return if is_right { Ok((socket, answer.len())) } else { Err(unexpected(&text)) };
        }
        if len == 0 || answer.len() > ANSWER_BYTES_MAX {
            return Err(if text.is_empty() { ErrorKind::UnexpectedEof.into() } else { unexpected(&text) });
        }
    }
}

fn unexpected(answer: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("unexpected answer {answer:?}"))
}

/// The payload of every echoed message.
const ECHO_PAYLOAD: [u8; 16] = *b"0123456789abcdef";

/// One complete binary message of a client: fin, opcode 2; mask bit, length 16; key; masked payload
/// (RFC 6455, section 5.2).
pub(crate) fn echo_frame() -> Vec<u8> {
    let key = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![0x82, 0x80 | ECHO_PAYLOAD.len() as u8];
    frame.extend(key);
    frame.extend(ECHO_PAYLOAD.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Sends one message and checks its echo. Returns the echo's length.
pub(crate) fn try_echo(socket: &mut TcpStream) -> io::Result<usize> {
    socket.write_all(&echo_frame())?;
    let mut echo = [0; 2 + ECHO_PAYLOAD.len()];
    socket.read_exact(&mut echo)?;
    if echo[..2] == [0x82, ECHO_PAYLOAD.len() as u8] && echo[2..] == ECHO_PAYLOAD {
        Ok(echo.len())
    } else {
        Err(unexpected(&String::from_utf8_lossy(&echo)))
    }
}
