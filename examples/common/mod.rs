//! Code that the examples with a page share: the command line, start and stop, and the browser's
//! side of every technique. The other examples include single files of this directory by path.
//!
//! | file | owns |
//! |---|---|
//! | `options` | `--io`, `--listen`, `--allow-origin`, `--allow-host`, `--trusted-proxy`, `--forwarded-field`, `--help`, `--version` |
//! | `arguments` | reading options and their values |
//! | `address` | the syntax of an address to listen on |
//! | `socket_file` | listening on the path of a Unix socket |
//! | `terminal` | standard output, standard error, and the exit code |
//! | `routes` | the table of paths, and the answers that follow from it |
//! | `bearer` | the bearer token in `Authorization` |
//! | `limiter` | how often each address may do something |
//! | `small` | the command line of an example that is one file |
//! | `quotes` | made-up share prices |
//! | `serving` | the server that runs now, and the change of its IO model |
//! | `counters` | the counters of `/stats`, with the limits on threads |
//! | `broker/` | a small message broker: streams on disk, over STOMP |
//! | `signals` | Ctrl-C and SIGTERM |
//! | `older.js` | four techniques more for the client of `examples/client/` |
//! | `meter.js` | the requests and bytes of a subscription |
//! | `states.js` | the states of a subscription, in words |
//! | `clock.js` | the server's clock, as the page knows it |
//! | `base.css` | colours and fonts, light and dark |
//!
//! Leaves to each example the code that no other example needs.

mod address;
pub(crate) mod arguments;
pub(crate) mod counters;
mod options;
pub(crate) mod routes;
pub(crate) mod serving;
mod signals;
#[cfg(unix)]
mod socket_file;
pub(crate) mod terminal;

use std::fmt::Write;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pushlab::proto::Bytes;
use pushlab::push::Hub;
use pushlab::session::{Handler, Settings};
use pushlab::{Config, IoModel, Reply, Request, Response, Server};
use socket2::{Domain, Socket, Type};

use arguments::{Arguments, refuse};
use counters::Counters;
use options::{Options, Wish};
use serving::{Listener, Serving};
use signals::Signals;
use terminal::{NAME, end, say, version};

/// The exit code if the shutdown cut connections that still had an answer or messages to get. 0 is
/// a graceful shutdown, 1 a server that could not serve, 2 a wrong command line.
const EXIT_CUT: u8 = 3;
/// How many connections may wait to be accepted. Linux lowers it to `net.core.somaxconn`, which is
/// 4,096 by default.
const BACKLOG: i32 = 4_096;

/// The facts about the running server that an application may need.
pub(crate) struct Started {
    #[allow(dead_code, reason = "the demo asks `serving`")]
    pub(crate) io: IoModel,
    #[allow(dead_code, reason = "not every example has other servers that must know it")]
    pub(crate) address: SocketAddr,
    config: Config,
    /// The server that runs now, for an application that changes the IO model.
    pub(crate) serving: Arc<Serving>,
}

impl Started {
    /// The counters of a server whose model never changes.
    #[allow(dead_code, reason = "the demo asks `serving`")]
    pub(crate) fn counters(&self) -> Counters {
        self.serving.counters()
    }

    /// The pages of other origins that may act here.
    #[allow(dead_code, reason = "not every example has other servers that must know them")]
    pub(crate) fn allow_origins(&self) -> &[String] {
        &self.config.settings.allow_origins
    }
}

/// A complete `main`: reads the command line, serves, and stops on a signal. `option` takes an
/// option that only this example has, and returns whether it knows the option. `app` makes the
/// application after the server has begun to listen.
#[allow(dead_code, reason = "not every example passes the arguments of the process on")]
pub(crate) fn run<H: Handler>(
    help: &str,
    option: impl FnMut(&str, &mut Arguments, &mut Config) -> Result<bool, String>,
    app: impl FnOnce(&Started) -> H,
) -> ExitCode {
    run_with(Arguments::new(std::env::args_os()), help, option, |_| Ok("http"), |started| Ok(app(started)))
}

/// As [`run`], with other arguments than those of the process, and an application that cannot
/// always be made. `check` looks at all options together, and returns the scheme of the server's
/// address. Each error is a sentence.
pub(crate) fn run_with<H: Handler>(
    arguments: Arguments,
    help: &str,
    option: impl FnMut(&str, &mut Arguments, &mut Config) -> Result<bool, String>,
    check: impl FnOnce(&mut Config) -> Result<&'static str, String>,
    app: impl FnOnce(&Started) -> Result<H, String>,
) -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match options::parse(arguments, option) {
        Ok(Wish::Help) => end(say(help)),
        Ok(Wish::Version) => end(say(&version())),
        Ok(Wish::Serve(mut options)) => match check(&mut options.config) {
            Err(message) => refuse(&message),
            Ok(scheme) => match serve(*options, scheme, app) {
                Ok(1..) => ExitCode::from(EXIT_CUT),
                done => end(done.map(drop)),
            },
        },
        Err(message) => refuse(&message),
    }
}

