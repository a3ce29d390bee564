//! Attacks by number: many connections at once, resets, and subscribers that reconnect.
//!
//! Owns these attacks and the account of the messages that each subscriber gets. Leaves requests
//! and sockets to `wire`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::scenario::{Arena, Late};
use crate::server::PLAINTEXT;
use crate::{Result, wire};

const THREADS: usize = 8;

/// The limit of descriptors, which this process and the server share, less 200 for other uses.
fn descriptors() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft: Option<usize> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(1_024).saturating_sub(200)
}

pub(crate) fn crowd(arena: &Arena<'_>) -> Result<String> {
    let count = (arena.connections * 5).min(descriptors());
    let begun = Instant::now();
    let address = arena.target.address;
    let ask = |share: usize| -> Result<usize> {
        let mut sockets: Vec<TcpStream> = Vec::with_capacity(share);
        for _ in 0..share {
            let mut socket = wire::connect(address)?;
            socket.write_all(wire::request("/plaintext").as_bytes())?;
            sockets.push(socket);
        }
        // No socket is dropped before the last answer, so that all connections are open at once.
        let answers = sockets.iter().map(|socket| wire::read_answer(&mut BufReader::new(socket)));
        Ok(answers.filter(|answer| answer.as_ref().is_ok_and(|answer| answer.body == PLAINTEXT)).count())
    };
    let answered = thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|at| {
                scope.spawn({
                    let ask = &ask;
                    move || ask(count / THREADS + usize::from(at < count % THREADS))
                })
            })
            .collect();
        let mut answered = 0;
        for client in clients {
            answered += client.join().map_err(|_| "a client panicked")??;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answered)
    })?;
    if answered < count {
        return Err(Late(format!("only {answered} of {count} connections were answered")).into());
    }
    Ok(format!("{count} connections, all answered, in {:.1} s", begun.elapsed().as_secs_f64()))
}

pub(crate) fn resets(arena: &Arena<'_>) -> Result<String> {
    let stages = [
        String::new(),
        "GET / HT".to_owned(),
        wire::request("/large"),
        wire::request("/topics/resets/long-poll"),
        wire::request("/topics/resets/events"),
        wire::upgrade("/topics/resets/ws"),
        wire::publish("resets", "x"),
        wire::upgrade("/echo") + "\u{1}\u{5}",
    ];
    let storm = |at: usize| -> Result<u64> {
        let mut done = 0;
        for stage in stages.iter().cycle().skip(at) {
            if !arena.goes_on() {
                break;
            }
            let mut socket = wire::connect(arena.target.address)?;
            socket.write_all(stage.as_bytes())?;
            if done % 2 == 0 && !stage.is_empty() {
                // Half of the connections are reset in the middle of the answer.
                socket.set_read_timeout(Some(Duration::from_millis(2)))?;
                let _ = socket.read(&mut [0; 16]);
            }
            wire::reset(socket);
            done += 1;
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|at| {
                scope.spawn({
                    let storm = &storm;
                    move || storm(at)
                })
            })
            .collect();
        let mut done = 0;
        for client in clients {
            done += client.join().map_err(|_| "a client panicked")??;
        }
        Ok(format!("{done} connections, all reset"))
    })
}

/// A client that reconnects with its cursor, again and again.
#[derive(Default)]
struct Subscriber {
    /// The number of the last message, and its id.
    last: u64,
    cursor: String,
}

pub(crate) fn reconnects(arena: &Arena<'_>) -> Result<String> {
    let address = arena.target.address;
    let end = AtomicU64::new(u64::MAX);
    thread::scope(|scope| {
        let share = arena.connections.div_ceil(THREADS);
        let clients: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn({
                    let end = &end;
                    move || come_and_go(address, share, end)
                })
            })
            .collect();
        let published = publish(arena);
        // The clients must also end after a failure to publish: otherwise the scope never returns.
        end.store(*published.as_ref().unwrap_or(&0), SeqCst);
        let published = published?;
        let mut connections = 0;
        for client in clients {
            connections += client.join().map_err(|_| "a client panicked")??;
        }
        Ok(format!("{} clients, {connections} connections; each of {published} messages came to each of them once", share * THREADS))
    })
}

fn publish(arena: &Arena<'_>) -> Result<u64> {
    let mut reader = BufReader::new(wire::connect(arena.target.address)?);
    let mut published = 0;
    while arena.goes_on() {
        reader.get_mut().write_all(wire::publish("news", "a message").as_bytes())?;
        if wire::read_answer(&mut reader)?.status != 202 {
            return Err("publishing was refused".into());
        }
        published += 1;
        thread::sleep(Duration::from_millis(5));
    }
    Ok(published)
}

fn come_and_go(address: SocketAddr, count: usize, end: &AtomicU64) -> Result<u64> {
    let mut clients: Vec<_> = (0..count).map(|_| Subscriber { last: 0, cursor: "earliest".to_owned() }).collect();
    let (mut connections, begun) = (0, Instant::now());
    while clients.iter().any(|client| client.last < end.load(SeqCst)) {
        if begun.elapsed() > Duration::from_secs(660) {
            return Err(Late("some clients never got the last message".to_owned()).into());
        }
        for client in clients.iter_mut().filter(|client| client.last < end.load(SeqCst)) {
            connections += 1;
            client.come(address)?;
        }
    }
    Ok(connections)
}

impl Subscriber {
    /// Subscribes, reads the messages that arrive within a few milliseconds, and resets the
    /// connection.
    fn come(&mut self, address: SocketAddr) -> Result<()> {
        let mut socket = wire::connect(address)?;
        socket.write_all(wire::request(&format!("/topics/news/events?after={}", self.cursor)).as_bytes())?;
        let mut reader = BufReader::new(socket);
        if wire::read_head(&mut reader)?.0 != 200 {
            return Err("a subscriber was refused".into());
        }
        reader.get_ref().set_read_timeout(Some(Duration::from_millis(3)))?;
        let (mut line, mut id) = (String::new(), String::new());
        while reader.read_line(&mut line).is_ok_and(|len| len > 0) {
            let text = line.trim_end();
            if let Some(value) = text.strip_prefix("id: ") {
                value.clone_into(&mut id);
            } else if text == "event: gap" {
                return Err("a client was told of a gap, although the hub retains all messages".into());
            } else if text.starts_with("data: ") {
                let number = id.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
                if number != self.last + 1 {
                    return Err(format!("message {number} came after message {}", self.last).into());
                }
                self.last = number;
                id.clone_into(&mut self.cursor);
            }
            line.clear();
        }
        wire::reset(reader.into_inner());
        Ok(())
    }
}
