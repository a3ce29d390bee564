//! A small message broker, so that the examples need no installation: streams over STOMP 1.2, on
//! disk.
//!
//! It is an append-only log with a socket, and does what the hub's log engine needs of `RabbitMQ`
//! (`src/push/log/brokers/stream.rs`). A record that it has confirmed survives the end of the
//! process, SIGKILL included. It does not survive a power failure: nothing waits for the disk.
//! There are no users, no queues, no topics, and no second machine. Use `RabbitMQ` for anything but a
//! look.
//!
//! | file | owns |
//! |---|---|
//! | this one | the listening socket, the list of streams, and their names |
//! | `stream` | the records of one stream: offsets, files, what is removed |
//! | `connection` | STOMP: what a client asks for, and the answers |

mod connection;
mod stream;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use stream::Stream;

/// A hub needs two streams and two connections.
const STREAMS_MAX: usize = 64;
const CONNECTIONS_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 100;
/// After an error of `accept`, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Broker {
    listener: TcpListener,
    streams: Arc<Streams>,
}

impl Broker {
    /// Listens, and reads the streams that this directory has. Creates the directory.
    pub(crate) fn bind(address: impl ToSocketAddrs, directory: &Path) -> io::Result<Self> {
        let streams =
            Streams::open(directory).map_err(|error| with(&format!("cannot read the streams in {}", directory.display()), &error))?;
        Ok(Self { listener: TcpListener::bind(address)?, streams: Arc::new(streams) })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for as long as the process runs.
    pub(crate) fn run(self) -> ! {
        let connections = Arc::new(AtomicUsize::new(0));
        loop {
            let Ok((socket, _)) = self.listener.accept() else {
                thread::sleep(ACCEPT_PAUSE);
                continue;
            };
            if connections.fetch_add(1, SeqCst) >= CONNECTIONS_MAX {
                connections.fetch_sub(1, SeqCst);
                continue; // which closes the connection
            }
            let (streams, connections) = (Arc::clone(&self.streams), Arc::clone(&connections));
            thread::spawn(move || {
                connection::serve(&streams, socket);
                connections.fetch_sub(1, SeqCst);
            });
        }
    }
}

/// All streams, by name.
struct Streams {
    directory: PathBuf,
    open: Mutex<HashMap<String, Arc<Stream>>>,
}

impl Streams {
    fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut open = HashMap::new();
        for entry in directory.read_dir()? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && check_name(&name).is_ok()
            {
                open.insert(name, Arc::new(Stream::open(entry.path())?));
            }
        }
        Ok(Self { directory: directory.to_owned(), open: Mutex::new(open) })
    }

    /// The stream with this name. Creates it. The error is a sentence for the client.
    fn named(&self, name: &str) -> Result<Arc<Stream>, String> {
        check_name(name)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = open.get(name) {
            return Ok(Arc::clone(stream));
        }
        if open.len() == STREAMS_MAX {
            return Err(format!("this broker has {STREAMS_MAX} streams, and takes no more"));
        }
        let stream = Stream::open(self.directory.join(name)).map_err(|error| format!("the stream cannot be created: {error}"))?;
        let stream = Arc::new(stream);
        open.insert(name.to_owned(), Arc::clone(&stream));
        Ok(stream)
    }
}

/// A name is also the name of a directory.
fn check_name(name: &str) -> Result<(), String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_good) {
        return Ok(());
    }
    Err(format!(
        "the name of a stream has 1 to {NAME_BYTES_MAX} characters of A-Z, a-z, 0-9, `_`, `-` and `.`, and does not begin with `.`"
    ))
}

fn with(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests;
