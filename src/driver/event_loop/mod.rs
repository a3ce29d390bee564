//! The event loop: one thread, every connection.
//!
//! Owns the turn: its order, and the share of it that each connection gets. The loop blocks only in
//! `poll`. Leaves a connection's socket and session to `connection`, the order of posted messages
//! to `deliveries`, and deadlines to `timers`.
//!
//! ```text
//! one turn:  poll ─▶ clock ─▶ inbox ─▶ sockets ─▶ accept ─▶ timers ─▶ driven again:
//!                                                        gathered output, unfinished shares
//! ```
//!
//! The inbox comes before the sockets for two reasons. All messages of a turn leave in one write
//! for each reader. And an answer that another thread released is written before the client's next
//! request is read. Existing connections are served before new ones are accepted. Output of a
//! connection is gathered until the connection is driven, once a turn.
//!
//! At a deadline the session is told the time, and then driven. A session whose peer is late first
//! asks for one more read. So a delay of the loop itself, caused by a handler or a stopped process,
//! does not count as the peer's delay.

mod connection;
mod familiar;

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::clock::CachedClock;
use super::deliveries::{Carrier, Deliveries};
use super::drive::{Rest, Share};
use super::inbox::Inbox;
use super::listen::{LISTENER, Listener, Listening, WAKER, accept, exhausted};
use super::outboxes::Outboxes;
use super::sleep::sleep;
use super::stop::Stop;
use super::timers::Timers;
use crate::proto::{CloseReason, Outbox};
use crate::session::{Address, Burst, Delivery, Handler};
use connection::{Env, LoopConnection, Sending, Sums, Tools};
use familiar::Familiar;

/// Events taken from the system at once: with a busy loop, 64 events take some 0.3 ms. Larger
/// batches save nothing.
const EVENTS_PER_TURN: usize = 256;
/// Timers that come up in one turn. Thousands of heartbeats can be due in the same second. With
/// this bound they take a millisecond at a time, and other connections are served in between.
const TIMERS_PER_TURN: usize = 256;
/// Closing the connection of a peer that took no output counts as so many timers: the system frees
/// megabytes of unsent output, which takes a millisecond.
const TIMERS_PER_STALL: usize = 32;
/// Input read and output written in one turn when many connections want more than their share. The
/// turn then takes some 10 ms at most: 64 KiB take 20 us in one direction. No share is smaller than
/// [`SHARE_MIN`].
const READ_PER_TURN: usize = 16 * 1024 * 1024;
const WRITTEN_PER_TURN: usize = 16 * 1024 * 1024;
const SHARE_MIN: usize = 16 * 1024;
/// Requests and messages in one turn, counted as [steps](crate::session::Steps). The turn then takes
/// some 8 ms at most, because a hundred requests take 50 us. Bytes alone do not bound the time of a
/// turn: 16 MiB of small requests take 200 ms. A share of several has [`STEPS_MIN`] to
/// [`STEPS_MAX`].
const STEPS_PER_TURN: usize = 16 * 1024;
const STEPS_MIN: usize = 64;
const STEPS_MAX: usize = 512;
/// Tables up to this number of connections grow and shrink as every list does.
const LARGE: usize = 1_024;
/// Connections accepted in one turn, so that many new ones do not delay the existing ones.
const ACCEPTS_PER_TURN: usize = 64;

/// Serves until the server is stopped.
pub(crate) fn run(listening: Listening, app: impl Handler) -> io::Result<()> {
    let Listening { poll, listener, acceptor, config, stats, stop } = listening;
    let clock = CachedClock::new();
    let tools = Tools {
        receive: vec![0; config.receive_buffer_bytes.max(config.settings.limits.protocol.head_bytes * 2)],
        share: Share::UNLIMITED,
        outboxes: Outboxes::default(),
        empty: Outbox::new(),
        timers: Timers::new(clock.now().instant()),
        sent: Sums::default(),
    };
    let inbox = Arc::new(Inbox::new(config.inbox_bytes, config.settings.slow_consumer, Arc::clone(&stats), Arc::clone(&stop)));
    let env = Env { config, stats, app: Box::new(app), inbox, clock, acceptor, serial: Cell::new(0), familiar: Familiar::new() };
    let mut event_loop = EventLoop {
        poll,
        listener: Some(listener),
        connections: Slab::new(),
        again: Vec::new(),
        unfinished: Vec::new(),
        deliveries: Deliveries::default(),
        listener_state: ListenerState::Waiting,
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
    listener: Option<Listener>,
    connections: Slab<LoopConnection>,
    /// Connections to be driven before the end of the turn.
    again: Vec<u32>,
    /// Connections that have used up their share of this turn.
    unfinished: Vec<u32>,
    deliveries: Deliveries,
    listener_state: ListenerState,
    /// When the shutdown's grace ends.
    ends_at: Option<Instant>,
    stop: Arc<Stop>,
    env: Env,
    tools: Tools,
}

/// What the loop knows about the listening socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListenerState {
    /// No connection waits. The system will report the next one.
    Waiting,
    /// Connections may be waiting.
    Ready,
    /// The system has no resources for one more connection. The loop tries again at this time,
    /// because another connection may have ended by then.
    Resting(Instant),
}

