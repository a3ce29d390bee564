//! Random conversations: whatever happens in whatever order, what must always hold does.
//!
//! The rig itself checks at every step that no more input is used than was given, and at the end that all gauges are at zero, everything
//! carried was dropped, and nothing is said any more. Here the order of messages and of answers is checked against a model.
//!
//! Covers: session::session, session::link

use std::time::Duration;

use pushlab::proto::{CloseReason, Frame, ProtocolLimits};
use pushlab::session::{Ending, Held, Limits, Pusher, Response, Settings, SlowConsumer};

use super::rig::Rig;
use super::wire::{self, get, text_frame, upgrade};
use crate::support::splits::Seeded;

const STEPS: usize = 120;

struct Run {
    seed: u64,
    numbers: Seeded,
    rig: Rig,
    held: Vec<Held>,
    pushers: Vec<Pusher>,
    policy: SlowConsumer,
    /// The last number that was pushed; every message is a number of its own.
    last: u32,
    /// What was pushed by each pusher.
    pushed: Vec<Vec<u32>>,
    /// All that the client got.
    wire: Vec<u8>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut numbers = Seeded::new(seed);
        let limits = Limits {
            protocol: ProtocolLimits { pipeline_bytes: 100, ..ProtocolLimits::default() },
            output_bytes: 50 + numbers.below(500),
            queue_bytes: 50 + numbers.below(500),
            heartbeat: [None, Some(Duration::from_secs(3)), Some(Duration::from_secs(25))][numbers.below(3)],
            ..Limits::default()
        };
        let policy = [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::KeepLatest][numbers.below(3)];
        let rig = Rig::with(Settings { limits, slow_consumer: policy, ..Settings::default() });
        let rig = if seed.is_multiple_of(3) { rig.layered(seed) } else { rig };
        Self { seed, numbers, rig, held: Vec::new(), pushers: Vec::new(), policy, last: 0, pushed: Vec::new(), wire: Vec::new() }
    }

    fn step(&mut self) {
        let before = (self.rig.ending(), self.rig.out_len());
        let choice = self.numbers.below(16);
        match choice {
            0..=2 => self.request(),
            3..=6 => self.push(),
            7 => self.release(),
            8 => self.rig.block(),
            9 => {
                let bytes = self.numbers.below(200);
                self.rig.take_up_to(bytes);
            }
            10..=11 => self.rig.unblock(),
            12 => {
                let time = Duration::from_millis(self.numbers.next() % 30_000);
                self.rig.pass(time);
            }
            13 => self.rig.time_out(),
            14 => drop(self.rig.deliver()),
            _ => self.seldom(),
        }
        self.collect();
        if before.0 == Some(Ending::Abort) {
            assert_eq!((self.rig.ending(), self.rig.out_len()), before, "seed {}: something after the abort, by {choice}", self.seed);
        }
        if let Some(ending) = before.0 {
            assert!(self.rig.ending().is_some(), "seed {}: {ending:?} was not the end", self.seed);
        }
    }

    /// Most runs begin with something that lasts.
    fn begin(&mut self) {
        match self.numbers.below(5) {
            0 | 1 => self.rig.send(upgrade("/ws")),
            2 => self.rig.send(get("/stream")),
            3 => self.rig.send(get("/events")),
            _ => {}
        }
        self.collect();
    }

    fn request(&mut self) {
        if self.rig.stats().websockets > 0 {
            return self.message();
        }
        let paths = ["/hello", "/echo", "/hold", "/forget", "/stream", "/events", "/short-stream", "/dropped", "/bad", "/nothing"];
        let request = match self.numbers.below(12) {
            10 => upgrade("/ws"),
            11 => wire::post("/echo", &"x".repeat(self.numbers.below(100))),
            at => get(paths[at]),
        };
        let cut = self.numbers.below(request.len() + 1);
        self.rig.send(&request[..cut]);
        if self.numbers.below(10) > 0 {
            self.rig.send(&request[cut..]);
        }
    }

    fn message(&mut self) {
        let frame = match self.numbers.below(30) {
            0 => wire::close_frame(1000),
            1 | 8 | 9 => wire::frame(0x89, b"ping"),
            2 => text_frame("close 1000"),
            3 => wire::frame(0x83, b"a reserved opcode"),
            4..8 => text_frame("flood 9"),
            _ => text_frame("an echo"),
        };
        self.rig.send(frame);
    }

    fn push(&mut self) {
        if self.pushers.is_empty() {
            return;
        }
        // Stale ones too.
        let at = if self.numbers.below(3) == 0 { self.numbers.below(self.pushers.len()) } else { self.pushers.len() - 1 };
        let pusher = &self.pushers[at];
        for _ in 0..self.numbers.below(10) {
            self.last += 1;
            self.pushed[at].push(self.last);
            pusher.push(&Frame::chunk(format!("<{:08}>", self.last).as_bytes()));
        }
        if self.numbers.below(30) == 0 {
            pusher.close(1000);
        }
    }

    fn release(&mut self) {
        if !self.held.is_empty() {
            let held = self.held.remove(self.numbers.below(self.held.len()));
            if self.numbers.below(4) == 0 { drop(held) } else { held.release(Response::text("released")) }
        }
    }

    fn seldom(&mut self) {
        match self.numbers.below(20) {
            0 => self.rig.eof(),
            1 => self.rig.shut_down(),
            2 => self.rig.close([CloseReason::Transport, CloseReason::WriteStalled][self.numbers.below(2)]),
            _ => {}
        }
    }

    fn collect(&mut self) {
        self.held.extend(self.rig.shelf.take_held());
        self.pushers.extend(self.rig.shelf.take_pushers());
        self.pushed.resize(self.pushers.len(), Vec::new());
        self.wire.extend(self.rig.bytes());
        let stats = self.rig.stats();
        let seed = self.seed;
        assert!(stats.held + stats.streams + stats.websockets <= stats.open, "seed {seed}: one connection does one thing");
        assert_eq!((stats.panics, stats.accepted), (0, 1), "seed {seed}");
    }

    /// What the client got is a sequence of messages in the order in which they were pushed, each once. Unless the policy drops messages,
    /// the first that is missing is the end.
    fn finish(mut self) {
        self.rig.deliver();
        self.collect();
        let text = String::from_utf8_lossy(&self.wire);
        let whole = |at: &usize| text.as_bytes().get(at + 9) == Some(&b'>');
        let numbers: Vec<u32> =
            text.match_indices('<').map(|(at, _)| at).filter(whole).map(|at| text[at + 1..at + 9].parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, other| one < other), "seed {}: {numbers:?}", self.seed);
        if self.policy == SlowConsumer::Disconnect {
            for pushed in &self.pushed {
                let got: Vec<_> = numbers.iter().copied().filter(|number| pushed.contains(number)).collect();
                assert!(pushed.starts_with(&got), "seed {}: {got:?} of {pushed:?}: a message is lost in silence", self.seed);
            }
        }
    }
}

#[test]
fn random_conversations() {
    for seed in 1..=400 {
        let mut run = Run::new(seed);
        run.begin();
        for _ in 0..STEPS {
            run.step();
        }
        run.finish();
    }
}
