//! How a handler disposes of a request.
//!
//! Owns the five ways: answer, hold, stream, stream events, upgrade; each takes the reply by value, so that a request is answered exactly
//! once. Refuses queues and locks: it acts on the connection directly.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::{Heartbeat, Hold, Outcome, Streaming, Upgraded};
use super::link::Link;
use super::stream::{EventStream, Stream};
use super::{Body, Context, Held, Origin, Response, WebSocketHandler};
use crate::proto::http1::{BodySize, Conn, Head, Method};
use crate::proto::ws::handshake::{HandshakePolicy, HandshakeRequest, OriginVerdict, negotiate};
use crate::proto::{LocalError, Outbox, RemoteError};

/// The one answer that a request gets. A reply that is dropped answers 500.
///
/// ```
/// use std::time::Duration;
/// use pushlab::{Message, Reply, Request, Response, Socket, WebSocketHandler};
/// struct Echo;
/// impl WebSocketHandler for Echo {
///     fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
///         socket.send(message);
///     }
/// }
/// fn app(request: &Request<'_>, reply: Reply<'_>) {
///     match request.path() {
///         "/now" => reply.send(Response::text("hello\n")),
///         "/later" => {
///             let held = reply.hold(Duration::from_secs(25), Response::no_content());
///             std::thread::spawn(move || held.release(Response::text("took a while\n")));
///         }
///         "/lines" => {
///             // The stream ends here, because nothing can send on it any more.
///             reply.stream(Response::text("first\n")).send(b"second\n");
///         }
///         "/echo" => reply.upgrade(Echo),
///         _ => reply.send(Response::status(404)),
///     }
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/now", "/later", "/lines", "/echo", "/elsewhere"]);
/// ```
#[must_use = "a reply that is dropped answers 500"]
pub struct Reply<'a> {
    pub(super) conn: &'a mut Conn,
    pub(super) out: &'a mut Outbox,
    pub(super) outcome: &'a mut Outcome,
    pub(super) head: Head<'a>,
    pub(super) carried: Vec<Box<dyn Any + Send>>,
    pub(super) cx: &'a Context<'a>,
}

/// What a WebSocket upgrade can offer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upgrade {
    /// The subprotocols that the handler speaks. The first one that the client offers and that is in this list is chosen.
    pub protocols: &'static [&'static str],
}

impl<'a> Reply<'a> {
    /// Answers now.
    pub fn send(self, response: Response) {
        *self.outcome = Outcome::Answered;
        answer(self.conn, response, self.out, self.cx);
    }

    /// Lets the connection carry a value, and drop it when this exchange ends: when the response is whole, the stream or the WebSocket is
    /// over, or the connection breaks. To leave a room or to unsubscribe is then a matter of `Drop`.
    pub fn carry(&mut self, value: impl Any + Send) {
        self.carried.push(Box::new(value));
    }

    /// Answers later, from any thread, through the handle; after `wait` the connection answers `fallback` by itself.
    ///
    /// On the event loop `fallback` may come late by an eighth of the time, and by a second at the most: it wakes once for all that waits long.
    /// With a thread per connection it comes within 50 ms, as far as the system has a processor for the thread.
    ///
    /// A client that goes away ends the hold at once. With [`Duration::MAX`] the handle alone decides. Many holds can share one fallback.
    pub fn hold(self, wait: Duration, fallback: impl Into<Arc<Response>>) -> Held {
        let mut link = Link::new(self.carried);
        let (post, address) = link.target(self.cx);
        let until = self.cx.now.instant().checked_add(wait);
        self.cx.stats.held.add(1);
        *self.outcome = Outcome::Held(Box::new(Hold { link, until, fallback: fallback.into() }));
        Held::new(post, address)
    }

