//! Hubs that share a log with faults, on a virtual clock and one thread.
//!
//! Owns the order of events, and the account of what publishers were told and clients have received.
//! The hubs are the real ones, driven step by step. A seed decides everything, so a failure can be
//! repeated. Leaves the log to `broker`, and the answers to `client`.

mod broker;
mod client;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use broker::{Kept, Random, SharedBroker};
use client::Client;

use super::clock::Clock;
use super::config::HubConfig;
use super::follow::Follower;
use super::hub::Hub;
use super::publish::{PublishError, Published};
use crate::push::log::{Record, SharedLog, seeded};
use crate::push::model::{Cursor, Id, Payload, Topics};

const HUBS: usize = 3;
const CLIENTS: usize = 6;
const STEPS: usize = 400;
const TOPICS: [&str; 2] = ["a", "b"];

/// What a publisher was told of each message.
type Told = Arc<Mutex<HashMap<String, Result<Published, PublishError>>>>;

struct World {
    broker: SharedBroker,
    hubs: Vec<(Hub, Follower)>,
    clients: Vec<Client>,
    random: Random,
    start: Instant,
    millis: Arc<AtomicU64>,
    topics: Topics,
    told: Told,
    published: u64,
    texts: HashMap<Id, String>,
}

impl World {
    fn new(seed: u64) -> Self {
        seeded::begin(seed + 1);
        let random = |salt: u64| Random((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt);
        let broker = SharedBroker::new(random(1));
        let (start, millis) = (Instant::now(), Arc::<AtomicU64>::default());
        let mut world = Self {
            broker,
            hubs: Vec::new(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            random: random(2),
            start,
            millis,
            topics: Topics::parse("a,b", 2).expect("two names"),
            told: Told::default(),
            published: 0,
            texts: HashMap::new(),
        };
        for _ in 0..HUBS {
            world.add_hub();
        }
        world
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.millis.load(SeqCst))
    }

    fn add_hub(&mut self) {
        let (start, millis) = (self.start, Arc::clone(&self.millis));
        let log = SharedLog {
            publish_timeout: Duration::from_secs(10),
            spool_messages: 5,
            tail_records: 6,
            lag_timeout: Duration::from_secs(3),
            threads: false,
            ..SharedLog::new(self.broker.clone())
        };
        let hub = Hub::new(HubConfig {
            history_messages: 8,
            replay_bytes: 30,
            clock: Clock::new(move || start + Duration::from_millis(millis.load(SeqCst))),
            log: Some(log),
            ..HubConfig::default()
        });
        let follower = Follower::new(&hub, self.now());
        self.hubs.push((hub, follower));
    }

    fn publish(&mut self) {
        self.published += 1;
        let text = format!("m{}", self.published);
        let topic = TOPICS[self.random.below(2) as usize];
        let hub = &self.hubs[self.random.below(HUBS as u64) as usize].0;
        let (told, name) = (Arc::clone(&self.told), text.clone());
        hub.publish_then(topic, Payload::text(text), move |outcome| {
            assert!(told.lock().expect("no test panics under the lock").insert(name, outcome).is_none(), "an outcome is told once");
        });
    }

    fn step(&mut self) {
        self.millis.fetch_add(self.random.below(200), SeqCst);
        let now = self.now();
        match self.random.below(40) {
            0 => self.broker.lock().crash(),
            1 => {
                let mut broker = self.broker.lock();
                broker.crash();
                broker.lose_end();
            }
            2 if self.random.below(4) == 0 => {
                let mut broker = self.broker.lock();
                broker.crash();
                (broker.entries, broker.trimmed_to, broker.returned, broker.epoch) = (Vec::new(), 0, 0, None);
            }
            3 => self.broker.lock().trim(),
            // A server is started anew.
            4 => {
                let nth = self.random.below(HUBS as u64) as usize;
                self.hubs.remove(nth);
                self.add_hub();
            }
            5..=9 => self.broker.lock().is_up = true,
            10..=24 => self.publish(),
            _ => self.broker.lock().take_some(),
        }
        for (hub, follower) in &mut self.hubs {
            for _ in 0..self.random.below(4) {
                follower.step(now, Duration::ZERO);
                hub.outside().expect("the hub has a log").send_one(Duration::ZERO);
            }
            hub.tell_late(now);
            if self.random.below(3) == 0 {
                // A hub notices a broken connection before it can read on another one.
                follower.step(now, Duration::ZERO);
                while hub.outside().expect("the hub has a log").read_one() {}
            }
        }
        let nth = self.random.below(CLIENTS as u64) as usize;
        let hub = &self.hubs[self.random.below(HUBS as u64) as usize].0;
        self.clients[nth].poll(hub, &self.topics);
        self.clients.iter_mut().for_each(|client| client.take_answer(&mut self.texts, &self.broker));
    }

    /// The faults end, and everything settles.
    fn settle(&mut self) {
        {
            let mut broker = self.broker.lock();
            (broker.is_up, broker.has_faults) = (true, false);
        }
        for _ in 0..400 {
            self.millis.fetch_add(100, SeqCst);
            let now = self.now();
            self.broker.lock().take_some();
            for (hub, follower) in &mut self.hubs {
                let outside = hub.outside().expect("the hub has a log");
                follower.step(now, Duration::ZERO);
                outside.send_one(Duration::ZERO);
                hub.tell_late(now);
                while outside.read_one() {}
            }
            for (nth, client) in self.clients.iter_mut().enumerate() {
                client.poll(&self.hubs[nth % HUBS].0, &self.topics);
                client.take_answer(&mut self.texts, &self.broker);
            }
        }
    }

    /// The log: the position, the origin, the number, `after` and the text of each message.
    fn log(&self) -> String {
        let of = |(position, kept): (usize, &Kept)| match kept {
            Kept::Message(Record { origin, number, after, payload, .. }) => {
                format!("{position}: {:x} {number} {after} {}", origin >> 48, String::from_utf8_lossy(payload.bytes()))
            }
            Kept::Epoch(_) | Kept::Foreign => format!("{position}"),
        };
        self.broker.lock().entries.iter().enumerate().map(of).collect::<Vec<_>>().join(", ")
    }

    fn check(&self) {
        let told = self.told.lock().expect("no test panics under the lock");
        let last = self.hubs[0].0.last();
        for (hub, _) in &self.hubs {
            assert_eq!(hub.last(), last, "all hubs are at the end of the log");
            let stats = hub.log_stats().expect("the hub has a log");
            assert_eq!((stats.spool_messages, stats.waiting), (0, 0), "nothing waits any more: {}", stats.json());
        }
        let untold: Vec<_> = (1..=self.published).map(|number| format!("m{number}")).filter(|text| !told.contains_key(text)).collect();
        assert_eq!(untold, [""; 0], "every outcome was told; the log: {}", self.log());
        // What is retained is the same everywhere. A hub that started later retains less.
        let retained = |hub: &Hub| {
            let topics = Topics::parse("a", 1).expect("a name");
            let messages = hub.replay(&topics, Cursor::Earliest).messages;
            messages.iter().map(|message| (message.id(), message.text().map(str::to_owned))).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.hubs.iter().map(|(hub, _)| retained(hub)).collect();
        all.sort_by_key(Vec::len);
        let [short, middle, long] = &all[..] else { panic!("there are three hubs") };
        let limited = |long: &[(Id, Option<String>)], short: &[(Id, Option<String>)]| {
            let same = long.iter().filter(|message| short.contains(message)).count();
            assert_eq!(same, short.len(), "{long:?} has all of {short:?}");
        };
        // The reads have a limit of bytes, so only what both can have is compared.
        let from = |messages: &[(Id, Option<String>)]| messages.first().map(|(id, _)| *id);
        let to = |messages: &[(Id, Option<String>)]| messages.last().map(|(id, _)| *id);
        for (one, other) in [(long, middle), (long, short), (middle, short)] {
            let (first, end) = (from(one).max(from(other)), to(one).min(to(other)));
            let within = |messages: &[(Id, Option<String>)]| {
                messages.iter().filter(|(id, _)| Some(*id) >= first && Some(*id) <= end).cloned().collect::<Vec<_>>()
            };
            if !self.broker.lock().broken_epochs.contains(&last.epoch) {
                limited(&within(one), &within(other));
            }
        }
        let in_log: HashSet<_> = self.texts.values().collect();
        for (text, outcome) in &*told {
            match outcome {
                Ok(published) => {
                    let is_broken = self.broker.lock().broken_epochs.contains(&published.id.epoch);
                    let known = self.texts.get(&published.id).filter(|_| !is_broken);
                    assert!(known.is_none_or(|known| known == text), "{text} was confirmed as {}", published.id);
                    if published.id.epoch != last.epoch || is_broken {
                        continue; // every client was told of a gap
                    }
                    for client in &self.clients {
                        let epoch = published.id.epoch;
                        assert!(
                            client.has(published.id),
                            "{text} {} is neither there nor in a gap: at {:?}, has {:?}, was told of {:?}; the log: {}",
                            published.id,
                            client.cursor,
                            client.received.get(&epoch),
                            client.gaps.get(&epoch),
                            self.log()
                        );
                    }
                }
                Err(PublishError::LogAway | PublishError::SpoolFull) => assert!(!in_log.contains(text), "{text} was not published"),
                Err(error) => assert_eq!(*error, PublishError::NotConfirmed),
            }
        }
    }
}

/// Thousands of runs: no message twice, none out of order, none lost without a gap, one id for one
/// message at all hubs, and one outcome for each publish.
#[test]
fn the_account_is_right_whatever_the_log_does() {
    let seeds = std::env::var("PUSHLAB_LOG_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    for seed in 0..seeds {
        let mut world = World::new(seed);
        let run = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                world.step();
            }
            world.settle();
            world.check();
        }));
        assert!(run.is_ok(), "seed {seed} fails");
    }
}
