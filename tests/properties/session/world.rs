//! The driver: what a session lives in, and what must hold in it after every step.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use pushlab::proto::{CloseReason, Frame, Limits, Now, Outbox};
use pushlab::session::{Command, Context, Ending, HalfClose, Response, Session, Settings, SlowConsumer, Stats};

use super::super::remote::Remote;
use super::super::server::{Asked, answer, frames};
use super::app::App;

/// More than any one response, message or burst of a handler's makes.
const LARGEST_BYTES: usize = 4 * 1024;

pub(super) struct World {
    now: Now,
    settings: Settings,
    stats: Stats,
    app: App,
    remote: Remote,
    session: Session,
    out: Outbox,
    /// All that was ever sent.
    sent: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `input` that the session has been shown.
    shown: usize,
    eof: bool,
    ending: Option<Ending>,
    /// A request was held when the session was last seen alive.
    was_held: bool,
    /// Unsent bytes when the session ended: no more can follow.
    out_len_at_end: usize,
    /// This side has said that it sends no more.
    sending_ended: bool,
}

/// Calls one of the session's functions, with its surroundings.
macro_rules! call {
    ($world:ident, |$session:ident, $out:ident, $cx:ident| $call:expr) => {{
        let World { now, settings, stats, app, remote, session: $session, out: $out, .. } = &mut *$world;
        let $cx = &Context { now, settings, stats, app, remote };
        $call
    }};
}

impl World {
    pub(super) fn new(slow_consumer: SlowConsumer, half_close: HalfClose, beats: bool) -> Self {
        let limits = Limits {
            head_bytes: 300,
            head_fields: 9,
            target_bytes: 30,
            body_bytes: 150,
            chunk_line_bytes: 30,
            pipeline_bytes: 300,
            output_bytes: 500,
            queue_bytes: 1_000,
            message_bytes: 400,
            message_fragments: 3,
            head_timeout: Duration::from_secs(2),
            body_timeout: Duration::from_secs(2),
            keep_alive_timeout: Duration::from_secs(5),
            pong_timeout: Duration::from_secs(2),
            close_timeout: Duration::from_secs(1),
            heartbeat: beats.then_some(Duration::from_secs(3)),
            ..Limits::default()
        };
        let (settings, stats, app) =
            (Settings { limits, slow_consumer, half_close, ..Settings::default() }, Stats::default(), App::default());
        let (now, remote) = (Now::new(Instant::now(), SystemTime::UNIX_EPOCH), Remote::default());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let session = Session::new(peer, &Context { now: &now, settings: &settings, stats: &stats, app: &app, remote: &remote });
        Self {
            now,
            settings,
            stats,
            app,
            remote,
            session,
            out: Outbox::new(),
            sent: Vec::new(),
            input: Vec::new(),
            shown: 0,
            eof: false,
            ending: None,
            was_held: false,
            out_len_at_end: 0,
            sending_ended: false,
        }
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.ending == Some(Ending::Abort)
    }

