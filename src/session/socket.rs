//! A WebSocket as its handler sees it.
//!
//! Owns the handler's trait and the borrowed view through which the handler sends and sets its
//! timer. The view ends with the call; other threads send through a [`Pusher`]. Leaves frames to
//! `proto::ws`, and the timers of the connection to `websocket`.

use std::any::Any;
use std::time::{Duration, Instant};

use super::carried::Carried;
use super::last_word::OnDrop;
use super::link::Link;
use super::{Destination, Notices, Outcome, Pusher, Surroundings};
use crate::proto::ws::{Message, Writer};
use crate::proto::{CloseReason, Frame, LocalError, Outbox, ProtocolLimits};

/// The application's side of one WebSocket. Every connection has a handler of its own, which one
/// thread calls at a time. [`on_message`](super::on_message) makes a handler of closures instead.
///
/// ```
/// use pushlab::session::{Socket, WebSocketHandler};
/// use pushlab::proto::ws::Message;
/// struct Echo;
/// impl WebSocketHandler for Echo {
///     fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
///         socket.send(message);
///     }
/// }
/// ```
pub trait WebSocketHandler: Send + 'static {
    /// Called once the handshake is done.
    fn open(&mut self, socket: &mut Socket<'_>) {
        let _ = socket;
    }

    /// Called for each whole message.
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>);

    /// Called when the system has taken everything that waited for a slow reader. Sending is free
    /// again.
    fn drained(&mut self, socket: &mut Socket<'_>) {
        let _ = socket;
    }

    /// Called once for each [`Socket::set_timer`], when its time has passed. There is no call after
    /// the WebSocket began to close.
    fn timer(&mut self, socket: &mut Socket<'_>) {
        let _ = socket;
    }

    /// What the handler says in the place of dropped messages and before the end, unless the
    /// connection has [other notices](Socket::notices). A handler that speaks for itself takes less
    /// memory than one beside a value that speaks.
    fn notices(&mut self) -> Option<&mut dyn Notices> {
        None
    }

    /// Called once, as the last call: the connection is over.
    fn closed(&mut self, reason: CloseReason) {
        let _ = reason;
    }
}

/// What few `WebSocket`s have.
#[derive(Default)]
pub(super) struct Extras {
    pub(super) protocol: Option<&'static str>,
    pub(super) carried: Carried,
    /// The handler's own timer.
    pub(super) alarm: Option<Instant>,
}

/// The view of a WebSocket inside its handler's calls.
///
/// ```
/// use pushlab::session::Outcome;
/// use pushlab::{Message, Socket, WebSocketHandler};
/// /// Counts down as fast as the peer reads.
/// struct Countdown(u32);
/// impl Countdown {
///     fn go_on(&mut self, socket: &mut Socket<'_>) {
///         while self.0 > 0 {
///             self.0 -= 1;
///             if socket.send_text(&self.0.to_string()) != Outcome::Sent {
///                 return; // `drained` goes on
///             }
///         }
///         let _ = socket.close(1000, "done");
///     }
/// }
/// impl WebSocketHandler for Countdown {
///     fn open(&mut self, socket: &mut Socket<'_>) {
///         self.go_on(socket);
///     }
///     fn message(&mut self, _: Message<'_>, _: &mut Socket<'_>) {}
///     fn drained(&mut self, socket: &mut Socket<'_>) {
///         self.go_on(socket);
///     }
/// }
/// # let _ = Countdown(3);
/// ```
pub struct Socket<'a> {
    writer: &'a mut Writer,
    link: &'a mut Link,
    overflow: &'a mut bool,
    extras: &'a mut Option<Box<Extras>>,
    out: &'a mut Outbox,
    cx: &'a Surroundings<'a>,
    /// Messages that were sent and not yet [counted](Socket::count_sent).
    sent: u64,
}

impl<'a> Socket<'a> {
    #[inline]
    pub(super) const fn new(
        writer: &'a mut Writer,
        link: &'a mut Link,
        overflow: &'a mut bool,
        extras: &'a mut Option<Box<Extras>>,
        out: &'a mut Outbox,
        cx: &'a Surroundings<'a>,
    ) -> Self {
        Self { writer, link, overflow, extras, out, cx, sent: 0 }
    }
}

