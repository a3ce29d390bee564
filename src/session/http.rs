//! A connection while it speaks HTTP.
//!
//! Owns the way from a head to an answered exchange: it collects bodies, calls the handler, and
//! keeps holds and streams with their timers. Leaves framing and status lines to `proto::http1`,
//! how streams and connections end to `http_end`, and the end of the connection to `session`.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::caller::Caller;
use super::carried::Carried;
use super::exchange::{Exchange, Handling, Partial};
use super::forwarded::Forwarded;
use super::last_word::Leaving;
use super::progress::{Ending, Progress};
use super::reply::{answer, answer_shared};
use super::stream::{self, Parts};
use super::{
    Burst, Command, Context, HalfClose, Origin, Outcome, Reply, Request, Response, Settings, Surroundings, is_allowed_host,
    normalized_path, websocket,
};
use crate::proto::http1::{Conn, Content, Event, Head, KnownFields, Method, Next, Scheme};
use crate::proto::{CloseReason, Frame, Now, Outbox, ProtocolLimits, RemoteError};

pub(super) struct Http {
    pub(super) conn: Conn,
    pub(super) exchange: Exchange,
    /// Set while the server ends this connection: after how many milliseconds clients of unfinished
    /// requests should come back.
    pub(super) come_back_ms: Option<NonZeroU32>,
    /// Why the server ends this connection, if `come_back_ms` is set.
    pub(super) leaving: Leaving,
    /// An exchange that had given out a handle has ended.
    ended_handle: bool,
}

impl Http {
    pub(super) fn new(scheme: Scheme, cx: &Surroundings<'_>) -> Self {
        Self {
            conn: Conn::with_scheme(scheme, cx.now.instant(), &cx.settings.limits.protocol),
            exchange: Exchange::Idle,
            come_back_ms: None,
            leaving: Leaving::Shutdown,
            ended_handle: false,
        }
    }

    /// Works on the next event of the input. `known` has the fields of the last request.
    #[inline]
    pub(super) fn step(
        &mut self,
        known: Option<&KnownFields>,
        input: &[u8],
        caller: Caller<'_>,
        out: &mut Outbox,
        cx: &Context<'_>,
    ) -> (usize, Progress) {
        if let Exchange::Partial(_) = self.exchange {
            return self.continue_body(input, caller, out, cx);
        }
        if let Some(known) = known
            && self.conn.is_idle()
            // The head has 80 bytes. It stays where it is made, and is not moved out of a result.
            && let Some(head) = &known.parse(input, &cx.settings.limits.protocol)
            && self.conn.begin_known(cx.now.instant(), head, &cx.settings.limits.protocol)
        {
            return self.begin(head, head.raw().len(), input, caller, out, cx);
        }
        self.step_unknown(known, input, caller, out, cx)
    }

    #[inline(always)]
    fn begin(
        &mut self,
        head: &Head<'_>,
        used: usize,
        input: &[u8],
        caller: Caller<'_>,
        out: &mut Outbox,
        cx: &Context<'_>,
    ) -> (usize, Progress) {
        if head.content() == Content::None {
            return (used, self.dispatch(head, b"", caller, out, cx));
        }
        let (more, progress) = self.take_body(head, &input[used..], caller, out, cx);
        (used + more, progress)
    }

    /// A step with fields that are not known. It is a function of its own: two parsers in one take
    /// more registers than there are, which costs 60 instructions.
    #[inline(never)]
    fn step_unknown(
        &mut self,
        known: Option<&KnownFields>,
        input: &[u8],
        caller: Caller<'_>,
        out: &mut Outbox,
        cx: &Context<'_>,
    ) -> (usize, Progress) {
        // The head has 80 bytes. It stays where it is, and is not moved out of the event.
        match &self.conn.next_event(cx.now.instant(), input, out, &cx.settings.limits.protocol) {
            Ok((used, Next::Event(Event::Head(head)))) => {
                if let Some(known) = known {
                    known.remember(head);
                }
                self.begin(head, *used, input, caller, out, cx)
            }
            Ok((_, Next::Event(Event::Body(_) | Event::End))) => unreachable!("a body that is not whole is continued above"),
            Ok((used, Next::NeedData | Next::Paused)) => (*used, Progress::Wait),
            Err(error) => (0, self.fail(*error, out, cx)),
        }
    }

