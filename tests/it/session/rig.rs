//! The driver of these tests.
//!
//! Covers: session::context, session::surroundings, session::post
//! Covers: session::stats, session::contract, session::next, session::deliver, session::deadlines, driver::drive

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::mem::take;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use pushlab::driver::drive::{Done, Driven, Input, Rest, Share, Transport, Turn, drive};
use pushlab::proto::{CloseReason, Frame, Now, Outbox};
use pushlab::session::{
    Address, Burst, Command, Context, Delivered, Delivery, Ending, Handler, Io, Limits, Next, PeerEnd, Post, Ready, RemoteSource, Sent,
    Session, Settings, Snapshot, Stats, Surroundings,
};

use super::app::{Shelf, app};
use super::layer::Layer;
use super::wire::{self, Answer};

const SLOT: u32 = 7;
/// More calls than any test needs. A deadline that does not move when it is handled would be
/// handled for ever.
const CALLS_MAX: usize = 10_000;
/// A layer that has input gives some of it in one of so many calls.
const IDLE_MAX: usize = 20;

/// Commands that were posted and not yet carried out.
#[derive(Default)]
struct Posted(Mutex<Vec<(Address, Command)>>);

impl Post for Posted {
    fn post(&self, address: Address, command: Command) {
        self.0.lock().unwrap().push((address, command));
    }
}

struct Remote {
    posted: Arc<Posted>,
    serial: Cell<u64>,
}

impl RemoteSource for Remote {
    fn post(&self) -> Arc<dyn Post> {
        Arc::clone(&self.posted) as Arc<dyn Post>
    }

    fn slot(&self) -> u32 {
        SLOT
    }

    fn issue_serial(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }
}

struct World {
    app: Box<dyn Handler>,
    settings: Settings,
    stats: Stats,
    now: Now,
    remote: Remote,
}

impl World {
    fn cx(&self) -> Context<'_> {
        let surroundings = Surroundings { now: &self.now, settings: &self.settings, stats: &self.stats, remote: &self.remote };
        Context { app: &*self.app, surroundings }
    }
}

/// The client, and the system between it and the session.
#[derive(Default)]
pub struct Peer {
    /// Input that was not read.
    incoming: Vec<u8>,
    /// The client has ended its side.
    is_ended: bool,
    /// Bytes that the system takes before it blocks; `None` for all.
    room: Option<usize>,
    /// Bytes that the system took and no assertion has looked at.
    taken: Vec<u8>,
    /// This side has said that it sends no more.
    sending_ended: bool,
    calls: usize,
    /// The room and the result of each read that gave something.
    reads: Vec<(usize, usize)>,
    /// The number of pieces of each write.
    writes: Vec<usize>,
    /// The next write fails for this reason.
    broken: Option<ErrorKind>,
}

impl Peer {
    /// Whether a read would give something.
    pub const fn has_input(&self) -> bool {
        !self.incoming.is_empty() || self.is_ended
    }

    fn count_call(&mut self) {
        self.calls += 1;
        assert!(self.calls < CALLS_MAX, "the session works for ever");
    }

    /// The system takes bytes of the front of `bytes`. Returns how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        assert!(!self.sending_ended, "output after the end of sending");
        let len = self.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        self.room = self.room.map(|room| room - len);
        self.taken.extend(&bytes[..len]);
        len
    }
}

impl Transport for Peer {
    fn read(&mut self, room: &mut [u8], _: Option<Duration>) -> io::Result<Input> {
        self.count_call();
        let len = room.len().min(self.incoming.len());
        if len == 0 && !self.is_ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        room[..len].copy_from_slice(&self.incoming[..len]);
        self.incoming.drain(..len);
        if len == 0 {
            return Ok(Input::End);
        }
        self.reads.push((room.len(), len));
        Ok(Input::Bytes(len, if self.incoming.is_empty() { Ready::No } else { Ready::Perhaps }))
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        self.count_call();
        if let Some(kind) = self.broken.take() {
            return Err(kind.into());
        }
        self.writes.push(out.chunks().count());
        let bytes = out.chunks().collect::<Vec<_>>().concat();
        let taken = self.take(&bytes);
        if taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        out.advance(taken);
        Ok((taken, if out.is_empty() { Ready::Perhaps } else { Ready::No }))
    }

    fn end_sending(&mut self, _: Sent) -> io::Result<()> {
        assert!(!std::mem::replace(&mut self.sending_ended, true), "sending ends once");
        Ok(())
    }
}

