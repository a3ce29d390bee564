//! The client: one thread with blocking sockets.
//!
//! Owns the server's process, a connection, and the gate. The gate stops the event loop while the client
//! writes to many connections. The loop then finds the same bytes in each run, however busy the machine
//! is. So the counts do not depend on time.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// No answer takes as long, also under valgrind on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process of a server, which ends with this value.
pub(crate) struct ServerProcess {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
    control: Connection,
}

impl ServerProcess {
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().expect("it is piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let begun = first_line(&mut stdout).and_then(|address| Ok((address, Connection::open(address)?)));
        match begun {
            Ok((address, control)) => Ok(Self { child, stdin, stdout, address, control }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    pub(crate) fn connect(&self) -> io::Result<Connection> {
        Connection::open(self.address)
    }

    /// Sends a request on a connection that is not part of the load, and waits for its answer.
    pub(crate) fn ask(&mut self, target: &str) -> io::Result<()> {
        self.control.send(get(target, "").as_bytes())?;
        self.finish_asking(target)
    }

    fn finish_asking(&mut self, target: &str) -> io::Result<()> {
        let answer = self.control.answers("done\n", 1)?;
        if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(io::Error::other(format!("{target} failed: {answer}"))) }
    }

    /// Stops the event loop while `write` writes.
    pub(crate) fn behind_gate(&mut self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.control.send(get("/gate", "").as_bytes())?;
        self.stdout.read_line(&mut String::new())?;
        write()?;
        self.stdin.write_all(b"\n")?;
        self.finish_asking("/gate")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It fails only if the process has ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(stdout: &mut BufReader<ChildStdout>) -> io::Result<SocketAddr> {
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    line.trim().parse().map_err(|_| io::Error::other("the server's process did not start; its message stands above"))
}

/// A request without a body.
pub(crate) fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{fields}\r\n")
}

/// A socket whose buffers take all that one connection has in flight. The system starts with smaller ones
/// and lets them grow as it sees fit. Then the number of reads of large messages differs from hour to hour,
/// and with it their count by a factor of three.
pub(crate) fn socket_with_large_buffers() -> io::Result<Socket> {
    const BYTES: usize = 1024 * 1024;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(BYTES)?;
    socket.set_send_buffer_size(BYTES)?;
    Ok(socket)
}

/// One connection of the client.
pub(crate) struct Connection {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = socket_with_large_buffers()?;
        socket.connect(&address.into())?;
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, unread: Vec::new() })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Reads until `end` has come `count` times, and returns the bytes up to there.
    pub(crate) fn answers(&mut self, end: &str, count: usize) -> io::Result<String> {
        let (mut found, mut at) = (0, 0);
        while found < count {
            match self.unread[at..].windows(end.len()).position(|window| window == end.as_bytes()) {
                Some(position) => (found, at) = (found + 1, at + position + end.len()),
                None => self.read_more()?,
            }
        }
        let answers: Vec<u8> = self.unread.drain(..at).collect();
        Ok(String::from_utf8_lossy(&answers).into_owned())
    }

    /// Reads this number of bytes, and checks how they end.
    pub(crate) fn bytes(&mut self, len: usize, end: &[u8]) -> io::Result<()> {
        while self.unread.len() < len {
            self.read_more()?;
        }
        if !self.unread[..len].ends_with(end) {
            return Err(io::Error::other("the echo differs from the message"));
        }
        self.unread.drain(..len);
        Ok(())
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut room = [0; 16 * 1024];
        match self.socket.read(&mut room)? {
            0 => Err(io::Error::other(format!("the server has closed the connection after {:?}", String::from_utf8_lossy(&self.unread)))),
            len => {
                self.unread.extend_from_slice(&room[..len]);
                Ok(())
            }
        }
    }
}
