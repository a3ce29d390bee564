//! A server process, seen from its parent.
//!
//! Owns starting it, reading its address, and ending it. Leaves what it serves to `server`. The
//! process ends when its standard input is closed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pushlab::IoModel;

use crate::Result;

/// A server that has not printed its address after this time counts as failed.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server. Dropping it ends the process.
pub(crate) struct ServerProcess {
    pub(crate) model: IoModel,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl ServerProcess {
    pub(crate) fn start(model: IoModel) -> Result<Self> {
        let program = std::env::current_exe()?;
        let child = Command::new(program)
            .args(["--serve", &model.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the {model} server cannot be started: {error}"))?;
        let mut server = Self { model, address: SocketAddr::from(([127, 0, 0, 1], 0)), child };
        server.address = server.read_address()?;
        Ok(server)
    }

    /// One server of each model, in the order of [`IoModel::ALL`].
    pub(crate) fn start_both() -> Result<[Self; 2]> {
        let [first, second] = IoModel::ALL;
        Ok([Self::start(first)?, Self::start(second)?])
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// When the process has ended. Its exit status says more than the error that its client saw.
    pub(crate) fn check(&mut self) -> Result<()> {
        // The kernel closes a process's connections a little before its exit status can be read.
        thread::sleep(Duration::from_millis(50));
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("the {} server ended while it was measured: {status}", self.model).into()),
        }
    }

    fn read_address(&mut self) -> Result<SocketAddr> {
        let stdout = self.child.stdout.take().ok_or("the server's output was not captured")?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(read.map(|_| line));
        });
        let model = self.model;
        let line = receiver
            .recv_timeout(START_TIMEOUT)
            .map_err(|_| format!("the {model} server did not print its address within {START_TIMEOUT:?}"))??;
        line.trim().parse().map_err(|_| match self.child.wait() {
            Ok(status) if line.is_empty() => format!("the {model} server ended before it listened: {status}").into(),
            _ => format!("the {model} server printed {line:?} instead of its address").into(),
        })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
