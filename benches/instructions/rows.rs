//! The rows of the table: what is counted, and the load that does it.
//!
//! Owns the list of rows, and one batch of each load. A batch is written as a whole, and its answers
//! are read before the next one.

use std::io;

use pushlab::IoModel;
use pushlab::proto::ws::{FrameHead, Opcode};

use crate::client::{Connection, ServerProcess, get};
use crate::count::Work;
use crate::server::PAYLOAD;

/// The subscribers of an event loop: with the other files of a process, fewer than the 1,024 that
/// Linux allows by default.
const SUBSCRIBERS: usize = 900;
/// The subscribers of a server that has two threads for each: fewer than the 500 threads that valgrind
/// allows.
const SUBSCRIBERS_OF_THREADS: usize = 100;
const POLLS: usize = 200;
/// The connections of an event loop that have one operation in flight each. A turn serves all of them.
const ONE_IN_FLIGHT: usize = 64;
const POLLS_OF_THREADS: usize = 100;

/// The fields that a browser sends beside `Host`. The request has some 660 bytes.
const BROWSER: &str = "Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
    image/webp,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Referer: http://127.0.0.1:8080/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n";

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// One line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) model: IoModel,
    pub(crate) load: Load,
    /// The batches that are counted: enough for some million instructions.
    pub(crate) batches: usize,
}

#[derive(Clone, Copy)]
pub(crate) enum Load {
    Requests { pipelined: usize, fields: &'static str, differ: bool },
    Echo { bytes: usize, in_flight: usize },
    BarePolls,
    HubPolls,
    Delivery { by: Technique, publishes: usize },
}

#[derive(Clone, Copy)]
pub(crate) enum Technique {
    WebSocket,
    Events,
}

pub(crate) fn rows() -> Vec<Row> {
    use Load::{BarePolls, Delivery, Echo, HubPolls, Requests};
    let loads = [
        ("HTTP keep-alive, 1 request in flight", Requests { pipelined: 1, fields: "", differ: false }, 50),
        ("HTTP, 16 requests pipelined", Requests { pipelined: 16, fields: "", differ: false }, 200),
        ("HTTP, 16 requests of a browser pipelined", Requests { pipelined: 16, fields: BROWSER, differ: false }, 100),
        ("HTTP, 16 requests with other fields each pipelined", Requests { pipelined: 16, fields: BROWSER, differ: true }, 100),
        ("WebSocket echo of 16 bytes, 1 in flight", Echo { bytes: 16, in_flight: 1 }, 100),
        ("WebSocket echo of 16 bytes, 16 in flight", Echo { bytes: 16, in_flight: 16 }, 500),
        ("WebSocket echo of 64 KiB, 1 in flight", Echo { bytes: 64 * 1024, in_flight: 1 }, 100),
        ("WebSocket echo of 64 KiB, 4 in flight", Echo { bytes: 64 * 1024, in_flight: 4 }, 200),
        ("a held poll answered and asked again, without a hub", BarePolls, 10),
        ("a held poll answered and asked again, through the hub", HubPolls, 5),
        ("delivery to a WebSocket by the hub, 1 publish", Delivery { by: Technique::WebSocket, publishes: 1 }, 20),
        ("delivery to a WebSocket by the hub, 16 publishes joined", Delivery { by: Technique::WebSocket, publishes: 16 }, 10),
        ("delivery to an event stream by the hub, 1 publish", Delivery { by: Technique::Events, publishes: 1 }, 20),
        ("delivery to an event stream by the hub, 16 publishes joined", Delivery { by: Technique::Events, publishes: 16 }, 10),
    ];
    let of_model = |model| loads.into_iter().map(move |(name, load, batches)| Row { name, model, load, batches });
    let mut rows: Vec<_> = IoModel::ALL.into_iter().flat_map(of_model).collect();
    rows.retain(Row::repeats);
    // What wakes first differs from batch to batch, so the mean needs more of them.
    let woken = |row: &&mut Row| row.model == IoModel::ThreadPerConnection && !matches!(row.load, Requests { .. } | Echo { .. });
    rows.iter_mut().filter(woken).for_each(|row| row.batches *= 5);
    rows
}

impl Row {
    /// Whether the count is the same in each run. A thread that writes takes as many of the joined
    /// messages as are there when the system runs it.
    fn repeats(&self) -> bool {
        self.model == IoModel::EventLoop || !matches!(self.load, Load::Delivery { publishes: 2.., .. })
    }
}

/// The connections of a load, which are ready for its first batch.
pub(crate) struct Running {
    load: Load,
    model: IoModel,
    connections: Vec<Connection>,
    /// What each connection sends in a batch.
    output: Vec<u8>,
}

impl Running {
    pub(crate) fn start(row: &Row, server: &ServerProcess) -> io::Result<Self> {
        let of_model = |on_loop, on_threads| if row.model == IoModel::EventLoop { on_loop } else { on_threads };
        let count = match row.load {
            Load::Requests { pipelined: 1, .. } | Load::Echo { bytes: 16, in_flight: 1 } => of_model(ONE_IN_FLIGHT, 1),
            Load::Requests { .. } | Load::Echo { .. } => 1,
            Load::BarePolls | Load::HubPolls => of_model(POLLS, POLLS_OF_THREADS),
            Load::Delivery { .. } => of_model(SUBSCRIBERS, SUBSCRIBERS_OF_THREADS),
        };
        let connections = (0..count).map(|_| server.connect()).collect::<io::Result<_>>()?;
        let mut running = Self { load: row.load, model: row.model, connections, output: Vec::new() };
        match row.load {
            Load::Requests { pipelined, fields, differ } => {
                running.be_accepted()?;
                // A field whose value is another one in each request, such as that of a tracer.
                let more =
                    |number: usize| if differ { format!("Traceparent: 00-{number:032x}-{number:016x}-01\r\n") } else { String::new() };
                running.output = (0..pipelined).flat_map(|number| get("/hello", &(more(number) + fields)).into_bytes()).collect();
            }
            Load::Echo { bytes, in_flight } => {
                running.open("/echo", HANDSHAKE)?;
                // With a key of zeros, the masked payload equals the payload.
                let head = FrameHead::client(Opcode::Binary, bytes as u64, [0; 4]).encode();
                running.output = [&*head, &vec![7; bytes]].concat().repeat(in_flight);
            }
            Load::BarePolls => {
                running.be_accepted()?;
                running.output = get("/hold", "").into_bytes();
            }
            Load::HubPolls => {
                running.be_accepted()?;
                running.output = get("/topics/ticks/long-poll", "").into_bytes();
            }
            Load::Delivery { by: Technique::WebSocket, .. } => running.open("/topics/ticks/ws", HANDSHAKE)?,
            Load::Delivery { by: Technique::Events, .. } => running.open("/topics/ticks/events", "")?,
        }
        Ok(running)
    }

