//! The measured server, in a process of its own.
//!
//! Owns how each IO model is built from the library, and the settings that a claim may change.
//! Leaves what is served to `app`, and starting and ending the process to `lab::process`.

pub(crate) mod app;
mod workers;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use pushlab::push::{Hub, HubConfig};
use pushlab::tls::{Certificates, Tls};
use pushlab::{Config, Deflate, IoModel, Limits, Server, Settings, SlowConsumer, Stats, proto};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Result;
use crate::interrupt;
use crate::lab::cores;
use crate::lab::model::Model;
use crate::terminal::say;
use crate::third_driver;
use app::App;
use workers::Workers;

/// The threads that answer requests in the model `workers`.
pub(crate) const WORKERS: usize = 16;
/// How long a server waits for the log that it shares. Less than its parent waits for its address.
const LOG_WAIT: Duration = Duration::from_secs(8);

/// What a claim asks of a server. On the command line of the server process, each setting is a line
/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) model: Model,
    /// The cores on which the process may run. Empty: all.
    pub(crate) cores: Vec<usize>,
    /// The interval of heartbeats, in milliseconds; 0 for none.
    pub(crate) heartbeat_ms: u64,
    /// The time from a ping until a WebSocket whose client is silent is closed, in milliseconds.
    pub(crate) pong_ms: u64,
    /// `TCP_USER_TIMEOUT` of the models with one listener, in milliseconds; 0 for the system's own.
    /// The system ends a connection whose peer acknowledges nothing for this time.
    pub(crate) unacknowledged_ms: u64,
    /// The stack of each thread of the model `threads`, in KiB.
    pub(crate) stack_kib: usize,
    /// The threads of the models with a bounded number of them.
    pub(crate) threads: usize,
    /// The messages that a topic retains.
    pub(crate) history: usize,
    /// The event loops of the model `loops`.
    pub(crate) loops: usize,
    /// The window over which a server that shuts down spreads its clients' return, in milliseconds.
    pub(crate) spread_ms: u64,
    /// The port to listen on. 0: the system chooses one.
    pub(crate) port: u16,
    pub(crate) slow_consumer: SlowConsumer,
    /// The address of the log that this server shares with others.
    pub(crate) log: Option<String>,
    /// The PEM files of the certificate and of its key. `None`: without TLS.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    /// Whether WebSocket messages are compressed for clients that offer it.
    pub(crate) deflate: bool,
    pub(crate) defect: Defect,
}

/// A fault that is put into a server on purpose. Tests show with it that the claims would notice a
/// broken model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Defect {
    #[default]
    None,
    /// Each handler sleeps for a millisecond.
    Sleeps,
    /// Every tenth published message is not published.
    Loses,
}

impl Defect {
    const ALL: [Self; 3] = [Self::None, Self::Sleeps, Self::Loses];

    /// The name on the command line.
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sleeps => "sleeps",
            Self::Loses => "loses",
        }
    }
}

impl FromStr for Defect {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        Self::ALL.into_iter().find(|defect| defect.name() == text).ok_or(())
    }
}

impl Setup {
    pub(crate) const fn new(model: Model) -> Self {
        // The number of threads is Tomcat's default, `maxThreads`.
        Self {
            model,
            cores: Vec::new(),
            heartbeat_ms: 25_000,
            pong_ms: 20_000,
            unacknowledged_ms: 0,
            stack_kib: 256,
            threads: 200,
            history: 1_000,
            loops: 2,
            spread_ms: 5_000,
            port: 0,
            slow_consumer: SlowConsumer::Disconnect,
            log: None,
            certificate: None,
            deflate: false,
            defect: Defect::None,
        }
    }