impl Socket<'_> {
    /// Sends a message.
    #[inline]
    pub fn send(&mut self, message: Message<'_>) -> Outcome {
        if self.is_free() {
            let sent = match message {
                Message::Text(text) => self.writer.send_text(text, self.out),
                Message::Binary(bytes) => self.writer.send_binary(bytes, self.out),
            };
            return if sent.is_ok() {
                self.sent += 1;
                Outcome::Sent
            } else {
                Outcome::Refused
            };
        }
        match message {
            Message::Text(text) => self.send_frame(&Frame::text(text)),
            Message::Binary(bytes) => self.send_frame(&Frame::binary(bytes)),
        }
    }

    /// Sends text.
    pub fn send_text(&mut self, text: &str) -> Outcome {
        self.send(Message::Text(text))
    }

    /// Sends binary data.
    pub fn send_binary(&mut self, bytes: &[u8]) -> Outcome {
        self.send(Message::Binary(bytes))
    }

    /// Sends a message that is already encoded.
    pub fn send_frame(&mut self, frame: &Frame) -> Outcome {
        if self.writer.is_closing() || *self.overflow {
            return Outcome::Refused;
        }
        let outcome = self.link.send_or_queue(frame, self.out, self.cx, |frame, out| send_unless_closing(self.writer, frame, out, self.cx));
        *self.overflow = outcome == Outcome::Refused;
        outcome
    }

    /// Starts the close handshake. Messages that still wait are dropped. The reason is cut to 123
    /// bytes.
    ///
    /// # Errors
    /// [`LocalError::BadCloseCode`] for a code that must not be sent (RFC 6455, section 7.4).
    /// [`LocalError::WrongState`] when the WebSocket is already closing.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<(), LocalError> {
        self.writer.send_close(code, reason, self.out)
    }

    /// Bytes that were sent to this view or to a pusher, and that the system has not taken yet.
    pub fn waiting_bytes(&self) -> usize {
        self.out.len() + self.link.waiting_bytes()
    }

    /// The subprotocol that the server chose in the handshake.
    pub fn protocol(&self) -> Option<&'static str> {
        self.extras.as_ref()?.protocol
    }

    /// A handle that sends messages from any thread.
    pub fn pusher(&mut self) -> Pusher {
        self.link.pusher(self.cx)
    }

    /// Where the WebSocket takes commands. [`Destination`] takes less memory than a pusher.
    pub fn destination(&mut self) -> Destination {
        self.link.destination(self.cx)
    }

    /// Calls [`WebSocketHandler::timer`] once, `after` from now, on the thread of this connection.
    /// A connection has one such timer: a further call replaces its time. It may be up to 1/8 late.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pushlab::{Message, Socket, WebSocketHandler};
    /// /// Tells the time of the connection, in seconds.
    /// struct Stopwatch(u32);
    /// impl WebSocketHandler for Stopwatch {
    ///     fn open(&mut self, socket: &mut Socket<'_>) {
    ///         socket.set_timer(Duration::from_secs(1));
    ///     }
    ///     fn message(&mut self, _: Message<'_>, socket: &mut Socket<'_>) {
    ///         socket.stop_timer();
    ///     }
    ///     fn timer(&mut self, socket: &mut Socket<'_>) {
    ///         self.0 += 1;
    ///         socket.send_text(&self.0.to_string());
    ///         socket.set_timer(Duration::from_secs(1));
    ///     }
    /// }
    /// # let _ = Stopwatch(0);
    /// ```
    pub fn set_timer(&mut self, after: Duration) {
        if self.writer.is_closing() || self.link.is_ending() {
            return;
        }
        let due = self.now() + after.min(ProtocolLimits::TIMEOUT_MAX);
        self.extras.get_or_insert_default().alarm = Some(due);
    }

    /// Stops the timer, if there is one.
    pub fn stop_timer(&mut self) {
        if let Some(extras) = &mut self.extras {
            extras.alarm = None;
        }
    }

    /// The time of this call, by the clock of the timers.
    pub fn now(&self) -> Instant {
        self.cx.now.instant()
    }

    /// Lets the connection carry a value. The value is dropped when the connection ends.
    pub fn carry(&mut self, value: impl Any + Send) {
        self.extras.get_or_insert_default().carried.add(value);
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
        self.extras.get_or_insert_default().carried.set_notices(notices);
    }

    /// Adds the messages that the handler has sent to the counters of the server. One addition for
    /// a batch of messages saves an atomic operation for each, 4 % of an echo.
    #[inline]
    pub(super) fn count_sent(&mut self) {
        if self.sent > 0 {
            self.cx.stats.messages_out.add(std::mem::take(&mut self.sent));
        }
    }

    /// Whether the handler may get a further message. Otherwise the connection must end, or its
    /// output must be written first.
    #[inline]
    pub(super) const fn goes_on(&self) -> bool {
        !self.must_end() && self.out.len() < self.cx.settings.limits.output_bytes
    }

    /// Whether the handler has asked for the end, or the policy for slow readers ends the connection.
    #[inline]
    pub(super) const fn must_end(&self) -> bool {
        *self.overflow || self.link.is_ending() || self.writer.is_closing()
    }

    /// As [`notices`](Self::notices), for notices that are also [carried](Self::carry): they are
    /// dropped when the connection ends, and not before, even if other notices replace them. One
    /// value for both takes less memory than two.
    pub fn carry_notices(&mut self, notices: impl Notices) {
        self.extras.get_or_insert_default().carried.add_notices(notices);
    }

    #[inline]
    fn is_free(&self) -> bool {
        self.link.is_free() && self.out.len() < self.cx.settings.limits.output_bytes && !*self.overflow
    }
}

/// Sends a frame, unless the WebSocket is closing.
pub(super) fn send_unless_closing(writer: &mut Writer, frame: &Frame, out: &mut Outbox, cx: &Surroundings<'_>) {
    if writer.send_frame(frame, out).is_ok() {
        cx.stats.messages_out.add(1);
    }
}
