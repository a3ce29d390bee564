//! One non-blocking connection.
//!
//! Owns a socket with its session, and the output that the system has not taken yet. An idle
//! connection has none. Leaves what to do next to the session, the loop that does it to `drive`,
//! and the turn to the event loop.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;

use super::familiar::Familiar;
use crate::driver::clock::CachedClock;
use crate::driver::drive::{Driven, Input, Rest, Share, Transport, Turn, drive};
use crate::driver::inbox::Inbox;
use crate::driver::outboxes::Outboxes;
use crate::driver::timers::{Armed, Timers};
use crate::driver::tls::{Acceptor, TlsLayer};
use crate::driver::write::write_once;
use crate::driver::{Config, EDGES_ARE_REAL};
use crate::proto::http1::KnownFields;
use crate::proto::{CloseReason, Outbox};
use crate::session::{
    Burst, Context, Delivered, Delivery, Handler, Peer, PeerEnd, Post, Ready, RemoteSource, Sent, Session, Stats, Surroundings,
};

/// The data that all connections of a loop share and only read.
pub(super) struct Env {
    pub(super) config: Config,
    pub(super) stats: Arc<Stats>,
    pub(super) app: Box<dyn Handler>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) clock: CachedClock,
    /// `None` if the server does not speak TLS.
    pub(super) acceptor: Option<Acceptor>,
    /// The last serial that was given out.
    pub(super) serial: Cell<u64>,
    pub(super) familiar: Familiar,
}

/// The buffers, bounds and timers that the connections of a loop use one after the other.
pub(super) struct Tools {
    /// The one receive buffer.
    pub(super) receive: Vec<u8>,
    pub(super) share: Share,
    /// Outboxes to lend: a connection without unsent output has none.
    pub(super) outboxes: Outboxes,
    /// An outbox for deliveries that leave nothing in it. It is always empty.
    pub(super) empty: Outbox,
    pub(super) timers: Timers,
    pub(super) sent: Sums,
}

/// What the deliveries of this turn have sent, until it is added to the counters of the server.
/// Three atomic additions for a turn take the place of three for each reader.
#[derive(Default)]
pub(super) struct Sums {
    messages: usize,
    bytes: usize,
    writes: usize,
}

impl Sums {
    pub(super) fn count(&mut self, stats: &Stats) {
        let Self { messages, bytes, writes } = std::mem::take(self);
        if messages > 0 {
            stats.messages_out.add(messages as u64);
            stats.bytes_out.add(bytes as u64);
            stats.writes.add(writes as u64);
        }
    }
}

/// The source of addresses for handles of one connection of the loop.
struct Remote<'a> {
    env: &'a Env,
    slot: u32,
}

impl RemoteSource for Remote<'_> {
    fn post(&self) -> Arc<dyn Post> {
        Arc::clone(&self.env.inbox) as Arc<dyn Post>
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    fn issue_serial(&self) -> u64 {
        self.env.serial.set(self.env.serial.get() + 1);
        self.env.serial.get()
    }

    #[inline]
    fn known_fields(&self) -> Option<&KnownFields> {
        Some(self.env.familiar.fields(self.slot))
    }
}

macro_rules! context {
    ($env:expr, $slot:expr) => {
        Context {
            app: &*$env.app,
            surroundings: Surroundings {
                now: $env.clock.now(),
                settings: &$env.config.settings,
                stats: &$env.stats,
                remote: &Remote { env: $env, slot: $slot },
            },
        }
    };
}

/// A connection of the event loop.
pub(super) struct LoopConnection {
    socket: NonBlockingSocket,
    tls: Option<TlsLayer>,
    driven: Driven,
    /// Output that the system has not taken yet, or that is gathered in this turn.
    output: Option<Box<Outbox>>,
    /// The connection's live entry among the timers.
    pub(super) armed: Option<Armed>,
    /// Whether the connection is in one of the loop's lists of connections to be driven.
    pub(super) queued: bool,
    /// The deadline may have changed since the timer was armed.
    has_new_deadline: bool,
}

