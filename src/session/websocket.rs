//! A connection after its upgrade.
//!
//! Owns the calls of the handler, the ping timer, the timer of the close handshake, and the
//! handler's own timer. Leaves framing to `proto::ws`, messages that wait for a slow reader to
//! `link`, and the end of the connection to `session`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::exchange::Upgraded;
use super::link::{Link, encode_last_word};
use super::progress::{Ending, Progress, Steps};
use super::socket::{Extras, send_unless_closing};
use super::{Burst, Command, LastWord, Notices, Outcome, Socket, Surroundings, WebSocketHandler};
use crate::proto::ws::short::ShortMessage;
use crate::proto::ws::{Agreement, Conn, Event, Next, Reader, Writer};
use crate::proto::{CloseReason, Frame, Outbox, RemoteError};

/// It has no box: the session has room for it, because HTTP needs as much. Boxed, each WebSocket of a
/// server took 144 bytes more.
pub(super) struct WebSocket {
    conn: Conn,
    handler: Box<dyn WebSocketHandler>,
    link: Link,
    /// When the timer is due. `None` if it is off.
    due: Option<Instant>,
    /// `None` for most connections.
    extras: Option<Box<Extras>>,
    timer: Timer,
    /// A message did not fit, and the policy ends the connection.
    overflow: bool,
    /// The peer has sent something since the last ping.
    heard: bool,
}

/// What the connection waits for. A message only sets `heard` and changes no timer, so that a busy
/// connection does not touch the timers of its driver.
///
/// ```text
///                        ┌──────────── drained ────────────┐
///                        ▼                                 │
///  Ping ── due: ping ──▶ Pong ── due, output waits ──▶ PongBehind ─┐
///   ▲                    │ └──── due, silent ──▶ end   │ ▲         │ due, output waits
///   └──── due, heard ────┴─────────────────────────────┘ └─────────┘
///
///  any ── close frame sent ──▶ Close ── due ──▶ end
/// ```
///
/// Without a heartbeat, the timer is off until a close frame was sent: it stays at `Ping`, and is
/// never due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    Ping,
    Pong,
    /// The ping may not have reached the peer, which is still taking earlier output. The write
    /// time-out decides whether the peer takes output at all. The time for the pong begins when the
    /// peer has taken everything.
    PongBehind,
    Close,
}

impl WebSocket {
    pub(super) fn new(upgraded: Upgraded, cx: &Surroundings<'_>) -> Self {
        cx.stats.websockets.add(1);
        let Upgraded { handler, protocol, deflate, carried, last_word } = upgraded;
        let mut link = Link::default();
        if let Some(word) = last_word {
            link.ask_end_with(|| word.into());
        }
        let has_extras = protocol.is_some() || !carried.is_empty();
        let extras = has_extras.then(|| Box::new(Extras { protocol, carried, alarm: None }));
        let due = cx.settings.limits.heartbeat.map(|every| cx.now.instant() + every);
        Self { conn: new_conn(deflate), handler, link, due, extras, timer: Timer::Ping, overflow: false, heard: false }
    }

    fn set_timer(&mut self, timer: Timer, due: Instant) {
        (self.timer, self.due) = (timer, Some(due));
    }

    pub(super) fn open(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        self.call(out, cx, WebSocketHandler::open)
    }

    /// Works on the next event of the input.
    #[inline]
    pub(super) fn step(&mut self, steps: &mut Steps, input: &mut [u8], out: &mut Outbox, cx: &Surroundings<'_>) -> (usize, Progress) {
        if input.is_empty() {
            return (0, Progress::Wait);
        }
        if self.conn.reader.takes_short(&self.conn.writer)
            && let Some(step) = self.step_short(steps, input, out, cx)
        {
            return step;
        }
        let given = input.len();
        let Conn { reader, writer } = &mut self.conn;
        let close_is_ours = writer.is_closing();
        let (used, event) = match reader.next_event(input, writer, out, &cx.settings.limits.protocol) {
            Ok((used, Next::Event(event))) => {
                self.heard = true;
                (used, event)
            }
            Ok((used, Next::NeedData)) => {
                // An incomplete frame head stays in the input and is given again. It counts as a
                // sign of life only once it is used.
                self.heard |= used > 0;
                return (used, Progress::Wait);
            }
            Err(error) => return (0, self.fail(error, out, cx)),
        };
        let progress = match event {
            Event::Message(message) => {
                steps.take(message.as_bytes().len());
                cx.stats.messages_in.add(1);
                let Self { link, overflow, extras, handler, .. } = self;
                let mut socket = Socket::new(writer, link, overflow, extras, out, cx);
                let called = catch_unwind(AssertUnwindSafe(|| handler.message(message, &mut socket)));
                socket.count_sent();
                match called {
                    Ok(()) => self.close_if_asked(out, cx),
                    Err(_) => self.end_after_panic(out, cx),
                }
            }
            Event::Ping(_) | Event::Pong(_) => {
                steps.take(0);
                Progress::More
            }
            Event::Close { code, .. } if close_is_ours => Progress::End(Ending::Flush, CloseReason::Local(code)),
            Event::Close { code, .. } => Progress::End(Ending::Flush, CloseReason::Peer(code)),
        };
        if used == given && matches!(progress, Progress::More) {
            // The next call comes with the next input, which on a quiet connection may never come.
            // So the memory of this message is freed now.
            self.conn.reader.release();
        }
        (used, progress)
    }

