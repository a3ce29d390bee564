//! Control channels on a virtual clock: what changes the topics of a connection, and what does not.
//!
//! Covers: push::hub::channels, push::hub::channel_feed, push::hub::control, push::hub::push_connection, push::hub::random_source
//! Covers: push::http::checks, push::http::control, push::model::json_reader, push::model::secret, push::model::topic_change

use pushlab::push::{Access, Hub, HubConfig, RandomSource};
use pushlab::session::{Limits, Settings, SlowConsumer};
use serde_json::{Value, json};

use super::notes::{Item, TECHNIQUES, close_frame, items};
use super::world::{World, app};
use crate::session::rig::Rig;
use crate::session::wire::{self, Answer};

/// A client with a control channel.
pub(super) struct Page {
    technique: &'static str,
    pub(super) rig: Rig,
    pub(super) secret: String,
    /// Bytes of the current response.
    bytes: Vec<u8>,
    seen: usize,
}

impl Page {
    pub(super) fn open(world: &World, topics: &str, technique: &'static str) -> Self {
        Self::open_on(world.connect(), topics, technique, "me")
    }

    pub(super) fn open_on(mut rig: Rig, topics: &str, technique: &'static str, client: &str) -> Self {
        let target = format!("/topics/{topics}/{technique}client={client}&control=1");
        rig.send(if technique == "ws?" { wire::upgrade(&target) } else { wire::get(&target) });
        let mut page = Self { technique, rig, secret: String::new(), bytes: Vec::new(), seen: 0 };
        let items = page.items();
        let Item::Note(note) = &items[0] else { panic!("{technique}: the first message is {:?}", items[0]) };
        note["control"].as_str().unwrap_or_else(|| panic!("{technique}: {note}")).clone_into(&mut page.secret);
        page.seen = 1;
        page
    }

    fn items(&mut self) -> Vec<Item> {
        while self.rig.deliver() > 0 {}
        self.bytes.extend(self.rig.bytes());
        if self.technique == "ws?" {
            let head = self.bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let frames = wire::frames(&self.bytes[head..]).into_iter();
            return frames
                .filter_map(|(opcode, payload)| match opcode {
                    wire::TEXT => items("ws?", &payload).pop(),
                    wire::CLOSE => Some(close_frame(&payload)),
                    _ => None,
                })
                .collect();
        }
        items(self.technique, &wire::answers(&self.bytes)[0].body)
    }

    /// What has come since the last look.
    pub(super) fn next(&mut self) -> Vec<String> {
        let items = self.items();
        let fresh = items[self.seen..].iter().map(Item::brief).collect();
        self.seen = items.len();
        fresh
    }

    pub(super) fn change(&self, world: &World, body: &str) -> Answer {
        change(world, "a", "me", &self.secret, body)
    }

    #[track_caller]
    pub(super) fn expect_topics(&self, world: &World, body: &str, topics: &[&str]) {
        let answer = self.change(world, body);
        assert_eq!((answer.status, answer.text()), (200, &*format!("{}\n", json!({ "topics": topics }))), "{}", self.technique);
    }
}

pub(super) fn change(world: &World, topics: &str, client: &str, secret: &str, body: &str) -> Answer {
    world.ask(&wire::post(&format!("/topics/{topics}/control?client={client}&control={secret}"), body))
}

