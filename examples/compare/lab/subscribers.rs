//! Many clients of one technique, in one thread.
//!
//! Owns their connections: when each of them asks, the cursor with which it continues, and a link
//! with a transit time, if a claim wants one. Leaves requests to `technique`, reading answers to
//! `decode`, and what is missing to `account`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use pushlab::push::Id;
use socket2::{Domain, Protocol, Socket, Type};

use super::account::{Account, Entries};
use super::decode::{Decoder, Item};
use super::plan::{AtEnd, Pace, Plan, Run};
use super::publisher::{Publisher, nanoseconds};
use super::tally::Tally;
use super::technique::{Form, Kind, Technique};
use super::wire::{ANSWER_TIMEOUT, frame};
use crate::Result;
use crate::interrupt;

const PUBLISHER: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 1_024;
const BUFFER_BYTES: usize = 256 * 1024;
/// The connections that are opened at once: fewer than a listener's usual backlog (128), because a
/// connection that does not fit waits for a second.
const BATCH: usize = 64;

/// How far a socket is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// To the first read that does not fill the buffer: it has emptied the socket, and the system
    /// announces what comes later. Not so on Windows.
    Short,
    /// To the end, because it may have been announced already.
    Dry,
}

impl Depth {
    fn of(event: &Event) -> Self {
        if cfg!(unix) && !event.is_read_closed() && !event.is_error() { Self::Short } else { Self::Dry }
    }
}

/// A set of subscribers of one technique.
pub(crate) struct Subscribers {
    poll: Poll,
    /// The servers. A subscriber begins at the first one.
    addresses: Vec<SocketAddr>,
    topic: String,
    plan: Plan,
    connections: Vec<Connection>,
    tally: Tally,
    /// When clients that ask at intervals are due.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Bytes on the emulated link, in the order of their arrival.
    to_server: VecDeque<(Instant, usize, Vec<u8>)>,
    to_client: VecDeque<(Instant, usize, Vec<u8>)>,
    /// The subscribers that are not paused.
    active: u64,
    /// The sum of the newest numbers of their accounts: the progress of the set.
    position: u64,
    /// When the next connection is cut, and which one.
    next_cut: Option<(Instant, usize)>,
    buffer: Vec<u8>,
    items: Vec<Item>,
}

struct Connection {
    socket: TcpStream,
    decoder: Decoder,
    account: Account,
    cursor: Option<Id>,
    state: State,
    /// Where it is connected.
    server: usize,
    /// Whether a message has come since the last answer.
    has_message: bool,
    is_paused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asks for its first cursor.
    Beginning,
    /// Waits for its interval.
    Resting,
    /// A request is under way.
    Asked,
    /// A request is under way, and the next one is already due.
    Overdue,
    /// A stream whose head has arrived.
    Open,
}

impl Subscribers {
    /// Connects, and waits until each subscriber has its cursor or its stream. They receive what
    /// `publisher` publishes from now on.
    pub(crate) fn connect(address: SocketAddr, plan: Plan, count: usize, publisher: &Publisher) -> Result<Self> {
        let begin = publisher.sent();
        let mut this = Self {
            poll: Poll::new()?,
            addresses: vec![address],
            topic: publisher.topic().to_owned(),
            // Connections are opened without the emulated link.
            plan: Plan { transit: Duration::ZERO, ..plan },
            connections: Vec::with_capacity(count),
            tally: Tally::default(),
            due: BinaryHeap::new(),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            active: count as u64,
            position: begin * count as u64,
            next_cut: None,
            buffer: vec![0; BUFFER_BYTES],
            items: Vec::new(),
        };
        while this.connections.len() < count {
            let end = count.min(this.connections.len() + BATCH);
            this.begin(end, publisher)?;
        }
        // The first long poll is sent now, too: the run begins when it is held.
        for slot in 0..count {
            if plan.technique.kind() == Kind::Long {
                this.ask(slot)?;
            }
        }
        this.plan = plan;
        this.tally = Tally::default();
        Ok(this)
    }

