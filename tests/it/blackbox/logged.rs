//! The log, read by somebody whose terminal obeys control characters.
//!
//! Covers: session::session

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Mutex, Once};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::client::request;
use super::{IoModel, Lab, both, eventually};

/// Keeps what must never be logged, by any test of this binary from now on, and what tests wait for.
struct Reader {
    /// Peers whose end was logged, by any server of this binary.
    ended: Mutex<BTreeSet<SocketAddr>>,
    /// Lines about the bound on threads, of any server of this binary.
    about_threads: Mutex<Vec<(Level, String)>>,
    forged: Mutex<Vec<String>>,
}

impl Log for Reader {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("pushlab")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = record.args().to_string();
            if line.contains(char::is_control) || line.contains("forged") {
                self.forged.lock().unwrap().push(line.clone());
            }
            if line.contains("`max_threads`") {
                self.about_threads.lock().unwrap().push((record.level(), line.clone()));
            }
            // A line about the end of a connection begins with the peer's address.
            let peer = line.split_once(": ").and_then(|(peer, _)| peer.parse::<SocketAddr>().ok());
            self.ended.lock().unwrap().extend(peer);
        }
    }

    fn flush(&self) {}
}

static READER: Reader =
    Reader { ended: Mutex::new(BTreeSet::new()), about_threads: Mutex::new(Vec::new()), forged: Mutex::new(Vec::new()) };

fn read_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&READER).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}

both! {
    /// A line for each connection says why it ended, and nothing of what the client has sent.
    fn no_client_writes_into_the_log(model) {
        read_log();
        let lab = Lab::start(model);
        let mut peers = Vec::new();
        let mut connect = || {
            let client = lab.connect();
            let peer = client.stream.local_addr().unwrap();
            // An earlier connection may have had the same port.
            READER.ended.lock().unwrap().remove(&peer);
            peers.push(peer);
            client
        };
        let forgeries = [
            "GET /\x1b[2Jforged HTTP/1.1\r\nHost: a\r\n\r\n",
            "forged\x07 / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: forged\x1b]0;forged\x07\r\n\r\n",
            "GET / HTTP/1.1\r\nforged\x0b: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n forged\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: forged\x1b\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nforged\x1b\r\n",
        ];
        for forgery in forgeries {
            let mut client = connect();
            client.send(forgery);
            assert!(client.take_to_end().starts_with(b"HTTP/1.1 "));
        }
        let mut client = connect();
        client.upgrade("/topics/a/ws");
        client.send_frame(0x88, b"\x0f\xa0forged\r\n\x1b[31m");
        client.take_to_end();
        let mut client = connect();
        client.send(request("/forged%0d%0a%1b"));
        drop(client);
        eventually("each end is logged", || {
            let ended = READER.ended.lock().unwrap();
            peers.iter().all(|peer| ended.contains(peer))
        });
        assert_eq!(*READER.forged.lock().unwrap(), [""; 0]);
    }
}

/// The bound on threads, and what it allows, is told at the start, when the last thread is taken, and
/// when a connection finds no second one.
#[test]
fn the_bound_on_threads_is_told() {
    // No other test has this bound: its lines are this server's.
    const THREADS: usize = 5;
    let has = |level, begin: &str| READER.about_threads.lock().unwrap().iter().any(|(at, line)| *at == level && line.starts_with(begin));
    read_log();
    let lab = Lab::with(IoModel::ThreadPerConnection, |config| config.max_threads = THREADS);
    let at_start = "at most 5 threads (`max_threads`): one for each connection, and a second one for each of at most 2 streams";
    eventually("the bound is told", || has(Level::Info, at_start));
    let mut clients = lab.connect_many(THREADS);
    for client in &mut clients {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    assert!(has(Level::Warn, "all 5 threads (`max_threads`) are taken: new connections wait"));
    clients[0].get("/events");
    assert_eq!(clients[0].answer_head().status, 200);
    clients[0].take_until(b"retry: ");
    let lines = READER.about_threads.lock().unwrap();
    let refused = |line: &str| line.contains("was refused, because all `max_threads` (5) are taken");
    assert!(lines.iter().any(|(_, line)| refused(line)), "{lines:?}");
}
