//! The borrowed views of a streamed response, inside a call of the handler or of the stream's
//! source.
//!
//! Owns direct sending, and the ways to a [`Pusher`] and to a source. The views do not outlive the
//! call: later pieces come through these two.

use super::exchange::{Heartbeat, Streaming};
use super::{Context, Pusher, Sent, StreamSource};
use crate::proto::http1::Conn;
use crate::proto::{Frame, LocalError, Outbox, sse};

/// A response of unknown length that has begun.
///
/// ```
/// use pushlab::{Frame, Reply, Request, Response};
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     let mut stream = reply.stream(Response::text("begun\n"));
///     stream.heartbeat(b"\n");
///     let pusher = stream.pusher();
///     std::thread::spawn(move || {
///         pusher.push(&Frame::chunk(b"went on in another thread\n"));
///         // The stream ends with its last pusher.
///     });
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
///
/// It goes on after the handler's call for as long as something can be sent on it: it ends when the
/// last of its [pushers](Self::pusher) is dropped and its [source](Self::feed), if it has one, is
/// done. [`end`](Self::end), a pusher's [`close`](Pusher::close) and a source's
/// [`Feed::End`](super::Feed::End) end it before, as does the client by going away.
pub struct Stream<'a> {
    conn: &'a mut Conn,
    out: &'a mut Outbox,
    /// `None` for a response that needs no body (HEAD) or could not begin: sending does nothing then.
    state: Option<&'a mut Box<Streaming>>,
    cx: &'a Context<'a>,
}

impl<'a> Stream<'a> {
    pub(super) const fn live(conn: &'a mut Conn, out: &'a mut Outbox, state: &'a mut Box<Streaming>, cx: &'a Context<'a>) -> Self {
        Self { conn, out, state: Some(state), cx }
    }

    pub(super) const fn ended(conn: &'a mut Conn, out: &'a mut Outbox, cx: &'a Context<'a>) -> Self {
        Self { conn, out, state: None, cx }
    }

    /// Sends a piece of the body now. An empty piece sends nothing.
    ///
    /// The piece is never dropped because the reader is slow. [`Sent::Waiting`] says that
    /// [`Limits::output_bytes`](crate::Limits::output_bytes) or more wait for the system: leave the
    /// rest to a [source](Self::feed).
    pub fn send(&mut self, piece: &[u8]) -> Sent {
        self.put(piece.len(), |conn, out| conn.send_body(piece, out))
    }

    /// As [`send`](Self::send), for a piece that was encoded before.
    pub fn send_frame(&mut self, frame: &Frame) -> Sent {
        self.put(frame.payload().len(), |conn, out| conn.send_frame(frame, out))
    }

    fn put(&mut self, payload_bytes: usize, put: impl FnOnce(&mut Conn, &mut Outbox) -> Result<(), LocalError>) -> Sent {
        let Some(state) = &mut self.state else { return Sent::Dropped };
        if state.link.close_asked().is_some() {
            return Sent::Dropped;
        }
        if payload_bytes > 0 {
            self.cx.stats.messages_out.add(1);
            let sent = put(self.conn, self.out);
            debug_assert_eq!(sent, Ok(()), "a live stream takes body bytes");
            state.put_off_heartbeat(self.cx);
            if let Some(left) = &mut state.left_bytes {
                *left = left.saturating_sub(payload_bytes);
            }
            state.end_if_enough();
        }
        if self.out.len() < self.cx.settings.limits.output_bytes { Sent::Accepted } else { Sent::Waiting }
    }

    /// Installs a source, which sends the next pieces as the reader reads. It takes the place of an
    /// earlier source. Messages that are pushed meanwhile come between its pieces. Where the
    /// response has no body, the source is dropped at once.
    pub fn feed(&mut self, source: impl StreamSource) {
        if let Some(state) = &mut self.state {
            state.source = Some(Box::new(source));
        }
    }

    /// Whether the response has a body to be streamed. It has none for HEAD, and after a mistake in the response; then its pushers reach
    /// nobody, and what it is to carry is dropped at once.
    pub const fn is_live(&self) -> bool {
        self.state.is_some()
    }

    /// A handle that sends later pieces from any thread.
    pub fn pusher(&mut self) -> Pusher {
        match &mut self.state {
            Some(state) => state.link.stream_pusher(self.cx),
            None => super::link::Link::default().pusher(self.cx),
        }
    }

