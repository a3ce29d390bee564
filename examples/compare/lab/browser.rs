//! A browser, as far as its limit of connections to one host matters.
//!
//! Owns the limit: a request waits until one of the connections is free, in the order of the
//! requests. A stream never frees its connection. Leaves the requests to the claims.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::wire;
use crate::Result;

/// One request of a page.
#[derive(Clone, Debug)]
pub(crate) enum Fetch {
    /// A stream without end, and the texts that are to arrive on it.
    Feed { target: String, wanted: Vec<String> },
    /// An answer with an end.
    Page { target: String },
}

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetched {
    /// When the whole answer was there, or all texts of a stream.
    pub(crate) done_ms: Option<f64>,
    /// The number of wanted texts that arrived.
    pub(crate) arrived: usize,
}

/// The connections that requests may take.
struct Slots {
    free: Mutex<usize>,
    changed: Condvar,
}

/// Loads a page in a browser with `limit` connections. Once each feed that has a connection is
/// open, and each page that has one has been sent, `publish` runs. Ends when all requests are done,
/// or after `wait`.
pub(crate) fn load(
    address: SocketAddr,
    limit: usize,
    fetches: &[Fetch],
    wait: Duration,
    publish: impl FnOnce() -> Result<()>,
) -> Result<Vec<Fetched>> {
    let first = limit.min(fetches.len());
    let slots = Slots { free: Mutex::new(limit - first), changed: Condvar::new() };
    let opened = Slots { free: Mutex::new(0), changed: Condvar::new() };
    let end = Instant::now() + wait;
    thread::scope(|scope| {
        let mut running = Vec::new();
        for (at, fetch) in fetches.iter().enumerate() {
            let (slots, opened) = (&slots, &opened);
            // The first requests get the first connections. The others wait in their order, as all
            // of them wait for the same connections and each that ends wakes one.
            running.push(scope.spawn(move || {
                if at >= first && !slots.take(end) {
                    return Ok(Fetched::default());
                }
                let outcome = fetch.run(address, end, || opened.give());
                // A stream keeps its connection, even when all its texts have arrived.
                if matches!(fetch, Fetch::Page { .. }) {
                    slots.give();
                }
                outcome
            }));
        }
        for _ in 0..first {
            if !opened.take(end) {
                return Err(format!("a feed was not open within {wait:?}").into());
            }
        }
        publish()?;
        running.into_iter().map(|fetch| fetch.join().map_err(|_| "a request panicked")?.map_err(Into::into)).collect()
    })
}

impl Slots {
    fn take(&self, end: Instant) -> bool {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            free = self.changed.wait_timeout(free, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        true
    }

    fn give(&self) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_one();
    }
}

impl Fetch {
    fn run(&self, address: SocketAddr, end: Instant, open: impl FnOnce()) -> std::io::Result<Fetched> {
        let begin = Instant::now();
        let mut fetched = Fetched::default();
        match self {
            Self::Page { target } => {
                let mut socket = wire::connect(address)?;
                let answer = wire::ask(&mut socket, &wire::get(target, ""));
                open();
                fetched.arrived = usize::from(answer?.status == 200);
                fetched.done_ms = Some(millis(begin));
            }
            Self::Feed { target, wanted } => {
                let (mut socket, mut bytes) = wire::open(address, target, "", "HTTP/1.1 200 ")?;
                open();
                while fetched.arrived < wanted.len() && read_until(&mut socket, &mut bytes, end)? {
                    let text = String::from_utf8_lossy(&bytes);
                    fetched.arrived = wanted.iter().filter(|wanted| text.contains(&***wanted)).count();
                }
                fetched.done_ms = (fetched.arrived == wanted.len()).then(|| millis(begin));
            }
        }
        Ok(fetched)
    }
}

/// Reads once. Returns `false` at the end of the stream, and at `end`.
pub(crate) fn read_until(socket: &mut TcpStream, bytes: &mut Vec<u8>, end: Instant) -> std::io::Result<bool> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(false);
    }
    socket.set_read_timeout(Some(left))?;
    let mut buffer = [0; 16 * 1024];
    match socket.read(&mut buffer) {
        Ok(len) => {
            bytes.extend_from_slice(&buffer[..len]);
            Ok(len > 0)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Publishes one message to each topic.
pub(crate) fn publish(address: SocketAddr, topics: &[String], payload: impl Fn(&str) -> String) -> Result<()> {
    let mut socket = wire::connect(address)?;
    for topic in topics {
        let answer = wire::ask(&mut socket, &wire::post(&format!("/topics/{topic}"), payload(topic).as_bytes()))?;
        if answer.status != 202 {
            return Err(format!("publishing to {topic} was answered with {}", answer.status).into());
        }
    }
    Ok(())
}

/// Waits until a topic has exactly so many subscribers.
pub(crate) fn wait_for_subscribers(address: SocketAddr, topic: &str, count: u64) -> Result<()> {
    let mut socket = wire::connect(address)?;
    let end = Instant::now() + wire::ANSWER_TIMEOUT;
    loop {
        let answer = wire::ask(&mut socket, &wire::get(&format!("/topics/{topic}"), ""))?;
        let info: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let by_technique = info["subscribers"].as_object().ok_or("the topic's counters have no subscribers")?;
        let found: u64 = by_technique.values().filter_map(serde_json::Value::as_u64).sum();
        if found == count {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("{topic} has {found} subscribers instead of {count} after {:?}", wire::ANSWER_TIMEOUT).into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
