//! Attacks by greed: peers that read nothing, that read slowly, or that send requests without a
//! pause.
//!
//! Owns these attacks, the account of what slow readers get, and the bounds on the server's memory.
//! Leaves reading `/proc` to `target`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::scenario::{Arena, Late};
use crate::{Result, wire};

/// An attack waits this long for the server to close deaf peers. The server's write timeout is two
/// seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// Raises `peak` to the server's memory at this moment.
fn watch_memory(arena: &Arena<'_>, peak: &mut u64) -> Result<()> {
    *peak = arena.target.figures()?.memory_bytes.max(*peak);
    Ok(())
}

/// Publishes on one connection. Sends each message after the server has accepted the one before.
/// Returns the number of accepted messages.
fn publish_until(address: SocketAddr, topic: &str, text: &str, mut goes_on: impl FnMut(u64) -> Result<bool>) -> Result<u64> {
    let mut reader = BufReader::new(wire::connect(address)?);
    let mut accepted = 0;
    while goes_on(accepted)? {
        reader.get_mut().write_all(wire::publish(topic, text).as_bytes())?;
        match wire::read_answer(&mut reader)? {
            answer if answer.status == 202 => accepted += 1,
            answer => return Err(format!("publishing was answered with {}: {}", answer.status, answer.body).into()),
        }
    }
    Ok(accepted)
}

pub(crate) fn deaf_streams(arena: &Arena<'_>) -> Result<String> {
    let address = arena.target.address;
    let requests = [
        wire::request("/topics/deaf/events"),
        wire::request("/topics/deaf/stream?max_bytes=4000000000"),
        wire::request("/topics/deaf/multipart"),
        wire::upgrade("/topics/deaf/ws"),
    ];
    let mut sockets = Vec::new();
    for request in requests.iter().cycle().take((arena.connections / 10).clamp(4, 200)) {
        let mut socket = wire::connect(address)?;
        socket.write_all(request.as_bytes())?;
        sockets.push(socket);
    }
    let (begun, mut peak, subscribers) = (Instant::now(), 0, sockets.len());
    let text = "x".repeat(32 * 1024);
    // The kernel's buffers on both sides of a connection fill before the server's queue does. The
    // figures are read every 20 messages: reading them is a request of its own.
    let published = publish_until(address, "deaf", &text, |accepted| {
        if accepted % 20 != 0 {
            return Ok(true);
        }
        watch_memory(arena, &mut peak)?;
        let open = arena.target.counters()?;
        Ok(begun.elapsed() < PATIENCE && open["streams"].as_u64().unwrap_or(0) + open["websockets"].as_u64().unwrap_or(0) > 0)
    })?;
    let counters = arena.target.counters()?;
    let (slow, stalled) = (counters["slow_disconnects"].as_u64().unwrap_or(0), counters["write_stalls"].as_u64().unwrap_or(0));
    let queues = subscribers as u64 * 1024 * 1024 + 64 * 1024 * 1024;
    if slow + stalled < subscribers as u64 {
        return Err(Late(format!("the server ended only {slow} + {stalled} of {subscribers} subscribers")).into());
    }
    if peak > 3 * queues {
        return Err(format!("memory grew to {} MiB", peak / 1024 / 1024).into());
    }
    Ok(format!(
        "{subscribers} subscribers, {published} messages of 32 KiB; {slow} cut for slowness, {stalled} stalled; at most {} MiB",
        peak / 1024 / 1024
    ))
}

pub(crate) fn deaf_pipeline(arena: &Arena<'_>) -> Result<String> {
    let count = (arena.connections / 10).clamp(4, 200);
    let request = wire::request("/large");
    let mut sockets = Vec::new();
    for _ in 0..count {
        let socket = wire::connect(arena.target.address)?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    let (begun, mut peak, mut sent) = (Instant::now(), 0, 0_u64);
    while !sockets.is_empty() {
        if begun.elapsed() > PATIENCE {
            return Err(Late(format!("{} of {count} connections are still served after {PATIENCE:?}", sockets.len())).into());
        }
        // Only whole requests count. After a part of a request, the next bytes are garbage; the
        // server never reads that far.
        sockets.retain_mut(|socket| match socket.write(request.as_bytes()) {
            Ok(len) => {
                sent += u64::from(len == request.len());
                true
            }
            Err(error) => wire::is_later(&error),
        });
        if sent.is_multiple_of(64) {
            watch_memory(arena, &mut peak)?;
            thread::sleep(Duration::from_millis(1));
        }
    }
    if peak > 512 * 1024 * 1024 {
        return Err(format!("memory grew to {} MiB", peak / 1024 / 1024).into());
    }
    Ok(format!("{count} connections, {sent} requests for 64 KiB each; all cut; at most {} MiB", peak / 1024 / 1024))
}

/// What a slow reader has received: the last number, and messages, gaps, missing messages and
/// connections.
#[derive(Default)]
struct Account {
    last: u64,
    delivered: u64,
    gaps: u64,
    missing: u64,
    connections: u64,
}

pub(crate) fn flood(arena: &Arena<'_>) -> Result<String> {
    const READERS: usize = 16;
    let address = arena.target.address;
    // The number of the last message. It is above every number until the publisher has stopped.
    let end = AtomicU64::new(u64::MAX);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|at| {
                scope.spawn({
                    let end = &end;
                    move || read_slowly(address, at, end)
                })
            })
            .collect();
        let text = "x".repeat(4 * 1024);
        let published = publish_until(address, "flood", &text, |_| Ok(arena.goes_on()));
        // The readers must also end after a failure to publish: otherwise the scope never returns.
        end.store(*published.as_ref().unwrap_or(&0), SeqCst);
        let published = published?;
        let (mut delivered, mut missing, mut gaps, mut connections) = (0, 0, 0, 0);
        for reader in readers {
            let account = reader.join().map_err(|_| "a reader panicked")??;
            if account.delivered + account.missing != published {
                return Err(
                    format!("{published} published, but {} delivered and {} declared missing", account.delivered, account.missing).into()
                );
            }
            delivered += account.delivered;
            missing += account.missing;
            gaps += account.gaps;
            connections += account.connections;
        }
        Ok(format!(
            "{published} messages of 4 KiB to {READERS} slow readers: {delivered} delivered, {missing} declared missing in {gaps} gaps, {connections} connections"
        ))
    })
}

