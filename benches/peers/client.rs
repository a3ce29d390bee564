//! A connection before it joins the load, with a blocking socket.
//!
//! Owns connecting, handshakes and the first answer on a connection, which is checked whole. Leaves the
//! answers under load to `load`.

use std::io::{self, Error, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use pushlab::proto::ws::{FrameHead, Opcode};

use crate::load::PATIENCE;
use crate::server::{BODY, MARK};

/// The fields that a browser sends beside `Host`. The request has some 760 bytes.
pub(crate) const BROWSER: &str = "Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
    image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\nSec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Referer: http://127.0.0.1:8080/articles/2026/11/how-a-server-pushes.html\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n";

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// A browser chooses a new key for each message. What a server does with it does not depend on the key.
const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A request without a body.
pub(crate) fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{fields}\r\n").into_bytes()
}

/// A binary message of a client, and the echo of a server.
pub(crate) fn message_and_echo(bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let mut payload = vec![b'x'; bytes];
    payload[bytes - 1] = MARK;
    let echo = [&*FrameHead::server(Opcode::Binary, bytes as u64).encode(), &payload].concat();
    payload.iter_mut().zip(MASKING_KEY.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    let message = [&*FrameHead::client(Opcode::Binary, bytes as u64, MASKING_KEY).encode(), &payload].concat();
    (message, echo)
}

pub(crate) struct Connection {
    socket: TcpStream,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket })
    }

    /// Begins a WebSocket.
    pub(crate) fn upgrade(&mut self, target: &str) -> io::Result<()> {
        self.begin(target, HANDSHAKE, "HTTP/1.1 101 ")
    }

    /// Begins an event stream.
    pub(crate) fn stream(&mut self, target: &str) -> io::Result<()> {
        self.begin(target, "", "HTTP/1.1 200 ")
    }

    fn begin(&mut self, target: &str, fields: &str, status: &str) -> io::Result<()> {
        let head = self.ask(&get(target, fields), b"\r\n\r\n")?;
        if head.starts_with(status.as_bytes()) { Ok(()) } else { Err(unexpected(target, &head, status)) }
    }

    /// Asks for a text, and returns the length of the answer.
    pub(crate) fn request(&mut self, target: &str, fields: &str) -> io::Result<usize> {
        let answer = self.ask(&get(target, fields), &[MARK])?;
        let end = format!("\r\n\r\n{BODY}");
        let is_whole = answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(end.as_bytes());
        if is_whole { Ok(answer.len()) } else { Err(unexpected(target, &answer, "the status 200 and the text")) }
    }

    /// Sends a message, and checks its echo.
    pub(crate) fn echo(&mut self, message: &[u8], echo: &[u8]) -> io::Result<()> {
        let answer = self.ask(message, &[MARK])?;
        if answer == echo { Ok(()) } else { Err(Error::other(format!("the echo of {} bytes differs from the message", answer.len()))) }
    }

    /// Sends bytes, and reads until `end` has come.
    fn ask(&mut self, output: &[u8], end: &[u8]) -> io::Result<Vec<u8>> {
        self.socket.write_all(output)?;
        let (mut answer, mut room) = (Vec::new(), [0; 16 * 1024]);
        while !answer.windows(end.len()).rev().any(|window| window == end) {
            match self.socket.read(&mut room).map_err(|error| late(error, output))? {
                0 => {
                    return Err(Error::other(format!("the server has closed the connection after {:?}", String::from_utf8_lossy(&answer))));
                }
                len => answer.extend_from_slice(&room[..len]),
            }
        }
        Ok(answer)
    }

    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }
}

/// A read that reaches its time limit would say that a resource is unavailable.
fn late(error: Error, output: &[u8]) -> Error {
    if error.kind() != ErrorKind::WouldBlock {
        return error;
    }
    let begin = String::from_utf8_lossy(&output[..output.len().min(40)]);
    Error::new(ErrorKind::TimedOut, format!("no answer has come within {PATIENCE:?} to what begins with {begin:?}"))
}

fn unexpected(target: &str, answer: &[u8], expected: &str) -> Error {
    Error::other(format!("{target} was answered by {:?}; expected: {expected}", String::from_utf8_lossy(answer)))
}

#[test]
fn a_message_is_masked_and_its_echo_is_not() {
    let (message, echo) = message_and_echo(16);
    assert_eq!(echo, b"\x82\x10xxxxxxxxxxxxxxx!");
    assert_eq!(message[..6], [0x82, 0x90, 0x37, 0xfa, 0x21, 0x3d]);
    assert_eq!(message[6..8], [b'x' ^ 0x37, b'x' ^ 0xfa]);
    assert_eq!(message[21], b'!' ^ 0x3d);
}

#[test]
fn the_head_of_a_browser_has_fifteen_fields() {
    let head = String::from_utf8(get("/hello", BROWSER)).expect("it is text");
    assert_eq!(head.matches("\r\n").count(), 1 + 15 + 1);
    assert!((740..=780).contains(&head.len()), "{} bytes", head.len());
}
