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
//! - With `disconnect` no message is lost silently: the connection is closed, with a last word if
//!   the client still reads. The client returns with its cursor and receives what it missed, or a
//!   gap.
//! - With `drop-oldest` and `keep-latest`, messages are dropped in the middle of a stream that
//!   continues. A gap without `from` stands in their place if the format can express one. It says
//!   that messages between the ids before and after it are missing. A client that needs them sends
//!   a poll with the id before the gap. Its cursor is still the last id that it has received.
//!   Topics count the dropped messages.
//!
//! # The last word
//!
//! A hub or a server that ends a connection on purpose tells the client why, before its resources
//! go: a code of the WebSocket registry, and a sentence for a person. In every JSON form it is the
//! same object. `retry` is there if the server knows when the client should come back, in
//! milliseconds:
//!
//! `{"end":true,"code":1001,"sentence":"this server shuts down","retry":1500}`
//!
//! | code | cause | what a client does | status before the head, and of a poll |
//! |---|---|---|---|
//! | 1001 | the server shuts down | comes back after `retry` | 503 |
//! | 1008 | [`Hub::revoke`] has withdrawn access | does not come back with the same rights | 403 |
//! | 1012 | messages of the log were lost, or access has changed while the client caught up or joined topics | comes back with its cursor at once | 503 |
//! | 1013 | the hub is full, the log is away or behind, or no thread is left | comes back after `retry`, or after a pause | 503 |
//! | 4408 | the client reads too slowly | comes back with its cursor | – |
//! | 4410 | messages are gone, and the format cannot tell of a gap | begins again without a cursor | 410 |
//!
//! | technique | its form |
//! |---|---|
//! | server-sent events | `retry:` if it is known, then an event named `end` with the object as its data and without an id; then the end of the response |
//! | the same, `format=json` | an event without a name, as every event of this format has |
//! | streaming | the object as a line, then the end of the response |
//! | hidden iframe | `<script>parent.f({"end":true,...})</script>`, then the end of the page |
//! | multipart | a part with the fields `Content-Type: application/json` and `X-End: 1`, and the object; behind it the closing delimiter, `--boundary--` |
//! | WebSocket | a close frame with the code and the sentence |
//! | STOMP | an ERROR with the headers `message`, `code` and `retry`, then the same close frame |
//! | long polling, and a short poll that waits for the log | the status of the table with `Retry-After`, and the object as a JSON body |
//! | JSONP | status 200, `/**/f({"end":true,...});`: a browser does not run a script with another status |
//! | meta refresh, while it waits for the log | a page with the status of the table, the sentence in `<p class="end">`, and a refresh to the same cursor after `retry` |
//!
//! The last word follows everything that the connection has taken before, and nothing follows it.
//! It is no message: it changes no cursor. A stream of `format=raw` cannot say one, because its
//! lines are payloads alone. It ends, and is cut if its client reads too slowly.
//!
//! - An `EventSource` reconnects by itself after the end, with its last id, unless the page closes it.
//!   After 1008 the policy refuses it with 403, and the browser gives up.
//! - Before the head of a stream there is a status and the sentence as text. A page cannot see the
//!   status of a frame, so a hidden iframe gets its script with the status 503, too.
//! - A slow reader has [`Limits::close_timeout`](crate::Limits::close_timeout) to take the output and
//!   the last word; the messages that waited behind the output are dropped, and come again with the
//!   client's cursor. A reader that takes no bytes is cut without a last word.
//!   [`Snapshot::slow_told`](crate::session::Snapshot::slow_told) counts the former, and
//!   `slow_disconnects` both.
//! - A stream that ends after its `max_bytes` has no last word: its client goes on at once.
//!
//! # Control channels
//!
//! An open stream, WebSocket or chain of long polls can change its topics. A client that wants this
//! asks for it with `client=TOKEN&control=1`. The first message of its connection is then
//! `{"control":"SECRET"}` in the form of the technique: an event named `control`, a JSON line, a
//! script, a part with the field `X-Control`, a text frame, or the member `control` of a poll's
//! answer. The secret is the key to this one connection:
//!
//! ```text
//! POST   {prefix}/{topics}/control?client=TOKEN&control=SECRET     {"join":["a"],"after":"ID","leave":["b"]}
//! POST   {prefix}/{topics}/control?client=TOKEN&control=SECRET     {"leave":"all"}
//! DELETE {prefix}/{topics}/control?client=TOKEN&control=SECRET
//! ```
//!
//! `POST` leaves topics and then joins others ([`TopicChange`] has the shape). `DELETE` leaves the
//! topics of its path. The topics in the path of a `POST` have no effect. The answer has the topics
//! of the connection after the change, `{"topics":["a"]}`.
//!
//! - **Joining.** The topics are replayed from `after`, which means the same as in the query of a
//!   technique. Their messages come in the order of their ids, and messages of the other topics may
//!   come between them. Then the note `{"joined":["a"],"last":"ID"}` says that the client has all
//!   messages up to this id. From there on the ids of all topics are in order, and one cursor stands
//!   for all of them. If the connection ends before the note, the client comes back with the cursor
//!   of the topics that it had, and joins again from the last message of the joined ones. A gap in
//!   the replay names its topics: `{"gap":true,"from":"ID","topics":["a"]}`.
//! - **Leaving.** No message that is published later reaches the connection. Behind those that were
//!   on their way comes the note `{"left":["b"]}`. The client's presence ends at once, unless it has
//!   the topic by another connection. A connection without topics stays open. A client that joins a
//!   topic again waits for `left`: messages on their way could otherwise come behind the replay.
//! - **Topics that the hub ends.** The note `{"left":["a"],"code":1013,"sentence":"...","retry":2000}`
//!   is the last word of topics on a connection that goes on. It takes the place of `joined` if the
//!   server cannot replay the topics (1013), or if access has changed before the client was
//!   subscribed to them (1012): the client joins them again from its last message of them. It comes
//!   behind the last message if [`Hub::revoke`] withdraws some topics of the connection (1008). A
//!   connection that loses all its subscriptions ends with the last word 1008.
//! - **A held long poll** ends with a change, because its topics stand in its address. Its answer
//!   has the members `joined` and `left`, and the missed messages of the joined topics. If these are
//!   not all, `joined` is missing and `last` is the cursor of the other topics. The next poll names
//!   the new topics, and brings the secret again as `control=SECRET`. If the log is away, or access
//!   has changed while the server read the log, the answer is a last word. The client then keeps its
//!   cursor, and joins again. A held poll that [`Hub::revoke`] or a shutdown ends gets its last word,
//!   too; the chain goes on with the next poll, if the policy allows it.
//! - **Farewells.** `navigator.sendBeacon(url, '{"leave":"all"}')` works while the page closes: the
//!   body may be `text/plain`. The secret works for
//!   [`HubConfig::presence_grace`] after the end of the connection, because either may come first.
//! - **Slow readers.** With `drop-oldest` and `keep-latest`, a note may be dropped as a message is. A
//!   gap without `from` stands in its place.
//! - **Several connections of one client** have a secret each, and each is changed alone.
//! - **Policy.** It is asked whether the request may subscribe to each topic that it joins. Leaving
//!   needs the secret alone. A page of an origin that may not publish may not change a connection.
//!
//! | status | reason |
//! |---|---|
//! | 400 | a parameter or the body is not valid; the request or the connection would have more than [`HubConfig::topics_per_request`] topics |
//! | 403 | the secret is that of no connection of this client; the policy; the origin |
//! | 404 | this client has no open connection with a control channel, or none that can join |
//! | 413, 415 | the body has more than 16 KiB, or is not JSON |
//! | 503 | the hub has no room for the joined topics; access has changed while the request was checked, and the client sends it again; or, for `control=1`, the system has no random bytes ([`RandomSource`]) |
//!
//! A secret has 128 random bits, is compared in constant time, and stands in no log of this
//! library. Proxies may log addresses, so a secret serves one connection only. A browser's
//! `EventSource` reconnects with its first address and the id of the last event: in the middle of a
//! replay, that id may be older than what the client has of its other topics, and their messages
//! then come again. A page that joins old messages reads the stream with `fetch`, or compares ids.
//! The formats that cannot tell of a gap in the body (`format=raw` of polls, streams and `WebSockets`)
//! have no control channel.
//!
//! # What a subscriber costs
//!
//! On the event loop, on a 64-bit system, in bytes of user memory, with what the allocator of glibc
//! adds to each block. `cargo bench --bench memory` measures the sums, with 10,000 connections. The
//! system takes about 4 KiB more for each socket. With a thread per connection, the thread takes far
//! more than all this.
//!
//! | what an idle subscriber has | event stream | WebSocket | held poll |
//! |---|---|---|---|
//! | the connection, in the table of the loop | 160 | 160 | 160 |
//! | the stream, or the hold: its address, its queue, and what it carries | 64 | – | 64 |
//! | what it carries: the guard that ends the subscription, and how a stream encodes notes | 32 | – | 32 |
//! | the handler of a WebSocket, which has both, and the topic to which the client publishes | – | 48 | – |
//! | the subscriber, in the table of the hub: key, technique, seat | 48 | 48 | 48 |
//! | a held poll: its handle, and the answers that it shares | – | – | 48 |
//! | its place in the topic: address and subscriber; the key of a poll | 20 | 20 | 8 to 16 |
//! | timers: 4 bytes each; an entry of an earlier deadline may be left | 4 to 8 | 4 to 8 | 4 to 8 |
//! | unused room of the tables and lists, which grow by an eighth | 0 to 30 | 0 to 30 | 0 to 30 |
//! | the fields of the last requests, which 256 connections have at most: its share | 3 | 3 | 3 |
//! | measured | 347 | 309 | 378 |
//!
//! A connection without a subscription has the first line and its timer: 181 bytes measured. Its 160
//! bytes are:
//!
//! | part of the connection | bytes |
//! |---|---|
//! | HTTP: deadline 16, the request's state 24, the response's 24, what is held or streamed 16, shutdown 8 | 88 |
//! | or the WebSocket: frames 24, handler 16, address and queue 16, next ping 16, extras 8, flags 8 | (88) |
//! | which of the two it is | 8 |
//! | the client's address | 16 |
//! | TLS, a stall and a late peer, in one box if there are any | 8 |
//! | flags, and the number of bytes that wait to be used | 8 |
//! | input that waits, output that waits, in a box each if there is any | 16 |
//! | the live entry of the timers | 8 |
//! | the socket, and flags of the loop | 8 |
//!
//! - With the cargo feature `tls`, a connection has 8 bytes more.
//! - Each further topic takes a seat of 12 bytes and a place of 20.
//! - A client with a token takes 310 more: the token, the names of its topics, and its
//!   presence at each.
//! - A subscriber that is behind has the piece of its replay, a reader that is slow its queue, and a
//!   connection with a control channel its channel. Each of these goes when it is over.
//! - A large table that has become small gives its room back, as far as its last entry.
//!
//! # What heartbeats cost
//!
//! With the default of [`Limits::heartbeat`](crate::Limits::heartbeat), 10,000 subscribers get 400
//! heartbeats a second, and each is one call of `send` that takes the system 4 to 8 us. The loop
//! wakes about once a second for all of them, because far deadlines come up at full seconds:
//! `strace -c` counts 9,217 calls of `send` and 75 of `epoll_wait` in 25 s. `perf` finds 95 % of
//! the time in the system, 1 % in the C library and 3.5 % here. So a longer heartbeat is the one
//! thing that costs less. A WebSocket's client answers each ping, which is a call of `recv` more.
//! `cargo bench --bench memory -- --heartbeats 50` measures the time on your machine.
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
    Access, Clock, Hub, HubConfig, HubStats, LogState, LogStats, PublishError, Published, RandomSource, SubscribeError, Subscriber,
    Subscription, SubscriptionStatus, TopicInfo,
};
pub use log::{BadLogAddress, Entry, EpochProposal, Following, Log, LogError, LogReader, LogSession, LogWriter, Record, SharedLog};
pub use model::{
    BadChange, BadCursor, BadTopic, Cursor, Encoding, Format, Gap, Id, Leave, Payload, PerTechnique, Replay, TopicChange, TopicMessage,
    Topics, append_json_string,
};
pub use stomp::{Stomp, StompConfig, StompLogin, StompPolicy, StompStats};
pub use techniques::TECHNIQUES;
