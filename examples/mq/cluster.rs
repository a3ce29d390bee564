//! The broker and the servers, as processes of their own.
//!
//! Owns which processes there are, the order of their starts, their end, and the directory of the
//! broker. Leaves one process to `process`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pushlab::IoModel;
use serde_json::Value;

use crate::process::Process;
use crate::server::TOPIC;

/// A debug build on a busy machine needs a moment. Nothing is slowed down by a long wait.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// What to start.
pub(crate) struct Plan {
    pub(crate) servers: u8,
    /// Where the servers listen: where the page does.
    pub(crate) host: IpAddr,
    /// The address of a broker that runs already.
    pub(crate) log: Option<String>,
    pub(crate) io: IoModel,
    /// The origins of the page.
    pub(crate) origins: Vec<String>,
}

pub(crate) struct Cluster {
    processes: Mutex<Vec<Arc<Process>>>,
    /// The streams of the broker.
    directory: PathBuf,
    /// Gets the list of processes after each change. The lock keeps an older list from coming after a
    /// newer one.
    tell: Mutex<Box<dyn Fn(String) + Send>>,
}

impl Cluster {
    /// Returns when all servers accept clients. The error is a sentence.
    pub(crate) fn start(plan: &Plan, tell: impl Fn(String) + Send + 'static) -> Result<Arc<Self>, String> {
        let directory = std::env::temp_dir().join(format!("pushlab-mq-{}", std::process::id()));
        let cluster = Arc::new(Self { processes: Mutex::default(), directory, tell: Mutex::new(Box::new(tell)) });
        let log = if let Some(log) = &plan.log {
            log.clone()
        } else {
            let broker = cluster.add(
                "broker",
                Ipv4Addr::LOCALHOST.into(),
                ["broker".into(), "--keep".into(), cluster.directory.clone().into()].to_vec(),
            )?;
            format!("stomp+stream://{}/{TOPIC}", broker.wait(START_PATIENCE)?)
        };
        let mut arguments: Vec<OsString> = ["server", "--io", &plan.io.to_string(), "--log", &log].map(Into::into).to_vec();
        for origin in &plan.origins {
            arguments.extend(["--allow-origin".into(), origin.into()]);
        }
        let servers = (1..=plan.servers).map(|number| cluster.add(&format!("server-{number}"), plan.host, arguments.clone()));
        let servers: Vec<_> = servers.collect::<Result<_, _>>()?;
        for server in servers {
            server.wait(START_PATIENCE)?;
        }
        Ok(cluster)
    }

    fn add(self: &Arc<Self>, name: &str, host: IpAddr, arguments: Vec<OsString>) -> Result<Arc<Process>, String> {
        let cluster = Arc::downgrade(self);
        let process = Process::new(name, arguments, host, move || {
            if let Some(cluster) = cluster.upgrade() {
                let tell = cluster.tell.lock().unwrap_or_else(PoisonError::into_inner);
                tell(cluster.list());
            }
        });
        self.lock().push(Arc::clone(&process));
        process.start()?;
        Ok(process)
    }

    pub(crate) fn process(&self, name: &str) -> Option<Arc<Process>> {
        self.lock().iter().find(|process| process.name == name).cloned()
    }

    /// All processes, as a JSON array.
    pub(crate) fn list(&self) -> String {
        Value::Array(self.lock().iter().map(|process| process.json()).collect()).to_string()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all processes, waits for their ends, and removes the streams of the broker.
    pub(crate) fn end(&self) {
        // Without the lock: a process can tell of a change meanwhile, and the list is made for that.
        let processes = self.lock().clone();
        // The servers before the broker: they would report that it is away.
        for process in processes.iter().rev() {
            // One that has ended already is no error.
            let _ = process.kill();
            process.wait_for_end();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}
