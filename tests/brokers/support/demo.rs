//! The demo, as one of several servers.
//!
//! Owns starting it, and reading `/stats`. Leaves requests to `http`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::http::{Answer, Connection};
use super::processes::{Folder, Process, wait_for};

/// The demo waits up to 15 s for its log before it listens.
const START_TIME: Duration = Duration::from_secs(120);
/// `RabbitMQ` refuses streams for some seconds after its start, and the pause between two attempts
/// of a server grows to 5 s.
const FOLLOW_TIME: Duration = Duration::from_secs(120);
pub(crate) const IO_MODELS: [&str; 2] = ["event-loop", "threads"];

pub(crate) struct Demo {
    pub(crate) address: SocketAddr,
    process: Process,
    _folder: Folder,
}

/// A demo that has not said its address yet.
pub(crate) struct Starting {
    process: Process,
    folder: Folder,
}

fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("release/examples/demo")
}

impl Demo {
    /// Starts a demo with this log.
    pub(crate) fn begin(name: &str, io: &str, log: &str) -> Starting {
        Self::begin_with(name, &["--io", io, "--log", log])
    }

    /// Starts a demo that keeps its messages in memory alone.
    pub(crate) fn begin_alone(name: &str, io: &str) -> Starting {
        Self::begin_with(name, &["--io", io])
    }

    fn begin_with(name: &str, arguments: &[&str]) -> Starting {
        let folder = Folder::new(name);
        let mut command = Command::new(program());
        command.args(["--listen", "127.0.0.1:0"]).args(arguments).env("RUST_LOG", "info");
        Starting { process: Process::start(name, folder.path(), &mut command), folder }
    }

    /// Starts demos that follow this log, with the IO models in turn.
    pub(crate) fn start_all<const N: usize>(test: &str, log: &str) -> [Self; N] {
        let mut at = 0;
        let starting = [(); N].map(|()| {
            let io = IO_MODELS[at % IO_MODELS.len()];
            at += 1;
            Self::begin(&format!("{test}-demo-{at}"), io, log)
        });
        let demos = starting.map(Starting::finish);
        demos.iter().for_each(Self::wait_until_following);
        demos
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        Connection::open(self.address).and_then(|mut connection| connection.get(target)).unwrap()
    }

    pub(crate) fn post(&self, topic: &str, text: &str) -> Answer {
        Connection::open(self.address).and_then(|mut connection| connection.post(topic, text)).unwrap()
    }

    /// Publishes, and returns the id.
    #[track_caller]
    pub(crate) fn publish(&self, topic: &str, text: &str) -> String {
        let answer = self.post(topic, text);
        assert_eq!(answer.status, 202, "{text}: {}", answer.text());
        answer.id()
    }

    /// The object `log` of `/stats`.
    pub(crate) fn log(&self) -> Value {
        let stats: Value = serde_json::from_slice(&self.get("/stats").body).unwrap();
        stats["log"].clone()
    }

    pub(crate) fn log_figure(&self, name: &str) -> u64 {
        self.log()[name].as_u64().unwrap()
    }

    pub(crate) fn wait_until_following(&self) {
        self.wait_for_log("following", |log| log["state"] == "following");
    }

    /// Waits until the log of this server is in some state.
    pub(crate) fn wait_for_log(&self, what: &str, is_there: impl Fn(&Value) -> bool) {
        let found = wait_for(FOLLOW_TIME, || is_there(&self.log()).then_some(()));
        assert!(found.is_some(), "a server is not {what} within {FOLLOW_TIME:?}: {}", self.log());
    }

    /// Waits until a topic has so many subscribers, by any technique.
    pub(crate) fn wait_for_subscribers(&self, topic: &str, count: u64) {
        let target = format!("/topics/{topic}");
        let read = || {
            let info: Value = serde_json::from_slice(&self.get(&target).body).unwrap();
            let subscribers = info["subscribers"].as_object().unwrap();
            subscribers.values().filter_map(Value::as_u64).sum::<u64>()
        };
        let found = wait_for(FOLLOW_TIME, || (read() >= count).then_some(()));
        assert!(found.is_some(), "{topic} has not got {count} subscribers: {}", self.get(&target).text());
    }

    /// The resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Starting {
    /// Waits for the address.
    pub(crate) fn finish(self) -> Demo {
        let Self { mut process, folder } = self;
        let output = folder.path().to_owned();
        let read = || {
            let printed = std::fs::read_dir(&output).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
            let printed: String = printed.collect();
            let (_, behind) = printed.split_once("http://")?;
            behind.split_once('/')?.0.parse().ok()
        };
        let address = process.wait_until("listening", START_TIME, read);
        Demo { address, process, _folder: folder }
    }
}