    /// The client sends.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        if !self.eof {
            self.input.extend_from_slice(bytes);
        }
    }

    fn wanted_bytes(&mut self) -> usize {
        let waiting = self.shown;
        call!(self, |session, out, cx| session.wanted_bytes(waiting, out.len(), cx))
    }

    /// The session is shown up to `more` bytes beyond those that it has been shown.
    pub(super) fn receive(&mut self, more: usize) {
        let more = more.min(self.wanted_bytes());
        let given = self.shown.saturating_add(more).min(self.input.len());
        if given == 0 {
            return;
        }
        let mut shown = self.input[..given].to_vec();
        let used = call!(self, |session, out, cx| session.receive(&mut shown, out, cx));
        assert!(used <= given, "no more is used than was given");
        assert!(self.ending.is_none() || used == given, "what comes after the end is thrown away");
        // Client frames are unmasked in place; what is not used must be as it was.
        assert_eq!(shown[used..], self.input[used..given], "unused input is untouched");
        self.input.drain(..used);
        self.shown = given - used;
    }

    /// The system takes up to `most` bytes of output.
    pub(super) fn send(&mut self, most: usize) {
        let taken = self.out.len().min(most);
        if taken == 0 {
            return;
        }
        let before = self.sent.len();
        self.sent.extend(self.out.chunks().flatten().take(taken));
        assert_eq!(self.sent.len(), before + taken);
        self.out.advance(taken);
        self.out_len_at_end = self.out_len_at_end.saturating_sub(taken);
        if self.out.is_empty() {
            call!(self, |session, out, cx| session.drained(out, cx));
        }
    }

    /// The driver ends its side when there is nothing left to write.
    fn end_sending(&mut self) {
        if self.out.is_empty() && self.session.ending() == Some(Ending::Linger) && !self.sending_ended {
            self.sending_ended = true;
            call!(self, |session, out, cx| {
                let _ = &out;
                session.sending_ended(cx);
            });
        }
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now.advance(time);
        self.keep_time();
    }

    pub(super) fn wait_for_deadline(&mut self) {
        if let Some(deadline) = self.session.deadline() {
            self.now.advance(deadline.saturating_duration_since(self.now.instant()));
            self.keep_time();
        }
    }

    fn keep_time(&mut self) {
        let mut calls = 0;
        while self.session.deadline().is_some_and(|deadline| deadline <= self.now.instant()) {
            call!(self, |session, out, cx| session.handle_timeout(false, out, cx));
            calls += 1;
            assert!(calls < 4, "a deadline that has come moves or ends");
        }
        let before = (self.out.len(), self.session.ending());
        call!(self, |session, out, cx| session.handle_timeout(false, out, cx));
        assert_eq!((self.out.len(), self.session.ending()), before, "too early, it does nothing");
    }

    /// The session gets the commands that were posted first.
    pub(super) fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            let Some((serial, command)) = self.remote.take() else { return };
            call!(self, |session, out, cx| session.apply(serial, command, out, cx));
        }
    }

    /// A command for something that is over, or never was.
    pub(super) fn deliver_stale(&mut self, command: Command) {
        let before = (self.out.len(), self.session.ending());
        call!(self, |session, out, cx| session.apply(0, command, out, cx));
        assert_eq!((self.out.len(), self.session.ending()), before, "nobody is addressed");
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
            let before = (self.input.len(), self.out.len());
            self.receive(usize::MAX);
            self.check();
            self.send(usize::MAX);
            self.deliver(usize::MAX);
            self.check();
            self.repeat_end_of_file();
            if before == (self.input.len(), self.out.len()) {
                break;
            }
        }
    }

    pub(super) fn end_of_file(&mut self) {
        self.exchange();
        // A driver that cannot read does not learn of the end.
        if !self.eof && self.wanted_bytes() > 0 {
            self.eof = true;
            call!(self, |session, out, cx| session.handle_eof(out, cx));
        }
    }

    /// A request of a client that waits is served on. The end comes again when the output is out.
    fn repeat_end_of_file(&mut self) {
        if self.eof && self.out.is_empty() {
            call!(self, |session, out, cx| session.handle_eof(out, cx));
        }
    }

    pub(super) fn shut_down(&mut self) {
        call!(self, |session, out, cx| session.shut_down(1_500, out, cx));
    }

    pub(super) fn close(&mut self) {
        call!(self, |session, out, cx| {
            let _ = &out;
            session.close(CloseReason::Transport, cx);
        });
        assert_eq!(self.session.ending(), Some(Ending::Abort));
    }

    /// What holds after every step.
    pub(super) fn check(&mut self) {
        self.end_sending();
        let limits = &self.settings.limits;
        let now = self.stats.snapshot();
        assert!(self.out.len() <= limits.output_bytes + LARGEST_BYTES, "{} bytes of output", self.out.len());
        assert!(now.open <= 1 && now.held + now.streams + now.websockets <= 1);
        assert_eq!(now.websockets, u64::try_from(self.app.sockets.load(Relaxed)).expect("closed once"));
        assert_eq!((now.accepted, now.write_stalls, now.threads), (1, 0, 0));
        let ending = self.session.ending();
        if self.ending.is_none() && ending.is_some() {
            self.out_len_at_end = self.out.len();
        }
        if ending.is_none() {
            self.was_held = now.held == 1;
        } else {
            assert_eq!((now.held, now.streams, now.websockets), (0, 0, 0), "the end is the end of everything");
            assert!(self.out.len() <= self.out_len_at_end, "nothing is sent after the end");
            assert_eq!(self.app.carried.load(Relaxed), 0, "carried values are dropped at the end");
            let is_lingering = ending == Some(Ending::Linger) && self.sending_ended;
            assert_eq!(self.session.deadline().is_some(), is_lingering, "only lingering takes time");
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
        assert!(self.session.deadline().is_none());
        let rest: Vec<u8> = self.out.chunks().flatten().copied().collect();
        self.sent.extend(rest);
        self.check_sent();
    }

    /// Everything that was sent is responses, in the order of the requests, and after the last one perhaps frames.
    fn check_sent(&self) {
        let given = self.app.shelf();
        let (mut rest, mut asked) = (&self.sent[..], given.asked.iter().copied());
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
