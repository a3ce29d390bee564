//! The event loop: one thread, every connection.
//!
//! Owns the turn. Refuses to block anywhere but in `poll`.
//!
//! ```text
//! one turn:  poll ─▶ clock ─▶ inbox ─▶ sockets ─▶ accept ─▶ timers ─▶ driven again: gathered output, unfinished shares
//! ```
//!
//! The inbox comes before the sockets so that all messages of a turn leave in one write for each of their readers, and so that an
//! answer released by another thread is written before the client's next request is read. Existing
//! connections are served before new ones are accepted. Output of one connection is gathered until
//! the connection is driven, once a turn.
//!
//! A deadline that ends a peer only marks its connection as overdue. The connection is driven, which
//! reads its socket to the end, and the session is told of the time only then: a loop that was held
//! up by a handler or by a stopped process must not take its own delay for the peer's.

mod connection;

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::clock::Clock;
use super::deliveries::{Carrier, Deliveries};
use super::inbox::Inbox;
use super::listen::{LISTENER, Listening, WAKER, accept, exhausted};
use super::outboxes::Outboxes;
use super::stop::Stop;
use super::timers::Timers;
use crate::proto::{CloseReason, Frame};
use crate::session::{Address, Burst, Command, Handler};
use connection::{Connection, Env, Share, Tools, Verdict};

/// Events taken from the system at once: 64 of a busy loop take some 0.3 ms, and a larger batch saves nothing any more.
const EVENTS_PER_TURN: usize = 256;
/// Timers that come up in one turn: thousands of heartbeats that are due at the same second take a millisecond each time, and let others
/// in between.
const TIMERS_PER_TURN: usize = 256;
/// Letting go of a peer that took nothing counts as so many: the system frees megabytes of unsent output, for a millisecond.
const TIMERS_PER_STALL: usize = 32;
/// Input read and output written in a turn where many connections want more than their share, so that the turn takes some 20 ms at the most: a
/// hundred requests take 50 us, 64 KiB of output as long. No share is smaller than [`SHARE_MIN`].
const READ_PER_TURN: usize = 2 * 1024 * 1024;
const WRITTEN_PER_TURN: usize = 4 * 1024 * 1024;
const SHARE_MIN: usize = 16 * 1024;
/// Connections accepted in one turn, so that a storm of new ones does not keep the others waiting.
const ACCEPTS_PER_TURN: usize = 64;

/// Serves until the server is stopped.
pub(crate) fn run(listening: Listening, app: impl Handler) -> io::Result<()> {
    let Listening { poll, listener, config, stats, stop, .. } = listening;
    let clock = Clock::new();
    let tools = Tools {
        receive: vec![0; config.receive_buffer_bytes.max(config.settings.limits.head_bytes * 2)],
        share: Share { read_bytes: 0, write_bytes: 0 },
        outboxes: Outboxes::default(),
        timers: Timers::new(clock.now().instant()),
    };
    let inbox = Arc::new(Inbox::new(config.inbox_bytes, config.settings.slow_consumer, Arc::clone(&stats), Arc::clone(&stop)));
    let env = Env { config, stats, app: Box::new(app), inbox, clock, serial: Cell::new(0) };
    let mut event_loop = EventLoop {
        poll,
        listener: Some(listener),
        connections: Slab::new(),
        again: Vec::new(),
        unfinished: Vec::new(),
        deliveries: Deliveries::default(),
        accept: Accept::Waiting,
        ends_at: None,
        stop,
        env,
        tools,
    };
    event_loop.run()
}

struct EventLoop {
    poll: Poll,
    /// `None` once the shutdown has begun.
    listener: Option<TcpListener>,
    connections: Slab<Connection>,
    /// Connections to be driven before the end of the turn.
    again: Vec<u32>,
    /// Those that have used up their share of this turn.
    unfinished: Vec<u32>,
    deliveries: Deliveries,
    accept: Accept,
    /// When the shutdown's grace ends.
    ends_at: Option<Instant>,
    stop: Arc<Stop>,
    env: Env,
    tools: Tools,
}

/// What the listening socket has for us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accept {
    /// Nothing, until the system says so.
    Waiting,
    /// Perhaps connections.
    Ready,
    /// The system lacks something that another end of a connection may give back.
    Resting(Instant),
}

