//! The borrowed views of a streamed response, inside a call of the handler or of the stream's
//! source.
//!
//! Owns the direct sending of pieces, and the methods that make a [`Pusher`] or install a source.
//! The views end with the call; later pieces come from pushers and from the source. Leaves the
//! state of the stream to `exchange`, and the calls of the source to `source`.

use super::exchange::{Heartbeat, Streaming};
use super::{Context, Pusher, Sent, StreamSource};
use crate::proto::http1::Conn;
use crate::proto::{Frame, LocalError, Outbox, sse};

/// A response of unknown length whose head has been sent.
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
/// A stream stays open after the handler's call as long as something can send on it. It ends when
/// the last of its [pushers](Self::pusher) is dropped and its [source](Self::feed), if it has one,
/// is done. It ends earlier when the view's [`end`](Self::end) or a pusher's
/// [`close`](Pusher::close) is called, when a source returns [`Feed::End`](super::Feed::End), or
/// when the client leaves.
pub struct Stream<'a> {
    conn: &'a mut Conn,
    out: &'a mut Outbox,
    /// `None` where the response has no body (HEAD), or where it was not sent because of a mistake
    /// in it. Sending then does nothing.
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
    /// The piece is never dropped because the reader is slow. [`Sent::Waiting`] says that at least
    /// [`Limits::output_bytes`](crate::Limits::output_bytes) wait to be written: leave the rest to
    /// a [source](Self::feed).
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

    /// Installs a source, which sends the next pieces as the reader reads. It replaces an earlier
    /// source. Messages that are pushed meanwhile go between its pieces. If the response has no
    /// body, the source is dropped at once.
    pub fn feed(&mut self, source: impl StreamSource) {
        if let Some(state) = &mut self.state {
            state.source = Some(Box::new(source));
        }
    }

    /// Whether the response has a body to stream. It has none for HEAD, and none after a mistake in
    /// the response. Then messages of its pushers go nowhere, and values that it should carry are
    /// dropped at once.
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

    /// Sends these bytes whenever nothing was sent for
    /// [`Limits::heartbeat`](crate::Limits::heartbeat). The bytes must be something that a reader
    /// of this stream skips, such as an empty line.
    ///
    /// Without a heartbeat, a client that vanished without closing its connection is noticed only
    /// after the next message. Then one of two limits ends the connection. The system gives up on
    /// bytes that are never acknowledged: on Linux after a quarter of an hour, or after the time
    /// that [the listening socket sets](crate::Server::from_listener). The write time-out ends it
    /// earlier if more output waits than the system buffers.
    pub fn heartbeat(&mut self, bytes: &'static [u8]) {
        if let (Some(state), Some(every)) = (&mut self.state, self.cx.settings.limits.heartbeat) {
            state.heartbeat = Some(Heartbeat { bytes, due: self.cx.now.instant() + every });
        }
    }

    /// Ends the response after the message that brings the payload sent from now on to `bytes` or
    /// more. Pieces that are sent by this view, by a source or by a pusher all count. A message
    /// that is dropped because the client reads slowly does not count; a frame that
    /// [`on_drop`](Self::on_drop) returns in its place does.
    pub fn end_after(&mut self, bytes: usize) {
        if let Some(state) = &mut self.state {
            // With 0, no piece would come that triggers the end.
            state.left_bytes = Some(bytes.max(1));
        }
    }

    /// Lets the connection carry a value. The value is dropped when the stream is over.
    pub fn carry(&mut self, value: impl std::any::Any + Send) {
        if let Some(state) = &mut self.state {
            state.link.carry(Box::new(value));
        }
    }

    /// Sets the function that is called when the slow-consumer policy has dropped messages. It gets
    /// the number of dropped messages. The frame that it returns is sent in their place, before the
    /// next message, so that the client knows of the gap and can fill it. The function can run on
    /// any thread of the server, and must not block.
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

/// A stream of server-sent events whose head has been sent.
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
    /// Sends an event now, in the same way as [`Stream::send`].
    ///
    /// # Errors
    /// [`LocalError::BadEvent`] when the event's name has a line break, or its id has a line break
    /// or a NUL.
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

    /// Turns this view into the view of a plain stream.
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

    /// Lets the connection carry a value. The value is dropped when the stream is over.
    pub fn carry(&mut self, value: impl std::any::Any + Send) {
        self.0.carry(value);
    }

    /// As [`Stream::on_drop`].
    pub fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        self.0.on_drop(call);
    }

    /// Ends the stream. The client then reconnects by itself. To stop a client for good, answer its
    /// next request with 204.
    pub fn end(self) {
        self.0.end();
    }
}
