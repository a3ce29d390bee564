//! The peers: each is this program again, in a process of its own.
//!
//! Owns the names of the peers, what each of them can do, and what all of them answer. Leaves each
//! server to a file of its own. The process ends when its standard input is closed, so it never
//! outlives the tool.
//!
//! | Target | What it does |
//! |---|---|
//! | `/hello` | answers [`BODY`] |
//! | `/hold?N` | holds the request until N are held, and answers all of them with [`BODY`] |
//! | `/echo` | echoes WebSocket messages |
//! | `/topics/ticks/ws` | sends each published message to a WebSocket |
//! | `/topics/ticks/events` | sends each published message to an event stream |
//! | `/publish?N` | publishes [`PAYLOAD`] N times, and answers [`BODY`] |
//!
//! Each peer is written as its documentation shows it, in one thread if it can be. Where its interface
//! can join writes, it does. No peer sends heartbeats: these would be counted with an operation.

mod by_axum;
mod by_fastwebsockets;
mod by_hyper;
mod by_pushlab;
mod by_tiny_http;
mod by_tokio_tungstenite;
mod polls;

use std::error::Error;
use std::fmt;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::str::FromStr;
use std::thread;

use pushlab::IoModel;

/// The last byte of each answer and of each message. No head of an answer or of a frame has it.
pub(crate) const MARK: u8 = b'!';
pub(crate) const BODY: &str = "Hello, World!";
pub(crate) const PAYLOAD: &str = "sequence 104711, value 21.5: tick-tock!";

pub(crate) const HELLO: &str = "/hello";
pub(crate) const HOLD: &str = "/hold";
pub(crate) const ECHO: &str = "/echo";
pub(crate) const SOCKETS: &str = "/topics/ticks/ws";
pub(crate) const EVENTS: &str = "/topics/ticks/events";
pub(crate) const PUBLISH: &str = "/publish";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Pushlab,
    PushlabThreads,
    TinyHttp,
    Hyper,
    Axum,
    FastWebSockets,
    TokioTungstenite,
}

/// What a scenario needs of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Requests,
    Polls,
    Echo,
    Sockets,
    Events,
}

impl Peer {
    /// In the order of the table. The others are compared with the first one.
    pub(crate) const ALL: [Self; 7] =
        [Self::Pushlab, Self::PushlabThreads, Self::TinyHttp, Self::Hyper, Self::Axum, Self::FastWebSockets, Self::TokioTungstenite];

    /// What it is called in the table and after `--serve`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pushlab => "pushlab",
            Self::PushlabThreads => "pushlab-threads",
            Self::TinyHttp => "tiny_http",
            Self::Hyper => "hyper",
            Self::Axum => "axum",
            Self::FastWebSockets => "fastwebsockets",
            Self::TokioTungstenite => "tokio-tungstenite",
        }
    }

    /// hyper alone has no `WebSockets`; `fastwebsockets` adds them to it. tokio-tungstenite alone has no HTTP
    /// by which a message could be published; axum's `WebSockets` are its own.
    pub(crate) const fn offers(self, service: Service) -> bool {
        match self {
            Self::Pushlab | Self::PushlabThreads | Self::Axum => true,
            Self::TinyHttp => matches!(service, Service::Requests | Service::Polls),
            Self::Hyper => matches!(service, Service::Requests | Service::Polls | Service::Events),
            Self::FastWebSockets => matches!(service, Service::Echo | Service::Sockets),
            Self::TokioTungstenite => matches!(service, Service::Echo),
        }
    }

    /// Prints the address, and serves until the standard input ends.
    pub(crate) fn serve(self) -> Result<(), Box<dyn Error>> {
        thread::spawn(|| {
            // Nothing is written to it. It ends with the tool, also if it cannot be read.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        match self {
            Self::Pushlab => by_pushlab::serve(IoModel::EventLoop)?,
            Self::PushlabThreads => by_pushlab::serve(IoModel::ThreadPerConnection)?,
            Self::TinyHttp => return by_tiny_http::serve(),
            Self::Hyper => on_tokio(by_hyper::serve)?,
            Self::Axum => on_tokio(by_axum::serve)?,
            Self::FastWebSockets => on_tokio(by_fastwebsockets::serve)?,
            Self::TokioTungstenite => on_tokio(by_tokio_tungstenite::serve)?,
        }
        Ok(())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|peer| peer.name() == text).ok_or_else(|| format!("no peer is called {text:?}; there are {}", names()))
    }
}

/// The tool reads this line.
fn announce(address: SocketAddr) {
    println!("{address}");
}

/// Serves on tokio's runtime of one thread.
fn on_tokio<F: Future<Output = io::Result<()>>>(serve: fn(tokio::net::TcpListener) -> F) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?);
        serve(listener).await
    })
}

/// The number that is the query of a target, or 0.
fn number(query: Option<&str>) -> usize {
    query.and_then(|query| query.parse().ok()).unwrap_or(0)
}
