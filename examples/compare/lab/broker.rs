//! A message broker for servers that share a log: this program in a process of its own, or one that
//! the user runs.
//!
//! Owns the process, its directory, and the addresses of new streams. Leaves the broker itself to
//! `common/broker`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{Conditions, process};
use crate::Result;
use crate::broker::Broker;

/// A broker, for as long as a claim needs it. Dropping it ends the process, if it is this program's.
pub(crate) struct LogBroker {
    /// A log's address up to the name, as in `stomp+stream://127.0.0.1:61613`.
    base: String,
    own: Option<Own>,
}

struct Own {
    child: Child,
    directory: PathBuf,
}

impl LogBroker {
    pub(crate) fn start(conditions: &Conditions) -> Result<Self> {
        if let Some(log) = &conditions.log {
            return Ok(Self { base: log.trim_end_matches('/').to_owned(), own: None });
        }
        let directory = std::env::temp_dir().join(format!("pushlab-compare-{}-{}", std::process::id(), next_number()));
        let (child, address) = process::launch("broker", Command::new(&conditions.binary).arg("--serve-broker").arg(&directory))?;
        Ok(Self { base: format!("stomp+stream://{address}"), own: Some(Own { child, directory }) })
    }

    /// The address of a log that no run has used.
    pub(crate) fn new_log(&self, purpose: &str) -> String {
        format!("{}/compare-{purpose}-{}-{}", self.base, std::process::id(), next_number())
    }

    /// What the report says of it.
    pub(crate) fn name(&self) -> &'static str {
        if self.own.is_some() { "the example's own broker, which never waits for the disk" } else { "the broker of --log" }
    }
}

impl Drop for LogBroker {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            process::end(&mut own.child);
            let _ = std::fs::remove_dir_all(&own.directory);
        }
    }
}

/// A number that no earlier call in this process has returned.
fn next_number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Relaxed)
}

/// Runs as the broker, until standard input ends, and prints the address first.
pub(crate) fn serve(directory: &Path) -> Result<()> {
    let broker = Broker::bind("127.0.0.1:0", directory)?;
    crate::server::announce(broker.local_addr()?)?;
    broker.run()
}