    /// Takes more of a body that arrived in parts, and calls the handler at its end.
    fn continue_body(&mut self, input: &[u8], caller: Caller<'_>, out: &mut Outbox, cx: &Context<'_>) -> (usize, Progress) {
        let mut used = 0;
        loop {
            let (more, next) = match self.conn.next_event(cx.now.instant(), &input[used..], out, &cx.settings.limits.protocol) {
                Ok(next) => next,
                Err(error) => return (used, self.fail(error, out, cx)),
            };
            used += more;
            let Exchange::Partial(partial) = &mut self.exchange else { unreachable!("only the end of the body takes the partial request") };
            match next {
                Next::Event(Event::Body(bytes)) => partial.body.extend_from_slice(bytes),
                Next::Event(Event::End) => {
                    let Partial { head, body } = std::mem::take(&mut **partial);
                    self.exchange = Exchange::Idle;
                    let head = Head::parse(&head, &cx.settings.limits.protocol).expect("the same head was parsed before");
                    return (used, self.dispatch(&head, &body, caller, out, cx));
                }
                Next::Event(Event::Head(_)) => unreachable!("a body comes to its end before the next head"),
                Next::NeedData | Next::Paused => return (used, Progress::Wait),
            }
        }
    }

    /// Takes the part of a body that has arrived. A body that is complete and in one piece is given
    /// to the handler in place, without a copy.
    fn take_body(&mut self, head: &Head<'_>, input: &[u8], caller: Caller<'_>, out: &mut Outbox, cx: &Context<'_>) -> (usize, Progress) {
        let (mut used, mut whole, mut collected) = (0, &b""[..], Vec::new());
        loop {
            let next = match self.conn.next_event(cx.now.instant(), &input[used..], out, &cx.settings.limits.protocol) {
                Ok((more, next)) => {
                    used += more;
                    next
                }
                Err(error) => return (used, self.fail(error, out, cx)),
            };
            match next {
                Next::Event(Event::Body(bytes)) if whole.is_empty() && collected.is_empty() => whole = bytes,
                Next::Event(Event::Body(bytes)) => {
                    collected.extend_from_slice(std::mem::take(&mut whole));
                    collected.extend_from_slice(bytes);
                }
                Next::Event(Event::End) if collected.is_empty() => return (used, self.dispatch(head, whole, caller, out, cx)),
                Next::Event(Event::End) => return (used, self.dispatch(head, &collected, caller, out, cx)),
                Next::Event(Event::Head(_)) => unreachable!("a body comes to its end before the next head"),
                Next::NeedData | Next::Paused => {
                    collected.extend_from_slice(whole);
                    // The head borrows from the driver's buffer, which takes other input before the
                    // rest of the body comes. So the head is copied and parsed again later.
                    self.exchange = Exchange::Partial(Box::new(Partial { head: head.raw().to_vec(), body: collected }));
                    return (used, Progress::Wait);
                }
            }
        }
    }