/// One session and what is around it.
pub struct Rig {
    world: World,
    driven: Driven,
    out: Outbox,
    peer: Peer,
    layer: Option<Layer>,
    /// Messages are delivered together this time, not one by one.
    bursts: bool,
    /// The size of the receive buffer.
    pub buffer_bytes: usize,
    /// What the connection may do in one turn.
    pub share: Share,
    pub shelf: Arc<Shelf>,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let shelf = Arc::new(Shelf::default());
        Self::serving_with(settings, Arc::clone(&shelf), app(&shelf))
    }

    /// A rig whose application is `handler`.
    pub fn serving(handler: impl Handler) -> Self {
        Self::serving_with(Settings::default(), Arc::default(), handler)
    }

    pub fn serving_with(mut settings: Settings, shelf: Arc<Shelf>, handler: impl Handler) -> Self {
        // Time passes while output is blocked. Only tests that set the write time-out are about it.
        if settings.limits.write_timeout == Limits::default().write_timeout {
            settings.limits.write_timeout = Limits::TIMEOUT_MAX;
        }
        let now = Now::new(Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        let remote = Remote { posted: Arc::default(), serial: Cell::new(0) };
        let world = World { app: Box::new(handler), settings, stats: Stats::default(), now, remote };
        let session = Session::new("192.0.2.1:4711".parse::<std::net::SocketAddr>().unwrap(), &world.cx());
        Self {
            world,
            driven: Driven::new(session),
            out: Outbox::new(),
            peer: Peer::default(),
            layer: None,
            bursts: false,
            buffer_bytes: 4 * 1024,
            share: Share::UNLIMITED,
            shelf,
        }
    }

    /// A rig whose layer has to agree on TLS with the client first, within this time.
    pub fn securing(mut self, timeout: Duration) -> Self {
        self.world.stats = Stats::default();
        let peer = "192.0.2.1:4711".parse::<std::net::SocketAddr>().unwrap();
        self.driven = Driven::new(Session::securing(peer, timeout, &self.world.cx()));
        self
    }

    /// The layer has read this.
    pub fn layer_says(&mut self, input: Input) -> Option<CloseReason> {
        self.driven.report(Done::Read(input), &mut [], &mut self.out, &self.world.cx());
        self.work()
    }

    /// The transport must be cut.
    pub fn abort(&mut self, reason: CloseReason) {
        self.driven.session.abort(reason, &self.world.cx());
    }

    /// Whether the peer has been sent the whole of what has begun.
    pub fn sent(&self) -> Sent {
        self.driven.session.sent()
    }

    /// The layer has read this, and the system has more. What is to be done next.
    pub fn layer_goes_on(&mut self, input: Input) -> Next {
        let cx = self.world.cx();
        self.driven.report(Done::Read(input), &mut [], &mut self.out, &cx);
        self.driven.session.next(Io::NON_BLOCKING, &mut self.out, &cx)
    }

    /// A rig whose transport has a layer above it.
    pub fn layered(mut self, seed: u64) -> Self {
        self.layer = Some(Layer::new(seed));
        self
    }

    /// The client sends.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.send_and_look(bytes);
    }

    /// The client sends. Returns why the connection is to be closed, if it is.
    pub fn send_and_look(&mut self, bytes: impl AsRef<[u8]>) -> Option<CloseReason> {
        self.peer.incoming.extend_from_slice(bytes.as_ref());
        self.driven.session.may_read();
        self.work()
    }

    /// The client sends, and this is what it gets.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
        self.send(bytes);
        self.answers()
    }

    /// The client sends `GET path`, and this is what it gets.
    pub fn get(&mut self, path: &str) -> Vec<Answer> {
        self.ask(wire::get(path))
    }

    /// What a driver does after everything. Returns why the connection is to be closed, if it is.
    pub fn work(&mut self) -> Option<CloseReason> {
        self.peer.calls = 0;
        let mut idle = 0;
        loop {
            let before = self.moved();
            let cx = self.world.cx();
            let mut buffer = vec![0; self.buffer_bytes];
            let mut turn = Turn { driven: &mut self.driven, out: &mut self.out, buffer: &mut buffer, share: self.share, cx: &cx };
            let rest = match &mut self.layer {
                None => drive(&mut turn, &mut self.peer),
                Some(layer) => drive(&mut turn, &mut layer.over(&mut self.peer)),
            };
            assert_eq!(buffer.len(), self.buffer_bytes, "the output gives the buffer back");
            match rest {
                Rest::Wait(until) => assert_eq!(until, self.driven.session.deadline()),
                Rest::Close(reason) => {
                    // Nobody reads it any more.
                    self.peer.incoming.clear();
                    return Some(reason);
                }
                Rest::Again => {
                    assert_ne!(self.share, Share::UNLIMITED, "there is no bound to the share");
                    continue;
                }
            }
            idle = if self.moved() == before { idle + 1 } else { 0 };
            if self.layer.is_none() || idle > IDLE_MAX {
                return None;
            }
            // A layer gives now and then nothing although it has some.
            self.driven.session.may_read();
            self.driven.session.may_write();
        }
    }

    /// What changes when bytes move.
    fn moved(&self) -> [usize; 4] {
        let (read, held) = self.layer.as_ref().map_or((0, 0), |layer| (layer.read_len(), layer.held_len()));
        [self.peer.incoming.len(), self.peer.taken.len(), read, held]
    }

    /// The room of each read since the last call, and how many bytes it gave.
    pub fn reads(&mut self) -> Vec<(usize, usize)> {
        take(&mut self.peer.reads)
    }

    /// The number of pieces of each write since the last call.
    pub fn writes(&mut self) -> Vec<usize> {
        take(&mut self.peer.writes)
    }

    /// The system takes so many bytes more.
    pub fn take_only(&mut self, room: usize) {
        self.peer.room = Some(room);
    }

    /// The next write fails.
    pub fn break_write(&mut self, kind: ErrorKind) {
        self.peer.broken = Some(kind);
    }

    /// What waits to be written.
    pub fn output(&self) -> Vec<u8> {
        self.out.chunks().collect::<Vec<_>>().concat()
    }

    /// From now on the system takes nothing.
    pub fn block(&mut self) {
        self.peer.room = Some(0);
    }

    /// The system takes this much.
    pub fn take_up_to(&mut self, bytes: usize) {
        self.peer.room = Some(bytes);
        self.driven.session.may_write();
        self.work();
    }

    /// The system takes everything again.
    pub fn unblock(&mut self) {
        self.peer.room = None;
        self.driven.session.may_write();
        self.work();
    }

    /// Another thread takes the output to write it.
    pub fn lend(&mut self) -> Outbox {
        let mut lent = Outbox::new();
        self.out.lend(&mut lent);
        lent
    }

    /// The other thread has written nothing of it.
    pub fn give_back(&mut self, mut lent: Outbox) {
        self.out.give_back(&mut lent);
    }

    /// The client ends its side.
    pub fn eof(&mut self) {
        self.peer.is_ended = true;
        self.driven.session.peer_ended(PeerEnd::Reported);
        self.work();
    }

    /// Time passes, and every deadline on the way is met.
    pub fn pass(&mut self, time: Duration) {
        let until = self.world.now.instant() + time;
        for _ in 0..CALLS_MAX {
            match self.driven.session.deadline() {
                Some(deadline) if deadline <= until => {
                    self.world.now.advance(deadline.saturating_duration_since(self.world.now.instant()));
                    self.time_out();
                }
                _ => {
                    self.world.now.advance(until - self.world.now.instant());
                    return;
                }
            }
        }
        panic!("a deadline is handled for ever");
    }

    pub fn pass_secs(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// Time passes in which nobody calls: the machine was suspended, or a handler blocked the loop.
    /// Then the session is told once.
    pub fn oversleep(&mut self, time: Duration) {
        self.world.now.advance(time);
        self.time_out();
    }

    /// The session is told the time after this one has passed, and is not driven yet.
    pub fn tell_time_after(&mut self, time: Duration) {
        self.world.now.advance(time);
        self.driven.session.timed_out(&mut self.out, &self.world.cx());
    }

    /// The session is told that its time has come, be it true or not.
    pub fn time_out(&mut self) {
        self.driven.session.timed_out(&mut self.out, &self.world.cx());
        self.work();
    }

    /// Seconds to the deadline, if it is not the endless write time-out.
    pub fn due_secs(&self) -> Option<u64> {
        let deadline = self.driven.session.deadline()?.saturating_duration_since(self.world.now.instant());
        (deadline < Limits::TIMEOUT_MAX / 2).then_some(deadline.as_secs())
    }

    /// Carries out the posted commands: as a thread does, one by one, and every other time as the
    /// event loop does, messages for the same address together. Returns how many there were.
    pub fn deliver(&mut self) -> usize {
        let commands = take(&mut *self.world.remote.posted.0.lock().unwrap());
        let count = commands.len();
        self.bursts = !self.bursts;
        let (mut frames, mut to) = (Vec::new(), 0);
        for (address, command) in commands {
            assert_eq!(address.slot, SLOT);
            if to != address.serial || !matches!(command, Command::Send(_)) {
                self.burst(to, &take(&mut frames));
            }
            match command {
                Command::Send(frame) if self.bursts => {
                    to = address.serial;
                    frames.push(frame);
                }
                command => self.apply(address.serial, command),
            }
        }
        self.burst(to, &frames);
        count
    }

    /// Delivers messages together if the session takes them so, and else one by one. Returns
    /// whether it did.
    pub fn burst(&mut self, serial: u64, frames: &[Frame]) -> bool {
        let joined = Burst::join(frames);
        let burst = Burst::new(frames, joined.as_ref());
        match self.driven.session.deliver(serial, Delivery::Messages(&burst), &mut self.out, &self.world.cx()) {
            Delivered::Shared(wire) => {
                let taken = self.peer.take(wire);
                self.out.push_shared(wire, taken..wire.len());
                self.work();
                return true;
            }
            Delivered::Taken => _ = self.work(),
            Delivered::OneByOne => frames.iter().for_each(|frame| self.apply(serial, Command::Send(frame.clone()))),
        }
        false
    }

    /// Delivers one message. Returns where its bytes are, if the session takes bytes that others
    /// share.
    #[cfg(feature = "deflate")]
    pub fn shared_address(&mut self, frame: &Frame) -> Option<*const u8> {
        let (serial, burst) = (self.last_serial(), Burst::one(frame));
        match self.driven.session.deliver(serial, Delivery::Messages(&burst), &mut self.out, &self.world.cx()) {
            Delivered::Shared(wire) => {
                self.peer.take(wire);
                Some(wire.as_ptr())
            }
            _ => None,
        }
    }

    pub fn apply(&mut self, serial: u64, command: Command) {
        let delivered = self.driven.session.deliver(serial, Delivery::Command(command), &mut self.out, &self.world.cx());
        assert!(matches!(delivered, Delivered::Taken));
        self.work();
    }

    /// The driver's own queue is full.
    pub fn refuse(&mut self, serial: u64) {
        self.driven.session.deliver(serial, Delivery::Refused, &mut self.out, &self.world.cx());
        self.work();
    }

    /// The serial that was given out last.
    pub fn last_serial(&self) -> u64 {
        self.world.remote.serial.get()
    }

    /// The driver has no thread left for this connection.
    pub fn refuse_connection(&mut self) {
        self.driven.session.refuse(1_500, &mut self.out, &self.world.cx());
        self.work();
    }

    pub fn shut_down(&mut self) {
        self.driven.session.shut_down(1_500, &mut self.out, &self.world.cx());
        self.work();
    }

    /// The driver lets go.
    pub fn close(&mut self, reason: CloseReason) {
        self.driven.session.close(reason, &self.world.cx());
    }

    pub fn ending(&self) -> Option<Ending> {
        self.driven.session.ending()
    }

    pub fn wants_read(&mut self) -> bool {
        self.wanted_bytes() > 0
    }

    /// How many bytes would be read now, if the client had sent as many.
    pub fn wanted_bytes(&mut self) -> usize {
        self.driven.session.may_read();
        match self.driven.session.next(Io::NON_BLOCKING, &mut self.out, &self.world.cx()) {
            Next::Read(most) => most,
            _ => 0,
        }
    }

    /// Input that waits.
    pub fn input_len(&self) -> usize {
        self.peer.incoming.len() + self.driven.unused().len()
    }

    /// Output that waits.
    pub fn out_len(&self) -> usize {
        self.out.len()
    }

    pub fn stats(&self) -> Snapshot {
        self.world.stats.snapshot()
    }

    /// What the system took since the last look.
    pub fn bytes(&mut self) -> Vec<u8> {
        take(&mut self.peer.taken)
    }

    pub fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub fn text_lossy(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    pub fn answers(&mut self) -> Vec<Answer> {
        wire::answers(&self.bytes())
    }

    /// The one answer that came.
    pub fn answer(&mut self) -> Answer {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    /// Opens a WebSocket and forgets the 101.
    pub fn open(&mut self) {
        self.send(wire::upgrade("/ws"));
        assert!(self.bytes().starts_with(b"HTTP/1.1 101 "));
    }

    /// WebSocket frames that came: opcode and payload.
    pub fn frames(&mut self) -> Vec<(u8, Vec<u8>)> {
        wire::frames(&self.bytes())
    }
}

/// Whatever a test did, nothing of it is left.
impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.close(CloseReason::Transport);
        self.close(CloseReason::Transport);
        let stats = self.stats();
        assert_eq!((stats.open, stats.held, stats.streams, stats.websockets), (0, 0, 0, 0), "gauges of what is over");
        assert_eq!(stats.accepted, 1);
        assert_eq!(self.ending(), Some(Ending::Abort));
        self.shelf.expect_all_dropped();

        let before = self.out.len();
        self.deliver();
        let cx = self.world.cx();
        let unused = self.driven.unused().len();
        let session = &mut self.driven.session;
        session.timed_out(&mut self.out, &cx);
        session.peer_ended(PeerEnd::Read);
        session.shut_down(1, &mut self.out, &cx);
        let mut input = vec![b'G'; unused + 9];
        assert_eq!(session.received(&mut input, Ready::No, &mut self.out, &cx), input.len(), "what comes after the end is thrown away");
        assert_eq!(self.out.len(), before, "nothing is said after the end");
        assert_eq!(self.stats(), stats, "nothing is counted after the end");
        assert!(matches!(self.driven.session.next(Io::NON_BLOCKING, &mut self.out, &self.world.cx()), Next::Close(_)));
    }
}
