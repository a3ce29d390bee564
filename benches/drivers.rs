//! Benchmarks of both drivers under the same small load: `cargo bench --bench drivers`. The two
//! lines of a group differ only in the IO model.
//!
//! The client and the server share the machine, and the client is one thread with blocking sockets.
//! So the figures are only useful as ratios; they do not show the capacity of a server.
//! `examples/compare` measures the capacity.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use pushlab::proto::ws::{FrameHead, Opcode};
use pushlab::{
    Config, Frame, IoModel, Limits, Message, Pusher, Reply, Request, Response, Server, Settings, Socket, Stopper, WebSocketHandler,
};

/// The number of connections that send requests or echoes at the same time.
const CONNECTIONS: usize = 4;
const SUBSCRIBERS: usize = 100;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for depth in [1, 16] {
        keep_alive(&mut criterion, depth);
    }
    for depth in [1, 16] {
        echo(&mut criterion, depth);
    }
    for publishes in [1, 16] {
        fan_out(&mut criterion, publishes);
    }
    criterion.final_summary();
}

type Pushers = Arc<Mutex<Vec<Pusher>>>;

/// A server that runs until it is dropped.
struct Running {
    address: SocketAddr,
    stopper: Stopper,
    pushers: Pushers,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(model: IoModel) -> Self {
        // A heartbeat between the messages would change the number of bytes that the client reads.
        let limits = Limits { heartbeat: None, ..Limits::default() };
        let config = Config { settings: Settings { limits, ..Settings::default() }, ..Config::default() };
        let server = Server::bind("127.0.0.1:0", config).expect("a free port");
        let (address, stopper, pushers) = (server.local_addr(), server.stopper(), Pushers::default());
        let shelf = Arc::clone(&pushers);
        let app = move |request: &Request<'_>, reply: Reply<'_>| match request.path() {
            "/events" => {
                let pusher = reply.event_stream().pusher();
                shelf.lock().unwrap_or_else(PoisonError::into_inner).push(pusher);
            }
            "/echo" => reply.upgrade(Echo),
            _ => reply.send(Response::text("hello\n")),
        };
        let thread = std::thread::spawn(move || server.run(model, app).expect("the server runs"));
        Self { address, stopper, pushers, thread: Some(thread) }
    }

    /// Connects, sends a request, and reads the head of the response.
    fn open(&self, request: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).expect("the server listens");
        socket.set_nodelay(true).expect("a socket option");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
        socket.write_all(request.as_bytes()).expect("the server reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).expect("the server answers");
            head.extend(byte);
        }
        socket
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop_now();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

struct Echo;

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        socket.send(message);
    }
}

/// Sends `request` on each socket, then reads one answer from each.
fn turn(sockets: &mut [TcpStream], request: &[u8], answer: &mut [u8]) {
    for socket in &mut *sockets {
        socket.write_all(request).expect("the server reads");
    }
    for socket in sockets {
        socket.read_exact(answer).expect("the server answers");
    }
}

fn keep_alive(criterion: &mut Criterion, depth: usize) {
    const REQUEST: &str = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut group = criterion.benchmark_group(format!("drivers/http/{depth}_in_flight"));
    group.throughput(Throughput::Elements((CONNECTIONS * depth) as u64));
    for model in IoModel::ALL {
        let server = Running::start(model);
        let mut sockets: Vec<_> = (0..CONNECTIONS).map(|_| server.open(REQUEST)).collect();
        let mut body = [0; 6];
        for socket in &mut sockets {
            socket.read_exact(&mut body).expect("the server answers");
        }
        assert_eq!(&body, b"hello\n");
        let mut answer = vec![0; depth * answer_len(&server, REQUEST)];
        let requests = REQUEST.repeat(depth);
        group.bench_function(BenchmarkId::from_parameter(model), |bencher| {
            bencher.iter(|| turn(&mut sockets, requests.as_bytes(), &mut answer));
        });
    }
    group.finish();
}

/// The size of one whole response in bytes. All responses have the same size, because the date has
/// a fixed length.
fn answer_len(server: &Running, request: &str) -> usize {
    let mut socket = TcpStream::connect(server.address).expect("the server listens");
    let request = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("the server answers and closes");
    answer.len() - "Connection: close\r\n".len()
}

fn echo(criterion: &mut Criterion, depth: usize) {
    const HANDSHAKE: &str = "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut group = criterion.benchmark_group(format!("drivers/ws_echo_16_bytes/{depth}_in_flight"));
    group.throughput(Throughput::Elements((CONNECTIONS * depth) as u64));
    // With a key of zeros, the masked payload equals the payload.
    let frame = [&*FrameHead::client(Opcode::Binary, 16, [0; 4]).encode(), &[7; 16]].concat().repeat(depth);
    for model in IoModel::ALL {
        let server = Running::start(model);
        let mut sockets: Vec<_> = (0..CONNECTIONS).map(|_| server.open(HANDSHAKE)).collect();
        let mut answer = vec![0; depth * 18];
        group.bench_function(BenchmarkId::from_parameter(model), |bencher| {
            bencher.iter(|| turn(&mut sockets, &frame, &mut answer));
        });
        assert!(answer.starts_with(b"\x82\x10\x07") || answer[0] == 0, "an echo, if there was one");
    }
    group.finish();
}

fn fan_out(criterion: &mut Criterion, publishes: usize) {
    const REQUEST: &str = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut group = criterion.benchmark_group(format!("drivers/sse_to_{SUBSCRIBERS}/{publishes}_in_flight"));
    group.throughput(Throughput::Elements((SUBSCRIBERS * publishes) as u64));
    let frame = Frame::chunk(b"data: {\"topic\":\"ticks\",\"sequence\":104711,\"value\":21.5}\n\n");
    for model in IoModel::ALL {
        let server = Running::start(model);
        let mut sockets: Vec<_> = (0..SUBSCRIBERS).map(|_| server.open(REQUEST)).collect();
        let pushers = wait_for_pushers(&server.pushers);
        let mut answer = vec![0; publishes * frame.wire_len()];
        group.bench_function(BenchmarkId::from_parameter(model), |bencher| {
            bencher.iter(|| {
                for _ in 0..publishes {
                    Pusher::push_all(&pushers, &frame);
                }
                for socket in &mut sockets {
                    socket.read_exact(&mut answer).expect("every subscriber gets every message");
                }
            });
        });
    }
    group.finish();
}

/// Waits until the handler has stored the pusher of each subscriber. The client can read the head
/// of a response before the handler stores the pusher.
fn wait_for_pushers(shelf: &Pushers) -> Vec<Pusher> {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        let pushers = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if pushers.len() == SUBSCRIBERS {
            return pushers.clone();
        }
        assert!(Instant::now() < give_up, "{} of {SUBSCRIBERS} subscribers", pushers.len());
        drop(pushers);
        std::thread::yield_now();
    }
}
