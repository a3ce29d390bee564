//! The server that runs now: its socket, its IO model, and the change to the other model.
//!
//! A program has one socket that listens, and serves on it with one server after another. A change of
//! the model shuts one server down gracefully, and starts the next one on the same socket. Clients
//! that connect in between wait in the socket's backlog.
//!
//! Owns the socket, the model, and the counters of the server that runs now. Leaves the end of the
//! program to `signals`.

use std::io;
use std::net::TcpListener;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pushlab::session::Stats;
use pushlab::{Config, IoModel, Server, Stopper};

use super::counters::Counters;

/// A socket that listens, and outlives the servers that serve on it.
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// A server on this socket.
    pub(super) fn server(&self, config: &Config) -> io::Result<Server> {
        match self {
            Self::Tcp(listener) => Server::from_listener(listener.try_clone()?, config.clone()),
            #[cfg(unix)]
            Self::Unix(listener) => Server::from_unix_listener(listener.try_clone()?, config.clone()),
        }
    }
}

/// The server that runs now, as the application and the program's main thread share it.
pub(crate) struct Serving {
    config: Config,
    now: Mutex<Now>,
}

struct Now {
    io: IoModel,
    stats: Arc<Stats>,
    since: Instant,
    stopper: Stopper,
    next: Option<IoModel>,
}

impl Now {
    fn new(io: IoModel, server: &Server) -> Self {
        Self { io, stats: server.stats(), since: Instant::now(), stopper: server.stopper(), next: None }
    }
}

impl Serving {
    pub(super) fn new(io: IoModel, config: &Config, server: &Server) -> Self {
        Self { config: config.clone(), now: Mutex::new(Now::new(io, server)) }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, io: IoModel, server: &Server) {
        *self.lock() = Now::new(io, server);
    }

    /// The model that a change has asked for. `None` if the server has ended for another reason.
    pub(super) fn next(&self) -> Option<IoModel> {
        self.lock().next
    }

    #[allow(dead_code, reason = "only the demo changes its model")]
    pub(crate) fn io(&self) -> IoModel {
        self.lock().io
    }

    /// How long the server has run. A change of the model begins anew.
    #[allow(dead_code, reason = "not every example shows it")]
    pub(crate) fn age(&self) -> Duration {
        self.lock().since.elapsed()
    }

    /// The counters of the server. A change of the model begins at 0.
    pub(crate) fn counters(&self) -> Counters {
        let now = self.lock();
        Counters::new(now.io, &self.config, Arc::clone(&now.stats))
    }

    /// Changes the IO model, and returns at once. The server shuts down as at Ctrl-C: it tells every
    /// client when to come back. The clients meet the other model then. Does nothing if the server
    /// has this model already.
    #[allow(dead_code, reason = "only the demo changes its model")]
    pub(crate) fn change_to(&self, io: IoModel) {
        let mut now = self.lock();
        if now.io != io {
            now.next = Some(io);
            now.stopper.stop();
        }
    }
}
