//! Processes and folders of a test.
//!
//! Owns starting a process with its output in a file, signals by pid, free ports, and a folder that
//! is deleted at the end. Leaves the programs to `demo`, `rabbitmq` and `activemq`.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The pause between two looks at something that sends no event.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process that is killed when the value is dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Process {
    /// Starts a command. Its output goes to the end of a file in the folder.
    pub(crate) fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let output = folder.join(format!("{name}.out"));
        let file = File::options().create(true).append(true).open(&output).unwrap();
        command.stdin(Stdio::null()).stderr(file.try_clone().unwrap()).stdout(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}; tests/brokers/run installs it"));
        Self { child, name: name.to_owned(), output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that the process has printed.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args([&*format!("-{signal}"), &pid]).status().unwrap();
        assert!(status.success(), "kill -{signal} of {} failed: it printed\n{}", self.name, self.printed());
    }

    /// Waits for the end of the process.
    pub(crate) fn wait_for_end(&mut self, most: Duration) {
        let child = &mut self.child;
        let ended = wait_for(most, || child.try_wait().unwrap());
        assert!(ended.is_some(), "{} has not ended within {most:?}: it printed\n{}", self.name, self.printed());
    }

    /// Waits until `look` returns something. Fails if the process ends before, or if it takes too
    /// long.
    pub(crate) fn wait_until<T>(&mut self, what: &str, most: Duration, mut look: impl FnMut() -> Option<T>) -> T {
        let found = wait_for(most, || look().map(Some).or_else(|| self.child.try_wait().unwrap().map(|_| None))).flatten();
        found.unwrap_or_else(|| panic!("{}: not {what} within {most:?}: it printed\n{}", self.name, self.printed()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let printed = self.printed();
            let lines: Vec<&str> = printed.lines().collect();
            eprintln!("{} printed at last:\n{}\n", self.name, lines[lines.len().saturating_sub(15)..].join("\n"));
        }
    }
}

/// Looks again and again. Returns `None` when the time is over.
pub(crate) fn wait_for<T>(most: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + most;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > until {
            return None;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// A folder below the target directory, deleted when the value is dropped, unless the test fails.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("brokers-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a folder in this one.
    pub(crate) fn make(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the files are in {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Ports that nothing listens on, for programs that cannot take one from the system by themselves.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

pub(crate) const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Whether something accepts connections at this port.
pub(crate) fn listens(port: u16) -> Option<()> {
    TcpStream::connect_timeout(&local(port), Duration::from_secs(1)).ok().map(drop)
}