    /// Calls the handler for each short message at the front of the input. A loop of its own for the
    /// usual messages costs half of the instructions of a step for each. `None` if there is no such
    /// message.
    #[inline]
    fn step_short(&mut self, steps: &mut Steps, input: &mut [u8], out: &mut Outbox, cx: &Surroundings<'_>) -> Option<(usize, Progress)> {
        let Self { conn, handler, link, overflow, extras, .. } = self;
        let limits = &cx.settings.limits.protocol;
        let (mut used, mut count) = (0, 0);
        let mut socket = Socket::new(&mut conn.writer, link, overflow, extras, out, cx);
        let called = catch_unwind(AssertUnwindSafe(|| {
            while let Some(short) = ShortMessage::at_front(&input[used..], limits) {
                let message = short.take(&mut input[used..])?;
                used += short.len();
                count += 1;
                handler.message(message, &mut socket);
                steps.take(0);
                if !socket.goes_on() || steps.is_used_up() {
                    break;
                }
            }
            Ok(())
        }));
        if used == 0 && matches!(called, Ok(Ok(()))) {
            return None;
        }
        socket.count_sent();
        cx.stats.messages_in.add(count);
        self.heard = true;
        let progress = match called {
            Ok(Ok(())) => self.close_if_asked(out, cx),
            Ok(Err(error)) => {
                self.conn.reader.finish();
                self.fail(error, out, cx)
            }
            Err(_) => self.end_after_panic(out, cx),
        };
        Some((used, progress))
    }

