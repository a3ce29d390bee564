//! Clients that join, leave, lose access, read slowly and are cut at random: of each topic, every message from the cursor of its join on comes once and in order, and none comes behind the note that it is left.
//!
//! Covers: push::hub::channel_feed, push::hub::channels

use std::collections::BTreeMap;

use pushlab::push::HubConfig;
use pushlab::session::{Limits, Settings};
use serde_json::json;

use super::notes::{Item, TECHNIQUES, close_frame, items};
use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire;
use crate::support::splits::Seeded;

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

/// What a client thinks of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Having {
    /// It has asked for the topic, and was not told that it has it. It has the topic's messages up to this one.
    Joining(u64),
    /// The cursor of all topics is that of this one, too.
    Settled(u64),
    /// It has asked to leave, and was not told.
    Leaving(u64),
}

impl Having {
    const fn last(self) -> u64 {
        let (Self::Joining(last) | Self::Settled(last) | Self::Leaving(last)) = self;
        last
    }
}

struct Client {
    technique: &'static str,
    rig: Rig,
    secret: String,
    bytes: Vec<u8>,
    seen: usize,
    topics: BTreeMap<&'static str, Having>,
    /// The cursor of the topics that are settled.
    cursor: u64,
    /// Whether the last word has come.
    is_over: bool,
}

/// How often access was withdrawn, and what the clients have heard of it.
#[derive(Debug, Default)]
struct Told {
    subscriptions: u64,
    /// Control requests of connections that have ended.
    refusals: u64,
    lost: u64,
    given_up: u64,
    ended: u64,
    sent_back: u64,
}

struct Run {
    seed: u64,
    world: World,
    /// The topic of each message, by its number less one.
    published: Vec<&'static str>,
    numbers: Seeded,
    told: Told,
}

impl Run {
    fn id(&self, sequence: u64) -> String {
        format!("{:x}-{sequence}", self.world.hub.last().epoch)
    }

    /// The message of a topic behind this one.
    fn next_of(&self, topic: &str, after: u64) -> Option<u64> {
        let behind = self.published.iter().zip(1..).skip(usize::try_from(after).unwrap());
        behind.filter(|(name, _)| **name == topic).map(|(_, number)| number).next()
    }

    fn publish(&mut self) {
        let topic = TOPICS[self.numbers.below(TOPICS.len())];
        let text = format!("{topic} {}", "x".repeat(self.numbers.below(200)));
        assert_eq!(self.world.publish(topic, &text).sequence, self.published.len() as u64 + 1);
        self.published.push(topic);
    }

    fn ask(&self, client: &Client, body: &str) -> u16 {
        self.world.ask(&wire::post(&format!("/topics/z/control?client=me&control={}", client.secret), body)).status
    }

    /// Asks for a change. If the connection is over, the client reads its last word.
    #[track_caller]
    fn ask_or_end(&mut self, client: &mut Client, body: &str) -> bool {
        let status = self.ask(client, body);
        if matches!(status, 403 | 404) {
            self.told.refusals += 1;
            client.rig.unblock();
            while client.rig.deliver() > 0 {}
            self.read(client);
            assert!(client.is_over, "seed {}, {}: {body}", self.seed, client.technique);
            return false;
        }
        assert_eq!(status, 200, "seed {}, {}: {body}", self.seed, client.technique);
        true
    }

    /// Withdraws access to some topics. Nobody loses it for good: the next request is allowed.
    fn revoke(&mut self) {
        let (topic, way) = (TOPICS[self.numbers.below(TOPICS.len())], self.numbers.below(8));
        let count = self.world.hub.revoke(|subscriber| match way {
            0 => false,
            1 => true,
            _ => subscriber.has_topic(topic),
        });
        self.told.subscriptions += count as u64;
    }

    /// Opens a connection with the topics that are settled, and joins the others again.
    fn come(&mut self, before: Option<Client>) -> Client {
        let (mut topics, cursor) =
            before.map_or_else(|| (BTreeMap::from([("a", Having::Settled(0))]), 0), |client| (client.topics, client.cursor));
        topics.retain(|_, having| !matches!(having, Having::Leaving(_)));
        let settled: Vec<_> = topics.iter().filter(|(_, having)| matches!(having, Having::Settled(_))).map(|(topic, _)| *topic).collect();
        let technique = TECHNIQUES[self.numbers.below(TECHNIQUES.len())];
        let path = if settled.is_empty() { "z".to_owned() } else { settled.join(",") };
        let target = format!("/topics/{path}/{technique}client=me&control=1&after={}", self.id(cursor));
        let limits = Limits { output_bytes: 400, ..Limits::default() };
        let mut rig = self.world.connect_with(Settings { limits, ..Settings::default() });
        let is_slow = self.numbers.below(2) == 0;
        if is_slow {
            rig.block();
        }
        rig.send(if technique == "ws?" { wire::upgrade(&target) } else { wire::get(&target) });
        let mut client = Client { technique, rig, secret: String::new(), bytes: Vec::new(), seen: 0, topics, cursor, is_over: false };
        // A slow client reads no more than the head and the first note.
        while is_slow && !client.has_begun() {
            client.rig.take_up_to(100);
        }
        let first = &client.items()[0];
        let Item::Note(note) = first else { panic!("seed {}: {first:?}", self.seed) };
        note["control"].as_str().unwrap().clone_into(&mut client.secret);
        client.seen = 1;
        for (topic, having) in &client.topics {
            if let Having::Joining(last) = having {
                assert_eq!(self.ask(&client, &json!({ "join": [topic], "after": self.id(*last) }).to_string()), 200);
            }
        }
        client
    }