impl EventLoop {
    fn run(&mut self) -> io::Result<()> {
        let result = self.run_turns();
        for (slot, connection) in std::mem::take(&mut self.connections) {
            self.env.stats.cut.add(u64::from(connection.is_owing()));
            connection.close(CloseReason::Shutdown, slot as u32, &self.env);
        }
        self.env.inbox.close();
        result
    }

    fn run_turns(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while !self.is_over() {
            self.wait(&mut events)?;
            self.env.clock.read();
            self.tools.share = self.share(events.iter().count() + self.again.len());
            self.take_postings();
            for event in &events {
                match event.token() {
                    LISTENER if self.accept == Accept::Waiting => self.accept = Accept::Ready,
                    // More of those who wait are no reason to end a rest.
                    LISTENER | WAKER => {}
                    Token(slot) => {
                        if let Some(connection) = self.connections.get_mut(slot) {
                            connection.note(event);
                            // Who is in the list already has no second share.
                            if !connection.queued {
                                self.drive(slot as u32);
                            }
                        }
                    }
                }
            }
            if self.stop.is_asked() && self.listener.is_some() {
                self.begin_shutdown();
            }
            self.accept_some();
            self.fire_timers();
            self.drive_again();
        }
        Ok(())
    }

    /// What each of `ready` connections may do in a turn. Who is alone has the whole buffer; in company a turn comes round soon, and large
    /// messages still come in few reads.
    fn share(&self, ready: usize) -> Share {
        let (buffer, output) = (self.tools.receive.len(), self.env.config.settings.limits.output_bytes);
        match ready {
            0 | 1 => Share { read_bytes: buffer, write_bytes: output.saturating_mul(4) },
            _ => Share {
                read_bytes: (READ_PER_TURN / ready).max(SHARE_MIN).min(buffer / 2),
                write_bytes: (WRITTEN_PER_TURN / ready).max(SHARE_MIN).min(output),
            },
        }
    }

    fn is_over(&self) -> bool {
        let drained = self.ends_at.is_some_and(|end| self.connections.is_empty() || end <= self.env.clock.now().instant());
        drained || self.stop.is_now()
    }