    fn dispatch(&mut self, head: &Head<'_>, body: &[u8], caller: Caller<'_>, out: &mut Outbox, cx: &Context<'_>) -> Progress {
        let forwarded = Forwarded::of(head, caller, &cx.settings.forwarding);
        // Before the origin check, which compares the origin with this host.
        if !cx.settings.allow_hosts.is_empty() && !is_allowed_host(forwarded.host(head), forwarded.scheme, &cx.settings.allow_hosts) {
            return self.fail(RemoteError::MisdirectedHost, out, cx);
        }
        let path = if head.has_escaped_path() { normalized_path(head.path()) } else { Cow::Borrowed(head.path()) };
        let request = Request::new(head, &path, body, caller, &forwarded, cx.settings);
        let mut handling = Handling::Unanswered;
        let reply =
            Reply { conn: &mut self.conn, out, handling: &mut handling, head, forwarded: &forwarded, carried: Carried::default(), cx };
        let mut panicked = false;
        if request.origin() == Origin::Malformed {
            reply.refuse(RemoteError::ForbiddenOrigin);
        } else if head.method() == Method::Options && head.path() == "*" {
            // `OPTIONS *` asks about the server and not about a resource (RFC 9110, section 9.3.7).
            reply.send(Response::no_content().field("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        } else {
            cx.stats.requests.add(1);
            panicked = catch_unwind(AssertUnwindSafe(|| cx.app.handle(&request, reply))).is_err();
        }
        if panicked {
            return self.end_after_handler_panic(handling, out, cx);
        }
        match handling {
            // The usual case: the answer is whole, and the connection goes on.
            Handling::Answered if self.come_back_ms.is_none() && !self.conn.is_closing() => return Progress::More,
            Handling::Answered => {}
            Handling::Unanswered => answer(&mut self.conn, Response::status(500), out, cx),
            Handling::Held(hold) => self.exchange = Exchange::Held(hold),
            Handling::Stream(stream) => {
                self.exchange = Exchange::Stream(stream);
                // A stream that begins during a shutdown ends at once, so its source is not asked.
                if self.come_back_ms.is_none() {
                    return self.feed(out, cx);
                }
            }
            Handling::Upgraded(mut upgraded) => {
                upgraded.last_word = self.leaving_word();
                return Progress::Upgrade(upgraded);
            }
        }
        self.end_if_leaving(out, cx)
    }

    /// A handler that panics loses its connection, whatever it did with the request before. The
    /// client can tell that the answer is incomplete: it gets a 500, a stream without an end, or
    /// close code 1011.
    #[cold]
    fn end_after_handler_panic(&mut self, handling: Handling, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        self.conn.close_after_response();
        if matches!(handling, Handling::Unanswered | Handling::Held(_)) {
            answer(&mut self.conn, Response::status(500), out, cx);
        }
        match handling {
            Handling::Unanswered | Handling::Answered => {}
            Handling::Held(hold) => self.exchange = Exchange::Held(hold),
            Handling::Stream(stream) => self.exchange = Exchange::Stream(stream),
            Handling::Upgraded(upgraded) => websocket::end_panicked(*upgraded, out, cx),
        }
        self.end_after_panic(cx)
    }

    #[cold]
    fn end_after_panic(&mut self, cx: &Surroundings<'_>) -> Progress {
        cx.stats.panics.add(1);
        self.drop_exchange(cx);
        Progress::End(Ending::Linger, CloseReason::HandlerPanicked)
    }

    /// Sends or queues a message that was posted to this connection's stream. `None` if the message
    /// is empty, or for an address that is over.
    #[inline]
    pub(super) fn send_message(&mut self, serial: u64, frame: &Frame, out: &mut Outbox, cx: &Surroundings<'_>) -> Option<Outcome> {
        let Exchange::Stream(stream) = &mut self.exchange else { return None };
        // An empty piece puts no bytes on the wire. It neither replaces a heartbeat nor needs a
        // place in the queue.
        if !stream.link.is_addressed(serial) || stream.link.is_ending() || frame.payload_len() == 0 {
            return None;
        }
        let conn = &mut self.conn;
        stream.put_off_heartbeat(conn, cx.now, cx.settings);
        let Parts { link, left_bytes, .. } = &mut *stream.parts;
        let outcome = link.send_or_queue(frame, out, cx, |frame, out| send_within_limit(conn, left_bytes, frame, out, cx));
        stream.end_if_enough();
        Some(outcome)
    }

    /// Whether the stream can send these messages now in their encoded form.
    #[inline(always)]
    pub(super) fn takes_burst(&mut self, serial: u64, burst: &Burst<'_>, now: &Now, settings: &Settings) -> bool {
        let Exchange::Stream(stream) = &mut self.exchange else { return false };
        let Parts { link, left_bytes, .. } = &mut *stream.parts;
        let is_free = link.is_addressed(serial) && link.is_at_rest();
        if !is_free || !burst.is_chunks() || !self.conn.is_chunking() {
            return false;
        }
        // The stream ends within this burst: the messages must be counted one by one.
        if *left_bytes <= burst.payload_bytes() as u64 {
            return false;
        }
        *left_bytes -= burst.payload_bytes() as u64;
        stream.put_off_heartbeat(&mut self.conn, now, settings);
        true
    }

    /// Carries out a command other than a message.
    pub(super) fn carry_out(&mut self, serial: u64, command: Command, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        match (&mut self.exchange, command) {
            (Exchange::Held(hold), Command::Release(response)) if hold.serial.is(serial) => {
                let response = response.unwrap_or_else(|| Arc::new(Response::status(500)));
                self.release(response, out, cx)
            }
            (Exchange::Stream(stream), Command::Lost(count)) if stream.link.is_addressed(serial) => {
                let (conn, Parts { link, left_bytes, carried, .. }) = (&mut self.conn, &mut *stream.parts);
                let outcome =
                    link.report_lost(count, carried.notices(), out, cx, |frame, out| send_within_limit(conn, left_bytes, frame, out, cx));
                stream.end_if_enough();
                if outcome == Outcome::Refused { self.end_slow(out, cx) } else { Progress::Wait }
            }
            (Exchange::Stream(stream), Command::Abandon) if stream.link.is_addressed(serial) => {
                if stream.stays_open {
                    return Progress::Wait;
                }
                stream.link.ask_end();
                self.end_if_finished(out, cx)
            }
            (Exchange::Stream(stream), Command::Close(_)) if stream.link.is_addressed(serial) => {
                stream.link.ask_end();
                self.end_if_finished(out, cx)
            }
            (Exchange::Stream(stream), Command::End(word)) if stream.link.is_addressed(serial) => {
                stream.link.ask_end_with(|| word);
                self.end_if_finished(out, cx)
            }
            (Exchange::Stream(stream), Command::Wake) if stream.link.is_addressed(serial) && stream.takes_feed() => self.feed(out, cx),
            _ => Progress::Wait,
        }
    }

    /// Answers the held request, and goes on with input that arrived meanwhile.
    pub(super) fn release(&mut self, response: Arc<Response>, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        answer_shared(&mut self.conn, response, out, cx);
        self.drop_exchange(cx);
        self.end_if_finished(out, cx)
    }

    /// The system has taken all output. Sends the messages that wait, and then lets the stream's
    /// source send.
    pub(super) fn drained(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        if let Exchange::Stream(stream) = &mut self.exchange {
            if stream.is_calm() {
                return Progress::Wait;
            }
            let (conn, Parts { link, left_bytes, carried, .. }) = (&mut self.conn, &mut *stream.parts);
            link.send_queued(|| carried.notices(), out, cx, |frame, out| send_within_limit(conn, left_bytes, frame, out, cx));
            stream.end_if_enough();
        }
        self.feed(out, cx)
    }

    /// Lets the stream's source send.
    #[inline(always)]
    fn feed(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        if let Exchange::Stream(stream) = &mut self.exchange {
            if stream.link.has_source() && stream::feed(&mut self.conn, stream, out, cx).is_err() {
                return self.end_after_panic(cx);
            }
            if !stream.link.has_source() {
                stream.leave_to_pushers();
            }
        }
        self.end_if_finished(out, cx)
    }

    pub(super) fn handle_eof(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        match self.exchange {
            Exchange::Held(_) | Exchange::Stream(_) => match cx.settings.half_close {
                HalfClose::Leaves => Progress::End(Ending::Abort, CloseReason::Peer(1006)),
                // The driver reports the end of file again when the answer has been written.
                HalfClose::Waits => Progress::Wait,
            },
            Exchange::Idle | Exchange::Partial(_) => match self.conn.handle_eof() {
                Ok(()) => Progress::End(Ending::Flush, CloseReason::Peer(1005)),
                Err(error) => self.fail(error, out, cx),
            },
        }
    }

    pub(super) fn handle_timeout(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        let now = cx.now.instant();
        match &mut self.exchange {
            Exchange::Idle | Exchange::Partial(_) => match self.conn.handle_timeout(now) {
                Ok(None) => Progress::Wait,
                Ok(Some(reason)) => Progress::End(ending_while_idle(out), reason),
                Err(error) => self.fail(error, out, cx),
            },
            Exchange::Held(hold) => {
                if hold.until.is_none_or(|until| until > now) {
                    return Progress::Wait;
                }
                cx.stats.hold_timeouts.add(1);
                let answer = Arc::clone(&hold.answers).timed_out();
                self.release(answer, out, cx)
            }
            Exchange::Stream(stream) => {
                if let (Some(heartbeat), Some(every)) = (stream.heartbeat, cx.settings.limits.heartbeat)
                    && self.conn.response_alarm() <= now
                {
                    self.conn.set_response_alarm(now + every);
                    // Output that waits is itself a sign of life. A slow reader must not collect
                    // heartbeats.
                    if out.is_empty() {
                        self.conn.send_body(heartbeat, out).expect("a live stream takes body bytes");
                    }
                }
                Progress::Wait
            }
        }
    }

    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.exchange {
            Exchange::Idle | Exchange::Partial(_) => self.conn.deadline(),
            Exchange::Held(hold) => hold.until,
            Exchange::Stream(stream) => stream.heartbeat.map(|_| self.conn.response_alarm()),
        }
    }

    pub(super) fn fail(&mut self, error: RemoteError, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        cx.stats.count_broken(error);
        self.conn.send_error(cx.now, error, out);
        Progress::End(Ending::Linger, CloseReason::Remote(error))
    }

    /// The serial of the current hold or stream.
    pub(super) fn serial(&self) -> Option<u64> {
        match &self.exchange {
            Exchange::Idle | Exchange::Partial(_) => None,
            Exchange::Held(hold) => hold.serial.get(),
            Exchange::Stream(stream) => stream.link.serial(),
        }
    }

    /// Drops the exchange with the values that it carries.
    pub(super) fn drop_exchange(&mut self, cx: &Surroundings<'_>) {
        match std::mem::take(&mut self.exchange) {
            Exchange::Idle | Exchange::Partial(_) => {}
            Exchange::Held(mut hold) => {
                cx.stats.held.subtract(1);
                self.ended_handle = true;
                hold.carried.let_go(cx);
            }
            Exchange::Stream(mut stream) => {
                cx.stats.streams.subtract(1);
                self.ended_handle = true;
                stream.let_go(cx);
            }
        }
    }

    /// Whether the client's next request must wait for an answer or for the end of a stream.
    pub(super) const fn is_answering(&self) -> bool {
        matches!(self.exchange, Exchange::Held(_) | Exchange::Stream(_))
    }

    /// Whether a request waits for its one answer.
    #[inline]
    pub(super) const fn is_holding(&self) -> bool {
        matches!(self.exchange, Exchange::Held(_))
    }

    /// Whether an exchange that can have given out a handle has ended since the last call.
    #[inline]
    pub(super) const fn take_ended_handle(&mut self) -> bool {
        std::mem::replace(&mut self.ended_handle, false)
    }

    /// Whether a response has begun and has not come to its end.
    pub(super) const fn is_mid_response(&self) -> bool {
        self.conn.is_mid_response()
    }

    /// Whether every request that has begun to arrive is answered.
    pub(super) fn is_idle(&self) -> bool {
        self.conn.is_idle()
    }

    /// How many bytes of input can be used now, including bytes that already wait.
    #[inline]
    pub(super) fn wanted_bytes(&self, limits: &ProtocolLimits) -> usize {
        self.conn.wanted_bytes(limits)
    }
}

/// While the last answers are being sent, a close with unread input could reset the connection and
/// discard them.
pub(super) fn ending_while_idle(out: &Outbox) -> Ending {
    if out.is_empty() { Ending::Flush } else { Ending::Linger }
}

/// Sends a pushed frame, unless the stream has reached its limit of bytes.
fn send_within_limit(conn: &mut Conn, left_bytes: &mut u64, frame: &Frame, out: &mut Outbox, cx: &Surroundings<'_>) {
    if *left_bytes == 0 {
        return;
    }
    *left_bytes = left_bytes.saturating_sub(frame.payload_len() as u64);
    cx.stats.messages_out.add(1);
    conn.send_frame(frame, out).expect("a live stream takes body bytes");
}