    /// The arguments of the server process.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let cores = self.cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let mut arguments = vec![
            format!("model={}", self.model),
            format!("cores={cores}"),
            format!("heartbeat_ms={}", self.heartbeat_ms),
            format!("pong_ms={}", self.pong_ms),
            format!("unacknowledged_ms={}", self.unacknowledged_ms),
            format!("stack_kib={}", self.stack_kib),
            format!("threads={}", self.threads),
            format!("history={}", self.history),
            format!("loops={}", self.loops),
            format!("spread_ms={}", self.spread_ms),
            format!("port={}", self.port),
            format!("slow_consumer={}", self.slow_consumer),
            format!("deflate={}", self.deflate),
            format!("defect={}", self.defect.name()),
        ];
        if let Some((certificate, key)) = &self.certificate {
            arguments.extend([format!("certificate={}", certificate.display()), format!("key={}", key.display())]);
        }
        arguments.extend(self.log.iter().map(|log| format!("log={log}")));
        arguments
    }

    /// Reads the arguments of the server process.
    pub(crate) fn parse(arguments: &[String]) -> std::result::Result<Self, String> {
        let mut setup = Self::new(Model::EventLoop);
        for argument in arguments {
            let wrong = || format!("`{argument}` is not a setting of the server process");
            let (name, value) = argument.split_once('=').ok_or_else(wrong)?;
            let number = || value.parse::<u64>().map_err(|_| wrong());
            match name {
                "model" => setup.model = value.parse().map_err(|()| wrong())?,
                "cores" => {
                    let cores = value.split(',').filter(|core| !core.is_empty()).map(str::parse);
                    setup.cores = cores.collect::<std::result::Result<_, _>>().map_err(|_| wrong())?;
                }
                "heartbeat_ms" => setup.heartbeat_ms = number()?,
                "pong_ms" => setup.pong_ms = number()?,
                "unacknowledged_ms" => setup.unacknowledged_ms = number()?,
                "stack_kib" => setup.stack_kib = number()? as usize,
                "threads" => setup.threads = number()? as usize,
                "history" => setup.history = number()? as usize,
                "loops" => setup.loops = number()? as usize,
                "spread_ms" => setup.spread_ms = number()?,
                "port" => setup.port = value.parse().map_err(|_| wrong())?,
                "slow_consumer" => setup.slow_consumer = value.parse().map_err(|_| wrong())?,
                "log" => setup.log = Some(value.to_owned()),
                "certificate" => setup.certificate.get_or_insert_default().0 = value.into(),
                "key" => setup.certificate.get_or_insert_default().1 = value.into(),
                "deflate" => setup.deflate = value.parse().map_err(|_| wrong())?,
                "defect" => setup.defect = value.parse().map_err(|()| wrong())?,
                _ => return Err(wrong()),
            }
        }
        Ok(setup)
    }

    fn config(&self) -> Result<Config> {
        let tls = self.certificate.as_ref().map(|files| Certificates::load(std::slice::from_ref(files)).map(Tls::new)).transpose()?;
        // Connections must stay open while another model is measured.
        let protocol = proto::ProtocolLimits { keep_alive_timeout: Duration::from_secs(3_600), ..proto::ProtocolLimits::default() };
        let heartbeat = (self.heartbeat_ms > 0).then(|| Duration::from_millis(self.heartbeat_ms));
        let limits = Limits { protocol, heartbeat, pong_timeout: Duration::from_millis(self.pong_ms), ..Limits::default() };
        Ok(Config {
            settings: Settings { limits, slow_consumer: self.slow_consumer, ..Settings::default() },
            max_connections: 65_536,
            // Two threads for each connection that receives messages.
            max_threads: 131_072,
            stack_bytes: self.stack_kib * 1024,
            comeback_window: Duration::from_millis(self.spread_ms),
            shutdown_grace: Duration::from_secs(2),
            tls,
            ..Config::default()
        })
    }
}

/// Serves until standard input ends, and prints the address first.
pub(crate) fn serve(setup: &Setup) -> Result<()> {
    interrupt::ignore()?;
    cores::pin(&setup.cores);
    let app = app(setup)?;
    match setup.model {
        Model::Pool => {
            let listener = TcpListener::bind(address(setup))?;
            announce(listener.local_addr()?)?;
            let Config { settings, tls: None, .. } = setup.config()? else { return Err("the model `pool` has no TLS".into()) };
            let pool = third_driver::Pool { settings, stats: Stats::default(), app: Box::new(app.handler()) };
            third_driver::serve(&listener, setup.threads, pool)?;
        }
        Model::Loops => serve_loops(setup, &app)?,
        Model::EventLoop | Model::Poll => run(setup, IoModel::EventLoop, &app)?,
        Model::Threads => run(setup, IoModel::ThreadPerConnection, &app)?,
        Model::Workers => {
            let app = app.with_workers(Workers::start(WORKERS)?);
            run(setup, IoModel::EventLoop, &app)?;
        }
        Model::Foreign => return Err("a foreign server is started by its user".into()),
    }
    Ok(())
}

