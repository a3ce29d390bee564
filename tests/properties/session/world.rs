//! The driver: what a session lives in, and what must hold in it after every step.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use pushlab::driver::drive::{Driven, Rest, Share, Turn, drive};
use pushlab::proto::{CloseReason, Frame, Now, Outbox, ProtocolLimits};
use pushlab::session::{
    Command, Context, Delivered, Delivery, Ending, HalfClose, LastWord, Limits, PeerEnd, Response, Session, Settings, SlowConsumer, Stats,
    Surroundings,
};

use super::super::remote::Remote;
use super::super::server::{Asked, answer, frames};
use super::super::wire::Wire;
use super::app::App;

/// More than any one response, message or burst of a handler's makes.
const LARGEST_BYTES: usize = 4 * 1024;

/// The session's input comes and goes in parts of this size at most.
const BUFFER_BYTES: usize = 4 * 1024;

/// What kind of connection it is.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) slow_consumer: SlowConsumer,
    pub(super) half_close: HalfClose,
    pub(super) has_heartbeats: bool,
    pub(super) is_layered: bool,
    /// The system reports the client's end before it is read.
    pub(super) reports_end: bool,
}

pub(super) struct World {
    kind: Kind,
    now: Now,
    settings: Settings,
    stats: Stats,
    app: App,
    remote: Remote,
    driven: Driven,
    out: Outbox,
    wire: Wire,
    /// All that the client ever sent.
    arrived: Vec<u8>,
    ending: Option<Ending>,
    is_to_be_closed: bool,
    /// A request was held when the session was last seen alive.
    was_held: bool,
    /// Unsent bytes when the session ended: no more can follow.
    out_len_at_end: usize,
}

/// Calls one of the session's functions, with its surroundings.
macro_rules! call {
    ($world:ident, |$session:ident, $out:ident, $cx:ident| $call:expr) => {{
        let World { now, settings, stats, app, remote, driven, out: $out, .. } = &mut *$world;
        let ($session, $cx) = (&mut driven.session, &Context { app, surroundings: Surroundings { now, settings, stats, remote } });
        $call
    }};
}

impl World {
    pub(super) fn new(kind: Kind) -> Self {
        let Kind { slow_consumer, half_close, has_heartbeats, is_layered, .. } = kind;
        let protocol = ProtocolLimits {
            head_bytes: 300,
            head_fields: 9,
            target_bytes: 30,
            body_bytes: 150,
            chunk_line_bytes: 30,
            pipeline_bytes: 300,
            message_bytes: 400,
            message_fragments: 3,
            head_timeout: Duration::from_secs(2),
            body_timeout: Duration::from_secs(2),
            keep_alive_timeout: Duration::from_secs(5),
            ..ProtocolLimits::default()
        };
        let limits = Limits {
            protocol,
            output_bytes: 500,
            queue_bytes: 1_000,
            pong_timeout: Duration::from_secs(2),
            close_timeout: Duration::from_secs(1),
            // Blocked output has its own tests.
            write_timeout: Limits::TIMEOUT_MAX,
            heartbeat: has_heartbeats.then_some(Duration::from_secs(3)),
        };
        let (settings, stats, app) =
            (Settings { limits, slow_consumer, half_close, ..Settings::default() }, Stats::default(), App::default());
        let (now, remote) = (Now::new(Instant::now(), SystemTime::UNIX_EPOCH), Remote::default());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let surroundings = Surroundings { now: &now, settings: &settings, stats: &stats, remote: &remote };
        let session = Session::new(peer, &Context { app: &app, surroundings });
        Self {
            kind,
            now,
            settings,
            stats,
            app,
            remote,
            driven: Driven::new(session),
            out: Outbox::new(),
            wire: if is_layered { Wire::layered() } else { Wire::default() },
            arrived: Vec::new(),
            ending: None,
            is_to_be_closed: false,
            was_held: false,
            out_len_at_end: 0,
        }
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.is_to_be_closed || self.ending == Some(Ending::Abort)
    }

