//! A streamed response: its state, the view that sends on it, and the source that feeds it.
//!
//! Owns the direct sending of pieces and events, the methods that make a [`Pusher`] or install a
//! source, and the loop that calls the source. The views end with the call; later pieces come from
//! pushers and from the source. Leaves the queue of a slow reader to `link`, and when the output
//! has room to `http`.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::carried::Carried;
use super::last_word::OnDrop;
use super::link::Link;
use super::{Destination, LastWord, Notices, Outcome, Pusher, Settings, Surroundings};
use crate::proto::http1::Conn;
use crate::proto::{Frame, LocalError, Now, Outbox, sse};

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
/// is done, unless it [stays open](Self::stay_open). It ends earlier when the view's
/// [`end`](Self::end) or a pusher's [`end`](Pusher::end) is called, when a source returns
/// [`Feed::End`](super::Feed::End), or when the client leaves.
pub struct Stream<'a> {
    conn: &'a mut Conn,
    out: &'a mut Outbox,
    /// `None` where the response has no body (HEAD), or where it was not sent because of a mistake
    /// in it. Sending then does nothing.
    state: Option<&'a mut Streaming>,
    cx: &'a Surroundings<'a>,
}

impl<'a> Stream<'a> {
    pub(super) const fn live(conn: &'a mut Conn, out: &'a mut Outbox, state: &'a mut Streaming, cx: &'a Surroundings<'a>) -> Self {
        Self { conn, out, state: Some(state), cx }
    }

    pub(super) const fn ended(conn: &'a mut Conn, out: &'a mut Outbox, cx: &'a Surroundings<'a>) -> Self {
        Self { conn, out, state: None, cx }
    }

    /// Sends a piece of the body now. An empty piece sends nothing.
    ///
    /// The piece is never dropped because the reader is slow. [`Outcome::Queued`] says that at
    /// least [`Limits::output_bytes`](crate::Limits::output_bytes) wait to be written: leave the
    /// rest to a [source](Self::feed).
    pub fn send(&mut self, piece: &[u8]) -> Outcome {
        self.send_piece(piece.len(), |conn, out| conn.send_body(piece, out))
    }

    /// As [`send`](Self::send), for a piece that was encoded before.
    pub fn send_frame(&mut self, frame: &Frame) -> Outcome {
        self.send_piece(frame.payload_len(), |conn, out| conn.send_frame(frame, out))
    }

    /// Sends a server-sent event now, in the same way as [`send`](Self::send).
    ///
    /// The method sends the text form of the event and does not look at the media type of the
    /// response. Use it on an [event stream](super::Reply::event_stream), or on a stream whose
    /// response has the type `text/event-stream`. On any other stream, the client gets the text of
    /// the event as a piece of the body.
    ///
    /// ```
    /// use pushlab::proto::sse::Event;
    /// use pushlab::{Frame, Reply, Request};
    /// fn app(_: &Request<'_>, reply: Reply<'_>) {
    ///     let mut stream = reply.event_stream();
    ///     stream.send_event(&Event::data("hello\nin two lines").id("7")).expect("an id without line breaks");
    ///     let pusher = stream.pusher();
    ///     // Any thread sends the next ones. The stream ends when the last pusher is dropped.
    ///     std::thread::spawn(move || pusher.push(&Frame::event(&Event::data("later")).expect("no name")));
    /// }
    /// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
    /// # serve_once(app, &["/"]);
    /// ```
    ///
    /// # Errors
    /// [`LocalError::BadEvent`] when the event's name has a line break, or its id has a line break
    /// or a NUL.
    pub fn send_event(&mut self, event: &sse::Event<'_>) -> Result<Outcome, LocalError> {
        Ok(self.send_frame(&Frame::event(event)?))
    }

    fn send_piece(&mut self, payload_bytes: usize, send: impl FnOnce(&mut Conn, &mut Outbox) -> Result<(), LocalError>) -> Outcome {
        let Some(state) = &mut self.state else { return Outcome::Refused };
        if state.link.is_ending() {
            return Outcome::Refused;
        }
        if payload_bytes > 0 {
            self.cx.stats.messages_out.add(1);
            let result = send(self.conn, self.out);
            debug_assert_eq!(result, Ok(()), "a live stream takes body bytes");
            state.put_off_heartbeat(self.conn, self.cx.now, self.cx.settings);
            state.left_bytes = state.left_bytes.saturating_sub(payload_bytes as u64);
            state.end_if_enough();
        }
        if self.out.len() < self.cx.settings.limits.output_bytes { Outcome::Sent } else { Outcome::Queued { dropped: 0 } }
    }

    /// Installs a source, which sends the next pieces as the reader reads. It replaces an earlier
    /// source. Messages that are pushed meanwhile go between its pieces. If the response has no
    /// body, the source is dropped at once.
    pub fn feed(&mut self, source: impl StreamSource) {
        if let Some(state) = &mut self.state {
            state.link.set_source(Box::new(source));
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
            Some(state) if state.stays_open => state.link.pusher(self.cx),
            Some(state) => {
                state.has_pusher = true;
                state.link.stream_pusher(self.cx)
            }
            None => Link::<()>::default().pusher(self.cx),
        }
    }

