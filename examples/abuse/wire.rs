//! The sockets and bytes of all clients.
//!
//! Owns requests as text, and the part of an answer that attacks look at: status and body. Leaves
//! bytes that break the protocol to the attacks.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::Result;

/// After this time, an answer counts as missing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

pub(crate) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: abuse.test\r\n\r\n")
}

/// A request after which the server closes the connection.
pub(crate) fn last_request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: abuse.test\r\nConnection: close\r\n\r\n")
}

pub(crate) fn upgrade(path: &str) -> String {
    // The key of RFC 6455, section 1.3.
    format!(
        "GET {path} HTTP/1.1\r\nHost: abuse.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

pub(crate) fn publish(topic: &str, text: &str) -> String {
    format!("POST /topics/{topic} HTTP/1.1\r\nHost: abuse.test\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

/// A status, and a body whose length the head announced.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) fn read_answer(reader: &mut impl BufRead) -> io::Result<Answer> {
    let (status, length) = read_head(reader)?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Reads a head, and leaves the body to the caller. Returns the status and `Content-Length`.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, usize)> {
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
            status = rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or_default();
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("Content-Length")
        {
            length = value.trim().parse().unwrap_or_default();
        } else if text.is_empty() {
            return Ok((status, length));
        }
    }
}

/// Sends one request on a new connection. Returns the body.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut socket = connect(address)?;
    socket.write_all(request(path).as_bytes())?;
    let answer = read_answer(&mut BufReader::new(socket))?;
    if answer.status == 200 { Ok(answer.body) } else { Err(format!("GET {path} was answered with {}", answer.status).into()) }
}

/// Ends a connection with RST instead of FIN: that is what a close with a linger time of zero
/// sends.
pub(crate) fn reset(socket: TcpStream) {
    // An error means that the connection has already ended.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    drop(socket);
}

/// Reads until the connection ends, fails, or sends nothing for [`PATIENCE`]. Returns the bytes.
pub(crate) fn read_to_end(mut socket: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    bytes
}

/// Whether an error only means that the operation cannot be done now.
pub(crate) fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
