//! The application that everyone wants: one hub, and every technique of server push fed by it.
//!
//! Owns topics, their messages, who listens and who is online. Refuses everything below the public API: it is written as an application
//! could be, and is the proof that the API is enough.
//!
//! ```text
//!   publish ──▶ Hub ── one sequence, one lock
//!                │ history per topic; each wire form encoded once
//!    ┌───────────┼──────────────┬───────────────┐
//!  polls       streams      event streams   WebSockets      techniques/, a file each
//!  (Held)     (Audience)     (Audience)     (Audience)
//! ```
//!
//! # One cursor
//!
//! Every message has an [`Id`], `epoch-sequence`, from one sequence for all topics of a hub. So one id says for any set of topics what a client
//! has seen, and the client goes on with it by whatever technique: start with server-sent events, go on with long polling, end with a WebSocket,
//! and nothing is lost or repeated. Where the messages behind a cursor are not all there any more (too old, of another epoch, of a future that
//! never was), the client is told of a gap, and from where on it has everything; then come all that there are.
//!
//! | where a client says its cursor | for | a value that names no message |
//! |---|---|---|
//! | `after=` in the query | every technique | 400; an empty one counts as absent |
//! | `Last-Event-ID`, `lastEventId=`, `last_event_id=`, the first that is not empty | event streams, before `after=` | a gap |
//! | `If-None-Match`, with an id as the entity tag | polls, before `after=` | the cursor is `after=` |
//!
//! `earliest` stands for all that is retained, but not in an entity tag. A poll gets 304 only if it
//! has everything behind its tag. `*` in `If-None-Match` leaves the cursor to `after=`, and gets
//! 304 if nothing is new behind that. Of several ids in `If-None-Match` the newest counts, because
//! a client that has an answer has the ones before it. A proxy's suffix behind an id (`-gzip`) does
//! not count.
//!
//! # Readers that are behind
//!
//! A client that comes with an old cursor gets the missed messages at its own pace, in pieces of
//! [`HubConfig::replay_bytes`], and is subscribed when no message is missing: one stream or
//! WebSocket leads from any cursor to the present. Until then the client is not counted as a
//! subscriber, and the slow-consumer policy has nothing to drop. If the client reads so slowly that
//! the history forgets messages before they are sent, each gap is told where it opens; with
//! `format=raw` the stream or WebSocket ends there. The answer to a poll in which not all messages
//! fitted says `"more":true`.
//!
//! # Slow readers
//!
//! Messages wait for a slow reader in its connection's queue, under the one policy of [`SlowConsumer`](crate::session::SlowConsumer). With
//! `disconnect` nothing is ever lost in silence: the client is cut, comes back with its cursor, and gets what it missed or a gap. With
//! `drop-oldest` and `keep-latest` messages are lost on purpose, in the middle of a stream that goes on: a gap without `from` stands in their place,
//! wherever the format has room for one, and says that messages are missing between the ids before it and behind it. A client that wants them
//! after all polls with the id before; its cursor from then on is the last id that it has seen, as ever. Topics count what was dropped.
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
mod model;
mod techniques;

pub use http::Mounted;
pub use hub::{Access, Clock, Hub, HubConfig, HubStats, PublishError, Published, TopicInfo};
pub use model::{BadCursor, BadTopic, Cursor, Id, Message, Payload, PerTechnique, Replay, Technique, Topics, append_json_string};