    fn call(&mut self, out: &mut Outbox, cx: &Surroundings<'_>, call: impl FnOnce(&mut dyn WebSocketHandler, &mut Socket<'_>)) -> Progress {
        let Self { conn, handler, link, overflow, extras, .. } = self;
        let mut socket = Socket::new(&mut conn.writer, link, overflow, extras, out, cx);
        let called = catch_unwind(AssertUnwindSafe(|| call(&mut **handler, &mut socket)));
        socket.count_sent();
        match called {
            Ok(()) => self.close_if_asked(out, cx),
            Err(_) => self.end_after_panic(out, cx),
        }
    }

    #[cold]
    fn end_after_panic(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        cx.stats.panics.add(1);
        say_panicked(&mut self.conn.writer, out);
        Progress::End(Ending::Linger, CloseReason::HandlerPanicked)
    }

    /// Ends the connection of a reader that is too slow. Otherwise starts the close handshake, once
    /// it was asked for and no message waits, and its timer.
    #[inline]
    fn close_if_asked(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        if self.overflow || self.link.is_ending() || self.conn.writer.is_closing() { self.begin_close(out, cx) } else { Progress::More }
    }

    fn begin_close(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        if self.overflow {
            return self.end_slow(out, cx);
        }
        // The handler gets no further calls but the last one.
        self.stop_alarm();
        if let Some(word) = self.link.last_word()
            && self.link.is_free()
            && !self.conn.writer.is_closing()
        {
            let word = Arc::clone(word);
            self.say(&word, out, cx);
        }
        if self.conn.writer.is_closing() && self.timer != Timer::Close {
            self.set_timer(Timer::Close, cx.now.instant() + cx.settings.limits.close_timeout);
        }
        Progress::More
    }

    /// Says the last word: in the form of the application's protocol, if it has one, and in the close
    /// frame.
    fn say(&mut self, word: &LastWord, out: &mut Outbox, cx: &Surroundings<'_>) {
        if let Some(frame) = encode_last_word(word, notices(&mut self.extras, &mut self.handler), cx) {
            send_unless_closing(&mut self.conn.writer, &frame, out, cx);
        }
        let writer = &mut self.conn.writer;
        if writer.send_close(word.code(), word.sentence(), out).is_err() {
            if let Some(count) = cx.stats.local_errors.add_and_report() {
                let code = word.code();
                log::error!("a WebSocket was closed with 1000 because {code} must not be sent (mistake {count} of handlers)");
            }
            // The peer must get some close frame: the handler has asked for the end.
            let _ = writer.send_close(1000, "", out);
        }
    }

    /// Ends the connection of a reader that is too slow. The last word follows the output; what
    /// waits behind the output is dropped.
    #[cold]
    pub(super) fn end_slow(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        self.link.drop_backlog();
        if !self.conn.writer.is_closing() {
            self.say(&LastWord::too_slow(), out, cx);
        }
        Progress::End(Ending::Linger, CloseReason::SlowConsumer)
    }

    /// Sends or queues a message that was posted to this connection. `None` if it is for an address
    /// that is over.
    #[inline]
    pub(super) fn send_message(&mut self, serial: u64, frame: &Frame, out: &mut Outbox, cx: &Surroundings<'_>) -> Option<Outcome> {
        if !self.takes_messages(serial) {
            return None;
        }
        let writer = &mut self.conn.writer;
        Some(self.link.send_or_queue(frame, out, cx, |frame, out| send_unless_closing(writer, frame, out, cx)))
    }

    /// Whether the WebSocket can send these messages now in their encoded form.
    #[inline(always)]
    pub(super) fn takes_burst(&self, serial: u64, burst: &Burst<'_>) -> bool {
        self.link.is_addressed(serial) && self.link.is_at_rest() && !self.conn.writer.is_closing() && !burst.is_chunks()
    }

    /// The bytes of these messages for this WebSocket, if other connections send the same bytes.
    /// `wire` is their plain form. `None` if this WebSocket must encode them itself.
    #[cfg(feature = "deflate")]
    #[inline]
    pub(super) fn shared_wire<'b>(&self, burst: &Burst<'b>, wire: &'b Arc<[u8]>) -> Option<&'b Arc<[u8]>> {
        let agreement = self.conn.writer.agreement();
        let Some(agreement) = agreement.filter(|agreement| agreement.compresses(burst.largest_payload())) else { return Some(wire) };
        match burst.frames() {
            [frame] if !agreement.server_context_takeover() => Some(frame.deflated(agreement).unwrap_or(wire)),
            // Several compressed messages are joined in the output of the connection.
            _ => None,
        }
    }

    /// Carries out a command other than a message.
    pub(super) fn carry_out(&mut self, serial: u64, command: &Command, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        match command {
            Command::Lost(count) if self.takes_messages(serial) => {
                let writer = &mut self.conn.writer;
                let notices = notices(&mut self.extras, &mut self.handler);
                match self.link.report_lost(*count, notices, out, cx, |frame, out| send_unless_closing(writer, frame, out, cx)) {
                    Outcome::Sent | Outcome::Queued { .. } => Progress::Wait,
                    Outcome::Refused => self.end_slow(out, cx),
                }
            }
            Command::Close(code) if self.takes_messages(serial) => {
                self.link.ask_end_with(|| LastWord::without_words(*code));
                self.close_if_asked(out, cx)
            }
            Command::End(word) if self.takes_messages(serial) => {
                self.link.ask_end_with(|| Arc::clone(word));
                self.close_if_asked(out, cx)
            }
            Command::Wake if self.takes_messages(serial) && self.link.is_free() => self.call(out, cx, WebSocketHandler::drained),
            _ => Progress::Wait,
        }
    }

    /// The input side.
    pub(super) const fn reader(&self) -> &Reader {
        &self.conn.reader
    }

    /// The serial of this WebSocket, once it has given out a handle.
    pub(super) fn serial(&self) -> Option<u64> {
        self.link.serial()
    }

    #[inline]
    const fn takes_messages(&self, serial: u64) -> bool {
        self.link.is_addressed(serial) && !self.conn.writer.is_closing() && !self.link.is_ending()
    }

    /// Whether [`drained`](Self::drained) has something to do.
    #[inline]
    pub(super) fn waits_for_room(&self) -> bool {
        !self.link.is_free() || self.timer == Timer::PongBehind
    }

    /// The transport has taken all output.
    pub(super) fn drained(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        if self.timer == Timer::PongBehind {
            self.set_timer(Timer::Pong, cx.now.instant() + cx.settings.limits.pong_timeout);
        }
        let Self { conn: Conn { writer, .. }, link, extras, handler, .. } = self;
        if writer.is_closing() {
            return Progress::More;
        }
        if !link.send_queued(|| notices(extras, handler), out, cx, |frame, out| send_unless_closing(writer, frame, out, cx)) {
            return Progress::More;
        }
        // A handler that always has more to send would postpone the requested close forever.
        if self.link.is_ending() {
            return self.close_if_asked(out, cx);
        }
        self.call(out, cx, WebSocketHandler::drained)
    }

    /// `output_waits` says whether the peer has not taken all output.
    pub(super) fn handle_timeout(&mut self, output_waits: bool, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        let now = cx.now.instant();
        if self.alarm_is_next() {
            if self.alarm().is_some_and(|due| due <= now) {
                self.stop_alarm();
                return self.call(out, cx, WebSocketHandler::timer);
            }
            return Progress::Wait;
        }
        if self.due.is_none_or(|due| due > now) {
            return Progress::Wait;
        }
        match self.timer {
            Timer::Ping => {
                // Only input after the ping counts as an answer to it. Any input will do, not just
                // the pong.
                self.heard = false;
                self.set_timer(Timer::Pong, now + cx.settings.limits.pong_timeout);
                let _ = self.conn.writer.send_ping(b"", out);
            }
            Timer::Pong | Timer::PongBehind => {
                if !self.heard && output_waits {
                    self.set_timer(Timer::PongBehind, now + cx.settings.limits.pong_timeout);
                    return Progress::Wait;
                }
                if !self.heard {
                    cx.stats.count_broken(RemoteError::Silent);
                    return Progress::End(Ending::Abort, CloseReason::Remote(RemoteError::Silent));
                }
                let every = cx.settings.limits.heartbeat.unwrap_or_default();
                // The pong time-out, which has passed, is part of the heartbeat interval. So pings
                // keep their interval.
                self.set_timer(Timer::Ping, now + every.saturating_sub(cx.settings.limits.pong_timeout));
            }
            Timer::Close => {
                cx.stats.count_broken(RemoteError::Silent);
                return Progress::End(Ending::Abort, CloseReason::Remote(RemoteError::Silent));
            }
        }
        Progress::Wait
    }

    /// Whether the next time-out ends the connection. If output waits, the ping may not have
    /// reached the peer.
    pub(super) fn timeout_ends_peer(&self, output_waits: bool) -> bool {
        let ends_peer = match self.timer {
            Timer::Ping => false,
            Timer::Pong | Timer::PongBehind => !self.heard && !output_waits,
            Timer::Close => true,
        };
        ends_peer && !self.alarm_is_next()
    }

    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        match (self.alarm(), self.due) {
            (None, due) => due,
            (alarm, None) => alarm,
            (Some(alarm), Some(due)) => Some(due.min(alarm)),
        }
    }

    #[inline]
    fn alarm(&self) -> Option<Instant> {
        self.extras.as_ref().and_then(|extras| extras.alarm)
    }

    fn stop_alarm(&mut self) {
        if let Some(extras) = &mut self.extras {
            extras.alarm = None;
        }
    }

    /// Whether the handler's own timer is due before the timer of the connection.
    #[inline]
    fn alarm_is_next(&self) -> bool {
        self.alarm().is_some_and(|alarm| self.due.is_none_or(|due| alarm <= due))
    }

    /// Ends the WebSocket with this last word, after the messages that wait.
    pub(super) fn end_with(&mut self, word: LastWord, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        self.link.ask_end_with(|| Arc::new(word));
        self.close_if_asked(out, cx)
    }

    fn fail(&mut self, error: RemoteError, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        cx.stats.count_broken(error);
        self.conn.writer.fail(error, out);
        Progress::End(Ending::Linger, CloseReason::Remote(error))
    }

    /// Makes the last call of the handler.
    pub(super) fn close(self, reason: CloseReason, cx: &Surroundings<'_>) {
        cx.stats.websockets.subtract(1);
        let Self { mut handler, extras, .. } = self;
        // Each call of the application is contained by itself, so that a panic in one does not skip
        // the next.
        cx.contain(|| handler.closed(reason));
        cx.contain(|| drop(handler));
        if let Some(mut extras) = extras {
            extras.carried.let_go(cx);
        }
    }
}