    /// Where the stream takes commands. `None` if the response has no body to stream.
    /// [`Destination`] takes less memory than a pusher, and does not keep the stream open.
    pub fn destination(&mut self) -> Option<Destination> {
        Some(self.state.as_mut()?.link.destination(self.cx))
    }

    /// Lets the stream last until its end is asked for, also without a pusher and a source.
    /// [`Destination`] has an example.
    pub fn stay_open(&mut self) {
        if let Some(state) = &mut self.state {
            state.stays_open = true;
        }
    }

    /// Sends these bytes whenever nothing was sent for
    /// [`Limits::heartbeat`](crate::Limits::heartbeat). The bytes must be something that a reader
    /// of this stream skips, such as an empty line. An event stream begins with a comment as its
    /// heartbeat; this method replaces it.
    ///
    /// Without a heartbeat, a client that vanished without closing its connection is noticed only
    /// after the next message. Then one of two limits ends the connection. The system gives up on
    /// bytes that are never acknowledged: on Linux after a quarter of an hour, or after the time
    /// that [the listening socket sets](crate::Server::from_listener). The write time-out ends it
    /// earlier if more output waits than the system buffers.
    pub fn heartbeat(&mut self, bytes: &'static [u8]) {
        if let (Some(state), Some(every)) = (&mut self.state, self.cx.settings.limits.heartbeat) {
            state.heartbeat = Some(bytes);
            self.conn.set_response_alarm(self.cx.now.instant() + every);
        }
    }

    /// Ends the response after the message that brings the payload sent from now on to `bytes` or
    /// more. Pieces that are sent by this view, by a source or by a pusher all count. A message
    /// that is dropped because the client reads slowly does not count; a frame that
    /// [`on_drop`](Self::on_drop) returns in its place does.
    pub fn end_after(&mut self, bytes: usize) {
        if let Some(state) = &mut self.state {
            // With 0, no piece would come that triggers the end.
            state.left_bytes = bytes.max(1) as u64;
        }
    }

    /// Lets the connection carry a value. The value is dropped when the stream is over.
    pub fn carry(&mut self, value: impl Any + Send) {
        if let Some(state) = &mut self.state {
            state.carried.add(value);
        }
    }

    /// Sets the function that is called when the slow-consumer policy has dropped messages. It gets
    /// the number of dropped messages. The frame that it returns is sent in their place, before the
    /// next message, so that the client knows of the gap and can fill it. The function can run on
    /// any thread of the server, and must not block.
    pub fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        self.notices(OnDrop(call));
    }

    /// Sets what the application says in the place of dropped messages and before the end. It
    /// replaces earlier notices, and the function of [`on_drop`](Self::on_drop).
    pub fn notices(&mut self, notices: impl Notices) {
        if let Some(state) = &mut self.state {
            state.carried.set_notices(notices);
        }
    }

    /// As [`notices`](Self::notices), for notices that are also [carried](Self::carry): they are
    /// dropped when the stream is over, and not before, even if other notices replace them. One
    /// value for both takes less memory than two.
    pub fn carry_notices(&mut self, notices: impl Notices) {
        if let Some(state) = &mut self.state {
            state.carried.add_notices(notices);
        }
    }

    /// Ends the response with a last word, in the form that the [notices](Self::notices) have.
    /// Pieces that were sent before stand before it, and further ones are refused. An event stream
    /// also tells its client when to come back, if the last word says so.
    pub fn end_with(&mut self, word: impl Into<Arc<LastWord>>) {
        if let Some(state) = &mut self.state {
            state.link.ask_end_with(|| word.into());
        }
    }

    /// Ends the response. The client of an event stream then reconnects by itself. To stop it for
    /// good, answer its next request with 204.
    pub fn end(self) {
        if let Some(state) = self.state {
            state.link.ask_end();
        }
    }
}

/// Sends a stream's body at the pace of its reader, such as a long replay or a file.
/// [`Stream::feed`] installs a source.
///
/// ```
/// use pushlab::session::{Feed, Outcome, Stream, StreamSource};
/// use pushlab::{Reply, Request, Response};
/// /// Counts down to 1, a line for each number.
/// struct Countdown(u32);
/// impl StreamSource for Countdown {
///     fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
///         while self.0 > 0 {
///             let line = format!("{}\n", self.0);
///             self.0 -= 1;
///             if stream.send(line.as_bytes()) != Outcome::Sent {
///                 return Feed::Continue; // when the reader has taken this much
///             }
///         }
///         Feed::End
///     }
/// }
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     reply.stream(Response::text("")).feed(Countdown(1_000_000));
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
///
/// A source that panics ends its connection, as a handler that panics does. A source is dropped at
/// the end of its stream.
pub trait StreamSource: Send + 'static {
    /// Sends pieces. The output has room, and no pushed message waits. The session calls the source
    /// after the handler's call, and again each time that the system has taken all output. A call
    /// can run on any thread that drives the connection, and never on two at once. It must not
    /// block on the event loop.
    ///
    /// A source stops sending at the first [`Outcome`] that is not `Sent`: what it sends after
    /// `Queued` is kept in memory. The slow-consumer policy never drops the pieces of a source,
    /// because each call follows a read of the peer.
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed;
}

