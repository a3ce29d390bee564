//! One event loop per core, and one hub that all of them share.
//!
//! Each loop has a thread and a listening socket of its own. All sockets have the same address, with
//! `SO_REUSEPORT`, and Linux spreads new connections over them. A connection stays with its loop. So
//! requests of different connections share nothing. A published message takes the hub's lock, and
//! goes into the inbox of each loop that has a subscriber.
//!
//! Try: `curl http://127.0.0.1:8080/loop` several times, which names the loop that answers. Then
//! `curl -N http://127.0.0.1:8080/topics/news/events` in two terminals, and
//! `curl -d hello http://127.0.0.1:8080/topics/news`: both get the message, from whatever loop.

#[path = "../common/small.rs"]
mod small;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::process::ExitCode;
use std::thread;

use pushlab::push::{Hub, HubConfig, Mounted};
use pushlab::{Config, IoModel, Method, Reply, Request, Response, Server};
use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted by each loop.
const BACKLOG: i32 = 1_024;
const METHODS: &str = "GET, HEAD, OPTIONS";

fn main() -> ExitCode {
    let what = "One event loop per core and one hub: the number of the loop that answers at /loop, and the hub at /topics.";
    small::run(&small::Program { what, takes_io: false }, |address, _| {
        let servers = bind(address, loops()).map_err(|error| io::Error::other(format!("cannot listen on {address}: {error}")))?;
        small::say(&format!("listening on http://{}/loop with {} event loops", servers[0].local_addr(), servers.len()))?;
        serve(servers, &Hub::new(HubConfig::default()))
    })
}

/// One per core. Elsewhere than on Linux, one: macOS gives all connections to one of the sockets, and
/// Windows has no `SO_REUSEPORT`.
fn loops() -> usize {
    if cfg!(target_os = "linux") { thread::available_parallelism().map_or(1, usize::from) } else { 1 }
}

/// A server for each loop, all on the same address. With port 0, the first one gets a free port, and
/// the others take the same.
fn bind(address: &str, loops: usize) -> io::Result<Vec<Server>> {
    let mut address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut servers = Vec::with_capacity(loops);
    for _ in 0..loops {
        let listener = listen(address)?;
        address = listener.local_addr()?;
        servers.push(Server::from_listener(listener, config(loops))?);
    }
    Ok(servers)
}

/// The bounds of a configuration are those of one loop, so each loop gets its share.
fn config(loops: usize) -> Config {
    let whole = Config::default();
    Config { max_connections: whole.max_connections / loops, inbox_bytes: whole.inbox_bytes / loops, ..whole }
}

/// A second copy of this program, started by the same user, can listen on the same address, too:
/// that is what `SO_REUSEPORT` allows.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves until a loop ends, which only an error of the system can cause. Without that loop, its
/// listening socket would be closed, and the others would go on with fewer cores.
fn serve(servers: Vec<Server>, hub: &Hub) -> io::Result<()> {
    let (ended, ends) = std::sync::mpsc::channel();
    for (number, server) in servers.into_iter().enumerate() {
        let (hub, ended) = (hub.clone(), ended.clone());
        thread::Builder::new().name(format!("loop {number}")).spawn(move || {
            let handler = move |request: &Request<'_>, reply: Reply<'_>| app(&hub, number, request, reply);
            let _ = ended.send(server.run(IoModel::EventLoop, handler));
        })?;
    }
    drop(ended);
    // An error means that every loop has panicked, without a result.
    ends.recv().unwrap_or_else(|_| Err(io::Error::other("all event loops have panicked")))
}

fn app(hub: &Hub, number: usize, request: &Request<'_>, reply: Reply<'_>) {
    let reply = match hub.handle(request, reply) {
        Mounted::Handled => return,
        Mounted::NotMine(reply) => reply,
    };
    reply.send(match (request.path(), request.method()) {
        ("/loop", Method::Get | Method::Head) => Response::text(format!("loop {number}\n")),
        ("/loop", Method::Options) => request.options(METHODS),
        ("/loop", _) => Response::method_not_allowed(METHODS),
        _ => Response::status(404),
    });
}
