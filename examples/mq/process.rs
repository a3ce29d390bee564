//! One process that this program has started, and can end and start again.
//!
//! Owns the child, the address on which it listens, and how it ended. Leaves to `office` which
//! processes there are.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) struct Process {
    /// Such as `server-1`: what the address of its endpoint contains.
    pub(crate) name: String,
    /// Without the address on which to listen.
    arguments: Vec<OsString>,
    /// Where to listen, on any free port at the first start.
    host: IpAddr,
    state: Mutex<State>,
    changed: Condvar,
    /// Tells others that the state has changed.
    tell: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    is_listening: bool,
    /// `host:port`. The process gets it again at each further start.
    address: Option<String>,
    starts: u32,
    /// How the process ended last.
    ended: Option<String>,
}

impl Process {
    pub(crate) fn new(name: &str, arguments: Vec<OsString>, host: IpAddr, tell: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), arguments, host, state: Mutex::default(), changed: Condvar::new(), tell: Box::new(tell) })
    }

    /// The error is a sentence.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), String> {
        {
            let mut state = self.state();
            if state.child.is_some() {
                return Err(format!("{} is running", self.name));
            }
            let listen = state.address.clone().unwrap_or_else(|| SocketAddr::new(self.host, 0).to_string());
            let spawn = || {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(&self.arguments).args(["--end-with-input", "--listen", &listen]);
                // Ctrl-C at a terminal goes to a group: only the first process shall get it.
                #[cfg(unix)]
                std::os::unix::process::CommandExt::process_group(&mut command, 0);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
            };
            let mut child = spawn().map_err(|error| format!("{} cannot be started: {error}", self.name))?;
            let output = child.stdout.take();
            state.child = Some(child);
            state.starts += 1;
            state.is_listening = false;
            let process = Arc::clone(self);
            thread::spawn(move || {
                for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                    let Ok(line) = line else { break };
                    process.listens(&line);
                }
                process.has_ended();
            });
        }
        (self.tell)();
        Ok(())
    }

    /// Ends the process as a fault of the machine would: on Unix, by SIGKILL. The error is a sentence.
    pub(crate) fn kill(&self) -> Result<(), String> {
        match &mut self.state().child {
            // The system cannot give the number of this process to another one: nobody has waited
            // for its end.
            Some(child) => child.kill().map_err(|error| format!("{} cannot be ended: {error}", self.name)),
            None => Err(format!("{} is not running", self.name)),
        }
    }

    /// Waits until the process listens, and returns its address. The error is a sentence.
    pub(crate) fn wait(&self, patience: Duration) -> Result<String, String> {
        let is_early = |state: &mut State| state.child.is_some() && !state.is_listening;
        let waited = self.changed.wait_timeout_while(self.state(), patience, is_early);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match (&state.address, &state.ended) {
            (Some(address), _) if state.is_listening => Ok(address.clone()),
            (_, Some(ended)) => Err(format!("{} has ended: {ended}", self.name)),
            _ => Err(format!("{} does not listen after {} s", self.name, patience.as_secs())),
        }
    }

    /// Waits until the process has ended.
    pub(crate) fn wait_for_end(&self) {
        drop(self.changed.wait_while(self.state(), |state| state.child.is_some()));
    }

    pub(crate) fn json(&self) -> Value {
        let state = self.state();
        let word = match &state.child {
            Some(_) if state.is_listening => "running",
            Some(_) => "starting",
            None => "ended",
        };
        json!({
            "name": self.name,
            "state": word,
            "address": state.address,
            "pid": state.child.as_ref().map(Child::id),
            "starts": state.starts,
            "ended": state.ended,
        })
    }

    /// A process prints `scheme://host:port/` when it listens. Other lines are passed over.
    fn listens(&self, line: &str) {
        let Some(address) = line.split_once("://").and_then(|(_, rest)| rest.split('/').next()) else { return };
        {
            let mut state = self.state();
            state.is_listening = true;
            state.address = Some(address.to_owned());
            self.changed.notify_all();
        }
        (self.tell)();
    }

    /// Its output has ended.
    fn has_ended(&self) {
        {
            let mut state = self.state();
            if let Some(mut child) = state.child.take() {
                state.ended = Some(child.wait().map_or_else(|error| error.to_string(), how));
            }
            state.is_listening = false;
            self.changed.notify_all();
        }
        (self.tell)();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn how(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return if signal == 9 { "killed".to_owned() } else { format!("ended by signal {signal}") };
    }
    status.code().map_or_else(|| "ended".to_owned(), |code| format!("exit code {code}"))
}
