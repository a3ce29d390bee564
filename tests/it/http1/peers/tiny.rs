//! tiny_http as a reader: a server with a request line, fields and framing of its own, and `chunked_transfer` for chunks.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Reader, Reading, Seen};

/// What came over the connection in progress.
#[derive(Default)]
struct Received {
    requests: Vec<Seen>,
    is_broken: bool,
}

pub struct TinyHttp {
    server: Arc<tiny_http::Server>,
    addr: SocketAddr,
    received: Arc<Mutex<Received>>,
    handler: Option<JoinHandle<()>>,
}

impl TinyHttp {
    pub fn start() -> Self {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let addr = server.server_addr().to_ip().unwrap();
        let received = Arc::<Mutex<Received>>::default();
        let handler = {
            let (server, received) = (Arc::clone(&server), Arc::clone(&received));
            std::thread::spawn(move || server.incoming_requests().for_each(|request| handle(request, &received)))
        };
        Self { server, addr, received, handler: Some(handler) }
    }
}

impl Reader for TinyHttp {
    /// One connection at a time: when its end has come, all its requests have been answered.
    fn read(&mut self, input: &[u8]) -> Reading {
        let mut socket = TcpStream::connect(self.addr).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // A server that has refused may have closed before everything was written or read.
        let written = socket.write_all(input).and_then(|()| socket.shutdown(Shutdown::Write));
        let mut answers = Vec::new();
        let end = socket.read_to_end(&mut answers).map_err(|error| error.kind());
        assert!(!matches!(end, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "tiny_http hangs: {}", input.escape_ascii());
        let answers = String::from_utf8_lossy(&answers).into_owned();
        let Received { requests, is_broken } = std::mem::take(&mut *self.received.lock().unwrap());
        let refused = refusal(&answers);
        let broken = is_broken.then_some("broken body");
        // It has closed before it had read everything. The system says so once, to whoever comes first: the writing or the reading.
        let reset = (end.is_err() || written.is_err()).then_some("reset");
        Reading { requests, stopped: broken.or(refused).or(reset).map(str::to_owned) }
    }
}

/// The status of the refusal among these answers.
///
/// tiny_http lets a 417 overtake the answers to earlier requests, and writes it in pieces. Other
/// answers stand between these pieces, so that no status line begins with it; the reason phrase is
/// one piece, and no other answer contains it.
fn refusal(answers: &str) -> Option<&str> {
    const EXPECTATION_FAILED: &str = "Expectation Failed";
    let mut statuses = answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.")?.get(2..));
    statuses.find(|status| status.starts_with(['4', '5'])).or_else(|| answers.contains(EXPECTATION_FAILED).then_some(EXPECTATION_FAILED))
}

#[test]
fn a_refusal_is_found_in_pieces() {
    let ok = "HTTP/1.1 200 OK\r\nServer: tiny-http (Rust)\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(refusal(ok), None);
    assert_eq!(refusal(&format!("{ok}HTTP/1.1 400 Bad Request\r\n\r\n")), Some("400 Bad Request"));
    assert_eq!(refusal("HTTP/1.1 417 Expectation Failed\r\n\r\n"), Some("417 Expectation Failed"));
    let in_pieces = format!("HTTP/1{ok}.1 417 HTTP/1.1Expectation Failed 200 OK\r\n\r\n");
    assert_eq!(refusal(&in_pieces), Some("Expectation Failed"));
}

impl Drop for TinyHttp {
    fn drop(&mut self) {
        self.server.unblock();
        self.handler.take().map(JoinHandle::join);
    }
}

fn handle(mut request: tiny_http::Request, received: &Mutex<Received>) {
    let mut body = Vec::new();
    let is_whole = request.as_reader().read_to_end(&mut body).is_ok() && request.body_length().is_none_or(|length| length == body.len());
    let fields = request.headers().iter().map(|field| (field.field.to_string(), field.value.as_bytes().to_vec()));
    let seen = Seen::new(request.method().as_str(), request.url(), fields, body);
    {
        let mut received = received.lock().unwrap();
        received.is_broken |= !is_whole;
        // Whoever goes on behind a body that was not whole does not know where it stands.
        if !received.is_broken {
            received.requests.push(seen);
        }
    }
    // The client may be gone.
    let _ = request.respond(tiny_http::Response::empty(200));
}