    /// Begins a response of unknown length: chunked, or ended by the connection's end for HTTP/1.0. The response's body is its first piece.
    /// A response that proxies must pass on piece by piece is [unbuffered](Response::unbuffered).
    pub fn stream(self, response: Response) -> Stream<'a> {
        self.begin_stream(response, None, false)
    }

    /// Begins a stream of server-sent events (WHATWG HTML, section 9.2): `text/event-stream`,
    /// [unbuffered](Response::unbuffered), with a comment as heartbeat.
    pub fn event_stream(self) -> EventStream<'a> {
        self.event_stream_with(Response::new("text/event-stream", ""))
    }

    /// As [`event_stream`](Self::event_stream), with further fields of the response.
    pub fn event_stream_with(self, response: Response) -> EventStream<'a> {
        let response = response.unbuffered();
        let heartbeat = self.cx.settings.limits.heartbeat.map(|every| Heartbeat { bytes: b":\n\n", due: self.cx.now.instant() + every });
        EventStream(self.begin_stream(response, heartbeat, true))
    }

    #[expect(clippy::needless_pass_by_value, reason = "a response is spent, however it goes out")]
    fn begin_stream(self, response: Response, heartbeat: Option<Heartbeat>, is_event_stream: bool) -> Stream<'a> {
        let Self { conn, out, outcome, head, carried, cx } = self;
        let begun = match response.fault() {
            None => conn.send_head(cx.now, &response.head(), BodySize::Stream, out),
            Some(fault) => Err(fault),
        };
        if let Err(error) = begun {
            *outcome = Outcome::Answered;
            answer_mistake(conn, error, out, cx);
            return Stream::ended(conn, out, cx);
        }
        if head.method() == Method::Head {
            *outcome = Outcome::Answered;
            conn.send_end(cx.now, out).expect("a response to HEAD ends with its head");
            return Stream::ended(conn, out, cx);
        }
        cx.stats.streams.add(1);
        *outcome =
            Outcome::Stream(Box::new(Streaming { link: Link::new(carried), source: None, heartbeat, left_bytes: None, is_event_stream }));
        let Outcome::Stream(state) = outcome else { unreachable!("it was set in the line above") };
        let mut stream = Stream::live(conn, out, state, cx);
        stream.send(response.body().as_bytes());
        stream
    }

    /// Accepts a WebSocket (RFC 6455, section 4.2). A request that is no valid handshake, or whose
    /// [`Origin`] may not act, is refused here: 400, 403 or 426.
    pub fn upgrade(self, handler: impl WebSocketHandler) {
        self.upgrade_with(Upgrade::default(), handler);
    }

    /// As [`upgrade`](Self::upgrade), with a choice of subprotocols; [`Socket::protocol`](super::Socket::protocol) tells which was chosen.
    pub fn upgrade_with(self, upgrade: Upgrade, handler: impl WebSocketHandler) {
        let may_act = Origin::of(&self.head, self.cx.settings).may_act();
        let origin = if may_act { OriginVerdict::Allowed } else { OriginVerdict::Refused };
        let policy = HandshakePolicy { origin, protocols: upgrade.protocols };
        let request = HandshakeRequest::from_fields(self.head.method(), self.head.version(), self.head.fields());
        let accept = match negotiate(&request, &policy) {
            Ok(accept) => accept,
            Err(error) => return self.refuse(error),
        };
        let mut fields = Vec::with_capacity(96);
        accept.fields(&mut fields);
        if self.conn.send_switching_protocols(self.cx.now, &fields, self.out).is_ok() {
            let link = Link::new(self.carried);
            *self.outcome = Outcome::Upgraded(Box::new(Upgraded { handler: Box::new(handler), protocol: accept.protocol, link }));
        }
    }

    /// Refuses a request without ending the connection: it is well-formed HTTP.
    pub(super) fn refuse(self, error: RemoteError) {
        let mut response = Response::text(format!("{error}\n")).with_status(error.status());
        match error.status() {
            403 => response = response.field("Vary", "Origin"),
            426 => response = response.field("Upgrade", "websocket").field("Sec-WebSocket-Version", "13"),
            _ => {}
        }
        self.send(response);
    }
}

/// Sends a whole response; one that was made wrongly becomes a 500.
pub(super) fn answer(conn: &mut Conn, response: Response, out: &mut Outbox, cx: &Context<'_>) {
    let sent = match response.fault() {
        None => send(conn, response, out, cx),
        Some(fault) => Err(fault),
    };
    if let Err(error) = sent {
        answer_mistake(conn, error, out, cx);
    }
}

/// As [`answer`], for a response that others may share.
pub(super) fn answer_shared(conn: &mut Conn, response: Arc<Response>, out: &mut Outbox, cx: &Context<'_>) {
    let response = match Arc::try_unwrap(response) {
        Ok(own) => return answer(conn, own, out, cx),
        Err(shared) => shared,
    };
    let sent = match (response.fault(), response.body()) {
        (Some(fault), _) => Err(fault),
        (None, Body::Shared(bytes)) => conn.send_response_shared(cx.now, &response.head(), bytes, out),
        (None, body) => conn.send_response(cx.now, &response.head(), body.as_bytes(), out),
    };
    if let Err(error) = sent {
        answer_mistake(conn, error, out, cx);
    }
}

/// Answers 500 in the place of a response that must not be sent. Without an answer, this request and all behind it would wait for ever.
#[cold]
fn answer_mistake(conn: &mut Conn, error: LocalError, out: &mut Outbox, cx: &Context<'_>) {
    if let Some(count) = cx.stats.local_errors.add_and_report() {
        log::error!("a handler's response was not sent: {error} (mistake {count} of handlers)");
    }
    send(conn, Response::status(500), out, cx).expect("a request waits, and nothing is wrong with this answer");
}

fn send(conn: &mut Conn, response: Response, out: &mut Outbox, cx: &Context<'_>) -> Result<(), LocalError> {
    match response.body() {
        Body::Static(bytes) => conn.send_response(cx.now, &response.head(), bytes, out),
        Body::Shared(bytes) => conn.send_response_shared(cx.now, &response.head(), bytes, out),
        Body::Owned(_) => {
            let (head, body) = response.take_body();
            conn.send_response_owned(cx.now, &head.head(), body, out)
        }
    }
}