    /// Joins or leaves some topics.
    fn change(&mut self, client: &mut Client) {
        let now = self.published.len() as u64;
        let pick = self.numbers.below(16);
        let picked = |nth: usize| pick >> nth & 1 == 1;
        let chosen: Vec<_> = TOPICS.iter().enumerate().filter(|(nth, _)| picked(*nth)).map(|(_, topic)| *topic).collect();
        if self.numbers.below(2) == 0 {
            let joins: Vec<_> = chosen.into_iter().filter(|topic| !client.topics.contains_key(topic)).collect();
            let (after, from) = match self.numbers.below(3) {
                0 => (String::new(), now),
                1 => ("earliest".to_owned(), 0),
                _ => {
                    let from = self.numbers.below(usize::try_from(now).unwrap() + 1) as u64;
                    (self.id(from), from)
                }
            };
            if !self.ask_or_end(client, &json!({ "join": joins, "after": after }).to_string()) {
                return;
            }
            client.topics.extend(joins.into_iter().map(|topic| (topic, Having::Joining(from))));
        } else {
            let body = if chosen.len() == TOPICS.len() { json!({ "leave": "all" }) } else { json!({ "leave": chosen }) };
            if !self.ask_or_end(client, &body.to_string()) {
                return;
            }
            for topic in chosen {
                if let Some(having) = client.topics.get_mut(topic) {
                    *having = Having::Leaving(having.last());
                }
            }
        }
    }

    /// Looks at what has come.
    fn read(&mut self, client: &mut Client) {
        let fresh = client.items().split_off(client.seen);
        client.seen += fresh.len();
        for item in fresh {
            let what = format!("seed {}, {}: {item:?} with {:?}", self.seed, client.technique, client.topics);
            assert!(!client.is_over, "{what}: behind the last word");
            match item {
                Item::Message(number, data) => {
                    let topic = data.split(' ').next().unwrap();
                    let Some(having) = client.topics.get_mut(topic) else { panic!("{what}: it was left") };
                    assert_eq!(self.next_of(topic, having.last()), Some(number), "{what}");
                    *having = match having {
                        Having::Joining(_) => Having::Joining(number),
                        Having::Leaving(_) => Having::Leaving(number),
                        Having::Settled(_) => {
                            assert!(number > client.cursor, "{what}: behind {}", client.cursor);
                            client.cursor = number;
                            Having::Settled(number)
                        }
                    };
                }
                Item::Note(note) => {
                    let names = |member: &str| -> Vec<String> {
                        note[member].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
                    };
                    for topic in names("left") {
                        let before = client.topics.remove(&*topic);
                        let is_right = match (note["code"].as_u64(), before) {
                            (_, None | Some(Having::Leaving(_))) => true,
                            (Some(1_008), Some(having)) => {
                                self.told.lost += 1;
                                matches!(having, Having::Settled(_))
                            }
                            (Some(1_012), Some(having)) => {
                                self.told.given_up += 1;
                                matches!(having, Having::Joining(_))
                            }
                            _ => false,
                        };
                        assert!(is_right, "{what}: {before:?}");
                    }
                    if note["end"] == true {
                        client.is_over = true;
                        if note["code"] == 1_008 {
                            // It has lost all that it had, and comes back for what it was joining.
                            self.told.ended += 1;
                            client.topics.retain(|_, having| matches!(having, Having::Joining(_)));
                        } else {
                            self.told.sent_back += 1;
                            assert_eq!(note["code"], 1_012, "{what}");
                        }
                    }
                    let joined = names("joined");
                    for topic in &joined {
                        let having = client.topics.get_mut(&**topic).unwrap_or_else(|| panic!("{what}"));
                        match having {
                            Having::Joining(last) => *having = Having::Settled(*last),
                            Having::Leaving(_) => {}
                            Having::Settled(_) => panic!("{what}: told twice"),
                        }
                    }
                    if !joined.is_empty() {
                        let last = super::slow::sequence(note["last"].as_str().unwrap());
                        client.cursor = client.cursor.max(last);
                        for (topic, having) in &client.topics {
                            let is_behind = self.next_of(topic, having.last()).is_some_and(|next| next <= last);
                            assert!(!is_behind || !matches!(having, Having::Settled(_)), "{what}: {topic} is behind the note");
                        }
                    }
                }
            }
        }
    }