    /// Sends these bytes whenever nothing was put on the wire for [`Limits::heartbeat`](crate::Limits::heartbeat): what a reader of this stream
    /// skips, such as an empty line. Without them, a client that vanished without a word is noticed only after the next message: by the
    /// system, which gives up what is never acknowledged (on Linux after a quarter of an hour, or when
    /// [the listening socket says](crate::Server::from_listener)), or by the write time-out, when more waits than the system keeps.
    pub fn heartbeat(&mut self, bytes: &'static [u8]) {
        if let (Some(state), Some(every)) = (&mut self.state, self.cx.settings.limits.heartbeat) {
            state.heartbeat = Some(Heartbeat { bytes, due: self.cx.now.instant() + every });
        }
    }

    /// Ends the response behind the message with which the client was sent so many bytes of payload
    /// from now on, or more. Pieces that are sent here, by a source or by a pusher count alike.
    /// Messages that are dropped because the client reads slowly do not count; what
    /// [`on_drop`](Self::on_drop) says in their place does.
    pub fn end_after(&mut self, bytes: usize) {
        if let Some(state) = &mut self.state {
            // With 0 the end would be there without anything that brings it.
            state.left_bytes = Some(bytes.max(1));
        }
    }

    /// Lets the connection carry a value, and drop it when the stream is over.
    pub fn carry(&mut self, value: impl std::any::Any + Send) {
        if let Some(state) = &mut self.state {
            state.link.carry(Box::new(value));
        }
    }

    /// Calls this when messages were dropped by the slow-consumer policy, with how many. What it returns is sent in their place, before
    /// the next message: a client that is told of a hole can fill it. It may run on any thread of the server, and must not block.
    pub fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        if let Some(state) = &mut self.state {
            state.link.on_drop(call);
        }
    }

    /// Ends the response.
    pub fn end(self) {
        if let Some(state) = self.state {
            state.link.ask_close(0);
        }
    }
}

/// A stream of server-sent events that has begun.
///
/// ```
/// use pushlab::proto::sse::Event;
/// use pushlab::{Frame, Reply, Request};
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     let mut events = reply.event_stream();
///     events.send(&Event::data("hello\nin two lines").id("7")).expect("an id without line breaks");
///     let pusher = events.pusher();
///     // Any thread sends the next ones. The stream ends when the last pusher is dropped.
///     std::thread::spawn(move || pusher.push(&Frame::event(&Event::data("later")).expect("no name")));
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
pub struct EventStream<'a>(pub(super) Stream<'a>);

impl<'a> EventStream<'a> {
    /// Sends an event now. Otherwise as [`Stream::send`].
    ///
    /// # Errors
    /// [`LocalError::BadEvent`] when the event's name has a line break, or its id one or a NUL.
    pub fn send(&mut self, event: &sse::Event<'_>) -> Result<Sent, LocalError> {
        Ok(self.0.send_frame(&Frame::event(event)?))
    }

    /// As [`Stream::send_frame`], for an event that was encoded by [`Frame::event`].
    pub fn send_frame(&mut self, frame: &Frame) -> Sent {
        self.0.send_frame(frame)
    }

    /// As [`Stream::feed`]. The source sends frames made by [`Frame::event`].
    pub fn feed(&mut self, source: impl StreamSource) {
        self.0.feed(source);
    }

    /// The same stream, without a view of its own for events.
    pub fn into_stream(self) -> Stream<'a> {
        self.0
    }

    /// As [`Stream::is_live`].
    pub const fn is_live(&self) -> bool {
        self.0.is_live()
    }

    /// A handle that sends later events, encoded by [`Frame::event`], from any thread.
    pub fn pusher(&mut self) -> Pusher {
        self.0.pusher()
    }

    /// Lets the connection carry a value, and drop it when the stream is over.
    pub fn carry(&mut self, value: impl std::any::Any + Send) {
        self.0.carry(value);
    }

    /// As [`Stream::on_drop`].
    pub fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        self.0.on_drop(call);
    }

    /// Ends the stream. The client comes back by itself: an event stream is over for good only when it is answered with 204.
    pub fn end(self) {
        self.0.end();
    }
}
