//! pushlab: a small HTTP/1.1 + WebSocket server-push library, written by hand on `mio`, without an
//! async runtime.
//!
//! It has two interchangeable IO models: a single-threaded event loop, and a blocking thread for
//! each connection. Both run the same protocol code and the same handlers. If you measure a
//! difference between them, the IO model is the cause.
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
//!   │ event_loop  |  thread_per_conn   │    │ http1  ws  sse  stomp │
//!   │ sockets, clocks, threads         │    │ plain state machines  │
//!   └──────────────────────────────────┘    └───────────────────────┘
//! ```
//!
//! # What always holds
//!
//! - [`proto`] and [`session`] have no sockets, threads, locks or clocks, but for one lock that
//!   nothing waits for: the pool of compressors of the cargo feature `deflate`. Time is an
//!   argument, and the caller owns the buffers. The same bytes give the same events and the same
//!   output, however they are split.
//! - A driver does not parse, encode or choose a status. The two drivers do not use each other.
//! - A request is answered exactly once: [`Reply`] is consumed by value, and dropping it answers
//!   500. A stream ends when nothing can send on it any more.
//! - A publisher never waits for a peer. Messages for a slow reader wait in bounded queues, under
//!   one policy ([`SlowConsumer`]).
//! - A connection gets its messages in the order in which they were posted, whatever handles and
//!   lists posted them. A message to a request, stream or WebSocket that has ended reaches no other
//!   one, and takes no room from the next one on its connection.
//! - An idle connection of the event loop owns no buffer. A compressed WebSocket keeps no window
//!   unless context takeover was asked for ([`Deflate`]).
//! - Every bound has a name in [`Limits`], [`Config`] or [`push::HubConfig`], a default, and a
//!   reason. Its documentation says what happens above it: an error that names the broken rule and
//!   a counter ([`Stats::broken_rules`]), a wait, or a policy with a counter.
//! - A peer that breaks a rule gets an answer or a close code that names the rule. The peer can
//!   read it, because the server ends its sending side first and the connection later. A silent
//!   peer is disconnected.
//! - An announced length allocates nothing: memory follows the bytes that have arrived.
//! - Whatever a peer does, its connection holds a bounded amount of input, output and queued
//!   messages, and waits a bounded time for each of them. The application decides how long a hold
//!   or a stream lasts.
//! - A deadline ends a peer only after its socket was read to the end. A delay of the server does
//!   not count as a delay of the peer.
//! - If a client leaves, the server closes its connection at once, whatever the client waits for,
//!   and however much it had sent. If a client vanishes without a word, the server closes a
//!   WebSocket within two heartbeats. Any other connection ends when its own time or the time for
//!   writing is over. A client that ends only its sending side counts as a client that leaves,
//!   unless [`Settings::half_close`] says that it waits.
//! - For each topic, sent = delivered + declared gap, whatever technique a client resumes with.
//! - A client that comes back to a stream or WebSocket of a hub reaches the present on that
//!   connection, however far behind it is. The server keeps one piece of the client's missed
//!   messages in memory ([`push::HubConfig::replay_bytes`]).
//! - The memory of a hub is bounded, whatever topics and names its clients invent.
//! - A handler that panics ends its own connection. A handler that blocks stops every connection of
//!   the event loop, and no other connection with threads.
//! - A shutdown answers every accepted request, tells waiting clients when to come back, and ends
//!   within [`Config::shutdown_grace`].
//! - No byte that a client sends is written to the log.
//! - A field that proxies write about their clients is believed only if it is listed, and only if
//!   the connection comes from a listed proxy ([`session::Forwarding`]). By default none is.
//! - One origin gets one answer ([`session::Origin`]), whatever its page asks for. A check that
//!   decides about access reads a field as bytes, and refuses a value that it does not understand.
//!
//! README.md names the test for each of them.
//!
//! # Limits of this design
//!
//! - An event loop runs on one thread, so a server uses one processor for its connections. A second
//!   server on another port uses the next one.
//! - [`Server::bind`] has the standard library's backlog of 128 connections.
//!   [`Server::from_listener`] takes a socket with a longer backlog, and with `TCP_USER_TIMEOUT`.
//!   Without that option the system gives up a vanished client of a quiet stream only after a
//!   quarter of an hour.
//! - On Windows and with poll(2), mio makes edges out of levels: each burst of input costs one read
//!   more there. A client that ends its side while its output is full keeps the loop awake until it
//!   reads, or until the write time-out.
//! - With the cargo feature `deflate`, each new compressed message is compressed on the thread that
//!   sends it first: 0.4 ms for 64 KiB. On the event loop, all other connections wait for that
//!   time. A queue of a slow reader counts messages at their plain size.
//! - The write time-out begins again whenever the system takes bytes, not whenever the peer
//!   acknowledges some.
//! - With threads, a deadline is met up to 50 ms late, or up to 100 ms late if the reading thread
//!   sleeps until a later deadline. On the event loop, a deadline of 8 s or more is met late by up
//!   to an eighth of its time and at most one second. With threads, the system's own time for
//!   writing is up to an eighth late.
//! - With threads, a connection keeps its one or two threads for as long as it is open. Once
//!   [`Config::max_threads`] are taken, an idle connection keeps new ones waiting for up to
//!   [`proto::ProtocolLimits::keep_alive_timeout`].
//! - With threads, no thread reads while a last answer is written. If a client sends more than the
//!   system buffers before it reads that answer, the write time-out ends its connection. The event
//!   loop reads on.
//! - With threads, two queues can wait for one reader: publishers fill the first one, and messages
//!   that find full output wait in the second one. Each can hold [`Limits::queue_bytes`].
//! - A stream or WebSocket of a hub with `format=raw` cannot express a gap in its middle. If the
//!   slow-consumer policy drops messages there, they are counted, and the client is not told. With
//!   [`SlowConsumer::Disconnect`], the default, none is dropped. A gap that opens before the client
//!   has reached the present ends the stream or WebSocket.
//! - A request that has half arrived can use the whole grace time of a shutdown: it counts as
//!   accepted.
//! - The grace time of a shutdown does not end a handler. The event loop waits for the handler that
//!   runs. Threads that are still in a handler one second after the grace time are left behind.
//!
//! # Reading order
//!
//! 1. `examples/sansio.rs`: a server in sixty lines, made of [`proto`] and one blocking socket. The
//!    page of [`proto`] has the contract.
//! 2. [`proto::http1::Conn`] and [`proto::ws::Conn`]: two state machines each, drawn beside their
//!    enums.
//! 3. [`session::Session`]: how to drive a session, and from a head to an answered request.
//!    [`driver::drive`]: the one loop that does what sessions ask for.
//! 4. `driver/event_loop/mod.rs`: one turn. Then `driver/thread_per_conn/connection.rs`: the same
//!    in two threads.
//! 5. `examples/ticker.rs`: pushing from a thread to every kind of client.
//! 6. [`push::Hub`]: topics, history, cursors, and one file for each technique.

pub mod driver;
pub mod proto;
pub mod push;
pub mod session;

#[cfg(feature = "tls")]
pub use driver::tls;
pub use driver::{Config, IoModel, Server, Stopper};
pub use proto::http1::Method;
pub use proto::ws::{Deflate, Message};
pub use proto::{CloseReason, Frame};
pub use session::{
    HalfClose, Handler, Held, LastWord, Limits, Peer, Pusher, Reply, Request, Response, Settings, SlowConsumer, Socket, Stats, Upgrade,
    WebSocketHandler, on_message,
};
