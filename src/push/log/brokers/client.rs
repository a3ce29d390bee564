//! One connection to a broker, as a STOMP client.
//!
//! Owns the socket, the login, heart-beats and time limits, and the sentences for a broker that is
//! away, silent, not a broker, or refuses. Leaves the meaning of messages to the engines.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::address::BrokerAddress;
use crate::proto::stomp::{Command, Frame, FrameWriter, HeartBeat, Intervals, Reader, Role, StompLimits, Version};
use crate::push::log::engine::LogError;

/// For a connection, for the answer to CONNECT, and for each answer of the broker that must come.
/// `RabbitMQ` needs some seconds after its start until its streams answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// For a write to a broker that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often each side sends something, so that both notice when the other has vanished.
const HEART_BEAT: HeartBeat = HeartBeat { sends_ms: 5_000, wants_ms: 5_000 };
/// How many heart-beats of the broker may be missing.
const BEATS_MISSED_MAX: u32 = 3;
/// A payload is at most 1 GiB, and base64 is not used.
const LIMITS: StompLimits = StompLimits { header_lines: 256, header_line_bytes: 64 * 1024, body_bytes: 1024 * 1024 * 1024 };
/// The most bytes of a broker's sentence that are repeated.
const SENTENCE_BYTES_MAX: usize = 300;