fn delete(world: &World, topics: &str, secret: &str) -> Answer {
    world.ask(&format!("DELETE /topics/{topics}/control?client=me&control={secret} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

#[track_caller]
pub(super) fn expect(answer: &Answer, status: u16, part: &str) {
    assert!(answer.status == status && answer.text().contains(part), "{} {}", answer.status, answer.text());
}

pub(super) fn online(world: &World, topic: &str) -> u64 {
    world.hub.info(topic).unwrap().online.sum()
}

pub(super) fn subscribers(world: &World, topic: &str) -> u64 {
    world.hub.info(topic).unwrap().subscribers.sum()
}

/// Notes as [`Item::brief`] shows them.
pub(super) fn joined(topics: &[&str], last: u64, world: &World) -> String {
    json!({ "joined": topics, "last": id(world, last) }).to_string()
}

pub(super) fn left(topics: &[&str]) -> String {
    json!({ "left": topics }).to_string()
}

pub(super) fn id(world: &World, sequence: u64) -> String {
    format!("{:x}-{sequence}", world.hub.last().epoch)
}

#[test]
fn topics_change_from_the_next_message_on() {
    for technique in TECHNIQUES {
        let world = World::new();
        let mut page = Page::open(&world, "a", technique);
        world.publish("a", "one");
        world.publish("b", "before the join");
        page.expect_topics(&world, r#"{"join":["b"]}"#, &["a", "b"]);
        world.publish("b", "three");
        world.publish("a", "four");
        // The connection learns of the join behind "one", and has missed "three" by then.
        assert_eq!(page.next(), ["1", "3", "4", &joined(&["b"], 4, &world)], "{technique}");
        world.publish("b", "five");
        page.expect_topics(&world, r#"{"leave":["a"]}"#, &["b"]);
        world.publish("a", "after the leave");
        world.publish("b", "seven");
        assert_eq!(page.next(), ["5", &left(&["a"]), "7"], "{technique}");
        assert_eq!((subscribers(&world, "a"), subscribers(&world, "b")), (0, 1), "{technique}");
        page.expect_topics(&world, r#"{"leave":"all"}"#, &[]);
        world.publish("b", "eight");
        page.expect_topics(&world, r#"{"join":["c"],"leave":["c"]}"#, &["c"]);
        world.publish("c", "nine");
        assert_eq!(page.next(), [&*left(&["b"]), "9", &joined(&["c"], 9, &world)], "{technique}: it stays open without a topic");
        assert_eq!(page.rig.ending(), None);
    }
}

#[test]
fn a_joined_topic_is_replayed_from_the_cursor_of_the_request() {
    for technique in TECHNIQUES {
        let world = World::with(HubConfig { history_messages: 3, ..HubConfig::default() });
        for n in 1..=6 {
            world.publish(if n % 2 == 0 { "b" } else { "c" }, "x");
        }
        let mut page = Page::open(&world, "a", technique);
        let after = json!({ "join": ["b", "c"], "after": id(&world, 2) }).to_string();
        page.expect_topics(&world, &after, &["a", "b", "c"]);
        assert_eq!(page.next(), ["3", "4", "5", "6", &joined(&["b", "c"], 6, &world)], "{technique}");
        // Those that it has are not replayed again.
        page.expect_topics(&world, r#"{"join":["b","d"],"after":"earliest"}"#, &["a", "b", "c", "d"]);
        assert_eq!(page.next(), [joined(&["d"], 6, &world)], "{technique}");
        (0..2).for_each(|_| _ = world.publish("e", "x"));
        for n in 0..4 {
            world.publish("e", if n == 3 { "last" } else { "x" });
        }
        let after = json!({ "join": ["e"], "after": id(&world, 7) }).to_string();
        page.expect_topics(&world, &after, &["a", "b", "c", "d", "e"]);
        let gap = json!({ "gap": true, "from": id(&world, 9), "topics": ["e"] }).to_string();
        assert_eq!(page.next(), [&*gap, "10", "11", "12", &joined(&["e"], 12, &world)], "{technique}");
        assert_eq!((world.hub.info("e").unwrap().gaps, world.hub.info("a").unwrap().gaps), (1, 0));
    }
}

/// A reader that is far behind, with messages of the topic that it has between those of the replay:
/// each topic is in order, nothing is missing or twice, and the note comes when all is told.
#[test]
fn a_long_replay_goes_at_the_pace_of_its_reader() {
    for technique in TECHNIQUES {
        let world = World::with(HubConfig { replay_bytes: 1_000, history_messages: 1_000, ..HubConfig::default() });
        for _ in 0..100 {
            world.publish("b", &"x".repeat(100));
        }
        let limits = Limits { output_bytes: 500, queue_bytes: 2_000, ..Limits::default() };
        let rig = world.connect_with(Settings { limits, ..Settings::default() });
        let mut page = Page::open_on(rig, "a", technique, "me");
        page.rig.block();
        page.expect_topics(&world, r#"{"join":["b"],"after":"earliest"}"#, &["a", "b"]);
        let mut rounds = 0;
        while subscribers(&world, "b") == 0 {
            rounds += 1;
            assert!(rounds < 1_000, "{technique}: it never arrives");
            if rounds % 3 == 0 {
                world.publish(if rounds % 2 == 0 { "a" } else { "b" }, "live");
            }
            page.rig.deliver();
            assert!(page.rig.out_len() < 2_000, "{technique}");
            page.rig.take_up_to(300);
        }
        assert!(rounds > 20, "{technique}: {rounds}");
        page.rig.unblock();
        let end = world.publish("a", "end").sequence;
        let (mut last, mut is_joined, mut count) = ([0; 2], false, 0);
        for item in page.items().split_off(1) {
            match item {
                Item::Message(number, data) => {
                    let topic = usize::from(number <= 100 || world_topic(&world, number) == "b");
                    assert!(
                        number > last[topic] && (!is_joined || number > last[1 - topic]),
                        "{technique}: {number} behind {last:?} {data}"
                    );
                    (last[topic], count) = (number, count + 1);
                }
                Item::Note(note) => {
                    assert_eq!(note["joined"], json!(["b"]), "{technique}: {note}");
                    assert!(!std::mem::replace(&mut is_joined, true), "{technique}: told twice");
                }
            }
        }
        assert_eq!((count, last[0], is_joined), (end, end, true), "{technique}: every message, once");
        let stats = page.rig.stats();
        assert_eq!((stats.dropped, stats.slow_disconnects), (0, 0), "{technique}");
    }
}

fn world_topic(world: &World, number: u64) -> String {
    let topics = pushlab::push::Topics::parse("a,b", 2).unwrap();
    let mut after = pushlab::push::Cursor::Earliest;
    loop {
        let replay = world.hub.replay(&topics, after);
        if let Some(message) = replay.messages.iter().find(|message| message.id().sequence == number) {
            return message.topic().to_owned();
        }
        assert!(!replay.is_whole, "no message {number}");
        after = pushlab::push::Cursor::After(replay.last);
    }
}

/// Topics are left while they are replayed, also those with which the connection was opened, and are
/// joined again.
#[test]
fn leaving_gives_up_a_replay() {
    for technique in TECHNIQUES {
        let world = World::with(HubConfig { replay_bytes: 1_000, history_messages: 1_000, ..HubConfig::default() });
        for _ in 0..50 {
            world.publish("a", &"x".repeat(100));
            world.publish("b", &"x".repeat(100));
        }
        let limits = Limits { output_bytes: 500, queue_bytes: 2_000, ..Limits::default() };
        let mut rig = world.connect_with(Settings { limits, ..Settings::default() });
        let target = format!("/topics/a,b/{technique}client=me&control=1&after=earliest");
        rig.send(if technique == "ws?" { wire::upgrade(&target) } else { wire::get(&target) });
        let mut page = Page { technique, rig, secret: String::new(), bytes: Vec::new(), seen: 0 };
        // Let it run to learn the secret, and begin again with one that is blocked at once.
        let Item::Note(note) = &page.items()[0] else { panic!("{technique}") };
        assert!(note["control"].is_string());
        page.secret = note["control"].as_str().unwrap().to_owned();
        page.next();
        page.rig.block();
        page.expect_topics(&world, r#"{"join":["b"],"leave":["b"],"after":"earliest"}"#, &["a", "b"]);
        page.rig.deliver();
        assert_eq!(subscribers(&world, "b"), 0, "{technique}: it is replayed");
        page.expect_topics(&world, r#"{"leave":["b"]}"#, &["a"]);
        for _ in 0..3 {
            // The connection takes none of these changes before it can send.
            page.expect_topics(&world, r#"{"join":["b","c"],"after":"earliest"}"#, &["a", "b", "c"]);
            page.expect_topics(&world, r#"{"leave":["b"]}"#, &["a", "c"]);
            page.expect_topics(&world, r#"{"leave":["c"]}"#, &["a"]);
        }
        let last = id(&world, 98);
        page.expect_topics(&world, &json!({ "join": ["b"], "after": last }).to_string(), &["a", "b"]);
        page.rig.unblock();
        let seen = page.next();
        let ends: Vec<_> = seen.iter().skip_while(|text| !text.contains("left")).cloned().collect();
        let tail: Vec<_> = ends.iter().filter(|text| !text.contains("left")).cloned().collect();
        assert_eq!(tail.last(), Some(&joined(&["b"], 100, &world)), "{technique}: {tail:?}");
        assert!(tail.contains(&"100".to_owned()), "{technique}: {tail:?}");
        assert!(seen.len() < 40, "{technique}: the replay was given up: {seen:?}");
        assert_eq!((subscribers(&world, "a"), subscribers(&world, "b"), subscribers(&world, "c")), (1, 1, 0), "{technique}");
        world.publish("b", "live");
        assert_eq!(page.next(), ["101"], "{technique}");
    }
}

/// A page that closes sends a text by `sendBeacon`, whose type is `text/plain;charset=UTF-8`, and its
/// stream may have ended before.
#[test]
fn a_farewell_ends_presence_at_once() {
    let beacon = |world: &World, secret: &str, field: &str| {
        let body = r#"{"leave":"all"}"#;
        let head = format!("POST /topics/a/control?client=me&control={secret} HTTP/1.1\r\nHost: a\r\n{field}");
        world.ask(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    };
    for technique in TECHNIQUES {
        for (field, ends_before) in
            [("Content-Type: text/plain;charset=UTF-8\r\n", false), ("Content-Type: application/json\r\n", true), ("", true)]
        {
            let world = World::new();
            let mut watcher = Page::open_on(world.connect(), "a.presence", "stream?", "watcher");
            let mut page = Page::open(&world, "a,b", technique);
            assert_eq!((online(&world, "a"), online(&world, "b")), (1, 1), "{technique}");
            if ends_before {
                page.rig.eof();
                assert_eq!((online(&world, "a"), online(&world, "b")), (1, 1), "{technique}: the grace time");
            }
            assert_eq!(beacon(&world, &page.secret, field).status, 200, "{technique}");
            assert_eq!((online(&world, "a"), online(&world, "b")), (0, 0), "{technique} {field}");
            let told: Vec<_> =
                watcher.items().into_iter().filter_map(|item| if let Item::Message(_, data) = item { Some(data) } else { None }).collect();
            assert!(told.len() == 2 && told[1].contains("leave"), "{technique}: {told:?}");
            if ends_before {
                let again = change(&world, "a", "me", &page.secret, r#"{"leave":"all"}"#);
                expect(&again, 200, r#"{"topics":[]}"#);
                expect(&change(&world, "a", "me", &page.secret, r#"{"join":["a"]}"#), 404, "no open stream");
                world.pass_secs(30);
                expect(&beacon(&world, &page.secret, field), 404, "no open stream");
            }
        }
    }
}

#[test]
fn a_client_with_two_connections_leaves_with_both() {
    let world = World::new();
    let mut pages = ["stream?", "ws?"].map(|technique| Page::open(&world, "a", technique));
    assert_ne!(pages[0].secret, pages[1].secret);
    assert_eq!(online(&world, "a"), 1);
    // Each secret changes its own connection.
    pages[0].expect_topics(&world, r#"{"leave":"all"}"#, &[]);
    assert_eq!((online(&world, "a"), subscribers(&world, "a")), (1, 1));
    world.publish("a", "for the WebSocket");
    assert_eq!((pages[0].next(), pages[1].next()), (vec![left(&["a"])], vec!["1".to_owned()]));
    expect(&delete(&world, "a,x", &pages[1].secret), 200, r#"{"topics":[]}"#);
    assert_eq!((online(&world, "a"), subscribers(&world, "a")), (0, 0));
    assert_eq!(pages[1].next(), [left(&["a"])]);
}

#[test]
fn one_client_cannot_change_the_connection_of_another() {
    let world = World::new();
    let join = r#"{"join":["b"],"leave":"all"}"#;
    expect(&change(&world, "a", "me", &"0".repeat(32), join), 404, "this client has no open stream, WebSocket or held long poll");
    let mut page = Page::open(&world, "a", "events?");
    let other = Page::open_on(world.connect(), "a", "events?", "other");
    let mut near = page.secret.clone();
    near.replace_range(31.., if near.ends_with('0') { "1" } else { "0" });
    for secret in [&other.secret, &near, &"0".repeat(32)] {
        expect(&change(&world, "a", "me", secret, join), 403, "the secret of no connection of this client");
        expect(&delete(&world, "a", secret), 403, "the secret of no connection of this client");
    }
    expect(&change(&world, "a", "other", &page.secret, join), 403, "the secret of no connection");
    expect(&change(&world, "a", "nobody", &page.secret, join), 404, "no open stream");
    // A connection without a channel has no secret.
    let mut plain = world.connect();
    plain.send(wire::get("/topics/a/events?client=plain"));
    expect(&change(&world, "a", "plain", &page.secret, join), 404, "no open stream");
    world.publish("a", "x");
    assert_eq!(page.next(), ["1"]);
    assert_eq!((world.hub.stats().refused(403), world.hub.stats().refused(404)), (7, 3));
    assert!(!plain.text_lossy().contains("control"));
}

#[test]
fn bad_requests() {
    let world = World::with(HubConfig { topics_per_request: 3, ..HubConfig::default() });
    let page = Page::open(&world, "a", "events?");
    let secret = &page.secret;
    for (query, part) in [
        ("control=S", "`client` must be the token"),
        ("client=&control=S", "`client` must have 1 to 64"),
        ("client=me", "`control` must be the secret"),
        ("client=me&control=1", "`control` must be the secret"),
        ("client=me&control=S&control=S", "`control` is given twice"),
    ] {
        let query = query.replace('S', secret);
        expect(&world.ask(&wire::post(&format!("/topics/a/control?{query}"), "{}")), 400, part);
    }
    for (body, part) in [
        ("", "not JSON from byte 0"),
        ("{\"join\":[\"b\"]} x", "not JSON from byte 15"),
        ("[]", "must be a JSON object"),
        (r#"{"join":"b"}"#, "`join` must be a list"),
        (r#"{"topics":[]}"#, "there is another one"),
        (r#"{"join":["a b"]}"#, "a topic's name must have"),
        (r#"{"join":["b"],"after":"17"}"#, "`after` is not a cursor"),
        (r#"{"join":["b","c","d","e"]}"#, "a request may name at most 3 topics"),
        (r#"{"join":["b","c","d"]}"#, "a connection may have at most 3 topics, and as many presence topics"),
    ] {
        expect(&page.change(&world, body), 400, part);
    }
    expect(&change(&world, "a,,b", "me", secret, "{}"), 400, "a topic's name must have");
    expect(&world.get(&format!("/topics/a/control?client=me&control={secret}")), 405, "");
    let typed = |content_type: &str, body: &str| {
        let head = format!("POST /topics/a/control?client=me&control={secret} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}");
        world.ask(&format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    };
    expect(&typed("application/x-www-form-urlencoded", "{}"), 415, "must be JSON");
    expect(&typed("text/plain;charset=utf-16", "{}"), 415, "the charset");
    let largest = format!("{{{}}}", " ".repeat(16 * 1024 - 2));
    expect(&typed("text/plain", &largest), 200, "");
    expect(&typed("text/plain", &(largest + " ")), 413, "at most 16384 bytes");
    assert_eq!(subscribers(&world, "a"), 1, "nothing has changed");
    // At the limit, and as many presence topics beside.
    page.expect_topics(&world, r#"{"join":["b","c"]}"#, &["a", "b", "c"]);
    let answer = page.change(&world, r#"{"join":["a.presence","b.presence","c.presence"]}"#);
    expect(&answer, 200, "c.presence");
    expect(&page.change(&world, r#"{"join":["d.presence"]}"#), 400, "at most 3");
    expect(&page.change(&world, r#"{"join":["d.presence","d"],"leave":["b.presence","a"]}"#), 200, "d.presence");
}

#[test]
fn a_full_hub_refuses_a_join_and_changes_nothing() {
    let world = World::with(HubConfig { topics: 2, ..HubConfig::default() });
    let mut page = Page::open(&world, "a", "events?");
    let mut others = Page::open_on(world.connect(), "b", "events?", "other");
    expect(&page.change(&world, r#"{"join":["c"],"leave":["a"]}"#), 503, "there are as many topics as this hub takes");
    world.publish("a", "x");
    assert_eq!(page.next(), ["1"]);
    others.rig.eof();
    page.expect_topics(&world, r#"{"join":["c"],"leave":["a"]}"#, &["c"]);
    // Another topic takes the place between the request and the connection's turn. The client is
    // told that it has not joined, and the connection goes on.
    let mut thief = Page::open_on(world.connect(), "d,e", "events?", "thief");
    let seen = page.next();
    assert_eq!(seen[0], left(&["a"]));
    let note: Value = serde_json::from_str(&seen[1]).unwrap();
    let sentence = "there are as many topics as this hub takes, and all have subscribers";
    assert_eq!(note, json!({ "left": ["c"], "code": 1013, "sentence": sentence }));
    assert_eq!(page.rig.ending(), None);
    thief.rig.eof();
    page.expect_topics(&world, r#"{"join":["c"]}"#, &["c"]);
    assert_eq!(page.next(), [joined(&["c"], 1, &world)]);
}

#[test]
fn the_policy_decides_what_may_be_joined() {
    let hub = Hub::with_policy(HubConfig::default(), |request, access, topic| match access {
        Access::Publish => true,
        Access::Subscribe => topic != "secret" || request.query_value("token").is_some_and(|token| token == "t"),
    });
    let page = |target: &str| {
        let mut rig = Rig::serving(app(&hub));
        rig.send(wire::get(target));
        rig
    };
    let mut rig = page("/topics/a/stream?client=me&control=1");
    let body = rig.answer().body;
    let Item::Note(note) = &items("stream?", &body)[0] else { panic!() };
    let ask = |query: &str, body: &str| {
        let mut rig = Rig::serving(app(&hub));
        rig.send(wire::post(&format!("/topics/a/control?client=me&control={}{query}", note["control"].as_str().unwrap()), body));
        rig.answer()
    };
    expect(&ask("", r#"{"join":["b","secret"]}"#), 403, "this request may not subscribe to secret");
    expect(&ask("", r#"{"join":["secret.presence"]}"#), 403, "this request may not subscribe to secret.presence");
    expect(&ask("&token=t", r#"{"join":["secret"]}"#), 200, r#"["a","secret"]"#);
    // Leaving needs no permission: a beacon may not carry what the policy asks for.
    expect(&ask("", r#"{"leave":["secret"]}"#), 200, r#"["a"]"#);
    assert_eq!(page("/topics/secret/stream?client=me&control=1").answer().status, 403);
}

#[test]
fn pages_of_other_origins() {
    let world = World::new();
    let page = Page::open(&world, "a,b", "events?");
    let ask = |method: &str, origin: &str, fields: &str| {
        let settings = Settings { allow_origins: vec!["https://one.example".to_owned()], ..Settings::default() };
        let mut rig = world.connect_with(settings);
        let target = format!("/topics/b/control?client=me&control={}", page.secret);
        rig.send(format!("{method} {target} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n{fields}Content-Length: 2\r\n\r\n{{}}"));
        rig.answer()
    };
    for method in ["POST", "DELETE"] {
        expect(&ask(method, "https://two.example", ""), 403, "pages of this origin may not");
        assert_eq!(subscribers(&world, "b"), 1, "{method}");
    }
    for (origin, allowed) in [("https://one.example", Some("POST, DELETE, OPTIONS")), ("https://two.example", None)] {
        let answer = ask("OPTIONS", origin, "Access-Control-Request-Method: DELETE\r\n");
        assert_eq!((answer.status, answer.field("Access-Control-Allow-Methods")), (204, allowed));
    }
    let answer = ask("POST", "https://one.example", "");
    assert_eq!((answer.status, answer.field("Access-Control-Allow-Origin")), (200, Some("https://one.example")));
    assert_eq!(answer.field("Cache-Control"), Some("no-store, no-transform"));
    expect(&ask("DELETE", "https://one.example", ""), 200, r#"{"topics":["a"]}"#);
    assert_eq!(subscribers(&world, "b"), 0);
}

#[test]
fn what_a_control_channel_needs() {
    let world = World::new();
    for technique in TECHNIQUES.into_iter().chain(["long-poll?"]) {
        let ask = |query: &str| {
            let target = format!("/topics/a/{technique}{query}");
            let mut rig = world.connect();
            rig.send(if technique == "ws?" { wire::upgrade(&target) } else { wire::get(&target) });
            rig.answer()
        };
        expect(&ask("control=1"), 400, "`control` needs `client`");
        expect(&ask("client=me&control=2"), 400, "`control` must be 0, 1, or the secret");
        expect(&ask("client=me&control="), 400, "`control` must be 0, 1, or the secret");
        if technique != "long-poll?" {
            expect(&ask(&format!("client=me&control={}", "0".repeat(32))), 400, "`control` must be 0 or 1 here");
        }
        if ["stream?", "ws?", "long-poll?"].contains(&technique) {
            expect(&ask("client=me&control=1&format=raw"), 400, "`control` needs another `format`");
        }
    }
    // HEAD has no body to carry a secret, and opens nothing.
    let head = |technique| world.ask(&format!("HEAD /topics/a/{technique}client=me&control=1 HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!((head("events?").status, head("long-poll?").status), (200, 200));
    expect(&change(&world, "a", "me", &"0".repeat(32), "{}"), 404, "no open stream");
    // Without a source of secrets there are no channels, and all other requests are served.
    let random = RandomSource::new(|_| Err(std::io::ErrorKind::NotFound.into()));
    let world = World::with(HubConfig { random, ..HubConfig::default() });
    for technique in ["events?", "long-poll?"] {
        expect(&world.get(&format!("/topics/a/{technique}client=me&control=1")), 503, "no random numbers");
    }
    let mut rig = world.connect();
    rig.send(wire::get("/topics/a/events?client=me&control=0"));
    assert_eq!(rig.answer().status, 200);
}

/// The bytes of the source are the secret, and each connection has others.
#[test]
fn the_secret_is_what_the_source_gives() {
    let count = std::sync::atomic::AtomicU8::new(0);
    let random = RandomSource::new(move |bytes| {
        bytes.fill(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        Ok(())
    });
    let world = World::with(HubConfig { random, ..HubConfig::default() });
    let secrets = ["stream?", "ws?"].map(|technique| Page::open(&world, "a", technique).secret.clone());
    assert_eq!(secrets, ["00".repeat(16), "01".repeat(16)]);
}

/// Messages that the slow-consumer policy drops count for the topics that the connection has then.
#[test]
fn dropped_messages_count_for_the_topics_of_the_moment() {
    let world = World::new();
    let limits = Limits { output_bytes: 500, queue_bytes: 1_000, ..Limits::default() };
    let settings = Settings { limits, slow_consumer: SlowConsumer::DropOldest, ..Settings::default() };
    let mut page = Page::open_on(world.connect_with(settings), "a", "stream?", "me");
    page.expect_topics(&world, r#"{"join":["b"]}"#, &["a", "b"]);
    page.next();
    page.expect_topics(&world, r#"{"leave":["a"]}"#, &["b"]);
    page.next();
    page.rig.block();
    for _ in 0..40 {
        world.publish("b", "0123456789");
        page.rig.deliver();
    }
    page.rig.unblock();
    let drops = |topic| world.hub.info(topic).unwrap().drops;
    assert!(drops("a") == 0 && drops("b") > 0, "{} {}", drops("a"), drops("b"));
    let gap = json!({ "gap": true }).to_string();
    assert_eq!(page.next().iter().filter(|text| **text == gap).count(), 1);
}

/// What the client gets does not change for one that asks for no channel.
#[test]
fn connections_without_a_channel_stay_as_they_are() {
    let world = World::new();
    for technique in TECHNIQUES.into_iter().chain(["long-poll?wait=0&"]) {
        let both = ["", "&control=0"].map(|control| {
            let target = format!("/topics/a/{technique}client=me{control}");
            let mut rig = world.connect();
            rig.send(if technique == "ws?" { wire::upgrade(&target) } else { wire::get(&target) });
            rig.text()
        });
        assert!(both[0] == both[1] && !both[0].contains("control"), "{technique}: {both:?}");
    }
}