    /// The client sends.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        if !self.wire.is_ended {
            self.wire.incoming.extend_from_slice(bytes);
            self.arrived.extend_from_slice(bytes);
        }
    }

    /// The one loop, as far as the wire is open.
    fn drive(&mut self) {
        let before = self.wire.sent.len() + self.wire.held().len();
        let Self { now, settings, stats, app, remote, driven, out, wire, .. } = self;
        let (mut buffer, cx) = (vec![0; BUFFER_BYTES], Context { app, surroundings: Surroundings { now, settings, stats, remote } });
        match drive(&mut Turn { driven, out, buffer: &mut buffer, share: Share::UNLIMITED, cx: &cx }, wire) {
            Rest::Wait(until) => assert_eq!(until, driven.session.deadline()),
            Rest::Close(_) => self.is_to_be_closed = true,
            Rest::Again => panic!("there is no bound to the share"),
        }
        let sent = self.wire.sent.len() + self.wire.held().len() - before;
        self.out_len_at_end = self.out_len_at_end.saturating_sub(sent);
        // Client frames are unmasked in place. What is not used must be as it was.
        let waiting = self.wire.incoming.len() + self.wire.decoded().len();
        assert!(self.arrived[..self.arrived.len() - waiting].ends_with(self.driven.unused()), "unused input is untouched");
        self.wire.shut();
    }

    /// Up to `most` bytes can be read.
    pub(super) fn receive(&mut self, most: usize) {
        self.wire.read_room = most;
        self.driven.session.may_read();
        self.drive();
    }

    /// The system takes up to `most` bytes of output.
    pub(super) fn send(&mut self, most: usize) {
        self.wire.write_room = most;
        self.driven.session.may_write();
        self.drive();
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now.advance(time);
        self.keep_time();
    }

    pub(super) fn wait_for_deadline(&mut self) {
        if let Some(deadline) = self.deadline() {
            self.now.advance(deadline.saturating_duration_since(self.now.instant()));
            self.keep_time();
        }
    }

    /// The deadline, if it is not the endless write time-out.
    fn deadline(&self) -> Option<Instant> {
        let far = self.now.instant() + Limits::TIMEOUT_MAX / 2;
        self.driven.session.deadline().filter(|deadline| *deadline < far)
    }

    fn keep_time(&mut self) {
        let mut calls = 0;
        while self.deadline().is_some_and(|deadline| deadline <= self.now.instant()) {
            call!(self, |session, out, cx| session.timed_out(out, cx));
            self.drive();
            calls += 1;
            assert!(calls < 4, "a deadline that has come moves or ends");
        }
        let before = (self.out.len(), self.driven.session.ending());
        call!(self, |session, out, cx| session.timed_out(out, cx));
        assert_eq!((self.out.len(), self.driven.session.ending()), before, "too early, it does nothing");
    }

    /// The session gets the commands that were posted first.
    pub(super) fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            let Some((serial, command)) = self.remote.take() else { return };
            call!(self, |session, out, cx| session.deliver(serial, Delivery::Command(command), out, cx));
        }
    }

    /// A command for something that is over, or never was.
    pub(super) fn deliver_stale(&mut self, command: Command) {
        let before = (self.out.len(), self.driven.session.ending());
        let delivered = call!(self, |session, out, cx| session.deliver(0, Delivery::Command(command), out, cx));
        assert!(matches!(delivered, Delivered::Taken));
        assert_eq!((self.out.len(), self.driven.session.ending()), before, "nobody is addressed");
    }

    pub(super) fn push(&mut self, which: usize, frame: &Frame) {
        let given = self.app.shelf();
        if let Some(pusher) = given.pushers.get(which % given.pushers.len().max(1)) {
            pusher.push(frame);
        }
    }

    pub(super) fn close_pusher(&mut self, which: usize, code: u16) {
        let given = self.app.shelf();
        if let Some(pusher) = given.pushers.get(which % given.pushers.len().max(1)) {
            pusher.close(code);
        }
    }

    pub(super) fn end_pusher(&mut self, which: usize, word: LastWord) {
        let given = self.app.shelf();
        if let Some(pusher) = given.pushers.get(which % given.pushers.len().max(1)) {
            pusher.end_with(word);
        }
    }

    pub(super) fn release(&mut self, which: usize, response: Response) {
        let held = {
            let mut given = self.app.shelf();
            let len = given.held.len();
            (len > 0).then(|| given.held.swap_remove(which % len))
        };
        if let Some(held) = held {
            held.release(response);
        }
    }

    pub(super) fn forget_handle(&mut self, which: usize) {
        let mut given = self.app.shelf();
        if let (true, Some(at)) = (which & 1 == 0, given.held.len().checked_sub(1)) {
            drop(given.held.swap_remove(which % (at + 1)));
        } else if let Some(at) = given.pushers.len().checked_sub(1) {
            drop(given.pushers.swap_remove(which % (at + 1)));
        }
    }

    /// The client reads everything, and is listened to.
    pub(super) fn exchange(&mut self) {
        for _ in 0..100 {
            let before = (self.wire.incoming.len(), self.wire.sent.len(), self.out.len());
            self.wire.open();
            self.driven.session.may_read();
            self.driven.session.may_write();
            self.drive();
            self.check();
            self.deliver(usize::MAX);
            self.check();
            if before == (self.wire.incoming.len(), self.wire.sent.len(), self.out.len()) {
                break;
            }
        }
    }

    pub(super) fn end_of_file(&mut self) {
        self.exchange();
        self.wire.is_ended = true;
        if self.kind.reports_end {
            self.driven.session.peer_ended(PeerEnd::Reported);
        }
        self.receive(usize::MAX);
    }

    pub(super) fn refuse(&mut self) {
        call!(self, |session, out, cx| session.refuse(1_500, out, cx));
    }

    pub(super) fn shut_down(&mut self) {
        call!(self, |session, out, cx| session.shut_down(1_500, out, cx));
    }

    pub(super) fn close(&mut self) {
        call!(self, |session, out, cx| {
            let _ = &out;
            session.close(CloseReason::Transport, cx);
        });
        assert_eq!(self.driven.session.ending(), Some(Ending::Abort));
    }

    /// What holds after every step.
    pub(super) fn check(&mut self) {
        let limits = &self.settings.limits;
        let now = self.stats.snapshot();
        assert!(self.out.len() <= limits.output_bytes + LARGEST_BYTES, "{} bytes of output", self.out.len());
        assert!(now.slow_told <= now.slow_disconnects);
        assert!(now.open <= 1 && now.held + now.streams + now.websockets <= 1);
        assert_eq!(now.websockets, u64::try_from(self.app.sockets.load(Relaxed)).expect("closed once"));
        assert_eq!((now.accepted, now.write_stalls, now.threads), (1, 0, 0));
        let ending = self.driven.session.ending();
        if self.ending.is_none() && ending.is_some() {
            self.out_len_at_end = self.out.len();
        }
        if ending.is_none() {
            self.was_held = now.held == 1;
        } else {
            assert_eq!((now.held, now.streams, now.websockets), (0, 0, 0), "the end is the end of everything");
            assert!(self.out.len() <= self.out_len_at_end, "nothing is sent after the end");
            assert_eq!(self.app.carried.load(Relaxed), 0, "carried values are dropped at the end");
            let is_lingering = ending == Some(Ending::Linger) && self.wire.sending_ended;
            let is_telling =
                now.slow_disconnects > now.slow_told && ending != Some(Ending::Abort) && (!self.out.is_empty() || self.kind.is_layered);
            assert!(is_lingering || is_telling || self.deadline().is_none(), "only lingering and a last word take time");
        }
        let order = |ending| match ending {
            None => 0,
            // Input makes the one of the other, and the end of file the other of the one.
            Some(Ending::Linger | Ending::Flush) => 1,
            Some(Ending::Abort) => 2,
        };
        assert!(order(self.ending) <= order(ending), "an end is final");
        self.ending = ending;
    }

    /// The connection comes to its end, if it has not yet.
    pub(super) fn finish(mut self) {
        self.close();
        self.check();
        // Every handle can outlive its connection.
        self.app.shelf().held.clear();
        self.deliver(usize::MAX);
        self.receive(usize::MAX);
        self.close();
        self.check();
        assert_eq!(self.stats.snapshot().open, 0);
        assert!(self.deadline().is_none());
        let held = self.wire.held().to_vec();
        self.wire.sent.extend(held);
        self.wire.sent.extend(self.out.chunks().flatten());
        self.check_sent();
    }

    /// Everything that was sent is responses, in the order of the requests, and after the last one perhaps frames.
    fn check_sent(&self) {
        let given = self.app.shelf();
        let (mut rest, mut asked) = (&self.wire.sent[..], given.asked.iter().copied());
        while !rest.is_empty() {
            // OPTIONS * is answered without the application, and so is a request that broke a rule, which is the last one.
            let head = rest.windows(4).position(|window| window == b"\r\n\r\n").map_or(rest, |end| &rest[..end]);
            let is_own = head.starts_with(b"HTTP/1.1 204") && head.windows(7).any(|window| window == b"\r\nAllow");
            let request = if is_own { Asked::Body } else { asked.next().unwrap_or(Asked::Body) };
            let Some(answer) = answer(rest, request) else {
                assert!(rest == b"HTTP/1.1 100 Continue\r\n\r\n", "part of a response: {}", rest.escape_ascii());
                break;
            };
            rest = &rest[answer.len..];
            if answer.status == 101 {
                frames(rest);
                break;
            }
            if !answer.is_whole {
                assert!(rest.is_empty());
            }
        }
        let unanswered = asked.count();
        assert!(unanswered == 0 || unanswered == 1 && self.was_held, "{unanswered} requests without an answer");
    }
}
