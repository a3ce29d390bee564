//! The client's bytes, written by hand.
//!
//! Owns the requests, the check of a connection's first answer, and frames of WebSocket clients.
//! Leaves all later answers to the loads, which mostly count bytes: a load generator that parses
//! would measure itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::server::app::{DOWNLOAD_BYTES, PLAINTEXT};

/// After this time, an answer counts as missing.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any first answer of a stream.
const HEAD_BYTES_MAX: usize = 4_096;

/// The fields of an upgrade. The key is that of RFC 6455, section 1.3.
const UPGRADE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// What the answer to an upgrade contains.
pub(crate) const ACCEPTED: &str = "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// A load in which each connection has one operation in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// Requests for a short text.
    Requests,
    /// `WebSocket` messages of 16 bytes, which the server sends back.
    Echo,
    /// Requests for 64 KiB.
    Download,
}

impl Exchange {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Requests => "keep-alive requests",
            Self::Echo => "WebSocket echoes of 16 B",
            Self::Download => "downloads of 64 KiB",
        }
    }

    /// What is sent for one operation.
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Requests => get("/plaintext", ""),
            Self::Echo => frame(2, &ECHO_PAYLOAD),
            Self::Download => get("/download", ""),
        }
    }

    /// Connects, does one operation and checks its answer. Returns the socket, and the length of
    /// every answer.
    pub(crate) fn establish(self, address: SocketAddr) -> io::Result<(TcpStream, usize)> {
        let body = match self {
            Self::Requests => PLAINTEXT.as_bytes().to_vec(),
            Self::Download => vec![b'x'; DOWNLOAD_BYTES],
            Self::Echo => {
                let mut socket = open_websocket(address, "/echo")?;
                socket.write_all(&self.bytes())?;
                let mut echo = [0; 2 + ECHO_PAYLOAD.len()];
                socket.read_exact(&mut echo)?;
                let is_right = echo[..2] == [0x82, ECHO_PAYLOAD.len() as u8] && echo[2..] == ECHO_PAYLOAD;
                return if is_right { Ok((socket, echo.len())) } else { Err(unexpected(&echo)) };
            }
        };
        let mut socket = connect(address)?;
        let answer = ask(&mut socket, &self.bytes())?;
        if answer.status != 200 || answer.body != body {
            return Err(unexpected(&answer.bytes));
        }
        Ok((socket, answer.bytes.len()))
    }
}

/// The payload of every echoed message.
const ECHO_PAYLOAD: [u8; 16] = *b"0123456789abcdef";

pub(crate) fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: compare.test\r\n{fields}\r\n").into_bytes()
}

pub(crate) fn post(target: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!("POST {target} HTTP/1.1\r\nHost: compare.test\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n")
        .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// One complete message of a client: fin and opcode; mask bit and length; key; masked payload (RFC
/// 6455, section 5.2). The payload has at most 125 bytes.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= 125, "a short payload");
    let key = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8];
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Connects, with a time-out for each read.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(socket)
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Head and body as they came.
    pub(crate) bytes: Vec<u8>,
}

/// Sends a request and reads its answer, which has a `Content-Length` or no body.
pub(crate) fn ask(socket: &mut (impl Read + Write), request: &[u8]) -> io::Result<Answer> {
    socket.write_all(request)?;
    read_answer(socket)
}

/// Reads an answer that has a `Content-Length` or no body.
pub(crate) fn read_answer(socket: &mut impl Read) -> io::Result<Answer> {
    let mut bytes = read_head(socket)?;
    let head_len = head_end(&bytes).expect("the head was read to its end");
    let head = String::from_utf8_lossy(&bytes[..head_len]).into_owned();
    let length = field(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut buffer = [0; 16 * 1024];
    while bytes.len() < head_len + length {
        match socket.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => bytes.extend_from_slice(&buffer[..len]),
        }
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| unexpected(&bytes))?;
    Ok(Answer { status, body: bytes[head_len..].to_vec(), bytes })
}

/// The value of a field. `name` is in lower case.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// Opens a WebSocket.
pub(crate) fn open_websocket(address: SocketAddr, target: &str) -> io::Result<TcpStream> {
    Ok(open(address, target, UPGRADE, ACCEPTED)?.0)
}

/// Sends a request whose answer does not end, and checks its head. Returns the socket, and what was
/// read: the head, and perhaps the first bytes of the body.
pub(crate) fn open(address: SocketAddr, target: &str, fields: &str, wanted: &str) -> io::Result<(TcpStream, Vec<u8>)> {
    let mut socket = connect(address)?;
    socket.write_all(&get(target, fields))?;
    let bytes = read_head(&mut socket)?;
    if String::from_utf8_lossy(&bytes).contains(wanted) { Ok((socket, bytes)) } else { Err(unexpected(&bytes)) }
}

/// The upgrade of a client that opens a WebSocket itself. `fields` are further fields.
pub(crate) fn websocket_request(target: &str, fields: &str) -> Vec<u8> {
    get(target, &format!("{UPGRADE}{fields}"))
}

/// Reads until the head of an answer is complete. Returns it with the first bytes of the body, if
/// they came with it.
pub(crate) fn read_head(socket: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; HEAD_BYTES_MAX]);
    while head_end(&bytes).is_none() {
        match socket.read(&mut buffer)? {
            0 if bytes.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
            0 => return Err(unexpected(&bytes)),
            len => bytes.extend_from_slice(&buffer[..len]),
        }
        if bytes.len() > 64 * 1024 + HEAD_BYTES_MAX {
            return Err(unexpected(&bytes));
        }
    }
    Ok(bytes)
}

/// Where the head ends, with its empty line.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

pub(crate) fn unexpected(answer: &[u8]) -> io::Error {
    let answer = String::from_utf8_lossy(&answer[..answer.len().min(300)]);
    io::Error::new(ErrorKind::InvalidData, format!("unexpected answer {answer:?}"))
}