    /// Sleeps until something happens, or looks only if there is work left.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let may_sleep = self.again.is_empty() && !self.can_accept() && self.env.inbox.go_to_sleep();
        let timeout = if may_sleep { self.sleep_time() } else { Some(Duration::ZERO) };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        Ok(())
    }

    fn sleep_time(&self) -> Option<Duration> {
        let now = self.env.clock.now().instant();
        let rest = match self.accept {
            Accept::Resting(until) => Some(until.saturating_duration_since(now)),
            _ => None,
        };
        let end = self.ends_at.map(|end| end.saturating_duration_since(now));
        [self.tools.timers.next_in(now), rest, end].into_iter().flatten().min()
    }

    fn can_accept(&self) -> bool {
        self.accept == Accept::Ready && self.listener.is_some() && self.connections.len() < self.env.config.max_connections
    }

    fn accept_some(&mut self) {
        if let Accept::Resting(until) = self.accept
            && until <= self.env.clock.now().instant()
        {
            self.accept = Accept::Ready;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            if !self.can_accept() {
                return;
            }
            if let Err(error) = self.accept_one() {
                self.accept = Accept::Resting(self.env.clock.now().instant() + exhausted(&error, &self.env.stats));
            }
        }
    }

    fn accept_one(&mut self) -> io::Result<()> {
        let accepted = self.listener.as_ref().map(accept).transpose()?.flatten();
        let Some((socket, peer)) = accepted else {
            self.accept = Accept::Waiting;
            return Ok(());
        };
        let entry = self.connections.vacant_entry();
        let slot = entry.key();
        entry.insert(Connection::new(socket, peer, slot as u32, &self.env, &mut self.tools));
        if self.connections.len() == self.env.config.max_connections {
            self.env.stats.accept_pauses.add(1);
        }
        // Edge-triggered, both directions at once: never registered again.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(self.connections[slot].socket(), Token(slot), interest);
        registered.inspect_err(|_| self.close(slot as u32, CloseReason::Transport))
    }

    /// Carries out what was posted.
    fn take_postings(&mut self) {
        let mut deliveries = std::mem::take(&mut self.deliveries);
        deliveries.take_from(&self.env.inbox);
        deliveries.hand_to(self);
        self.deliveries = deliveries;
    }

    /// Before the end of this turn.
    fn drive_later(&mut self, slot: u32) {
        if self.put_in_list(slot) {
            self.again.push(slot);
        }
    }

    /// Whether a connection is to be put into the list of those to be driven, and not in it already.
    fn put_in_list(&mut self, slot: u32) -> bool {
        self.connections.get_mut(slot as usize).is_some_and(|connection| !std::mem::replace(&mut connection.queued, true))
    }

    #[inline]
    fn follow(&mut self, slot: u32, verdict: Verdict) {
        match verdict {
            Verdict::Keep => {}
            Verdict::Again => {
                if self.put_in_list(slot) {
                    self.unfinished.push(slot);
                }
            }
            Verdict::Close(reason) => self.close(slot, reason),
        }
    }

    /// Drives what was put off until now. Who has used up this turn's share waits for the next one, behind everybody else.
    fn drive_again(&mut self) {
        let mut due = std::mem::take(&mut self.again);
        for slot in due.drain(..) {
            if let Some(connection) = self.connections.get_mut(slot as usize) {
                connection.queued = false;
                self.drive(slot);
            }
        }
        std::mem::swap(&mut due, &mut self.unfinished);
        self.again = due;
    }

    fn fire_timers(&mut self) {
        let armed = |slot| self.connections.get(slot as usize).and_then(|connection| connection.armed);
        self.tools.timers.sweep(self.connections.len(), armed);
        let now = self.env.clock.now().instant();
        let mut left = TIMERS_PER_TURN;
        while left > 0 {
            left -= 1;
            let Some((due, slot)) = self.tools.timers.pop_due(now) else { return };
            // An entry that is no longer the connection's own is left over from an earlier deadline or an earlier connection.
            let Some(connection) = self.connections.get_mut(slot as usize) else { continue };
            if !Timers::is_armed(due, connection.armed) {
                continue;
            }
            if connection.handle_timer(slot, &self.env, &mut self.tools) {
                left = left.saturating_sub(TIMERS_PER_STALL);
            }
            self.drive_later(slot);
        }
    }

    fn begin_shutdown(&mut self) {
        log::info!("shutting down: {} connections", self.connections.len());
        self.listener = None;
        self.ends_at = Some(self.env.clock.now().instant() + self.env.config.shutdown_grace);
        for slot in self.connections.iter().map(|(slot, _)| slot as u32).collect::<Vec<_>>() {
            let come_back_ms = self.env.config.come_back_ms(slot);
            self.connections[slot as usize].shut_down(come_back_ms, slot, &self.env, &mut self.tools);
            self.drive_later(slot);
        }
    }

    fn close(&mut self, slot: u32, reason: CloseReason) {
        self.connections.remove(slot as usize).close(reason, slot, &self.env);
    }
}

impl Carrier for EventLoop {
    #[inline]
    fn send(&mut self, address: Address, burst: &Burst<'_>) {
        let Address { slot, serial } = address;
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if let Some(verdict) = connection.write_burst(serial, burst, slot, &self.env, &mut self.tools) {
            return self.follow(slot, verdict);
        }
        for frame in burst.frames() {
            self.push(address, frame);
        }
        self.drive(slot);
    }

    fn push(&mut self, Address { slot, serial }: Address, frame: &Frame) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if !connection.push(serial, frame, slot, &self.env, &mut self.tools) {
            // A burst is no reason to call a reader slow before anything was written.
            self.drive(slot);
        }
    }

    fn apply(&mut self, Address { slot, serial }: Address, command: Command) {
        if let Some(connection) = self.connections.get_mut(slot as usize) {
            connection.apply(serial, command, slot, &self.env, &mut self.tools);
        }
    }

    fn overflow(&mut self, Address { slot, serial }: Address) {
        if let Some(connection) = self.connections.get_mut(slot as usize) {
            connection.overflow(serial, slot, &self.env);
        }
    }

    fn drive(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let verdict = connection.drive(slot, &self.env, &mut self.tools);
        self.follow(slot, verdict);
    }
}