    /// The client reads everything. Then it has each message of its topics.
    fn settle(&mut self, mut client: Client) -> Client {
        loop {
            client.rig.unblock();
            while client.rig.deliver() > 0 {}
            self.read(&mut client);
            if !client.is_over {
                break;
            }
            client = self.come(Some(client));
        }
        for topic in TOPICS {
            let info = self.world.hub.info(topic).unwrap();
            let having = client.topics.get(topic);
            let what = format!("seed {}, {}, {topic}: {having:?}", self.seed, client.technique);
            assert_eq!(info.subscribers.sum(), u64::from(having.is_some()), "{what}");
            if let Some(having) = having {
                assert!(matches!(having, Having::Settled(_)), "{what}");
                assert_eq!((self.next_of(topic, having.last()), info.online.sum()), (None, 1), "{what}");
            }
        }
        client
    }
}

impl Client {
    /// Whether the head and something behind it have come.
    fn has_begun(&mut self) -> bool {
        self.bytes.extend(self.rig.bytes());
        self.bytes.windows(4).any(|window| window == b"\r\n\r\n") && !self.items().is_empty()
    }

    fn items(&mut self) -> Vec<Item> {
        self.bytes.extend(self.rig.bytes());
        if self.technique == "ws?" {
            let head = self.bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let body = &self.bytes[head..];
            let frames = wire::frames(&body[..whole_frames(body)]).into_iter();
            return frames
                .flat_map(|(opcode, payload)| if opcode == wire::CLOSE { vec![close_frame(&payload)] } else { items("ws?", &payload) })
                .collect();
        }
        let head = self.bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let chunks = whole_chunks(&self.bytes[head..]);
        chunks.iter().flat_map(|chunk| items(self.technique, chunk)).collect()
    }
}

/// How many bytes the whole frames have.
fn whole_frames(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let [_, second, rest @ ..] = &bytes[at..] {
        let (head, len) = match (second, rest) {
            (126, [high, low, ..]) => (4, usize::from(*high) << 8 | usize::from(*low)),
            (126, _) => break,
            (len, _) => (2, usize::from(*len)),
        };
        if bytes.len() < at + head + len {
            break;
        }
        at += head + len;
    }
    at
}

fn whole_chunks(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    while let Some(line) = bytes.windows(2).position(|window| window == b"\r\n") {
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        // The last chunk ends the response.
        if len == 0 || bytes.len() < line + len + 4 {
            break;
        }
        chunks.push(bytes[line + 2..line + 2 + len].to_vec());
        bytes = &bytes[line + len + 4..];
    }
    chunks
}

fn run(seed: u64) -> Told {
    let history = HubConfig { history_messages: usize::MAX, history_bytes: usize::MAX, ..HubConfig::default() };
    let world = World::with(HubConfig { replay_bytes: 500, ..history });
    let mut run = Run { seed, world, published: Vec::new(), numbers: Seeded::new(seed), told: Told::default() };
    let mut client = run.come(None);
    for _ in 0..300 {
        match run.numbers.below(22) {
            0..8 => run.publish(),
            8..11 => run.change(&mut client),
            11 => client.rig.block(),
            12..15 => {
                let bytes = run.numbers.below(600);
                client.rig.take_up_to(bytes);
                run.read(&mut client);
            }
            15..18 => _ = client.rig.deliver(),
            18 => client = run.settle(client),
            19 => run.revoke(),
            _ => {
                client.rig.eof();
                run.read(&mut client);
                for _ in 0..run.numbers.below(10) {
                    run.publish();
                }
                client = run.come(Some(client));
            }
        }
    }
    client = run.settle(client);
    run.ask(&client, r#"{"leave":"all"}"#);
    let online = |run: &Run| TOPICS.map(|topic| run.world.hub.info(topic).unwrap().online.sum());
    // A topic that was given up may be in its grace time from an earlier connection, which was cut.
    if run.told.given_up == 0 {
        assert_eq!(online(&run), [0; 4], "seed {seed}");
    }
    client.rig.eof();
    let stats = run.world.hub.stats();
    assert_eq!(stats.refused(403) + stats.refused(404), run.told.subscriptions + run.told.refusals, "seed {seed}");
    run.world.pass(HubConfig::default().presence_grace);
    run.ask(&client, "{}");
    assert_eq!(online(&run), [0; 4], "seed {seed}");
    run.told
}

#[test]
fn every_message_of_each_topic_comes_once() {
    let mut all = Told::default();
    for seed in 1..=60 {
        let told = run(seed);
        all.refusals += told.refusals;
        all.lost += told.lost;
        all.given_up += told.given_up;
        all.ended += told.ended;
        all.sent_back += told.sent_back;
    }
    assert!([all.lost, all.given_up, all.ended, all.sent_back].iter().all(|count| *count > 10), "everything happens: {all:?}");
}