/// A frame of the broker.
#[derive(Clone, Debug)]
pub(super) struct OwnedFrame {
    pub(super) command: Command,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl OwnedFrame {
    fn of(frame: &Frame<'_>) -> Self {
        let headers = frame.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { command: frame.command, headers, body: frame.body.to_vec() }
    }

    /// The first header with this name: "the first header entry ... MUST be used" (STOMP 1.2).
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// A connected client. The sending half can be shared with another thread.
pub(super) struct Client {
    place: String,
    socket: Arc<TcpStream>,
    sender: Sender,
    reader: Reader,
    /// What was received and not read yet: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    intervals: Intervals,
    last_heard: Instant,
}

/// The sending half of a connection.
#[derive(Clone)]
pub(super) struct Sender {
    place: String,
    socket: Arc<TcpStream>,
    version: Version,
    /// When something was sent last. Two threads send, and their frames must not mix.
    last_sent: Arc<Mutex<Instant>>,
}

impl Client {
    /// Connects and logs in.
    pub(super) fn connect(address: &BrokerAddress) -> Result<Self, LogError> {
        let place = address.place();
        let until = Instant::now() + ANSWER_TIMEOUT;
        let socket = Arc::new(open(address, &place)?);
        let sender = Sender {
            place: place.clone(),
            socket: Arc::clone(&socket),
            version: Version::V1_2,
            last_sent: Arc::new(Mutex::new(Instant::now())),
        };
        let mut client = Self {
            place,
            socket,
            sender,
            reader: Reader::new(Role::Client, Version::V1_2),
            buffer: vec![0; 64 * 1024],
            start: 0,
            end: 0,
            intervals: Intervals::default(),
            last_heard: Instant::now(),
        };
        client.sender.send(Command::Connect, |frame| {
            let frame = frame.header("accept-version", "1.2").header("host", "/").header("heart-beat", &HEART_BEAT.to_string());
            let frame = if address.user.is_empty() { frame } else { frame.header("login", &address.user) };
            let frame = if address.password.is_empty() { frame } else { frame.header("passcode", &address.password) };
            frame.end()
        })?;
        let Some(answer) = client.next(until)? else {
            return Err(LogError::new(format!("the broker at {} has not answered CONNECT within {ANSWER_TIMEOUT:?}", client.place)));
        };
        if answer.command != Command::Connected || answer.header("version") != Some("1.2") {
            return Err(LogError::new(format!("the broker at {} does not speak STOMP 1.2", client.place)));
        }
        let of_broker = HeartBeat::parse(answer.header("heart-beat")).unwrap_or_default();
        client.intervals = HEART_BEAT.agree(of_broker);
        Ok(client)
    }

    pub(super) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Sends a frame.
    pub(super) fn send(
        &self,
        command: Command,
        write: impl FnOnce(FrameWriter<'_>) -> Result<(), crate::proto::LocalError>,
    ) -> Result<(), LogError> {
        self.sender.send(command, write)
    }

    /// The next frame. Waits for it until `until`, and returns `None` then.
    pub(super) fn next(&mut self, until: Instant) -> Result<Option<OwnedFrame>, LogError> {
        loop {
            let (used, frame) = match self.reader.next_frame(&self.buffer[self.start..self.end], &LIMITS) {
                Ok((used, frame)) => (used, frame.as_ref().map(OwnedFrame::of)),
                Err(error) => return Err(self.not_stomp(&error.to_string())),
            };
            self.start += used;
            match frame {
                Some(error) if error.command == Command::Error => return Err(self.refused(&error)),
                Some(frame) => return Ok(Some(frame)),
                None => {}
            }
            if !self.receive(until)? {
                return Ok(None);
            }
        }
    }

    /// Waits for a frame that must come.
    pub(super) fn expect(&mut self, until: Instant, what: &str) -> Result<OwnedFrame, LogError> {
        self.next(until)?
            .ok_or_else(|| LogError::new(format!("the broker at {} has not answered {what} within {ANSWER_TIMEOUT:?}", self.place)))
    }

    /// Reads from the socket until something arrives, or until `until`.
    fn receive(&mut self, until: Instant) -> Result<bool, LogError> {
        (self.start, self.end) = (0, 0);
        loop {
            self.beat()?;
            let now = Instant::now();
            if until <= now {
                return Ok(false);
            }
            // The wait ends in time for the next heart-beat.
            let wait = (until - now).min(Duration::from_secs(1)).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(wait)).map_err(|error| self.broken(&error))?;
            match (&*self.socket).read(&mut self.buffer) {
                Ok(0) => return Err(LogError::new(format!("the broker at {} has closed the connection", self.place))),
                Ok(read) => {
                    self.end = read;
                    self.last_heard = Instant::now();
                    return Ok(true);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    /// Sends a heart-beat if one is due, and notices a broker that has fallen silent.
    fn beat(&self) -> Result<(), LogError> {
        if let Some(every) = self.intervals.send {
            self.sender.beat(every / 2)?;
        }
        match self.intervals.receive {
            Some(every) if self.last_heard.elapsed() > every * BEATS_MISSED_MAX => {
                Err(LogError::new(format!("the broker at {} has been silent for {:?}", self.place, every * BEATS_MISSED_MAX)))
            }
            _ => Ok(()),
        }
    }

    fn broken(&self, error: &std::io::Error) -> LogError {
        LogError::new(format!("the connection to the broker at {} has broken: {error}", self.place))
    }

    fn not_stomp(&self, error: &str) -> LogError {
        LogError::new(format!("what listens at {} does not speak STOMP: {error}", self.place))
    }

    fn refused(&self, error: &OwnedFrame) -> LogError {
        let detail = String::from_utf8_lossy(&error.body);
        let detail = detail.lines().map(str::trim).find(|line| !line.is_empty());
        let mut sentence = [error.header("message"), detail].into_iter().flatten().collect::<Vec<_>>().join(": ");
        if sentence.is_empty() {
            "it gives no reason".clone_into(&mut sentence);
        }
        let end = (0..=SENTENCE_BYTES_MAX.min(sentence.len())).rev().find(|at| sentence.is_char_boundary(*at)).unwrap_or(0);
        LogError::new(format!("the broker at {} refuses: {}", self.place, &sentence[..end]))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The sending half may live in another thread. It must fail, too.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Sender {
    /// Sends a frame.
    pub(super) fn send(
        &self,
        command: Command,
        write: impl FnOnce(FrameWriter<'_>) -> Result<(), crate::proto::LocalError>,
    ) -> Result<(), LogError> {
        let mut bytes = Vec::new();
        write(FrameWriter::new(command, self.version, &mut bytes)).map_err(|error| {
            // A hub checks names before, so nothing it sends is refused. If it is, the reading half
            // must fail, too: it opens the next connection.
            let _ = self.socket.shutdown(Shutdown::Both);
            LogError::new(format!("a STOMP frame cannot carry this: {error}"))
        })?;
        self.write(&bytes)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), LogError> {
        let mut last_sent = self.last_sent.lock().unwrap_or_else(PoisonError::into_inner);
        let written = (&*self.socket).write_all(bytes);
        *last_sent = Instant::now();
        written.map_err(|error| {
            // The reading half must fail, too.
            let _ = self.socket.shutdown(Shutdown::Both);
            LogError::new(format!("the connection to the broker at {} has broken: {error}", self.place))
        })
    }

    /// Sends a line end if nothing was sent for this time.
    fn beat(&self, every: Duration) -> Result<(), LogError> {
        let last_sent = *self.last_sent.lock().unwrap_or_else(PoisonError::into_inner);
        if last_sent.elapsed() >= every { self.write(b"\n") } else { Ok(()) }
    }
}

/// Connects to the first address of the host that answers.
fn open(address: &BrokerAddress, place: &str) -> Result<TcpStream, LogError> {
    let refused = |error: &std::io::Error| LogError::new(format!("the broker at {place} cannot be reached: {error}"));
    let addresses = (&*address.host, address.port).to_socket_addrs().map_err(|error| refused(&error))?;
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, ANSWER_TIMEOUT) {
            Ok(socket) => {
                socket.set_nodelay(true).and_then(|()| socket.set_write_timeout(Some(WRITE_TIMEOUT))).map_err(|error| refused(&error))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(refused(&last))
}
