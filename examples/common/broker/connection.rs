//! One client of the broker.
//!
//! Owns the STOMP session: the login, the streams that the client writes and reads, receipts and
//! errors. Leaves the records to `stream`, and their meaning to the clients.
//!
//! One thread reads. Each subscription has a thread, which waits for records and writes them. A
//! client that does not read blocks the threads of its own connection only. Acknowledgements have no
//! effect: the socket's buffers bound what is on the way.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use pushlab::proto::LocalError;
use pushlab::proto::stomp::{Command, Frame, FrameWriter, Reader, Role, StompLimits, Version};

use super::Streams;
use super::stream::{Record, Stream};

const VERSION: Version = Version::V1_2;
const SUBSCRIPTIONS_MAX: usize = 16;

/// Why a connection ends.
enum End {
    /// The client has left, or cannot be reached.
    Gone,
    /// A sentence for the client.
    Refused(String),
}

/// What threads write to. A frame is written whole.
type Output = Arc<Mutex<TcpStream>>;

struct Connection<'a> {
    streams: &'a Streams,
    output: Output,
    is_connected: bool,
    subscriptions: HashMap<String, Subscription>,
}

struct Subscription {
    stream: Arc<Stream>,
    is_over: Arc<AtomicBool>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        self.stream.wake();
    }
}

/// Serves until the client leaves, or until it breaks a rule.
pub(super) fn serve(streams: &Streams, mut socket: TcpStream) {
    let Ok(writing) = socket.try_clone() else { return };
    let _ = socket.set_nodelay(true);
    let output = Arc::new(Mutex::new(writing));
    let mut connection = Connection { streams, output: Arc::clone(&output), is_connected: false, subscriptions: HashMap::new() };
    if let End::Refused(sentence) = connection.read(&mut socket) {
        let _ = write(&output, Command::Error, |frame| frame.header("message", &sentence).end());
    }
    // A thread of a subscription may be writing. It must not wait for a client that does not read.
    let _ = socket.shutdown(Shutdown::Both);
}

fn write(output: &Output, command: Command, build: impl FnOnce(FrameWriter<'_>) -> Result<(), LocalError>) -> Result<(), End> {
    let mut bytes = Vec::new();
    build(FrameWriter::new(command, VERSION, &mut bytes)).map_err(|error| End::Refused(format!("a frame cannot carry this: {error}")))?;
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.write_all(&bytes).map_err(|_| End::Gone)
}

fn header<'f>(frame: &Frame<'f>, name: &str) -> Result<&'f str, End> {
    frame.headers.get(name).ok_or_else(|| End::Refused(format!("{} needs the header `{name}`", frame.command.name())))
}

impl Connection<'_> {
    fn read(&mut self, socket: &mut TcpStream) -> End {
        let (mut reader, mut bytes) = (Reader::new(Role::Server, VERSION), vec![0; 64 * 1024]);
        loop {
            let Ok(read @ 1..) = socket.read(&mut bytes) else { return End::Gone };
            let mut input = &bytes[..read];
            while !input.is_empty() {
                match reader.next_frame(input, &StompLimits::default()) {
                    Err(error) => return End::Refused(error.to_string()),
                    Ok((used, frame)) => {
                        input = &input[used..];
                        if let Some(frame) = frame
                            && let Err(end) = self.take(&frame)
                        {
                            return end;
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        match frame.command {
            Command::Connect | Command::Stomp if self.is_connected => {
                return Err(End::Refused("this connection is logged in already".to_owned()));
            }
            Command::Connect | Command::Stomp => return self.connect(frame),
            _ if !self.is_connected => return Err(End::Refused("the first frame must be CONNECT".to_owned())),
            Command::Send => self.append(frame)?,
            Command::Subscribe => self.subscribe(frame)?,
            Command::Unsubscribe => drop(self.subscriptions.remove(header(frame, "id")?)),
            Command::Ack | Command::Disconnect => {}
            other => return Err(End::Refused(format!("this broker does not know {}", other.name()))),
        }
        if let Some(receipt) = frame.headers.get("receipt") {
            write(&self.output, Command::Receipt, |frame| frame.header("receipt-id", receipt).end())?;
        }
        if frame.command == Command::Disconnect { Err(End::Gone) } else { Ok(()) }
    }

    fn connect(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        let offered = frame.headers.get("accept-version").unwrap_or("1.0");
        if offered.split(',').all(|version| version != VERSION.name()) {
            return Err(End::Refused(format!("this broker speaks STOMP {} only", VERSION.name())));
        }
        self.is_connected = true;
        write(&self.output, Command::Connected, |frame| frame.header("version", VERSION.name()).header("heart-beat", "0,0").end())
    }

    fn stream(&self, frame: &Frame<'_>) -> Result<Arc<Stream>, End> {
        let destination = header(frame, "destination")?;
        let name = destination.strip_prefix("/queue/").filter(|_| frame.headers.get("x-queue-type") == Some("stream"));
        let name = name.ok_or_else(|| End::Refused("this broker has streams only: /queue/NAME with `x-queue-type:stream`".to_owned()))?;
        self.streams.named(name).map_err(End::Refused)
    }

    fn append(&self, frame: &Frame<'_>) -> Result<(), End> {
        self.stream(frame)?.append(Record::of(frame)).map_err(|error| End::Refused(format!("the record cannot be written: {error}")))
    }

    fn subscribe(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        let (id, stream) = (header(frame, "id")?, self.stream(frame)?);
        if self.subscriptions.contains_key(id) {
            return Err(End::Refused(format!("there is a subscription `{id}` already")));
        }
        if self.subscriptions.len() == SUBSCRIPTIONS_MAX {
            return Err(End::Refused(format!("a connection may have {SUBSCRIPTIONS_MAX} subscriptions")));
        }
        let begin = match frame.headers.get("x-stream-offset").unwrap_or("next") {
            "first" => 0,
            "last" => stream.end().saturating_sub(1),
            "next" => stream.end(),
            text => text.strip_prefix("offset=").and_then(|offset| offset.parse().ok()).ok_or_else(|| {
                End::Refused(format!("`x-stream-offset:{text}` is not understood; expected first, last, next or offset=N"))
            })?,
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let follower =
            Follower { id: id.to_owned(), stream: Arc::clone(&stream), is_over: Arc::clone(&is_over), output: Arc::clone(&self.output) };
        self.subscriptions.insert(id.to_owned(), Subscription { stream, is_over });
        thread::spawn(move || follower.run(begin));
        Ok(())
    }
}

/// The thread of a subscription.
struct Follower {
    id: String,
    stream: Arc<Stream>,
    is_over: Arc<AtomicBool>,
    output: Output,
}

impl Follower {
    fn run(&self, mut offset: u64) {
        while let Some((at, record)) = self.stream.next(offset, || self.is_over.load(SeqCst)) {
            if self.deliver(at, &record).is_err() {
                return;
            }
            offset = at + 1;
        }
    }

    fn deliver(&self, at: u64, record: &Record) -> Result<(), End> {
        let at = at.to_string();
        write(&self.output, Command::Message, |frame| {
            let frame = frame.header("subscription", &self.id).header("message-id", &at).header("ack", &at).header("x-stream-offset", &at);
            record.headers.iter().fold(frame, |frame, (name, value)| frame.header(name, value)).body(&record.body)
        })
    }
}
