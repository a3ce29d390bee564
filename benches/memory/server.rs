//! The server of a row: a process of its own, with a hub and an echo.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Error};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pushlab::push::{Hub, HubConfig, Mounted};
use pushlab::{Config, IoModel, Reply, Request, Response, Server, on_message};

/// The argument that makes this program the server.
pub(crate) const ROLE: &str = "--serve";

/// Serves until the process is killed.
pub(crate) fn run() -> io::Result<()> {
    let hub = Hub::new(HubConfig::default());
    let app = move |request: &Request<'_>, reply: Reply<'_>| match hub.handle(request, reply) {
        Mounted::Handled => {}
        Mounted::NotMine(reply) => match request.path() {
            "/echo" => reply.upgrade(on_message(|message, socket| _ = socket.send(message))),
            _ => reply.send(Response::text("it works\n")),
        },
    };
    let server = Server::bind("127.0.0.1:0", Config { max_connections: 1_000_000, ..Config::default() })?;
    println!("{}", server.local_addr());
    server.run(IoModel::EventLoop, app)
}

pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    pub(crate) fn start() -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?).arg(ROLE).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address =
            line.trim().parse().map_err(|_| Error::other(format!("the server wrote `{}` instead of its address", line.trim())))?;
        Ok(Self { child, address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    fn read(&self, file: &str) -> io::Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).map_err(|error| Error::other(format!("{path} cannot be read ({error}): this program needs Linux")))
    }

    /// The bytes of anonymous memory that are resident.
    pub(crate) fn memory(&self) -> io::Result<usize> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|number| number.parse::<usize>().ok());
        kib.map(|kib| kib * 1_024).ok_or_else(|| Error::other("/proc/PID/status has no line `RssAnon`: this program needs Linux"))
    }

    /// The processor time that the process has used, in user space and in the system.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let text = self.read("schedstat")?;
        let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
        nanoseconds.map(Duration::from_nanos).ok_or_else(|| Error::other("/proc/PID/schedstat does not begin with a number"))
    }

    /// Waits until at most so many connections are open.
    pub(crate) fn wait_for_open(&self, connections: usize) -> io::Result<()> {
        // Beside its connections, the process has a few files of its own.
        const OWN_FILES: usize = 16;
        let path = format!("/proc/{}/fd", self.child.id());
        while fs::read_dir(&path)?.count() > connections + OWN_FILES {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
