//! The memory and the heartbeats of idle connections: `cargo bench --bench memory` (Linux).
//!
//! The server is a process of its own, so that the memory of the clients does not count. A figure is
//! the growth of the server's anonymous memory (`RssAnon` of `/proc/PID/status`) divided by the
//! number of connections that came. It has everything: the state of a connection, its place in
//! lists, unused capacity, and what the allocator adds. Each row has a server of its own, and the
//! first hundred connections do not count, because they pay for what all share.
//!
//! `cargo bench --bench memory -- --connections 5000` changes the number of connections. With
//! `--heartbeats 100` the program also measures the processor time of the heartbeats of idle
//! subscribers for so many seconds. `--test` does everything once, with few connections.

mod client;
mod server;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use client::Crowd;
use server::ServerProcess;

/// The connections that come before the first measurement.
const WARM: usize = 100;
const CONNECTIONS: usize = 10_000;
const CONNECTIONS_OF_TEST: usize = 100;

/// What the connections of a row do.
#[derive(Clone, Copy)]
struct Row {
    title: &'static str,
    /// The request of connection number `n`.
    request: fn(usize) -> String,
    /// Whether the connections are subscribed to the topic `news`.
    is_subscribed: bool,
}

const ROWS: &[Row] = &[
    Row { title: "HTTP, keep-alive", request: |_| get("/"), is_subscribed: false },
    Row { title: "held long poll", request: |_| get("/topics/news/long-poll"), is_subscribed: false },
    Row { title: "event stream", request: |_| get("/topics/news/events"), is_subscribed: true },
    Row { title: "event stream, 8 topics", request: |_| get("/topics/news,b,c,d,e,f,g,h/events"), is_subscribed: true },
    Row { title: "event stream, named client", request: |n| get(&format!("/topics/news/events?client=c{n}")), is_subscribed: true },
    Row { title: "WebSocket", request: |_| upgrade("/topics/news/ws"), is_subscribed: true },
    Row { title: "WebSocket without the hub", request: |_| upgrade("/echo"), is_subscribed: false },
];

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number_after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1).and_then(|value| value.parse::<u32>().ok()).filter(|number| *number > 0))
    };
    if arguments.first().is_some_and(|argument| argument == server::ROLE) {
        return finish(server::run());
    }
    let (connections, heartbeats) = (number_after("--connections"), number_after("--heartbeats"));
    if connections == Some(None) || heartbeats == Some(None) {
        eprintln!("--connections and --heartbeats need a number of at least 1");
        return ExitCode::FAILURE;
    }
    let default = if arguments.iter().any(|argument| argument == "--test") { CONNECTIONS_OF_TEST } else { CONNECTIONS };
    let connections = connections.flatten().map_or(default, |number| number as usize);
    finish(memory(connections).and_then(|()| heartbeats.flatten().map_or(Ok(()), |seconds| heartbeat_time(connections, seconds))))
}

fn finish(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn memory(connections: usize) -> io::Result<()> {
    println!("bytes of the server's memory for each of {connections} connections");
    println!("{:28} {:>8} {:>14} {:>14}", "", "idle", "after traffic", "after they left");
    for row in ROWS {
        let server = ServerProcess::start()?;
        let mut crowd = Crowd::new(server.address());
        crowd.grow(WARM, row.request)?;
        let before = server.memory()?;
        let per_connection = |after: usize| after.saturating_sub(before) / connections;
        crowd.grow(connections, row.request)?;
        let idle = per_connection(server.memory()?);
        let traffic = if row.is_subscribed {
            for _ in 0..5 {
                crowd.publish("/topics/news", 4_000)?;
            }
            per_connection(server.memory()?).to_string()
        } else {
            "-".to_owned()
        };
        crowd.shrink(WARM);
        server.wait_for_open(WARM)?;
        println!("{:28} {idle:>8} {traffic:>14} {:>14}", row.title, per_connection(server.memory()?));
    }
    Ok(())
}

fn heartbeat_time(connections: usize, seconds: u32) -> io::Result<()> {
    println!("processor time of the server for the heartbeats of {connections} subscribers, over {seconds} s");
    for row in ROWS.iter().filter(|row| row.is_subscribed) {
        let server = ServerProcess::start()?;
        let mut crowd = Crowd::new(server.address());
        crowd.grow(connections, row.request)?;
        let before = server.processor_time()?;
        crowd.answer_pings_for(Duration::from_secs(seconds.into()))?;
        let used = server.processor_time()?.saturating_sub(before);
        println!("{:28} {:.2} ms in each second", row.title, used.as_secs_f64() * 1e3 / f64::from(seconds));
    }
    Ok(())
}
