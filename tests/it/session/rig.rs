//! The driver of these tests.
//!
//! Covers: session::context, session::stats

use std::cell::Cell;
use std::mem::take;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use pushlab::proto::{CloseReason, Frame, Now, Outbox};
use pushlab::session::{Address, Burst, Command, Context, Ending, Handler, Post, RemoteSource, Session, Settings, Snapshot, Stats};

use super::app::{Shelf, app};
use super::wire::{self, Answer};

const SLOT: u32 = 7;
/// More calls than any test needs: a deadline that does not move when it is handled would be handled for ever.
const CALLS_MAX: usize = 10_000;

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
        Context { now: &self.now, settings: &self.settings, stats: &self.stats, app: &*self.app, remote: &self.remote }
    }
}

/// One session and what is around it.
pub struct Rig {
    world: World,
    session: Session,
    out: Outbox,
    /// Input that the session has not used.
    input: Vec<u8>,
    /// Bytes that the system takes before it blocks; `None` for all.
    room: Option<usize>,
    /// Bytes that the system took and no assertion has looked at.
    taken: Vec<u8>,
    /// This side has said that it sends no more.
    sending_ended: bool,
    /// Messages are delivered together this time, not one by one.
    bursts: bool,
    /// A thread holds output that the system has not taken yet.
    pub is_writing: bool,
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

