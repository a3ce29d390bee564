//! A client that is as raw as a test needs it: bytes out, responses, chunks, frames and the end of file in.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Type};

use super::NET;
use super::socket::Socket;

/// A connection to a server, and what came from it and was not looked at yet.
pub struct Client {
    pub stream: Socket,
    unread: Vec<u8>,
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The head section as it came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct WsFrame {
    /// With the FIN bit.
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::around_tcp(TcpStream::connect(address).unwrap())
    }

    /// A connection for which the system keeps as few received bytes as it can be made to.
    pub fn connect_with_little_room(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::around_tcp(socket.into())
    }

    /// A connection over a Unix socket. In the type of a TCP socket, all calls are the same.
    #[cfg(unix)]
    pub fn over_unix(stream: std::os::unix::net::UnixStream) -> Self {
        Self::with_time_outs(Socket::plain(std::os::fd::OwnedFd::from(stream).into()))
    }

    pub fn around_tcp(stream: TcpStream) -> Self {
        Self::around(Socket::around(stream))
    }

    pub fn around(stream: Socket) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::with_time_outs(stream)
    }

    fn with_time_outs(stream: Socket) -> Self {
        stream.set_read_timeout(Some(NET)).unwrap();
        stream.set_write_timeout(Some(NET)).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// The socket, for a test that waits for many at once. Nothing may be unread.
    pub fn into_nonblocking(self) -> Socket {
        assert!(self.unread.is_empty(), "{}", self.show_unread());
        self.stream.set_nonblocking(true).unwrap();
        self.stream
    }

    /// Takes back what [`into_nonblocking`](Self::into_nonblocking) gave.
    pub fn around_nonblocking(stream: Socket) -> Self {
        stream.set_nonblocking(false).unwrap();
        Self::around(stream)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub fn get(&mut self, target: &str) {
        self.send(request(target));
    }

    /// Sends a request and takes its answer.
    #[track_caller]
    pub fn fetch(&mut self, target: &str) -> Answer {
        self.get(target);
        self.answer()
    }

    /// Sends no more.
    pub fn end_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Breaks the connection: the server gets a reset.
    pub fn reset(self) {
        SockRef::from(&self.stream.tcp).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The peer is gone without a word: nothing that the server sends is received any more, or even acknowledged, and nothing is sent for as
    /// long as this client lives. Elsewhere than on Linux it is only silent.
    pub fn vanish(&self) {
        let socket = SockRef::from(&self.stream.tcp);
        // "Return 0", which for a filter is to keep nothing of a packet (Linux, Documentation/networking/filter.rst).
        #[cfg(target_os = "linux")]
        socket.attach_filter(&[socket2::SockFilter::new(0x06, 0, 0, 0)]).unwrap();
        #[cfg(not(target_os = "linux"))]
        let _ = socket;
    }

    /// Reads once, for what is there or comes. `false` at the end of file.
    #[track_caller]
    fn read_more(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(len) => {
                self.unread.extend_from_slice(&bytes[..len]);
                len > 0
            }
            Err(error) => panic!("{error} after {}", self.show_unread()),
        }
    }

    fn show_unread(&self) -> String {
        format!("{} bytes: {:?}", self.unread.len(), String::from_utf8_lossy(&self.unread[..self.unread.len().min(200)]))
    }

    /// Waits for something to be there, and takes nothing of it.
    #[track_caller]
    pub fn wait(&self) {
        assert!(self.unread.is_empty(), "{}", self.show_unread());
        assert_eq!(self.stream.peek(&mut [0]).unwrap(), 1);
    }

    /// From now on, the system receives as fast as it does for others.
    pub fn make_room(&self) {
        SockRef::from(&self.stream.tcp).set_recv_buffer_size(1024 * 1024).unwrap();
    }

    /// Reads until so many bytes are there, and keeps them.
    #[track_caller]
    pub fn wait_for(&mut self, len: usize) {
        while self.unread.len() < len {
            assert!(self.read_more(), "the end came before {len} bytes, after {}", self.show_unread());
        }
    }

    #[track_caller]
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        self.wait_for(len);
        self.unread.drain(..len).collect()
    }

    /// Everything up to `mark`, with it.
    #[track_caller]
    pub fn take_until(&mut self, mark: &[u8]) -> Vec<u8> {
        let mut from = 0;
        loop {
            if let Some(at) = self.unread[from..].windows(mark.len()).position(|window| window == mark) {
                return self.unread.drain(..from + at + mark.len()).collect();
            }
            from = self.unread.len().saturating_sub(mark.len() - 1);
            assert!(self.read_more(), "the end came after {}", self.show_unread());
        }
    }

    /// The head of a response, without its body.
    #[track_caller]
    pub fn answer_head(&mut self) -> Answer {
        let head = String::from_utf8(self.take_until(b"\r\n\r\n")).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
        Answer { status: status.unwrap_or_else(|| panic!("no status line: {head}")), head, body: Vec::new() }
    }

    /// A whole response.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.answer_head();
        if let Some(length) = answer.field("Content-Length") {
            answer.body = self.take(length.parse().unwrap());
        } else if answer.field("Transfer-Encoding").is_some() {
            while let Some(chunk) = self.chunk() {
                answer.body.extend_from_slice(&chunk);
            }
        }
        answer
    }

    /// The next chunk of a chunked body, `None` at its end.
    #[track_caller]
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.take_until(b"\r\n")).unwrap();
        let len = usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("no chunk size: {line}"));
        let mut chunk = self.take(len + 2);
        chunk.truncate(len);
        (len > 0).then_some(chunk)
    }

    /// The next chunk as text.
    #[track_caller]
    pub fn text_chunk(&mut self) -> String {
        String::from_utf8(self.chunk().expect("the stream goes on")).unwrap()
    }

    /// The connection ends in an orderly way, with nothing before.
    #[track_caller]
    pub fn expect_end(&mut self) {
        while self.read_more() {}
        assert!(self.unread.is_empty(), "the end came after {}", self.show_unread());
    }

    /// Everything up to the end of file.
    #[track_caller]
    pub fn take_to_end(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.unread)
    }

    /// Reads on until the connection ends in whatever way, and says how many bytes came.
    #[track_caller]
    pub fn drain(&mut self) -> usize {
        let (mut bytes, mut count) = (vec![0; 64 * 1024], self.unread.len());
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return count,
                Ok(len) => count += len,
                Err(error) if is_timeout(error.kind()) => panic!("the connection did not end"),
                Err(_) => return count,
            }
        }
    }

    /// Asks for a WebSocket. The key is the RFC's own (RFC 6455, section 1.3).
    #[track_caller]
    pub fn upgrade(&mut self, target: &str) {
        self.send(format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ));
        assert_eq!(self.answer_head().field("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    /// Sends a masked frame of up to 125 bytes.
    pub fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send(frame(first, payload));
    }

    /// The next frame.
    #[track_caller]
    pub fn frame(&mut self) -> WsFrame {
        let head = self.take(2);
        let len = match head[1] {
            126 => self.take(2).into_iter().fold(0, |len, byte| len << 8 | usize::from(byte)),
            127 => self.take(8).into_iter().fold(0, |len, byte| len << 8 | usize::from(byte)),
            len => len.into(),
        };
        WsFrame { first: head[0], payload: self.take(len) }
    }
}

pub fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A request without a body.
pub fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// A masked frame of up to 125 bytes.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [first, 0x80 | payload.len() as u8].into_iter().chain(mask).chain(masked).collect()
}
