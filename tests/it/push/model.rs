//! Clients that are cut, come back by any technique, or are away for too long, against a model that remembers everything: what was sent is what
//! was delivered and what was declared missing, each once and in order.

use std::time::Duration;

use pushlab::push::HubConfig;

use super::readers::{self, Seen};
use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire;
use crate::support::splits::Seeded;

const TECHNIQUES: [&str; 10] = ["page", "poll", "long-poll", "jsonp", "long-jsonp", "stream", "iframe", "multipart", "events", "ws"];
const TOPICS: [&str; 3] = ["a", "b", "a,b"];
const MESSAGES: usize = 5;
const BYTES: usize = 60;
const AGE_SECS: u64 = 60;

/// Everything that was ever published.
struct Model {
    now: u64,
    all: Vec<(Seen, u64)>,
    sequence: Vec<u64>,
}

impl Model {
    fn is_for(seen: &Seen, topics: &str) -> bool {
        matches!(seen, Seen::Message(_, topic, _) if topics.split(',').any(|name| name == topic))
    }

    /// By a definition that keeps no state: a message is there while fewer than so many, and less than so many bytes, came behind it. An age,
    /// once reached, cannot be undone.
    fn is_retained(&self, at: usize) -> bool {
        let (Seen::Message(_, topic, _), published) = &self.all[at] else { return false };
        let behind: Vec<usize> =
            self.all[at..].iter().filter(|(seen, _)| Self::is_for(seen, topic)).map(|(seen, _)| seen.payload().len()).collect();
        let oversized = (0..behind.len()).any(|end| behind[..=end].iter().sum::<usize>() > BYTES || end >= MESSAGES);
        !oversized && self.now - published < AGE_SECS
    }

    /// What a client sees whose cursor is this place of the sequence.
    fn missed(&self, topics: &str, after: u64, is_foreign: bool) -> (Vec<Seen>, usize) {
        let mine = (0..self.all.len()).filter(|at| Self::is_for(&self.all[*at].0, topics) && self.sequence[*at] > after);
        let (there, gone): (Vec<usize>, Vec<usize>) = mine.partition(|at| self.is_retained(*at));
        let gap = (is_foreign || !gone.is_empty()).then_some(Seen::Gap);
        (gap.into_iter().chain(there.into_iter().map(|at| self.all[at].0.clone())).collect(), gone.len())
    }
}

/// One client over its whole life.
struct Client {
    topics: &'static str,
    cursor: Option<String>,
    /// Its place in the sequence.
    place: u64,
    is_foreign: bool,
    open: Option<Open>,
    delivered: usize,
    declared: usize,
}

struct Open {
    technique: &'static str,
    rig: Rig,
    bytes: Vec<u8>,
    expected: Vec<Seen>,
    /// Messages that the gap at the front stands for.
    gone: usize,
    may_end_early: bool,
}

fn target(client: &Client, technique: &str, max_bytes: Option<usize>) -> String {
    let (path, parameters) = match technique {
        "jsonp" => ("poll", "callback=f&"),
        "long-jsonp" => ("long-poll", "callback=f&"),
        "iframe" => ("iframe", "callback=f&"),
        "events" => ("events", "format=json&"),
        "multipart" => ("multipart", "format=json&"),
        other => (other, ""),
    };
    let max_bytes = max_bytes.map_or_else(String::new, |bytes| format!("max_bytes={bytes}&"));
    format!("/topics/{}/{path}?{parameters}{max_bytes}after={}", client.topics, client.cursor.as_deref().unwrap_or("earliest"))
}

impl Open {
    /// Whether there is nothing more to come: a poll has one answer.
    fn is_answered(&self) -> bool {
        match self.technique {
            "page" | "poll" | "jsonp" => true,
            "long-poll" | "long-jsonp" => !self.expected.is_empty(),
            _ => false,
        }
    }

    /// What came so far; for a poll that is held, nothing.
    fn seen(&mut self) -> (Vec<Seen>, bool) {
        self.bytes.extend(self.rig.bytes());
        if self.technique == "ws" {
            let head = self.bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            return (readers::frames(&self.bytes[head..]), false);
        }
        let Some(answer) = wire::answers(&self.bytes).pop() else { return (Vec::new(), false) };
        let content_type = answer.field("Content-Type").unwrap().to_owned();
        let seen = match self.technique {
            "page" => readers::page(&answer.body).0,
            "poll" | "long-poll" => readers::poll(&answer.body).0,
            "jsonp" | "long-jsonp" => readers::jsonp(&answer.body, "f").0,
            "stream" => readers::lines(&answer.body),
            "iframe" => readers::scripts(&answer.body, "f"),
            "multipart" => readers::parts(&answer.body, &content_type, true),
            _ => readers::events(&answer.body, true).0,
        };
        (seen, answer.is_whole)
    }
}

impl Client {
    fn new(topics: &'static str) -> Self {
        Self { topics, cursor: None, place: 0, is_foreign: false, open: None, delivered: 0, declared: 0 }
    }