    /// Waits until the server has accepted all connections. It accepts some in each turn, and the first
    /// batch would be spread over these turns.
    fn be_accepted(&mut self) -> io::Result<()> {
        for connection in &mut self.connections {
            connection.send(get("/hello", "").as_bytes())?;
            connection.answers("\r\n\r\nhello\n", 1)?;
        }
        Ok(())
    }

    /// Begins a stream or a WebSocket on each connection.
    fn open(&mut self, target: &str, fields: &str) -> io::Result<()> {
        for connection in &mut self.connections {
            connection.send(get(target, fields).as_bytes())?;
            connection.answers("\r\n\r\n", 1)?;
        }
        Ok(())
    }

    fn do_batch(&mut self, server: &mut ServerProcess) -> io::Result<usize> {
        let count = self.connections.len();
        match self.load {
            Load::Requests { pipelined, .. } => {
                self.send_all(server)?;
                self.read_all("\r\n\r\nhello\n", pipelined)?;
                Ok(count * pipelined)
            }
            Load::Echo { bytes, in_flight } => {
                self.send_all(server)?;
                let (head, payload) = (FrameHead::server(Opcode::Binary, bytes as u64).encode().len(), vec![7; bytes]);
                for connection in &mut self.connections {
                    connection.bytes((head + bytes) * in_flight, &payload)?;
                }
                Ok(count * in_flight)
            }
            Load::BarePolls => {
                self.send_all(server)?;
                server.ask(&format!("/release?{count}"))?;
                self.read_all("\r\n\r\nhello\n", 1)?;
                Ok(count)
            }
            Load::HubPolls => {
                self.send_all(server)?;
                server.ask(&format!("/publish_when_held?{count}"))?;
                let last = self.read_all("\"gap\":false}", 1)?;
                let cursor = last.split("\"last\":\"").nth(1).and_then(|rest| rest.split('"').next());
                let cursor = cursor.ok_or_else(|| io::Error::other(format!("a poll's answer without a cursor: {last}")))?;
                self.output = get(&format!("/topics/ticks/long-poll?after={cursor}"), "").into_bytes();
                Ok(count)
            }
            Load::Delivery { publishes, .. } => {
                server.ask(&format!("/publish?{publishes}"))?;
                self.read_all(PAYLOAD, publishes)?;
                Ok(count * publishes)
            }
        }
    }

    /// A single connection needs no gate for a small output: the loop takes all of it at once. Each thread
    /// has a connection of its own.
    fn is_gated(&self) -> bool {
        let is_in_pieces = self.connections.len() > 1 || self.output.len() > 16 * 1024;
        self.model == IoModel::EventLoop && is_in_pieces && !matches!(self.load, Load::Delivery { .. })
    }

    /// Sends the same bytes on all connections.
    fn send_all(&mut self, server: &mut ServerProcess) -> io::Result<()> {
        let is_gated = self.is_gated();
        let mut write = || self.connections.iter_mut().try_for_each(|connection| connection.send(&self.output));
        if is_gated { server.behind_gate(write) } else { write() }
    }

    /// Reads from all connections, and returns the answer of the last one.
    fn read_all(&mut self, end: &str, count: usize) -> io::Result<String> {
        let mut last = String::new();
        for connection in &mut self.connections {
            last = connection.answers(end, count)?;
        }
        Ok(last)
    }
}

impl Work for Running {
    fn batch(&mut self, server: &mut ServerProcess) -> io::Result<usize> {
        self.do_batch(server)
    }

    fn empty_batch(&mut self, server: &mut ServerProcess) -> io::Result<()> {
        if self.is_gated() { server.behind_gate(|| Ok(())) } else { Ok(()) }
    }
}
