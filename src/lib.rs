//! pushlab: a small HTTP/1.1 + WebSocket server-push library, written by hand on `mio`, without an async runtime.
//!
//! Two interchangeable IO models, a single-threaded event loop and a blocking thread for each connection, run the same protocol code and
//! the same handlers. What a reader measures between them is the IO model and nothing else.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use pushlab::{Config, IoModel, Reply, Request, Response, Server};
//!
//! fn app(request: &Request<'_>, reply: Reply<'_>) {
//!     match request.path() {
//!         "/hello" => reply.send(Response::text("hello\n")),
//!         "/events" => {
//!             let pusher = reply.event_stream().pusher();
//!             // A publisher keeps the pusher, and sends from any thread. The stream ends with the last pusher.
//!             drop(pusher);
//!         }
//!         "/poll" => {
//!             let held = reply.hold(Duration::from_secs(25), Response::no_content());
//!             // Released from any thread; after 25 s the connection answers 204 by itself.
//!             held.release(Response::text("news\n"));
//!         }
//!         _ => reply.send(Response::status(404)),
//!     }
//! }
//!
//! # fn serve() -> std::io::Result<()> {
//! let server = Server::bind("127.0.0.1:8080", Config::default())?;
//! server.run(IoModel::EventLoop, app)?;
//! # Ok(())
//! # }
//! # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
//! # serve_once(app, &["/hello", "/events", "/poll", "/elsewhere"]);
//! ```
//!
//! # The house
//!
//! ```text
//!    your handler:                   push: one hub, every technique;
//!    Fn(&Request, Reply)             a handler like yours
//!        │                               │ public items alone
//!   ┌────▼───────────────────────────────▼──────────────────────────┐
//!   │ session   one connection: requests, holds, streams,           │
//!   │           WebSockets; no IO                                   │
//!   └───────▲───────────────────────────────────────────▲───────────┘
//!           │ bytes, time, commands                     │ events, bytes
//!   ┌───────┴──────────────────────────┐    ┌───────────┴───────────┐
//!   │ driver                           │    │ proto                 │
//!   │ event_loop  |  thread_per_conn   │    │ http1  ws  sse        │
//!   │ sockets, clocks, threads         │    │ plain state machines  │
//!   └──────────────────────────────────┘    └───────────────────────┘
//! ```
//!
//! # What always holds
//!
//! - [`proto`] and [`session`] have no sockets, threads, locks or clocks: time is an argument, the caller owns the buffers. The same bytes give
//!   the same events and the same output, however they are split.
//! - A driver neither parses, nor encodes, nor chooses a status. The two drivers never see each other.
//! - A request is answered exactly once: [`Reply`] is consumed by value, and dropping it answers 500. A stream
//!   ends when nothing can send on it any more.
//! - A publisher never waits for a peer: what a slow reader cannot take waits in bounded queues, under one policy ([`SlowConsumer`]).
//! - A connection gets its messages in the order in which they were posted, by whatever handles and lists. What is posted to a request,
//!   stream or WebSocket that is over reaches nobody, and takes nothing from whoever comes behind it.
//! - An idle connection of the event loop owns no buffer.
//! - Every bound has a name in [`Limits`], [`Config`] or [`push::HubConfig`], a default, and a reason for it. Past it comes what is said
//!   there: for a rule that is broken an answer that names it and a counter ([`Stats::broken_rules`]); waiting; or a policy and a counter.
//! - A peer that breaks a rule gets an answer that names the rule, or a close code, and can read it: the connection is ended by halves.
//!   Who is silent is cut.
//! - An announced length allocates nothing: memory follows what has arrived.
//! - What a connection holds is bounded whatever its peer does: input, output, the queue of messages, and the time for each of them. How long
//!   a hold or a stream lasts is the application's to say.
//! - A client that leaves is let go at once, whatever it is waiting for and however much it had sent. One
//!   that is gone without a word is let go within two heartbeats as a WebSocket, and otherwise when its
//!   time is over, or the time of what is written to it. A client that ends only its sending side has
//!   left, too, unless [`Settings::half_close`] says that it waits.
//! - Of a topic, sent = delivered + declared gap, by whatever technique a client comes back.
//! - A client that comes back to a stream or WebSocket of a hub reaches the present on that
//!   connection, however far behind it is. The server keeps one piece of the client's missed messages
//!   in memory ([`push::HubConfig::replay_bytes`]).
//! - What a hub keeps is bounded, whatever topics and names its clients make up.
//! - A handler that panics costs its connection; one that blocks stops everybody on the event loop, and nobody else with threads.
//! - A shutdown answers what was accepted, tells who waits when to come back, and ends within [`Config::shutdown_grace`].
//! - Nothing that a client sends is written to the log.
//! - One origin gets one answer ([`session::Origin`]), whatever its page asks for. A check that
//!   decides about access reads a field as bytes, and a value that it does not understand is
//!   refused.
//!
//! README.md says which test shows which of them.
//!
//! # Limits of this design
//!
//! - One thread is one event loop: a server uses one processor for its connections, and a second server on another port the next one.
//! - `bind` has the standard library's backlog of 128; [`Server::from_listener`] takes a socket with a longer one, and with
//!   `TCP_USER_TIMEOUT`, without which the system gives a vanished client of a quiet stream up only after a quarter of an hour.
//! - On Windows and with poll(2), mio makes edges out of levels: each burst of input costs one read more
//!   there. A client that ends its side while its output is full keeps the loop awake until it reads, or
//!   until the write time-out.
//! - The write time-out begins anew with each byte of room that the system reports, not with each that the peer has acknowledged.
//! - Deadlines are met late by up to 50 ms with threads, and by 100 ms where the reading thread sleeps
//!   behind a later one; by an eighth of the time and at most a second on the event loop, where the time is 8 s
//!   or more. The system's own time for writing is late by up to an eighth with threads.
//! - With threads, a connection keeps its one or two threads for as long as it is open: once [`Config::max_threads`] are taken, who is idle
//!   keeps others waiting for up to [`Limits::keep_alive_timeout`].
//! - With threads, nobody reads while a last answer is written: a client that goes on sending, and reads the answer only when the system keeps
//!   no more of that, is given up by the write time-out. The event loop reads on.
//! - With threads, two queues can wait for one reader: one that the publishers fill, one behind output that is full. Each has
//!   [`Limits::queue_bytes`].
//! - A stream or WebSocket of a hub with `format=raw` has no room for a gap in its middle. What the
//!   slow-consumer policy drops there is counted, and not told; with [`SlowConsumer::Disconnect`], the
//!   default, nothing is dropped. A gap that opens before the client has reached the present ends the
//!   stream or WebSocket.
//! - A half-received request may use up the whole grace time of a shutdown: it counts as accepted.
//! - The grace time of a shutdown does not end a handler. The event loop waits for the one that it is in; threads that are still in theirs a
//!   second later are left behind.
//!
//! # Reading order
//!
//! 1. `examples/sansio.rs`: a server in sixty lines, of [`proto`] and one blocking socket. The contract is in [`proto`]'s own page.
//! 2. [`proto::http1::Conn`] and [`proto::ws::Conn`]: each a pair of state machines, drawn beside their enums.
//! 3. [`session::Session`]: from a head to an answered exchange.
//! 4. `driver/event_loop/mod.rs`: one turn. Then `driver/thread_per_conn/connection.rs`: the same, in two threads.
//! 5. `examples/ticker.rs`: pushing from a thread to every kind of client.
//! 6. [`push::Hub`]: topics, history, cursors, and a file for each technique.

pub mod driver;
pub mod proto;
pub mod push;
pub mod session;

pub use driver::{Config, IoModel, Server, Stopper};
pub use proto::http1::Method;
pub use proto::ws::Message;
pub use proto::{CloseReason, Frame, Limits};
pub use session::{
    HalfClose, Handler, Held, Pusher, Reply, Request, Response, Settings, SlowConsumer, Socket, Stats, Upgrade, WebSocketHandler,
};