    /// Opens connections up to a number, and waits for their first answers.
    fn begin(&mut self, count: usize, publisher: &Publisher) -> Result<()> {
        let plan = self.plan;
        for slot in self.connections.len()..count {
            let socket = self.open(slot, 0)?;
            // A client of polls first asks for the cursor of now, with a short poll.
            let is_stream = plan.technique.kind() == Kind::Stream;
            let (technique, form) = if is_stream { (plan.technique, plan.form) } else { (Technique::Poll, Form::Usual) };
            self.connections.push(Connection {
                socket,
                decoder: Decoder::new(technique, form),
                account: Account::after(publisher.sent()),
                cursor: None,
                state: State::Beginning,
                server: 0,
                has_message: false,
                is_paused: false,
            });
            self.write(slot, &technique.request(form, publisher.topic(), None, plan.wait))?;
        }
        let end = Instant::now() + ANSWER_TIMEOUT;
        let mut events = Events::with_capacity(EVENTS_MAX);
        let is_beginning = |connection: &&Connection| connection.state == State::Beginning;
        loop {
            let missing = self.connections.iter().rev().take(BATCH).filter(is_beginning).count();
            if missing == 0 {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{missing} {} clients got no first answer in {ANSWER_TIMEOUT:?}", plan.technique).into());
            }
            self.poll_events(&mut events, Duration::from_millis(100))?;
            for event in &events {
                self.receive(event.token().0, Depth::of(event))?;
            }
        }
    }

    /// Publishes, and receives until all subscribers have everything, or nothing has arrived for
    /// the plan's patience.
    pub(crate) fn run(&mut self, publisher: &mut Publisher, pace: Pace) -> Result<Run> {
        publisher.register(self.poll.registry(), PUBLISHER)?;
        let run = self.run_registered(publisher, pace);
        publisher.deregister(self.poll.registry())?;
        run
    }

    fn run_registered(&mut self, publisher: &mut Publisher, pace: Pace) -> Result<Run> {
        let begin = Instant::now();
        publisher.schedule(begin + pace.lead, pace.interval, pace.messages);
        self.schedule_polls(begin);
        self.next_cut = self.plan.cut_every.map(|every| (begin + every, self.next_cut.map_or(0, |(_, slot)| slot)));
        let (mut progress, mut heard) = (self.position, begin);
        let mut events = Events::with_capacity(EVENTS_MAX);
        let missing = loop {
            let now = Instant::now();
            publisher.tick(now)?;
            self.tick(now)?;
            if self.position > progress || !publisher.is_done() || now < begin + pace.at_least {
                (progress, heard) = (self.position, now);
            }
            if interrupt::is_asked() {
                return Err("interrupted".into());
            }
            if publisher.is_done() && now >= begin + pace.at_least {
                let missing = publisher.sent() * self.active - self.position;
                if missing == 0 || now > heard + self.plan.patience {
                    break missing;
                }
            }
            let wait = self.next(publisher).map_or(Duration::from_millis(20), |next| next.saturating_duration_since(now));
            // A poll waits for whole milliseconds, rounded up. The rest is waited for without
            // sleep, so that messages are sent in time.
            self.poll_events(&mut events, Duration::from_millis(wait.as_millis().min(20) as u64))?;
            for event in &events {
                match event.token() {
                    PUBLISHER => publisher.receive(Instant::now())?,
                    Token(slot) => self.receive(slot, Depth::of(event))?,
                }
            }
        };
        let elapsed = begin.elapsed();
        self.finish_polls(&mut events)?;
        Ok(Run { tally: std::mem::take(&mut self.tally), elapsed, missing })
    }

    /// Waits for the answers of clients that ask at intervals. They count for this run.
    fn finish_polls(&mut self, events: &mut Events) -> Result<()> {
        self.due.clear();
        self.next_cut = self.next_cut.map(|(_, slot)| (Instant::now() + ANSWER_TIMEOUT, slot));
        let end = Instant::now() + self.plan.patience;
        let is_asking = |connection: &Connection| matches!(connection.state, State::Asked | State::Overdue) && !connection.is_paused;
        while self.plan.technique.kind() == Kind::Short && self.connections.iter().any(is_asking) {
            for connection in &mut self.connections {
                if connection.state == State::Overdue {
                    connection.state = State::Asked;
                }
            }
            if Instant::now() > end {
                return Err(format!("a short poll got no answer in {:?}", self.plan.patience).into());
            }
            self.tick(Instant::now())?;
            self.poll_events(events, Duration::from_millis(1))?;
            for event in events.iter() {
                self.receive(event.token().0, Depth::of(event))?;
            }
        }
        Ok(())
    }

    /// Cuts a connection in each such interval of the runs to come, in turn.
    pub(crate) const fn cut_every(&mut self, every: Option<Duration>) {
        self.plan.cut_every = every;
    }

