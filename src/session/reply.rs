//! How a handler answers a request.
//!
//! Owns the ways to answer: send, hold, stream, event stream and upgrade. Each of them takes the
//! reply by value, so that a request is answered exactly once. A reply writes into the connection's
//! output directly, without a queue or a lock. Leaves framing to `proto::http1`, and the state of
//! an exchange that goes on after the call to `exchange`.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::carried::Carried;
use super::exchange::{Handling, Hold, Upgraded};
use super::forwarded::Forwarded;
use super::link::Serial;
use super::stream::{Stream, StreamKind, Streaming};
use super::{Held, HoldAnswers, Origin, Response, Surroundings, WebSocketHandler};
use crate::proto::http1::{BodySize, Conn, Head, Method, ResponseHead};
use crate::proto::ws::Deflate;
use crate::proto::ws::handshake::{HandshakePolicy, HandshakeRequest, OriginVerdict, negotiate};
use crate::proto::{Bytes, LocalError, Outbox, RemoteError};

/// The one answer to a request. Dropping a reply answers 500.
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
    pub(super) handling: &'a mut Handling,
    pub(super) head: &'a Head<'a>,
    /// The scheme and the host that the origin rule uses.
    pub(super) forwarded: &'a Forwarded<'a>,
    pub(super) carried: Carried,
    pub(super) cx: &'a Surroundings<'a>,
}

/// The choices that a WebSocket upgrade offers.
///
/// ```
/// use pushlab::{Message, Reply, Request, Socket, Upgrade, WebSocketHandler};
/// /// Answers each message with the chosen subprotocol.
/// struct Speaker;
/// impl WebSocketHandler for Speaker {
///     fn message(&mut self, _: Message<'_>, socket: &mut Socket<'_>) {
///         let protocol = socket.protocol().unwrap_or("none");
///         socket.send_text(protocol);
///     }
/// }
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     let upgrade = Upgrade { protocols: &["chat.2", "chat.1"], ..Upgrade::default() };
///     reply.upgrade_with(upgrade, Speaker);
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Upgrade {
    /// The subprotocols that the handler speaks. The server chooses the first protocol in the
    /// client's list that is also in this one.
    pub protocols: &'static [&'static str],
    /// How messages are compressed (permessage-deflate, RFC 7692) if the client offers it. Default
    /// `None`: they are not. A value needs the cargo feature `deflate`.
    pub deflate: Option<Deflate>,
}

impl<'a> Reply<'a> {
    /// Answers now, with a whole response.
    pub fn send(self, response: Response) {
        let Self { conn, out, handling, carried, cx, .. } = self;
        handling.answer();
        answer(conn, response, out, cx);
        carried.drop_all();
    }

    /// Lets the connection carry a value. The value is dropped when this exchange ends: when the
    /// response is complete, when the stream or the WebSocket is over, or when the connection
    /// breaks. So an application can leave a room or unsubscribe in a `Drop`.
    pub fn carry(&mut self, value: impl Any + Send) {
        self.carried.add(value);
    }

    /// Answers later, from any thread, through the handle. If `wait` passes before, the connection
    /// answers `fallback`.
    ///
    /// On the event loop, `fallback` can be late by one eighth of `wait`, and by one second at
    /// most, because one wake-up serves all long waits that end in the same second. With a thread
    /// per connection, it is late by 50 ms at most if the system has a free processor for the
    /// thread.
    ///
    /// If the server ends the hold on purpose, because it shuts down or has no thread left, the
    /// connection answers 503 with `Retry-After`. [`hold_with`](Self::hold_with) changes that.
    ///
    /// The hold ends at once when the client leaves. With [`Duration::MAX`] there is no time limit.
    /// Many holds can share one fallback.
    pub fn hold(self, wait: Duration, fallback: impl Into<Arc<Response>>) -> Held {
        let fallback: Arc<Response> = fallback.into();
        self.hold_with(wait, fallback)
    }

    /// As [`hold`](Self::hold), and the application also says how it answers when the server ends the
    /// hold on purpose. [`HoldAnswers`] has an example.
    pub fn hold_with(self, wait: Duration, answers: Arc<dyn HoldAnswers>) -> Held {
        let mut serial = Serial::default();
        let (post, address) = serial.target(self.cx);
        let until = self.cx.now.instant().checked_add(wait);
        self.cx.stats.held.add(1);
        *self.handling = Handling::Held(Box::new(Hold { serial, carried: self.carried, until, answers }));
        Held::new(post, address)
    }

