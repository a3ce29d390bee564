//! A small HTTP client for tests, over one connection at a time.
//!
//! Owns requests, heads, bodies with a length and chunks, each read up to a moment. Leaves the
//! meaning of bodies to `decode`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A server that has not answered within this time hangs: the longest wait is 15 s for a message
/// that is not confirmed.
const ANSWER_TIME: Duration = Duration::from_secs(30);
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// A connection, and what was received and not read yet.
pub(crate) struct Connection {
    socket: TcpStream,
    input: Vec<u8>,
    /// Nothing is waited for longer than until then.
    pub(crate) until: Instant,
}

/// The head of an answer.
pub(crate) struct Head {
    pub(crate) status: u16,
    text: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Head {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.text, name)
    }
}

/// The value of a field in the lines of a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The id in the answer to a publish.
    pub(crate) fn id(&self) -> String {
        let value: Value = serde_json::from_slice(&self.body).unwrap();
        value["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn unexpected(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.into())
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, CONNECT_TIME)?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, input: Vec::new(), until: Instant::now() + ANSWER_TIME })
    }

    /// A connection that is cut at a moment: what was not read by then is lost.
    pub(crate) fn open_until(address: SocketAddr, until: Instant) -> io::Result<Self> {
        Ok(Self { until, ..Self::open(address)? })
    }

    /// The socket, for another protocol.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }

    pub(crate) fn get(&mut self, target: &str) -> io::Result<Answer> {
        self.send_get(target)?;
        self.answer()
    }

    pub(crate) fn post(&mut self, topic: &str, text: &str) -> io::Result<Answer> {
        self.until = Instant::now() + ANSWER_TIME;
        let len = text.len();
        let request =
            format!("POST /topics/{topic} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n{text}");
        self.socket.write_all(request.as_bytes())?;
        self.answer()
    }

    pub(crate) fn send_get(&mut self, target: &str) -> io::Result<()> {
        self.socket.write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let head = self.head()?;
        let len = head.field("Content-Length").and_then(|len| len.parse().ok()).ok_or_else(|| unexpected("an answer without a length"))?;
        let body = self.bytes(len)?;
        Ok(Answer { status: head.status, head, body })
    }

    pub(crate) fn head(&mut self) -> io::Result<Head> {
        let text = self.line_block(b"\r\n\r\n")?;
        let status = text.get(9..12).and_then(|status| status.parse().ok());
        Ok(Head { status: status.ok_or_else(|| unexpected(format!("no status in {text}")))?, text })
    }

    /// The next chunk; `None` behind the last one.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line_block(b"\r\n")?;
        let len = usize::from_str_radix(line.trim(), 16).map_err(|_| unexpected(format!("no length of a chunk in {line:?}")))?;
        let mut bytes = self.bytes(len + 2)?;
        bytes.truncate(len);
        Ok((len > 0).then_some(bytes))
    }

    /// Text up to and with an end.
    fn line_block(&mut self, end: &[u8]) -> io::Result<String> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                let bytes = self.bytes(at + end.len())?;
                return String::from_utf8(bytes).map_err(|error| unexpected(error.to_string()));
            }
            self.receive()?;
        }
    }

    fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < len {
            self.receive()?;
        }
        let rest = self.input.split_off(len);
        Ok(std::mem::replace(&mut self.input, rest))
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    self.input.extend_from_slice(&buffer[..len]);
                    return Ok(());
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