/// What is left to be done after messages were sent.
pub(super) enum Sending {
    /// Nothing.
    Done,
    /// The connection must be driven.
    Drive,
    /// Nothing was sent. The messages must be delivered one by one.
    OneByOne,
}

/// A non-blocking socket.
struct NonBlockingSocket(TcpStream);

impl Transport for NonBlockingSocket {
    /// Where edges are real, a short read means that the system has no more input: another read
    /// would only return "would block".
    #[inline]
    fn read(&mut self, room: &mut [u8], _: Option<Duration>) -> io::Result<Input> {
        Ok(match self.0.read(room)? {
            0 => Input::End,
            len => Input::Bytes(len, if len < room.len() && EDGES_ARE_REAL { Ready::No } else { Ready::Perhaps }),
        })
    }

    #[inline]
    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        let (taken, offered) = write_once(&mut self.0, out)?;
        Ok((taken, if taken < offered && EDGES_ARE_REAL { Ready::No } else { Ready::Perhaps }))
    }

    fn end_sending(&mut self, _: Sent) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

impl LoopConnection {
    pub(super) fn new(socket: TcpStream, peer: Peer, slot: u32, env: &Env, tools: &mut Tools) -> Self {
        env.familiar.forget(slot);
        let cx = context!(env, slot);
        let session = match &env.acceptor {
            None => Session::new(peer, &cx),
            Some(acceptor) => Session::securing(peer, acceptor.handshake_timeout(), &cx),
        };
        let (socket, tls) = (NonBlockingSocket(socket), env.acceptor.as_ref().map(Acceptor::accept));
        let mut connection =
            Self { socket, tls, driven: Driven::new(session), output: None, armed: None, queued: false, has_new_deadline: true };
        connection.arm(connection.driven.session.deadline(), slot, tools);
        connection
    }