    /// Begins a response of unknown length. The body is chunked; for HTTP/1.0, the end of the
    /// connection ends it. The body of `response` is the first piece. Use an
    /// [unbuffered](Response::unbuffered) response if proxies must pass on each piece at once.
    pub fn stream(self, response: Response) -> Stream<'a> {
        self.begin_stream(response, None, StreamKind::Plain)
    }

    /// Begins a stream of server-sent events (WHATWG HTML, section 9.2). Its type is
    /// `text/event-stream`, the response is [unbuffered](Response::unbuffered), and the heartbeat
    /// is a comment. A shutdown tells the client with `retry` when to come back.
    /// [`Stream::send_event`] sends an event.
    pub fn event_stream(self) -> Stream<'a> {
        self.event_stream_with(Response::new("text/event-stream", ""))
    }

    /// As [`event_stream`](Self::event_stream), with the status, the type and the fields of
    /// `response`.
    pub fn event_stream_with(self, response: Response) -> Stream<'a> {
        let response = response.unbuffered();
        self.begin_stream(response, Some(b":\n\n"), StreamKind::Events)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a response is spent, however it goes out")]
    fn begin_stream(self, response: Response, heartbeat: Option<&'static [u8]>, kind: StreamKind) -> Stream<'a> {
        let Self { conn, out, handling, head, carried, cx, .. } = self;
        let begun = match response.fault() {
            None => conn.send_head(cx.now, &response.head(), BodySize::Stream, out),
            Some(fault) => Err(fault),
        };
        if let Err(error) = begun {
            *handling = Handling::Answered;
            answer_mistake(conn, error, out, cx);
            return Stream::ended(conn, out, cx);
        }
        if head.method() == Method::Head {
            *handling = Handling::Answered;
            // RFC 9110, section 9.3.2: the response to HEAD has no content.
            conn.send_end(cx.now, out).expect("a response to HEAD ends with its head");
            return Stream::ended(conn, out, cx);
        }
        cx.stats.streams.add(1);
        *handling = Handling::Stream(Streaming::new(kind, carried));
        let Handling::Stream(state) = handling else { unreachable!("it was set in the line above") };
        let mut stream = Stream::live(conn, out, state, cx);
        if let Some(bytes) = heartbeat {
            stream.heartbeat(bytes);
        }
        stream.send(response.body().as_bytes());
        stream
    }

    /// Accepts a WebSocket (RFC 6455, section 4.2). A request that is not a valid handshake gets
    /// 400 or 426, and one whose [`Origin`] may not act gets 403.
    pub fn upgrade(self, handler: impl WebSocketHandler) {
        self.upgrade_with(Upgrade::default(), handler);
    }

    /// As [`upgrade`](Self::upgrade), with a list of subprotocols, or with compression.
    /// [`Socket::protocol`](super::Socket::protocol) returns the chosen subprotocol.
    pub fn upgrade_with(self, upgrade: Upgrade, handler: impl WebSocketHandler) {
        let may_act = Origin::of(self.head, self.forwarded, self.cx.settings).may_act();
        let origin = if may_act { OriginVerdict::Allowed } else { OriginVerdict::Refused };
        let policy = HandshakePolicy { origin, protocols: upgrade.protocols, deflate: upgrade.deflate };
        let request = HandshakeRequest::from_fields(self.head.method(), self.head.version(), self.head.fields());
        let accept = match negotiate(&request, &policy) {
            Ok(accept) => accept,
            Err(error) => return self.refuse(error),
        };
        let mut fields = Vec::with_capacity(96);
        accept.fields(&mut fields);
        if self.conn.send_switching_protocols(self.cx.now, &fields, self.out).is_ok() {
            let (protocol, deflate) = (accept.protocol, accept.deflate);
            let upgraded = Upgraded { handler: Box::new(handler), protocol, deflate, carried: self.carried, last_word: None };
            *self.handling = Handling::Upgraded(Box::new(upgraded));
        }
    }

    /// Answers with the status of `error` and keeps the connection open, because the request is
    /// well-formed HTTP.
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

/// Sends a whole response. If the handler made a mistake in it, sends a 500 instead.
#[inline(always)]
pub(super) fn answer(conn: &mut Conn, response: Response, out: &mut Outbox, cx: &Surroundings<'_>) {
    let sent = match response.fault() {
        None => response.send_to(conn, cx.now, out),
        Some(fault) => Err(fault),
    };
    if let Err(error) = sent {
        answer_mistake(conn, error, out, cx);
    }
}

/// As [`answer`], for a response that other requests may share.
pub(super) fn answer_shared(conn: &mut Conn, response: Arc<Response>, out: &mut Outbox, cx: &Surroundings<'_>) {
    // The last holder of the response sends an owned body without a copy.
    let response = match Arc::try_unwrap(response) {
        Ok(own) => return answer(conn, own, out, cx),
        Err(shared) => shared,
    };
    let sent = match (response.fault(), response.body()) {
        (Some(fault), _) => Err(fault),
        (None, body) if body.len() <= Outbox::COPY_BYTES => conn.send_small_response(cx.now, &response.head(), body.as_bytes(), out),
        // Other requests still need these bytes.
        (None, Bytes::Owned(bytes)) => send_copy(conn, &response.head(), bytes, out, cx),
        (None, body) => conn.send_response(cx.now, &response.head(), body.clone(), out),
    };
    if let Err(error) = sent {
        answer_mistake(conn, error, out, cx);
    }
}

/// Answers 500 in place of a response that must not be sent. Without this answer, the request and
/// all pipelined requests after it would wait forever.
#[cold]
fn answer_mistake(conn: &mut Conn, error: LocalError, out: &mut Outbox, cx: &Surroundings<'_>) {
    if let Some(count) = cx.stats.local_errors.add_and_report() {
        log::error!("a handler's response was replaced by a 500: {error} (mistake {count} of handlers)");
    }
    Response::status(500).send_to(conn, cx.now, out).expect("a request waits, and nothing is wrong with this answer");
}

/// Sends a whole response, and copies its body into the output.
fn send_copy(conn: &mut Conn, head: &ResponseHead<'_>, body: &[u8], out: &mut Outbox, cx: &Surroundings<'_>) -> Result<(), LocalError> {
    conn.send_head(cx.now, head, BodySize::Length(body.len() as u64), out)?;
    conn.send_body(body, out)?;
    conn.send_end(cx.now, out)
}