    /// Sets the servers. The subscribers are connected to the first one, and each further
    /// connection of a subscriber goes to the next one.
    pub(crate) fn take_turns(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = addresses;
    }

    /// The sums of all accounts, and how many messages they should have.
    pub(crate) fn close(&self, sent: u64) -> (Entries, u64) {
        self.connections.iter().fold((Entries::default(), 0), |(mut sum, due), connection| {
            sum += connection.account.close(sent);
            (sum, due + connection.account.due(sent))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Ends a connection. The subscriber is away until [`resume`](Self::resume).
    pub(crate) fn leave(&mut self, slot: usize) {
        self.pause(slot);
        // An error means that the server has ended the connection already.
        let _ = self.connections[slot].socket.shutdown(Shutdown::Both);
    }

    /// Stops reading and asking, until [`resume`](Self::resume). A run does not wait for a
    /// subscriber that is paused.
    pub(crate) fn pause(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        connection.is_paused = true;
        self.active -= 1;
        self.position -= connection.account.last;
    }

    pub(crate) fn resume(&mut self, slot: usize) -> Result<()> {
        let connection = &mut self.connections[slot];
        connection.is_paused = false;
        self.active += 1;
        self.position += connection.account.last;
        // What has arrived meanwhile was announced already.
        self.receive(slot, Depth::Dry)
    }

    /// Spreads the polls of the set evenly over the interval.
    fn schedule_polls(&mut self, begin: Instant) {
        self.due.clear();
        if self.plan.technique.kind() == Kind::Short {
            let count = self.connections.len() as u32;
            self.due.extend((0..count).map(|slot| Reverse((begin + self.plan.interval * slot / count, slot as usize))));
        }
    }

    fn next(&self, publisher: &Publisher) -> Option<Instant> {
        let poll = self.due.peek().map(|Reverse((at, _))| *at);
        let link = [self.to_server.front(), self.to_client.front()].into_iter().flatten().map(|(at, _, _)| *at);
        let cut = self.next_cut.map(|(at, _)| at);
        publisher.next().into_iter().chain(poll).chain(link).chain(cut).min()
    }

    /// Does what is due: polls, and bytes that have reached the other end of the link.
    fn tick(&mut self, now: Instant) -> Result<()> {
        while let Some(Reverse((at, slot))) = self.due.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.due.pop();
            let mut next = at + self.plan.interval;
            while next <= now {
                next += self.plan.interval;
            }
            self.due.push(Reverse((next, slot)));
            match self.connections[slot].state {
                _ if self.connections[slot].is_paused => {}
                State::Resting => self.ask(slot)?,
                _ => self.connections[slot].state = State::Overdue,
            }
        }
        if let Some((at, slot)) = self.next_cut.filter(|(at, _)| *at <= now) {
            let every = self.plan.cut_every.unwrap_or_default();
            self.next_cut = Some((at + every, (slot + 1) % self.connections.len()));
            // As a network does: what has arrived and was not read is lost.
            if !self.connections[slot].is_paused {
                self.reconnect(slot)?;
            }
        }
        while self.to_server.front().is_some_and(|(at, _, _)| *at <= now) {
            if let Some((_, slot, bytes)) = self.to_server.pop_front() {
                self.write(slot, &bytes)?;
            }
        }
        while self.to_client.front().is_some_and(|(at, _, _)| *at <= now) {
            if let Some((_, slot, bytes)) = self.to_client.pop_front() {
                self.take(slot, &bytes)?;
            }
        }
        Ok(())
    }

    /// Asks for the messages after the cursor.
    fn ask(&mut self, slot: usize) -> Result<()> {
        let connection = &mut self.connections[slot];
        connection.state = State::Asked;
        let request = self.plan.technique.request(self.plan.form, &self.topic, connection.cursor, self.plan.wait);
        self.tally.requests += 1;
        self.send(slot, request)
    }

    fn send(&mut self, slot: usize, bytes: Vec<u8>) -> Result<()> {
        if self.plan.transit.is_zero() {
            return self.write(slot, &bytes);
        }
        self.to_server.push_back((Instant::now() + self.plan.transit, slot, bytes));
        Ok(())
    }

    fn write(&mut self, slot: usize, bytes: &[u8]) -> Result<()> {
        match self.connections[slot].socket.write(bytes) {
            Ok(len) if len == bytes.len() => {
                self.tally.bytes_out += len as u64;
                Ok(())
            }
            Ok(_) => Err("a socket took only a part of a request".into()),
            Err(error) if is_end(&error) && self.plan.at_end == AtEnd::Reconnect => self.reconnect(slot),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what has arrived.
    fn receive(&mut self, slot: usize, depth: Depth) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let done = self.receive_into(slot, depth, &mut buffer);
        self.buffer = buffer;
        done
    }

    fn receive_into(&mut self, slot: usize, depth: Depth, buffer: &mut [u8]) -> Result<()> {
        while !self.connections[slot].is_paused {
            match self.connections[slot].socket.read(buffer) {
                Ok(0) => return self.end(slot, "the server closed a subscriber's connection"),
                Ok(len) => {
                    self.tally.reads += 1;
                    self.tally.bytes_in += len as u64;
                    if self.plan.transit.is_zero() {
                        self.take(slot, &buffer[..len])?;
                    } else {
                        self.to_client.push_back((Instant::now() + self.plan.transit, slot, buffer[..len].to_vec()));
                    }
                    if depth == Depth::Short && len < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_end(&error) => return self.end(slot, "the server reset a subscriber's connection"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn end(&mut self, slot: usize, error: &str) -> Result<()> {
        if self.plan.at_end == AtEnd::Fail {
            return Err(error.into());
        }
        self.reconnect(slot)
    }

    /// Takes bytes at the client's end of the link.
    fn take(&mut self, slot: usize, bytes: &[u8]) -> Result<()> {
        let mut items = std::mem::take(&mut self.items);
        self.connections[slot].decoder.decode(bytes, &mut items)?;
        let now_ns = nanoseconds(Instant::now());
        for item in items.drain(..) {
            self.take_item(slot, item, now_ns)?;
        }
        self.items = items;
        Ok(())
    }

    fn take_item(&mut self, slot: usize, item: Item, now_ns: u64) -> Result<()> {
        let connection = &mut self.connections[slot];
        match item {
            Item::Opened => connection.state = State::Open,
            Item::Message(message) => {
                let before = connection.account.last;
                if connection.account.message(message.number, message.id) {
                    self.position += connection.account.last - before;
                    self.tally.latencies.saturating_record(now_ns.saturating_sub(message.due_ns));
                }
                self.tally.messages += 1;
                connection.cursor = message.id.or(connection.cursor);
                connection.has_message = true;
            }
            Item::Gap(from) => connection.account.gap(from),
            Item::Cursor(id) => connection.cursor = Some(id),
            Item::Answered { .. } if connection.state == State::Beginning => {
                connection.decoder = Decoder::new(self.plan.technique, self.plan.form);
                connection.state = State::Resting;
            }
            Item::Answered { has_more } => {
                self.tally.answers += 1;
                self.tally.empty += u64::from(!std::mem::take(&mut connection.has_message));
                let is_due = has_more || connection.state == State::Overdue || self.plan.technique.kind() == Kind::Long;
                connection.state = State::Resting;
                if is_due && !connection.is_paused {
                    self.ask(slot)?;
                }
            }
            Item::Ended if self.plan.technique == Technique::WebSocket => self.end(slot, "the server closed a WebSocket")?,
            Item::Ended => self.ask(slot)?,
            Item::Ping(payload) => {
                let pong = frame(10, &payload);
                self.send(slot, pong)?;
            }
        }
        Ok(())
    }

    /// Opens a new connection, which continues with the cursor.
    fn reconnect(&mut self, slot: usize) -> Result<()> {
        let server = (self.connections[slot].server + 1) % self.addresses.len();
        let socket = self.open(slot, server)?;
        let connection = &mut self.connections[slot];
        (connection.socket, connection.server) = (socket, server);
        connection.decoder = Decoder::new(self.plan.technique, self.plan.form);
        connection.has_message = false;
        self.tally.reconnects += 1;
        self.ask(slot)
    }

    fn open(&self, slot: usize, server: usize) -> Result<TcpStream> {
        let address = self.addresses[server];
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(bytes) = self.plan.receive_bytes {
            // It counts only before the connection is opened, because the handshake announces the
            // window.
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&address.into(), ANSWER_TIMEOUT)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket.into());
        self.poll.registry().register(&mut socket, Token(slot), Interest::READABLE)?;
        Ok(socket)
    }

    fn poll_events(&mut self, events: &mut Events, wait: Duration) -> Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            other => other?,
        }
        Ok(())
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted | ErrorKind::NotConnected)
}
