//! The IO models that the lab compares.
//!
//! Owns their names, what textbooks call them, and how each is built from pushlab. Leaves starting
//! one to `server`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A way to serve many connections. The handlers and the protocol code are the same in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Model {
    EventLoop,
    Threads,
    Pool,
    Loops,
    Workers,
    Poll,
    /// A server that is not pushlab's, given with `--server`.
    Foreign,
}

impl Model {
    /// All that this program can start.
    pub(crate) const ALL: [Self; 6] = [Self::EventLoop, Self::Threads, Self::Pool, Self::Loops, Self::Workers, Self::Poll];

    /// The name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EventLoop => "event-loop",
            Self::Threads => "threads",
            Self::Pool => "pool",
            Self::Loops => "loops",
            Self::Workers => "workers",
            Self::Poll => "poll",
            Self::Foreign => "foreign",
        }
    }

    /// What textbooks call it, and a server that works like this.
    pub(crate) const fn textbook(self) -> &'static str {
        match self {
            Self::EventLoop => "non-blocking IO, one event loop (one nginx worker)",
            Self::Threads => "blocking IO, one thread per connection",
            Self::Pool => "blocking IO, a bounded pool of threads (Tomcat's BIO connector)",
            Self::Loops => "non-blocking IO, one event loop per core (Netty, nginx)",
            Self::Workers => "non-blocking IO, an event loop and a pool of workers (Jetty, Tomcat's NIO connector)",
            Self::Poll => "non-blocking IO over poll(2) instead of epoll",
            Self::Foreign => "a server that is not pushlab's",
        }
    }

    /// How the server process builds it.
    pub(crate) const fn how(self) -> &'static str {
        match self {
            Self::EventLoop => "`Server::run(IoModel::EventLoop, ..)`",
            Self::Threads => "`Server::run(IoModel::ThreadPerConnection, ..)`",
            Self::Pool => "the driver of `examples/third_driver.rs`: 200 threads, an accept queue of 100",
            Self::Loops => "one event loop per core, each with a listener of its own (SO_REUSEPORT), and one shared hub",
            Self::Workers => "an event loop that hands each request to 16 workers with `Reply::hold`",
            Self::Poll => "the event loop in a build with mio's `--cfg mio_unsupported_force_poll_poll`",
            Self::Foreign => "started by you, and given with `--server`",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Model {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|model| model.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::Model;

    #[test]
    fn a_name_is_read_as_its_model() {
        assert!(Model::ALL.iter().all(|model| model.name().parse() == Ok(*model)));
        assert_eq!(["", "epoll", "Event-Loop", "foreign"].map(str::parse::<Model>), [Err(()); 4]);
    }
}
