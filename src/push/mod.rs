//! One hub, and every technique of server push on top of it.
//!
//! Owns topics, their messages, their subscribers and the presence of clients. Leaves connections
//! and protocols to `session` and `proto`. The module uses only their public API, so any
//! application could be written like it.
//!
//! ```text
//!   publish --> Hub: one sequence, one lock
//!                |   a history per topic; each wire form is encoded once
//!    +-----------+--------------+---------------+
//!  polls      streams      event streams    WebSockets      techniques/, one file each
//!  (Held)    (Audience)     (Audience)      (Audience)
//! ```
//!
//! The directories import only downwards, `techniques -> http -> hub -> log -> model`, and `stomp ->
//! hub`. The log gives out the ids and keeps the messages. One server has a log in memory. Several
//! servers share a log outside the process ([`HubConfig::log`]): each applies its records in order,
//! so a message has the same id on all of them.
//!
//! # One cursor
//!
//! Every message has an [`Id`], `epoch-sequence`, from one sequence for all topics of a hub. So one
//! id tells for any set of topics what a client has received. The client may continue from it by
//! any technique: it can begin with server-sent events, continue with long polling and end with a
//! WebSocket, and no message is lost or repeated.
//!
//! If messages after the cursor are gone, the client is told of a gap and then receives all
//! retained messages. The same holds for a cursor of another epoch, and for a cursor that this hub
//! has not reached yet. A hub with a log outside the process is
//! different in one point: another server may have reached the cursor, so the hub waits until it has
//! reached it, too.
//!
//! | where a client sends its cursor | for | a value that is not an id |
//! |---|---|---|
//! | `after=` in the query | every technique | 400; an empty value counts as absent |
//! | `Last-Event-ID`, `lastEventId=`, `last_event_id=`, the first that is not empty | event streams; has precedence over `after=` | a gap |
//! | `If-None-Match`, with an id as the entity tag | polls; has precedence over `after=` | the cursor is `after=` |
//!
//! `earliest` stands for all retained messages, but not in an entity tag. A poll gets 304 only if
//! there are no messages after the id in its tag. With `*` in `If-None-Match`, the cursor is
//! `after=`, and the poll gets 304 if there are no messages after it. Of several ids in
//! `If-None-Match` the newest counts, because a client that has the newest answer has received
//! those before it. A suffix that a proxy adds to an id (`-gzip`) does not count.
//!
//! # Clients that are behind
//!
//! A client with an old cursor receives the missed messages at its own pace, in pieces of
//! [`HubConfig::replay_bytes`], and is subscribed when it has received all of them. So one stream
//! or WebSocket leads from any cursor to the present. Until then the client does not count as a
//! subscriber, and the slow-consumer policy has nothing to drop. If the client reads so slowly that
//! the history drops messages before they are sent, the client is told of each such gap where it
//! opens. With `format=raw` the stream or WebSocket ends there. An answer to a poll says
//! `"more":true` if not all messages fitted into it.
//!
//! # Slow readers
//!
//! Messages for a slow reader wait in the queue of its connection, under the policy
//! [`SlowConsumer`](crate::session::SlowConsumer).
//!
//! - With `disconnect` no message is lost silently: the connection is closed, and the client
//!   returns with its cursor and receives what it missed, or a gap.
//! - With `drop-oldest` and `keep-latest`, messages are dropped in the middle of a stream that
//!   continues. A gap without `from` stands in their place if the format can express one. It says
//!   that messages between the ids before and after it are missing. A client that needs them sends
//!   a poll with the id before the gap. Its cursor is still the last id that it has received.
//!   Topics count the dropped messages.
//!
//! # Techniques of an application
//!
//! [`TECHNIQUES`] are the techniques of every hub. [`Hub::handle_with`] serves further ones beside
//! them, with the same checks and counters. [`Hub::subscribe`] subscribes a stream or a WebSocket
//! that an application serves in its own way. Both send messages in an [`Encoding`] of the
//! application, with the same promises: one cursor, no loss, and a gap where messages are missing.
//!
//! # Example
//!
//! ```
//! use pushlab::push::{Hub, HubConfig, Mounted, Payload};
//! use pushlab::{Config, IoModel, Reply, Request, Response, Server};
//!
//! let hub = Hub::new(HubConfig::default());
//! let publisher = hub.clone();
//! std::thread::spawn(move || publisher.publish("news", Payload::text("it works")));
//! let app = move |request: &Request<'_>, reply: Reply<'_>| match hub.handle(request, reply) {
//!     Mounted::Handled => {}
//!     Mounted::NotMine(reply) => reply.send(Response::status(404)),
//! };
//! # fn serve(app: impl pushlab::Handler) -> std::io::Result<()> {
//! let server = Server::bind("127.0.0.1:8080", Config::default())?;
//! server.run(IoModel::EventLoop, app)?;
//! # Ok(())
//! # }
//! # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
//! # serve_once(app, &["/topics/news/poll?after=earliest", "/elsewhere"]);
//! ```

mod http;
mod hub;
mod log;
mod model;
mod stomp;
mod techniques;

pub use http::{Call, Endpoint, Form, GapForm, Mounted, Rejection, Technique};
pub use hub::{
    Access, Clock, Hub, HubConfig, HubStats, LogState, LogStats, PublishError, Published, RandomSource, SubscribeError, Subscription,
    SubscriptionStatus, TopicInfo,
};
pub use log::{BadLogAddress, Entry, EpochProposal, Following, Log, LogError, LogReader, LogSession, LogWriter, Record, SharedLog};
pub use model::{
    BadChange, BadCursor, BadTopic, Cursor, Encoding, Format, Gap, Id, Leave, Payload, PerTechnique, Replay, TopicChange, TopicMessage,
    Topics, append_json_string,
};
pub use stomp::{Stomp, StompConfig, StompLogin, StompPolicy, StompStats};
pub use techniques::TECHNIQUES;