    pub(super) const fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket.0
    }

    /// Tells the session what the system reports about the socket.
    pub(super) fn note(&mut self, event: &Event) {
        let session = &mut self.driven.session;
        if event.is_readable() {
            session.may_read();
        }
        if event.is_writable() {
            session.may_write();
        }
        if event.is_read_closed() {
            session.peer_ended(PeerEnd::Reported);
        }
        if event.is_error() {
            session.peer_ended(PeerEnd::Failed);
        }
    }

    /// Delivers to the session. Its output is gathered until the connection is driven. Returns
    /// `false` if so much has gathered that the connection should be driven at once.
    #[inline]
    pub(super) fn deliver(&mut self, serial: u64, delivery: Delivery<'_>, slot: u32, env: &Env, tools: &mut Tools) -> bool {
        self.has_new_deadline = true;
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.driven.deliver(serial, delivery, out, &context!(env, slot));
        out.len() < env.config.settings.limits.output_bytes
    }

    /// Delivers messages and writes them, if nothing must be written before. All readers share the
    /// bytes of the messages. So if the system takes all bytes, the connection uses no buffer.
    #[inline(always)]
    pub(super) fn send(&mut self, serial: u64, burst: &Burst<'_>, slot: u32, env: &Env, tools: &mut Tools) -> Sending {
        if self.output.is_some() {
            return Sending::OneByOne;
        }
        self.has_new_deadline = true;
        let taken = self.driven.session.take_shared(serial, burst, env.clock.now(), &env.config.settings);
        let Some(wire) = taken else { return self.send_otherwise(serial, burst, slot, env, tools) };
        tools.sent.messages += burst.messages();
        if self.tls.is_some() {
            return self.send_over_tls(wire, env, tools);
        }
        // If the write fails, the error comes again when the rest is written.
        let taken = self.socket.0.write(wire).unwrap_or(0);
        tools.sent.bytes += taken;
        tools.sent.writes += usize::from(taken > 0);
        if taken == wire.len() {
            return Sending::Done;
        }
        self.output.insert(tools.outboxes.take()).push_shared(wire, taken..wire.len());
        Sending::Drive
    }

    /// Delivers messages that are not sent in their shared form.
    #[inline(never)]
    fn send_otherwise(&mut self, serial: u64, burst: &Burst<'_>, slot: u32, env: &Env, tools: &mut Tools) -> Sending {
        match self.driven.session.deliver(serial, Delivery::Messages(burst), &mut tools.empty, &context!(env, slot)) {
            Delivered::OneByOne => return Sending::OneByOne,
            Delivered::Taken => {}
            Delivered::Shared(wire) => tools.empty.push_shared(wire, 0..wire.len()),
        }
        std::mem::swap(&mut **self.output.insert(tools.outboxes.take()), &mut tools.empty);
        Sending::Drive
    }

    #[inline(never)]
    fn send_over_tls(&mut self, wire: &Arc<[u8]>, env: &Env, tools: &mut Tools) -> Sending {
        let Some(tls) = &self.tls else { return Sending::Done };
        let mut out = tools.outboxes.take();
        out.push_shared(wire, 0..wire.len());
        // If the write fails, the error comes again when the rest is written.
        let (taken, _) = tls.over(&mut self.socket).write(&mut out).unwrap_or((0, Ready::No));
        if taken > 0 {
            env.stats.wrote(taken);
        }
        if out.is_empty() && !tls.has_unsent() {
            tools.outboxes.give_back(out);
            return Sending::Done;
        }
        self.output = Some(out);
        Sending::Drive
    }

    /// Begins the connection's shutdown.
    pub(super) fn shut_down(&mut self, come_back_ms: u64, slot: u32, env: &Env, tools: &mut Tools) {
        self.has_new_deadline = true;
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.driven.session.shut_down(come_back_ms, out, &context!(env, slot));
    }

    /// A timer of this connection has come up. The loop drives it next. Returns whether the peer
    /// has taken no output for the write time-out.
    pub(super) fn handle_timer(&mut self, slot: u32, env: &Env, tools: &mut Tools) -> bool {
        self.armed = None;
        self.has_new_deadline = true;
        let out = self.output.get_or_insert_with(|| tools.outboxes.take());
        self.driven.keep_time(out, &context!(env, slot));
        self.driven.session.is_stalled(env.clock.now().instant())
    }

    /// Lets the session read, work and write, until nothing moves or the share of this turn is used
    /// up.
    pub(super) fn drive(&mut self, slot: u32, env: &Env, tools: &mut Tools) -> Rest {
        let mut out = self.output.take().unwrap_or_else(|| tools.outboxes.take());
        let cx = context!(env, slot);
        let deadline = self.driven.session.deadline();
        let mut turn = Turn { driven: &mut self.driven, out: &mut out, buffer: &mut tools.receive, share: tools.share, cx: &cx };
        let rest = match &self.tls {
            None => drive(&mut turn, &mut self.socket),
            Some(tls) => drive(&mut turn, &mut tls.over(&mut self.socket)),
        };
        if out.is_empty() {
            tools.outboxes.give_back(out);
        } else {
            self.output = Some(out);
        }
        // A message to a WebSocket leaves its deadline as it is. Arming the timer again would cost
        // a tenth of a small echo.
        match rest {
            Rest::Wait(until) if until == deadline && !self.has_new_deadline => {}
            Rest::Wait(until) => self.arm(until, slot, tools),
            Rest::Again => self.arm(self.driven.session.deadline(), slot, tools),
            Rest::Close(_) => {}
        }
        rest
    }

    fn arm(&mut self, deadline: Option<Instant>, slot: u32, tools: &mut Tools) {
        self.has_new_deadline = false;
        if let Some(deadline) = deadline {
            tools.timers.arm(slot, deadline, &mut self.armed);
        }
    }

    /// Whether the peer would lose an answer or output if the connection ended now.
    pub(super) fn is_owing(&self) -> bool {
        self.output.is_some() || self.tls.as_ref().is_some_and(TlsLayer::has_unsent) || self.driven.session.is_owing()
    }

    /// Ends the session. Dropping the socket closes it.
    pub(super) fn close(mut self, reason: CloseReason, slot: u32, env: &Env) {
        if let Some(tls) = &self.tls
            && self.output.is_none()
            && self.driven.session.sent() == Sent::Whole
        {
            tls.close(&mut self.socket);
        }
        self.driven.session.close(reason, &context!(env, slot));
    }
}
