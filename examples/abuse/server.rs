//! The attacked server, in a process of its own.
//!
//! Owns its handlers, the bad ones included (one panics, one blocks), and its settings. The
//! timeouts are seconds instead of tens of seconds, so that an attack of a few seconds reaches
//! them; the other limits are the defaults. Leaves starting and ending the process to `target`.

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use pushlab::proto::ProtocolLimits;
use pushlab::push::{Hub, HubConfig, Mounted};
use pushlab::{Config, IoModel, Limits, Message, Reply, Request, Response, Server, Settings, Socket, Stats, WebSocketHandler};
use socket2::{Domain, Type};

use crate::Result;
use crate::terminal::say;

pub(crate) const PLAINTEXT: &str = "Hello, World!";

pub(crate) fn serve(model: IoModel, max_threads: usize) -> Result<()> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    let hub = Hub::new(HubConfig { history_bytes: 8 * 1024 * 1024, history_messages: 100_000, ..HubConfig::default() });
    let server = Server::from_listener(listen()?, config(max_threads))?;
    say(&server.local_addr().to_string())?;
    // The process ends with its standard input: the kernel closes that pipe when the parent ends,
    // in whatever way, so that no server outlives its parent.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    // The attack `panics` causes thousands of panics. Their messages would only fill the terminal.
    std::panic::set_hook(Box::new(|_| {}));
    let stats = OnceLock::new();
    let _ = stats.set(server.stats());
    server.run(model, move |request: &Request<'_>, reply: Reply<'_>| app(&hub, &stats, request, reply))?;
    Ok(())
}

/// Listens with a backlog of 4,096: the attack `crowd` opens thousands of connections at once, and
/// the standard library's backlog is 128.
fn listen() -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4_096)?;
    Ok(socket.into())
}

fn config(max_threads: usize) -> Config {
    let protocol = ProtocolLimits {
        head_timeout: Duration::from_secs(2),
        body_timeout: Duration::from_secs(2),
        keep_alive_timeout: Duration::from_secs(5),
        ..ProtocolLimits::default()
    };
    let limits = Limits {
        protocol,
        write_timeout: Duration::from_secs(2),
        pong_timeout: Duration::from_secs(1),
        close_timeout: Duration::from_secs(1),
        heartbeat: Some(Duration::from_secs(1)),
        ..Limits::default()
    };
    Config { settings: Settings { limits, ..Settings::default() }, max_threads, ..Config::default() }
}

fn app(hub: &Hub, stats: &OnceLock<Arc<Stats>>, request: &Request<'_>, reply: Reply<'_>) {
    let reply = match hub.handle(request, reply) {
        Mounted::Handled => return,
        Mounted::NotMine(reply) => reply,
    };
    match request.path() {
        "/plaintext" => reply.send(Response::text(PLAINTEXT)),
        "/large" => reply.send(Response::text("x".repeat(64 * 1024))),
        "/upload" => reply.send(Response::text(format!("{}\n", request.body().len()))),
        "/hold" => drop(hold(reply)),
        "/panic" => panic!("a handler that panics"),
        "/block" => {
            thread::sleep(Duration::from_millis(100));
            reply.send(Response::text("slept\n"));
        }
        "/echo" => reply.upgrade(Echo),
        "/stats" => reply.send(Response::json(counters(stats))),
        _ => reply.send(Response::status(404)),
    }
}

/// Holds a request until its time is over. A thread keeps the handle for longer, as a slow worker
/// would.
fn hold(reply: Reply<'_>) -> thread::JoinHandle<()> {
    let held = reply.hold(Duration::from_secs(1), Response::no_content());
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(2));
        drop(held);
    })
}

fn counters(stats: &OnceLock<Arc<Stats>>) -> String {
    let mut json = String::from("{");
    for (name, value) in stats.get().map(|stats| stats.snapshot()).unwrap_or_default().entries() {
        let _ = write!(json, r#"{}"{name}":{value}"#, if json.len() > 1 { "," } else { "" });
    }
    json + "}"
}

struct Echo;

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        socket.send(message);
    }
}