/// What speaks in the place of messages: what the connection carries, or else its handler.
fn notices<'a>(extras: &'a mut Option<Box<Extras>>, handler: &'a mut Box<dyn WebSocketHandler>) -> Option<&'a mut dyn Notices> {
    let carried = extras.as_mut().and_then(|extras| extras.carried.notices());
    carried.or_else(|| handler.notices())
}

#[cfg(feature = "deflate")]
const fn new_conn(deflate: Option<Agreement>) -> Conn {
    Conn::with_agreement(deflate)
}

#[cfg(not(feature = "deflate"))]
const fn new_conn(_: Option<Agreement>) -> Conn {
    Conn::new()
}

/// Ends a WebSocket whose request handler panicked after it had accepted the upgrade. The
/// WebSocket's own handler is not called.
pub(super) fn end_panicked(upgraded: Upgraded, out: &mut Outbox, cx: &Surroundings<'_>) {
    say_panicked(&mut Writer::new(), out);
    let Upgraded { handler, mut carried, .. } = upgraded;
    cx.contain(|| drop(handler));
    carried.let_go(cx);
}

/// Sends close code 1011: a server "is terminating the connection because it encountered an
/// unexpected condition" (RFC 6455, section 7.4.1).
fn say_panicked(writer: &mut Writer, out: &mut Outbox) {
    // An error means that the handler had already started to close.
    let _ = writer.send_close(1011, "", out);
}
