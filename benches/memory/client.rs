//! The connections of a row, with blocking sockets.

use std::io::{self, Error, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub(crate) struct Crowd {
    address: SocketAddr,
    sockets: Vec<TcpStream>,
}

impl Crowd {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, sockets: Vec::new() }
    }

    /// Opens more connections. Each sends its request and reads what comes at once. A poll gets no
    /// answer; the answer to a request on another connection shows that the server holds it.
    pub(crate) fn grow(&mut self, more: usize, request: fn(usize) -> String) -> io::Result<()> {
        for _ in 0..more {
            let mut socket = self.connect()?;
            let request = request(self.sockets.len());
            socket.write_all(request.as_bytes())?;
            if request.contains("-poll") {
                self.sockets.push(socket);
                continue;
            }
            let mut head = [0; 4_096];
            if socket.read(&mut head)? == 0 {
                return Err(Error::other(format!("the server closed the connection that sent {request:?}")));
            }
            self.sockets.push(socket);
        }
        self.publish("/topics/other", 1)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect(self.address).map_err(|error| {
            Error::new(error.kind(), format!("{error}: each connection needs a file here and in the server (`ulimit -n`)"))
        })
    }

    /// Publishes a message, and waits for the answer. Each connection then reads what it has got.
    pub(crate) fn publish(&mut self, path: &str, bytes: usize) -> io::Result<()> {
        let mut publisher = self.connect()?;
        write!(publisher, "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n{}", "x".repeat(bytes))?;
        publisher.read_to_end(&mut Vec::new())?;
        if path != "/topics/news" {
            return Ok(());
        }
        let mut room = vec![0; 64 * 1_024];
        for socket in &mut self.sockets {
            let mut got = 0;
            while got < bytes {
                match socket.read(&mut room)? {
                    0 => return Err(Error::other("the server closed the connection of a subscriber")),
                    len => got += len,
                }
            }
        }
        Ok(())
    }

    /// Closes all connections but these.
    pub(crate) fn shrink(&mut self, kept: usize) {
        self.sockets.truncate(kept);
    }

    /// Reads everything, and answers each ping of a WebSocket with a pong, for a time.
    pub(crate) fn answer_pings_for(&mut self, time: Duration) -> io::Result<()> {
        let until = Instant::now() + time;
        for socket in &self.sockets {
            socket.set_nonblocking(true)?;
        }
        while Instant::now() < until {
            let mut room = [0; 1_024];
            for socket in &mut self.sockets {
                match socket.read(&mut room) {
                    Ok(0) => return Err(Error::other("the server closed the connection of a subscriber")),
                    // An empty ping, and an empty pong with the masking key 0.
                    Ok(len) if room[..len] == [0x89, 0] => socket.write_all(&[0x8a, 0x80, 0, 0, 0, 0])?,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}