    fn come(&mut self, world: &World, model: &Model, technique: &'static str, max_bytes: Option<usize>) {
        let mut rig = world.connect();
        let target = target(self, technique, max_bytes);
        rig.send(if technique == "ws" { wire::upgrade(&target) } else { wire::get(&target) });
        let (mut expected, gone) = model.missed(self.topics, self.place, self.is_foreign);
        if self.cursor.is_none() && expected.first() == Some(&Seen::Gap) {
            // `earliest` asks for what there is.
            expected.remove(0);
            self.declared += gone;
        }
        let gone = if expected.first() == Some(&Seen::Gap) { gone } else { 0 };
        let is_poll = matches!(technique, "page" | "poll" | "jsonp" | "long-poll" | "long-jsonp");
        let may_end_early = max_bytes.is_some() || is_poll && world.hub.config().replay_bytes < BYTES;
        self.open = Some(Open { technique, rig, bytes: Vec::new(), expected, gone, may_end_early });
    }

    /// Reads what has come, and goes away: in the middle of a stream, or with its poll answered.
    fn leave(&mut self, delivers: bool) {
        let Some(mut open) = self.open.take() else { return };
        if delivers {
            open.rig.deliver();
        }
        let (seen, is_over) = open.seen();
        let what = format!("{} of {}: {seen:?} of {:?}", open.technique, self.topics, open.expected);
        assert!(open.expected.starts_with(&seen), "{what}");
        if delivers && !(open.may_end_early && is_over) {
            assert_eq!(seen.len(), open.expected.len(), "{what}");
        }
        for seen in seen {
            match seen {
                Seen::Gap => self.declared += open.gone,
                Seen::End(..) => panic!("{what}"),
                Seen::Message(id, ..) => {
                    self.place = id.split_once('-').unwrap().1.parse().unwrap();
                    (self.cursor, self.is_foreign) = (Some(id), false);
                    self.delivered += 1;
                }
            }
        }
    }
}

fn run(seed: u64, replay_bytes: usize) {
    let mut numbers = Seeded::new(seed);
    let age = Duration::from_secs(AGE_SECS);
    let config = HubConfig { history_messages: MESSAGES, history_bytes: BYTES, history_age: age, replay_bytes, ..HubConfig::default() };
    let world = World::with(config);
    let mut model = Model { now: 0, all: Vec::new(), sequence: Vec::new() };
    let mut clients: Vec<_> = TOPICS.iter().chain(&TOPICS).map(|topics| Client::new(topics)).collect();
    for step in 0..400 {
        let who = numbers.below(clients.len());
        match numbers.below(10) {
            0..5 => {
                let topic = ["a", "b"][numbers.below(2)];
                let text = format!("{step}{}", "x".repeat([0, 1, 20, 57][numbers.below(4)]));
                let id = world.publish(topic, &text);
                let message = Seen::Message(id.to_string(), topic.to_owned(), text.into_bytes());
                let listeners = clients.iter_mut().filter(|client| Model::is_for(&message, client.topics));
                for open in listeners.filter_map(|client| client.open.as_mut()).filter(|open| !open.is_answered()) {
                    open.expected.push(message.clone());
                }
                model.all.push((message, model.now));
                model.sequence.push(id.sequence);
            }
            5 => {
                let seconds = [1, 10, 70][numbers.below(3)];
                world.pass_secs(seconds);
                model.now += seconds;
            }
            6 => clients[who].leave(false),
            7 if clients[who].open.is_none() && clients[who].cursor.is_some() && numbers.below(4) == 0 => {
                // It comes from another hub.
                (clients[who].cursor, clients[who].place, clients[who].is_foreign) = (Some(format!("1-{step}")), 0, true);
            }
            _ => {
                clients[who].leave(true);
                let technique = TECHNIQUES[numbers.below(TECHNIQUES.len())];
                let is_bounded = matches!(technique, "stream" | "iframe") && numbers.below(2) == 0;
                clients[who].come(&world, &model, technique, is_bounded.then(|| 1 + numbers.below(300)));
            }
        }
    }
    // Whoever has never been foreign can close the account.
    for client in &mut clients {
        client.leave(true);
        client.come(&world, &model, "poll", None);
        client.leave(true);
        assert!(client.delivered > 0);
    }
}

#[test]
fn sent_is_delivered_or_declared_missing() {
    for seed in 0..60 {
        run(seed, 1024 * 1024);
    }
}

/// A replay comes in pieces of a message or two: streams go on with the next piece, and polls come
/// again for it.
#[test]
fn sent_is_delivered_in_pieces_or_declared_missing() {
    for seed in 0..60 {
        run(seed, BYTES / 3);
    }
}

/// Without foreign cursors every message counts once, on one side or the other.
#[test]
fn the_account_is_balanced() {
    for seed in 100..120 {
        let mut numbers = Seeded::new(seed);
        let world = World::with(HubConfig { history_messages: MESSAGES, history_bytes: usize::MAX, ..HubConfig::default() });
        let mut model = Model { now: 0, all: Vec::new(), sequence: Vec::new() };
        let mut client = Client::new("a,b");
        client.cursor = Some(world.hub.last().to_string());
        let mut sent = 0;
        for step in 0..100 {
            for _ in 0..numbers.below(9) {
                let id = world.publish(["a", "b"][step % 2], "x");
                let topic = ["a", "b"][step % 2].to_owned();
                model.all.push((Seen::Message(id.to_string(), topic, b"x".to_vec()), 0));
                model.sequence.push(id.sequence);
                sent += 1;
            }
            client.come(&world, &model, TECHNIQUES[numbers.below(TECHNIQUES.len())], None);
            client.leave(true);
        }
        assert_eq!(client.delivered + client.declared, sent, "seed {seed}");
    }
}