fn app(setup: &Setup) -> Result<App> {
    let log = setup.log.as_deref().map(|log| log.parse().map_err(|error| format!("the log {log}: {error}"))).transpose()?;
    let hub = Hub::new(HubConfig {
        history_messages: setup.history,
        retry: Duration::from_millis(300),
        // The lab's clients choose how long they wait.
        hold_max: Duration::from_secs(600),
        log,
        deflate: setup.deflate.then(Deflate::default),
        ..HubConfig::default()
    });
    // Without a log, this returns at once.
    hub.wait_for_log(LOG_WAIT)?;
    Ok(App::new(hub, setup.defect))
}

/// Runs a server of one of the two IO models in this process, until the process ends.
#[cfg(test)]
pub(crate) fn start_here(setup: &Setup) -> Result<SocketAddr> {
    let model = if setup.model == Model::Threads { IoModel::ThreadPerConnection } else { IoModel::EventLoop };
    let server = Server::bind(address(setup), setup.config()?)?;
    let (address, handler) = (server.local_addr(), app(setup)?.handler());
    thread::spawn(move || server.run(model, handler));
    Ok(address)
}

fn address(setup: &Setup) -> SocketAddr {
    ([127, 0, 0, 1], setup.port).into()
}

fn run(setup: &Setup, model: IoModel, app: &App) -> Result<()> {
    let server = match setup.unacknowledged_ms {
        0 => Server::bind(address(setup), setup.config()?)?,
        time => Server::from_listener(impatient(address(setup), Duration::from_millis(time))?, setup.config()?)?,
    };
    let stopper = server.stopper();
    app.on_shutdown(move || stopper.stop());
    announce(server.local_addr())?;
    Ok(server.run(model, app.handler())?)
}

/// A listening socket that ends connections whose peer acknowledges nothing for `time`.
fn impatient(address: SocketAddr, time: Duration) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(time))?;
    #[cfg(not(target_os = "linux"))]
    let _ = time;
    socket.bind(&address.into())?;
    socket.listen(4_096)?;
    Ok(socket.into())
}

/// One event loop per core. The system spreads new connections over the listeners.
fn serve_loops(setup: &Setup, app: &App) -> Result<()> {
    let mut address = address(setup);
    let mut servers = Vec::new();
    for _ in 0..setup.loops {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(4_096)?;
        let server = Server::from_listener(socket.into(), setup.config()?)?;
        address = server.local_addr();
        servers.push(server);
    }
    announce(address)?;
    let loops: Vec<_> = servers
        .into_iter()
        .enumerate()
        .map(|(at, server)| {
            let (handler, core) = (app.handler(), setup.cores.get(at).copied());
            thread::spawn(move || {
                cores::pin(core.as_slice());
                server.run(IoModel::EventLoop, handler)
            })
        })
        .collect();
    for event_loop in loops {
        event_loop.join().map_err(|_| "an event loop panicked")??;
    }
    Ok(())
}

/// Prints the address. From now on, the process ends with its standard input: the kernel closes
/// that pipe when the parent ends, in whatever way, so that no server outlives its parent.
pub(crate) fn announce(address: SocketAddr) -> Result<()> {
    say(&address.to_string())?;
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        // No graceful shutdown: the only client was the parent.
        std::process::exit(0);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_survives_its_command_line() {
        let mut setup = Setup::new(Model::Loops);
        (setup.cores, setup.heartbeat_ms, setup.threads, setup.history) = (vec![0, 3], 1, 2, 3);
        (setup.pong_ms, setup.unacknowledged_ms, setup.stack_kib) = (7, 8, 9);
        (setup.loops, setup.spread_ms, setup.port, setup.defect) = (4, 5, 6, Defect::Loses);
        (setup.certificate, setup.deflate) = (Some(("/a b/c=d.pem".into(), "/e.pem".into())), true);
        (setup.slow_consumer, setup.log) = (SlowConsumer::DropOldest, Some("stomp+stream://a:b=c@[::1]:1/x".to_owned()));
        assert_eq!(Setup::parse(&setup.arguments()), Ok(setup));
        assert_eq!(Setup::parse(&[]), Ok(Setup::new(Model::EventLoop)));
        for wrong in ["model", "model=epoll", "cores=1,x", "port=65536", "colour=red", "deflate=1", "defect=all"] {
            let told = Setup::parse(&[wrong.to_owned()]).unwrap_err();
            assert_eq!(told, format!("`{wrong}` is not a setting of the server process"));
        }
    }
}