impl EventLoop {
    fn run(&mut self) -> io::Result<()> {
        let result = self.run_turns();
        for (slot, connection) in std::mem::take(&mut self.connections) {
            self.env.stats.cut.add(u64::from(connection.is_owing()));
            connection.close(CloseReason::Shutdown, slot as u32, &self.env);
        }
        // After the connections: what their destructors post is dropped here. Handles that are left
        // post to nothing from now on.
        self.env.inbox.close();
        result
    }

    fn run_turns(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while !self.is_over() {
            self.wait(&mut events)?;
            self.tools.timers.begin_turn(self.env.clock.read().instant());
            // Counted before anything is driven: all connections of this turn get the same share.
            self.tools.share = self.share(events.iter().count() + self.again.len());
            self.take_postings();
            for event in &events {
                match event.token() {
                    LISTENER if self.listener_state == ListenerState::Waiting => self.listener_state = ListenerState::Ready,
                    // More waiting connections do not end a rest.
                    LISTENER | WAKER => {}
                    Token(slot) => {
                        if let Some(connection) = self.connections.get_mut(slot) {
                            connection.note(event);
                            // A connection in the list is driven later in this turn, and gets no
                            // second share.
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
            self.give_back_room();
        }
        Ok(())
    }

    /// A large table that has become small gives its room back, as far as its last connection. While
    /// that one stays, this call only looks at it. After that, the next connections get the lowest
    /// slots.
    fn give_back_room(&mut self) {
        if self.connections.capacity() > LARGE && self.connections.len() <= self.connections.capacity() / 4 {
            self.connections.shrink_to_fit();
        }
    }

    /// The share of each of `ready` connections in a turn. With others, a smaller share makes turns
    /// short. Up to 64 connections still read a whole buffer: then a message of 64 KiB takes one read
    /// and one write, where shares of 32 KiB took three reads and four copies.
    fn share(&self, ready: usize) -> Share {
        let (buffer, output) = (self.tools.receive.len(), self.env.config.settings.limits.output_bytes);
        match ready {
            0 | 1 => Share::new(buffer, output.saturating_mul(4), STEPS_PER_TURN),
            _ => Share::new(
                (READ_PER_TURN / ready).max(SHARE_MIN).min(buffer),
                (WRITTEN_PER_TURN / ready).max(SHARE_MIN).min(output),
                (STEPS_PER_TURN / ready).clamp(STEPS_MIN, STEPS_MAX),
            ),
        }
    }

    fn is_over(&self) -> bool {
        let drained = self.ends_at.is_some_and(|end| self.connections.is_empty() || end <= self.env.clock.now().instant());
        drained || self.stop.is_now()
    }

    /// Sleeps until something happens. If work is left, only looks for events.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        // The inbox is asked last: from its answer on, a thread that posts makes a system call.
        let may_sleep = self.again.is_empty() && !self.can_accept() && self.env.inbox.go_to_sleep();
        let timeout = if may_sleep { self.sleep_time() } else { Some(Duration::ZERO) };
        sleep(&mut self.poll, events, timeout)
    }

    fn sleep_time(&self) -> Option<Duration> {
        let now = self.env.clock.now().instant();
        let rest = match self.listener_state {
            ListenerState::Resting(until) => Some(until.saturating_duration_since(now)),
            _ => None,
        };
        let end = self.ends_at.map(|end| end.saturating_duration_since(now));
        [self.tools.timers.next_in(now), rest, end].into_iter().flatten().min()
    }

    fn can_accept(&self) -> bool {
        self.listener_state == ListenerState::Ready && self.listener.is_some() && self.connections.len() < self.env.config.max_connections
    }

    fn accept_some(&mut self) {
        if let ListenerState::Resting(until) = self.listener_state
            && until <= self.env.clock.now().instant()
        {
            self.listener_state = ListenerState::Ready;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            if !self.can_accept() {
                return;
            }
            if let Err(error) = self.accept_one() {
                self.listener_state = ListenerState::Resting(self.env.clock.now().instant() + exhausted(&error, &self.env.stats));
            }
        }
    }

    fn accept_one(&mut self) -> io::Result<()> {
        let accepted = self.listener.as_ref().map(accept).transpose()?.flatten();
        let Some((socket, peer)) = accepted else {
            self.listener_state = ListenerState::Waiting;
            return Ok(());
        };
        if self.connections.len() == self.connections.capacity() && self.connections.len() >= LARGE {
            // A `Vec` would double its room.
            self.connections.reserve_exact(self.connections.len() / 8);
        }
        let entry = self.connections.vacant_entry();
        let slot = entry.key();
        entry.insert(LoopConnection::new(socket, peer, slot as u32, &self.env, &mut self.tools));
        if self.connections.len() == self.env.config.max_connections {
            self.env.stats.accept_pauses.add(1);
        }
        // Registered once, edge-triggered and for both directions, so that no later system call
        // changes the interest.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(self.connections[slot].socket(), Token(slot), interest);
        registered.inspect_err(|_| self.close(slot as u32, CloseReason::Transport))
    }

    /// Carries out the commands that were posted.
    fn take_postings(&mut self) {
        // Taken out, because delivering needs `self`, and put back to keep its capacity.
        let mut deliveries = std::mem::take(&mut self.deliveries);
        deliveries.take_from(&self.env.inbox);
        deliveries.hand_to(self);
        self.deliveries = deliveries;
        self.tools.sent.count(&self.env.stats);
    }

    /// Drives a connection before the end of this turn.
    fn drive_later(&mut self, slot: u32) {
        if self.put_in_list(slot) {
            self.again.push(slot);
        }
    }

    /// Marks a connection as listed for a later drive. Returns whether it was not listed before.
    fn put_in_list(&mut self, slot: u32) -> bool {
        self.connections.get_mut(slot as usize).is_some_and(|connection| !std::mem::replace(&mut connection.queued, true))
    }

    #[inline]
    fn follow(&mut self, slot: u32, rest: Rest) {
        match rest {
            Rest::Wait(_) => {}
            Rest::Again => {
                if self.put_in_list(slot) {
                    self.unfinished.push(slot);
                }
            }
            Rest::Close(reason) => self.close(slot, reason),
        }
    }

    /// Drives the connections that were put off. Those that have used up their share wait for the
    /// next turn, after all others.
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
            // An entry that is not the connection's live one is left from an earlier deadline, or
            // from an earlier connection in this slot.
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

impl EventLoop {
    #[inline(never)]
    fn send_one_by_one(&mut self, address: Address, burst: &Burst<'_>) {
        for frame in burst.frames() {
            self.deliver(address, Delivery::Messages(&Burst::one(frame)));
        }
        self.drive(address.slot);
    }
}

impl Carrier for EventLoop {
    #[inline(always)]
    fn send(&mut self, address: Address, burst: &Burst<'_>) {
        let Address { slot, serial } = address;
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        match connection.send(serial, burst, slot, &self.env, &mut self.tools) {
            Sending::Done => {}
            Sending::Drive => self.drive(slot),
            Sending::OneByOne => self.send_one_by_one(address, burst),
        }
    }

    fn deliver(&mut self, Address { slot, serial }: Address, delivery: Delivery<'_>) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if !connection.deliver(serial, delivery, slot, &self.env, &mut self.tools) {
            // Written at once: messages that come faster than a turn must not count against a
            // reader that was given no chance to read them.
            self.drive(slot);
        }
    }

    fn drive(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let rest = connection.drive(slot, &self.env, &mut self.tools);
        self.follow(slot, rest);
    }
}
