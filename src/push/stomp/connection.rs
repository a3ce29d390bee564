//! One WebSocket that speaks STOMP.
//!
//! Owns the order of its frames, the heart-beats, and the end after an ERROR. Leaves what a frame
//! means to `session` and `operations`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::frames;
use super::refusal::Refusal;
use super::session::{After, StompSession};
use super::shared::Shared;
use crate::proto::stomp::{Intervals, Reader, Role, Version};
use crate::proto::ws::Message;
use crate::proto::{CloseReason, Frame};
use crate::session::{LastWord, Notices, Pusher, Socket, WebSocketHandler};

/// The close code of a normal end (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1_000;

/// How many heart-beats of the peer may be missing. "the receiver SHOULD be tolerant and take into
/// account an error margin" (STOMP 1.2, "Heart-beating").
const BEATS_MISSED_MAX: u32 = 2;

pub(super) struct StompConnection {
    shared: Arc<Shared>,
    reader: Reader,
    phase: Phase,
}

/// ```text
///  Opening --- CONNECT ---> Connected --- DISCONNECT ---> Ending
///     |                         |                           ^
///     +------ an error ---------+---------------------------+
/// ```
enum Phase {
    /// No CONNECT has come. It must come before the deadline.
    Opening {
        until: Option<Instant>,
    },
    Connected(Box<Connected>),
    /// The last frame was sent. All further input is ignored.
    Ending,
}

/// A connection that has sent its last frame.
struct NoNotices;

impl Notices for NoNotices {}

struct Connected {
    session: StompSession,
    intervals: Intervals,
    /// When the next heart-beat is sent.
    send_at: Option<Instant>,
    /// When the peer has been silent for too long.
    silent_at: Option<Instant>,
}

impl StompConnection {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        // Before CONNECT, the version does not matter: CONNECT has no escapes.
        Self { shared, reader: Reader::new(Role::Server, Version::V1_2), phase: Phase::Opening { until: None } }
    }

    fn read(&mut self, mut input: &[u8], socket: &mut Socket<'_>) {
        while !matches!(self.phase, Phase::Ending) {
            let (used, frame) = match self.reader.next_frame(input, &self.shared.config.limits) {
                Ok((used, Some(frame))) => (used, frame),
                Ok((_, None)) => return,
                Err(error) => return self.refuse(&error.into(), None, socket),
            };
            input = &input[used..];
            self.shared.frames.fetch_add(1, Relaxed);
            let receipt = frame.headers.get("receipt").map(str::to_owned);
            let result = match &mut self.phase {
                Phase::Opening { .. } => match StompSession::connect(&self.shared, &frame, socket) {
                    Ok((session, intervals)) => {
                        self.reader.set_version(session.version);
                        let now = socket.now();
                        let connected = Connected { session, intervals, send_at: intervals.send.map(|every| now + every), silent_at: None };
                        self.phase = Phase::Connected(Box::new(connected));
                        continue;
                    }
                    Err(refusal) => Err(refusal),
                },
                Phase::Connected(connected) => connected.session.act(&frame, receipt.as_deref(), socket),
                Phase::Ending => return,
            };
            match result {
                Ok(After::GoOn) => {}
                Ok(After::Disconnect(last)) => return self.end(last.as_deref(), LastWord::new(NORMAL, ""), socket),
                Err(refusal) => return self.refuse(&refusal, receipt.as_deref(), socket),
            }
        }
    }

    /// Tells the client why its frame is refused, and ends the connection: "The server ... MUST
    /// then close the connection just after sending the ERROR frame" (STOMP 1.2, "ERROR").
    fn refuse(&mut self, refusal: &Refusal, receipt: Option<&str>, socket: &mut Socket<'_>) {
        self.shared.errors.fetch_add(1, Relaxed);
        let version = match &self.phase {
            Phase::Connected(connected) => connected.session.version,
            _ => Version::V1_2,
        };
        let word = refusal.last_word();
        // The ERROR names the receipt, so it is sent here and not by the notices of the session.
        socket.notices(NoNotices);
        self.end(Some(&frames::error(version, &word, receipt)), word, socket);
    }

    /// Sends a last frame, and closes. Both follow the messages that are on their way already.
    fn end(&mut self, last: Option<&str>, word: LastWord, socket: &mut Socket<'_>) {
        self.leave();
        socket.stop_timer();
        let pusher: Pusher = socket.pusher();
        if let Some(last) = last {
            pusher.push(&Frame::text(last));
        }
        pusher.end_with(word);
    }

    /// Ends all subscriptions.
    fn leave(&mut self) {
        if let Phase::Connected(_) = std::mem::replace(&mut self.phase, Phase::Ending) {
            self.shared.connections.fetch_sub(1, Relaxed);
        }
    }

    /// Sets the timer for the next heart-beat, and for the peer's silence.
    fn set_timer(&self, socket: &mut Socket<'_>) {
        let due = match &self.phase {
            Phase::Opening { until } => *until,
            Phase::Connected(connected) => [connected.send_at, connected.silent_at].into_iter().flatten().min(),
            Phase::Ending => None,
        };
        match due {
            Some(due) => socket.set_timer(due.saturating_duration_since(socket.now())),
            None => socket.stop_timer(),
        }
    }

    fn hear(&mut self, now: Instant) {
        if let Phase::Connected(connected) = &mut self.phase {
            connected.silent_at = connected.intervals.receive.map(|every| now + every * BEATS_MISSED_MAX);
        }
    }

    fn advance(&mut self, socket: &mut Socket<'_>) {
        if let Phase::Connected(connected) = &mut self.phase
            && let Err(refusal) = connected.session.subscriptions.advance(socket)
        {
            self.refuse(&refusal, None, socket);
        }
    }
}

impl WebSocketHandler for StompConnection {
    fn open(&mut self, socket: &mut Socket<'_>) {
        let until = socket.now() + self.shared.config.connect_timeout;
        self.phase = Phase::Opening { until: Some(until) };
        self.set_timer(socket);
    }

    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        let input = match message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        };
        self.read(input, socket);
        self.hear(socket.now());
        self.set_timer(socket);
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        self.advance(socket);
    }

    fn timer(&mut self, socket: &mut Socket<'_>) {
        let now = socket.now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match &mut self.phase {
            Phase::Opening { until } if is_due(*until) => {
                return self.refuse(&Refusal::policy("no CONNECT frame has arrived in time"), None, socket);
            }
            Phase::Connected(connected) if is_due(connected.silent_at) => {
                return self.refuse(&Refusal::policy("no heart-beat has arrived in time"), None, socket);
            }
            Phase::Connected(connected) if is_due(connected.send_at) => {
                socket.send_text("\n");
                connected.send_at = connected.intervals.send.map(|every: Duration| now + every);
            }
            _ => {}
        }
        self.set_timer(socket);
    }

    fn closed(&mut self, _: CloseReason) {
        self.leave();
    }
}
