//! Layer 2: one connection as the server sees it.
//!
//! Owns the meaning of a connection: which request the handler sees, how the request is answered
//! (at once, later, as a stream or as a WebSocket), and what happens to a slow reader, a silent
//! peer or a panicking handler. Leaves bytes on the wire to `proto`, and sockets, clocks and
//! threads to the drivers. A driver gives a session input, output space, the time and commands; a
//! session does not know which driver it has.
//!
//! ```text
//!             Handler(&Request, Reply)
//!                        │ consumes
//!      ┌─────────┬───────┴───┬──────────────┐
//!    send      hold        stream        upgrade
//!      │         │ Held      │ Pusher       │ Pusher
//!      │         │           │              │            from any thread
//!   answered  released     chunks         frames
//!                            ▲              ▲
//!                      StreamSource   WebSocketHandler    as the peer reads
//!                                     or `on_message`
//! ```
//!
//! Each file imports only files that stand before it in this list:
//!
//! - values: `stats`, `outcome`, `backlog`, `burst`, `authority`, `cookies`, `peer`, `caller`,
//!   `response`;
//! - what the settings allow: `limits`, `forwarding`, `settings`, `forwarded`, `origin`, `cors`,
//!   `request`;
//! - what other threads hold: `last_word`, `post`, `contract`, `handles`, `audience`;
//! - what a hold, a stream and a WebSocket use: `surroundings`, `carried`, `link`, `stream`,
//!   `socket`, `closures`;
//! - one request and its answer: `exchange`, `progress`, `reply`, `handler`, `context`;
//! - the phases of a connection: `websocket`, `http`, `http_end`;
//! - the connection: `session`, `ending`, `layer`, `next`, `deliver`, `deadlines`;
//! - what few connections have: `rare`.

mod audience;
mod authority;
mod backlog;
mod burst;
mod caller;
mod carried;
mod closures;
mod context;
mod contract;
mod cookies;
mod cors;
mod deadlines;
mod deliver;
mod ending;
mod exchange;
mod forwarded;
mod forwarding;
mod handler;
mod handles;
mod http;
mod http_end;
mod last_word;
mod layer;
mod limits;
mod link;
mod next;
mod origin;
mod outcome;
mod peer;
mod post;
mod progress;
mod rare;
mod reply;
mod request;
mod response;
#[expect(clippy::module_inception, reason = "the file is named like its central type")]
mod session;
mod settings;
mod socket;
mod stats;
mod stream;
mod surroundings;
mod websocket;

pub use audience::Audience;
pub use authority::{is_allowed_host, is_host_entry};
pub use backlog::{Backlog, SlowConsumer};
pub use burst::Burst;
pub use caller::{TlsInfo, TlsVersion};
pub use closures::{Closures, Unset, on_message};
pub use context::Context;
pub use contract::{Delivered, Delivery, Io, Mode, Need, Next, PeerEnd, Ready, Sent};
pub use cookies::Cookies;
pub use cors::Cors;
pub use forwarding::{BadTrustedProxy, Forwarding, ForwardingField, TrustedProxy};
pub use handler::Handler;
pub use handles::{Destination, Held, Pusher};
pub use last_word::{HoldAnswers, LastWord, Notices};
pub use limits::Limits;
pub use origin::Origin;
pub use outcome::Outcome;
pub use peer::Peer;
pub(crate) use peer::canonical;
pub use post::{Address, Command, Post, RemoteSource};
pub use progress::Ending;
pub(crate) use progress::Steps;
pub use reply::{Reply, Upgrade};
pub use request::{Request, normalized_path};
pub use response::Response;
pub use session::Session;
pub use settings::{HalfClose, Settings};
pub use socket::{Socket, WebSocketHandler};
pub use stats::{Snapshot, Stats};
pub use stream::{Feed, Stream, StreamSource};
pub use surroundings::Surroundings;