/// Returns how many connections the shutdown cut.
fn serve<H: Handler>(options: Options, scheme: &str, app: impl FnOnce(&Started) -> Result<H, String>) -> Result<u64, String> {
    let Options { io, listen, config } = options;
    #[cfg(unix)]
    if let Some(path) = listen.strip_prefix(socket_file::PREFIX) {
        let (listener, file) = socket_file::bind(path.as_ref())?;
        let cut = run_servers(&Listener::Unix(listener), io, &config, |_| listen.clone(), app);
        drop(file);
        return cut;
    }
    let listener = listener(&listen, &config.settings).map_err(|error| {
        // `bind` fails the same way, and its error says more.
        let error = Server::bind(&*listen, config.clone()).err().unwrap_or(error).to_string();
        // The error of a name that cannot be resolved does not contain the name.
        if error.starts_with("cannot listen on") { error } else { format!("cannot listen on {listen}: {error}") }
    })?;
    run_servers(&Listener::Tcp(listener), io, &config, |address| format!("{scheme}://{address}/"), app)
}

/// Serves with one server after another, until a signal ends the last one. `place` is what the user
/// is told: where the servers listen.
fn run_servers<H: Handler>(
    listener: &Listener,
    mut io: IoModel,
    config: &Config,
    place: impl FnOnce(SocketAddr) -> String,
    app: impl FnOnce(&Started) -> Result<H, String>,
) -> Result<u64, String> {
    let begin = || listener.server(config).map_err(|error| format!("cannot listen: {error}"));
    let mut server = begin()?;
    let address = server.local_addr();
    let signals = Signals::stop(server.stopper(), NAME).map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    let serving = Arc::new(Serving::new(io, config, &server));
    let app = Arc::new(app(&Started { io, address, config: config.clone(), serving: Arc::clone(&serving) })?);

    let mut text = format!("pushlab {NAME}, {io}: {}", place(address));
    if io == IoModel::ThreadPerConnection {
        let (threads, pushed) = (config.max_threads, config.max_pushed_connections());
        let _ = write!(
            text,
            "\nat most {threads} threads: one for each connection, and a second one for each of {pushed} streams and WebSockets"
        );
    }
    say(&text).map_err(|error| error.to_string())?;

    let (mut accepted, mut requests, mut messages) = (0, 0, 0);
    let cut = loop {
        let (stats, app) = (server.stats(), Arc::clone(&app));
        server
            .run(io, move |request: &Request<'_>, reply: Reply<'_>| app.handle(request, reply))
            .map_err(|error| format!("the server gave up: {error}"))?;
        let end = stats.snapshot();
        accepted += end.accepted;
        requests += end.requests;
        messages += end.messages_out;
        io = match serving.next() {
            Some(next) if !signals.have_come() => next,
            _ => break end.cut,
        };
        server = begin()?;
        serving.begin(io, &server);
        signals.stop_instead(server.stopper());
        log::info!("the IO model is now {io}; the change cut {} connections", end.cut);
    };
    let how = signals.verdict(cut);
    say(&format!("{how}; served {accepted} connections, {requests} requests, {messages} messages")).map_err(|error| error.to_string())?;
    Ok(cut)
}

/// Makes a listening socket with two options that the standard library does not have. The first is
/// a large backlog. The second, on Linux only, limits how long sent bytes may stay unacknowledged:
/// a client that vanishes is noticed after two heartbeats at most.
fn listener(address: &str, settings: &Settings) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in address.to_socket_addrs()? {
        let listen = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            limit_silence(&socket, settings)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        };
        match listen() {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Closes a connection whose sent bytes stay unacknowledged for one heartbeat. Accepted sockets
/// inherit the option (tcp(7), `TCP_USER_TIMEOUT`).
#[cfg(target_os = "linux")]
fn limit_silence(socket: &Socket, settings: &Settings) -> io::Result<()> {
    socket.set_tcp_user_timeout(settings.limits.heartbeat)
}

/// Other systems do not have the option: their own retransmission time-out applies.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux this can fail")]
fn limit_silence(_: &Socket, _: &Settings) -> io::Result<()> {
    Ok(())
}

/// Calls `tick` every second, for as long as the program runs: the hub then drops old messages and
/// publishes who has left.
pub(crate) fn keep_time(hub: &Hub) {
    let hub = hub.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            hub.tick();
        }
    });
}

/// The name of an IO model, for use in a sentence.
#[allow(dead_code, reason = "the demo's page has the names")]
pub(crate) const fn model_name(io: IoModel) -> &'static str {
    match io {
        IoModel::EventLoop => "one event loop",
        IoModel::ThreadPerConnection => "a thread per connection",
    }
}

/// The files that every page loads.
pub(crate) fn asset(path: &str) -> Option<Response> {
    match path {
        "/pushlab.js" => Some(script(include_str!("../client/pushlab.js"))),
        "/older.js" => Some(script(include_str!("older.js"))),
        "/meter.js" => Some(script(include_str!("meter.js"))),
        "/states.js" => Some(script(include_str!("states.js"))),
        "/clock.js" => Some(script(include_str!("clock.js"))),
        // A browser requests this path by itself, and logs a 404 as an error.
        "/favicon.ico" => Some(Response::no_content().field("Cache-Control", "max-age=86400")),
        "/base.css" => Some(file("text/css; charset=utf-8", include_str!("base.css"))),
        _ => None,
    }
}

fn script(text: &'static str) -> Response {
    file("text/javascript; charset=utf-8", text)
}

/// The response with a file of a page. The browser must revalidate it each time, so that a new
/// build shows at once.
pub(crate) fn file(content_type: &'static str, body: impl Into<Bytes>) -> Response {
    Response::new(content_type, body).field("Cache-Control", "no-cache")
}