/// What a source wants after a call. [`StreamSource`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The source has more to send. If the call sent nothing, the next call follows the next output
    /// of the stream, such as a heartbeat.
    Continue,
    /// The source is done and is dropped. The stream goes on with pushed messages.
    Done,
    /// The source is done and is dropped, and the stream ends.
    End,
}

/// A response whose length is not known. The small facts stand beside the box, where the exchange
/// has room for them.
pub(super) struct Streaming {
    pub(super) parts: Box<Parts>,
    pub(super) kind: StreamKind,
    /// Whether a pusher was given out.
    has_pusher: bool,
    /// Whether the stream lasts until its end is asked for, even if it has no pusher and no source.
    pub(super) stays_open: bool,
}

/// The larger parts of a stream: 64 bytes with the allocator's part.
pub(super) struct Parts {
    /// With the source that sends at the pace of the reader. Most streams have none for nearly all
    /// of their time.
    pub(super) link: Link<Box<dyn StreamSource>>,
    pub(super) carried: Carried,
    /// The bytes to send when no message was sent for a while. The next time is the
    /// [alarm](Conn::set_response_alarm) of the connection.
    pub(super) heartbeat: Option<&'static [u8]>,
    /// The stream ends after so many more bytes of payload.
    pub(super) left_bytes: u64,
}

impl Deref for Streaming {
    type Target = Parts;

    #[inline]
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl DerefMut for Streaming {
    #[inline]
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }
}

/// Whether a stream tells its client when to come back before it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    Plain,
    /// Server-sent events, whose `retry` field says when to come back.
    Events,
}

impl Streaming {
    /// The bytes of a stream without a limit. No connection sends as many.
    const UNLIMITED: u64 = u64::MAX;

    pub(super) fn new(kind: StreamKind, carried: Carried) -> Self {
        let parts = Parts { link: Link::default(), carried, heartbeat: None, left_bytes: Self::UNLIMITED };
        Self { parts: Box::new(parts), kind, has_pusher: false, stays_open: false }
    }

    /// Whether the source may send: waiting messages go out first, and nothing goes out after the
    /// end.
    pub(super) fn takes_feed(&self) -> bool {
        self.link.has_source() && self.link.is_free() && !self.link.is_ending()
    }

    /// Whether the stream only waits for what others push: it has no source, no message waits, and
    /// its end was not asked for. After each delivery, a stream is asked this alone.
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        self.link.is_calm()
    }

    /// From now on, the stream lasts only as long as its pushers, because the handler and the
    /// source can send nothing more. If no pusher was given out, the stream ends after the messages
    /// that were sent.
    pub(super) fn leave_to_pushers(&mut self) {
        if !self.has_pusher && !self.stays_open {
            self.link.ask_end();
        }
        self.link.drop_own_pusher();
    }

    /// Postpones the next heartbeat, because the peer gets other bytes now.
    #[inline]
    pub(super) fn put_off_heartbeat(&self, conn: &mut Conn, now: &Now, settings: &Settings) {
        if let (Some(_), Some(every)) = (self.heartbeat, settings.limits.heartbeat) {
            conn.set_response_alarm(now.instant() + every);
        }
    }

    /// Drops the source and the carried values.
    pub(super) fn let_go(&mut self, cx: &Surroundings<'_>) {
        let source = self.link.take_source();
        cx.contain(|| drop(source));
        self.carried.let_go(cx);
    }

    /// Asks for the end of a stream that has sent all bytes of its limit. The end follows the
    /// output that waits.
    pub(super) fn end_if_enough(&mut self) {
        if self.left_bytes == 0 {
            self.link.ask_end();
        }
    }
}

/// Calls a stream's source until the output is full, the source is done, or a call sends nothing.
/// Several calls before one write join many small pieces.
///
/// # Errors
/// The panic of the source. The source has been dropped.
pub(super) fn feed(conn: &mut Conn, stream: &mut Streaming, out: &mut Outbox, cx: &Surroundings<'_>) -> Result<(), Box<dyn Any + Send>> {
    while stream.takes_feed() && out.len() < cx.settings.limits.output_bytes {
        let Some(mut source) = stream.link.take_source() else { return Ok(()) };
        let out_bytes = out.len();
        let fed = catch_unwind(AssertUnwindSafe(|| source.feed(&mut Stream::live(conn, out, stream, cx))));
        match fed {
            // The source may have installed its successor through the view.
            Ok(Feed::Continue) if !stream.link.has_source() => stream.link.set_source(source),
            _ => cx.contain(|| drop(source)),
        }
        match fed {
            // A source that sends nothing waits for an event outside the session. Calling it again
            // now would loop forever.
            Ok(Feed::Continue) if out.len() == out_bytes => return Ok(()),
            Ok(Feed::Continue | Feed::Done) => {}
            Ok(Feed::End) => stream.link.ask_end(),
            Err(panic) => return Err(panic),
        }
    }
    Ok(())
}