/// Reads events with pauses, and reconnects with its cursor after each cut. Every number must
/// arrive in order, or be declared missing.
fn read_slowly(address: SocketAddr, at: usize, end: &AtomicU64) -> Result<Account> {
    let (mut account, mut cursor) = (Account::default(), "earliest".to_owned());
    let mut deadline: Option<Instant> = None;
    while account.last < end.load(SeqCst) {
        let has_ended = end.load(SeqCst) < u64::MAX;
        if *deadline.get_or_insert(Instant::now() + Duration::from_secs(660)) < Instant::now()
            || (has_ended && account.connections > 10_000)
        {
            return Err(Late(format!("a reader got no further than message {}", account.last)).into());
        }
        account.connections += 1;
        let mut socket = wire::connect(address)?;
        socket.write_all(wire::request(&format!("/topics/flood/events?after={cursor}")).as_bytes())?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut reader = BufReader::with_capacity(4 * 1024, socket);
        if wire::read_head(&mut reader)?.0 != 200 {
            return Err("a reader was refused".into());
        }
        // An error means that the server cut the connection. Bytes in flight are lost with it, and
        // come again after the cursor.
        let _ = read_events(&mut reader, at, &mut account, &mut cursor, end);
    }
    Ok(account)
}

fn read_events(reader: &mut impl BufRead, at: usize, account: &mut Account, cursor: &mut String, end: &AtomicU64) -> Result<()> {
    let (mut line, mut id, mut is_gap) = (String::new(), String::new(), false);
    while account.last < end.load(SeqCst) {
        line.clear();
        if reader.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            return Ok(());
        }
        let text = line.trim_end();
        if let Some(value) = text.strip_prefix("id: ") {
            value.clone_into(&mut id);
        } else if text == "event: gap" {
            is_gap = true;
        } else if let Some(data) = text.strip_prefix("data: ") {
            if is_gap {
                let gap: serde_json::Value = serde_json::from_str(data)?;
                let from = gap["from"].as_str().map_or(account.last, sequence);
                account.gaps += 1;
                account.missing += from - account.last;
                account.last = from;
                if let Some(from) = gap["from"].as_str() {
                    from.clone_into(cursor);
                }
            } else {
                let number = sequence(&id);
                if number != account.last + 1 {
                    return Err(format!("message {number} came after message {}", account.last).into());
                }
                account.delivered += 1;
                account.last = number;
                id.clone_into(cursor);
                // Each reader pauses at an interval of its own, and not after the publisher has
                // stopped: the readers then reach the end.
                if end.load(SeqCst) == u64::MAX && number.is_multiple_of(16 + at as u64) {
                    thread::sleep(Duration::from_millis(20));
                }
            }
        } else if text.is_empty() {
            is_gap = false;
        }
    }
    Ok(())
}

fn sequence(id: &str) -> u64 {
    id.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

pub(crate) fn greedy(arena: &Arena<'_>) -> Result<String> {
    const CONNECTIONS: usize = 16;
    const BATCH: usize = 256;
    let ask = |address| -> Result<u64> {
        let mut socket: TcpStream = wire::connect(address)?;
        let batch = wire::request("/plaintext").repeat(BATCH);
        let mut reading = socket.try_clone()?;
        // A thread of its own reads the answers, so that the sender never waits for them.
        let reader = thread::spawn(move || {
            let (mut bytes, mut sum) = (vec![0; 64 * 1024], 0);
            while let Ok(len @ 1..) = reading.read(&mut bytes) {
                sum += len as u64;
            }
            sum
        });
        while arena.goes_on() {
            socket.write_all(batch.as_bytes())?;
        }
        socket.shutdown(std::net::Shutdown::Write)?;
        reader.join().map_err(|_| "a reader panicked".into())
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| ask(arena.target.address))).collect();
        let mut bytes = 0;
        for client in clients {
            bytes += client.join().map_err(|_| "a client panicked")??;
        }
        let requests = arena.target.counters()?["requests"].as_u64().unwrap_or(0);
        Ok(format!("{CONNECTIONS} connections, {requests} requests, {} MiB of answers", bytes / 1024 / 1024))
    })
}