    pub fn serving_with(settings: Settings, shelf: Arc<Shelf>, handler: impl Handler) -> Self {
        let now = Now::new(Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        let remote = Remote { posted: Arc::default(), serial: Cell::new(0) };
        let world = World { app: Box::new(handler), settings, stats: Stats::default(), now, remote };
        let session = Session::new("192.0.2.1:4711".parse().unwrap(), &world.cx());
        Self {
            world,
            session,
            out: Outbox::new(),
            input: Vec::new(),
            room: None,
            taken: Vec::new(),
            sending_ended: false,
            bursts: false,
            is_writing: false,
            shelf,
        }
    }

    /// The client sends.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.extend_from_slice(bytes.as_ref());
        self.work();
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

    /// What a driver does after everything: the session works on the input until it stops, and the system takes output.
    pub fn work(&mut self) {
        for _ in 0..CALLS_MAX {
            let given = self.input.len();
            let used = if given == 0 { 0 } else { self.session.receive(&mut self.input, &mut self.out, &self.world.cx()) };
            assert!(used <= given, "{used} bytes used of {given}");
            self.input.drain(..used);
            let moved = used > 0 || !self.out.is_empty();
            self.drain();
            if !moved || self.input.is_empty() || !self.out.is_empty() {
                return;
            }
        }
        panic!("the session works for ever");
    }

    fn drain(&mut self) {
        while !self.out.is_empty() && self.ending() != Some(Ending::Abort) {
            let len = self.room.map_or(self.out.len(), |room| room.min(self.out.len()));
            if len == 0 {
                return;
            }
            self.room = self.room.map(|room| room - len);
            self.taken.extend(self.out.chunks().flatten().take(len));
            self.out.advance(len);
            if self.out.is_empty() {
                self.session.drained(&mut self.out, &self.world.cx());
            }
        }
        if self.out.is_empty() && self.ending() == Some(Ending::Linger) && !self.sending_ended {
            self.sending_ended = true;
            self.session.sending_ended(&self.world.cx());
        }
    }

    /// From now on the system takes nothing.
    pub fn block(&mut self) {
        self.room = Some(0);
    }

    /// The system takes this much.
    pub fn take_up_to(&mut self, bytes: usize) {
        self.room = Some(bytes);
        self.drain();
        self.work();
    }

    /// The system takes everything again.
    pub fn unblock(&mut self) {
        self.room = None;
        self.drain();
        self.work();
    }

    /// The client ends its side.
    pub fn eof(&mut self) {
        self.work();
        self.session.handle_eof(&mut self.out, &self.world.cx());
        self.drain();
    }

    /// Time passes, and every deadline on the way is met.
    pub fn pass(&mut self, time: Duration) {
        let until = self.world.now.instant() + time;
        for _ in 0..CALLS_MAX {
            match self.session.deadline() {
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

    /// Time passes in which nobody calls: the machine was suspended, or a handler blocked the loop. Then the session is told once.
    pub fn oversleep(&mut self, time: Duration) {
        self.world.now.advance(time);
        self.time_out();
    }

    /// The session is told that its time has come, be it true or not.
    pub fn time_out(&mut self) {
        self.session.handle_timeout(self.is_writing, &mut self.out, &self.world.cx());
        self.drain();
        self.work();
    }

    /// Seconds to the deadline.
    pub fn due_secs(&self) -> Option<u64> {
        self.session.deadline().map(|deadline| deadline.saturating_duration_since(self.world.now.instant()).as_secs())
    }

    /// Carries out the posted commands: as a thread does, one by one, and every other time as the event loop does, messages for the same
    /// address together. Returns how many there were.
    pub fn deliver(&mut self) -> usize {
        let commands = take(&mut *self.world.remote.posted.0.lock().unwrap());
        let count = commands.len();
        self.bursts = !self.bursts;
        let (mut frames, mut to) = (Vec::new(), 0);
        for (address, command) in commands {
            assert_eq!(address.slot, SLOT);
            if to != address.serial || !matches!(command, Command::Push(_)) {
                self.burst(to, &take(&mut frames));
            }
            match command {
                Command::Push(frame) if self.bursts => {
                    to = address.serial;
                    frames.push(frame);
                }
                command => self.apply(address.serial, command),
            }
        }
        self.burst(to, &frames);
        count
    }

    /// Delivers messages together if the session takes them so, and else one by one. Returns whether it did.
    pub fn burst(&mut self, serial: u64, frames: &[Frame]) -> bool {
        let joined = Burst::join(frames);
        let burst = Burst::new(frames, joined.as_ref());
        let wire = if self.out.is_empty() { self.session.take_burst(serial, &burst, &self.world.cx()) } else { None };
        if let Some(wire) = wire {
            let len = self.room.map_or(wire.len(), |room| room.min(wire.len()));
            self.room = self.room.map(|room| room - len);
            self.taken.extend(&wire[..len]);
            self.out.push_shared(wire, len..wire.len());
            return true;
        }
        for frame in frames {
            self.apply(serial, Command::Push(frame.clone()));
        }
        false
    }

    pub fn apply(&mut self, serial: u64, command: Command) {
        self.session.apply(serial, command, &mut self.out, &self.world.cx());
        self.drain();
        self.work();
    }

    /// The serial that was given out last.
    pub fn last_serial(&self) -> u64 {
        self.world.remote.serial.get()
    }

    pub fn shut_down(&mut self) {
        self.session.shut_down(1_500, &mut self.out, &self.world.cx());
        self.drain();
        self.work();
    }

    /// The driver lets go.
    pub fn close(&mut self, reason: CloseReason) {
        self.session.close(reason, &self.world.cx());
    }

    pub fn ending(&self) -> Option<Ending> {
        self.session.ending()
    }

    pub fn wants_read(&self) -> bool {
        self.wants_read_after(self.input.len())
    }

    pub fn wants_read_after(&self, input_len: usize) -> bool {
        self.wanted_bytes_after(input_len) > 0
    }

    pub fn wanted_bytes_after(&self, input_len: usize) -> usize {
        self.session.wanted_bytes(input_len, self.out.len(), &self.world.cx())
    }

    /// Input that waits.
    pub fn input_len(&self) -> usize {
        self.input.len()
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
        take(&mut self.taken)
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
        self.session.handle_timeout(self.is_writing, &mut self.out, &self.world.cx());
        self.session.drained(&mut self.out, &self.world.cx());
        self.session.handle_eof(&mut self.out, &self.world.cx());
        self.session.shut_down(1, &mut self.out, &self.world.cx());
        assert_eq!(self.session.receive(&mut [b'G'; 9], &mut self.out, &self.world.cx()), 9, "what comes after the end is thrown away");
        assert_eq!(self.out.len(), before, "nothing is said after the end");
        assert_eq!(self.stats(), stats, "nothing is counted after the end");
        assert_eq!((self.session.deadline(), self.wants_read()), (None, false));
    }
}
