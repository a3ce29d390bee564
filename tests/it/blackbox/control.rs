//! Control channels over real sockets: joins while messages are published, cuts, and farewells.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use pushlab::push::{HubConfig, Payload};
use serde_json::{Value, json};

use super::stream::Over;
use super::{Client, IoModel, Lab, both, both_plain, eventually};
use crate::push::notes::{Item, TECHNIQUES, close_frame, items};

/// Of a message.
const BYTES: usize = 1_024;

/// A client with a control channel, and what it has read.
struct Page {
    technique: &'static str,
    client: Client,
    secret: String,
    waiting: VecDeque<Item>,
}

impl Page {
    #[track_caller]
    fn open(lab: &Lab, topics: &str, technique: &'static str, after: &str) -> Self {
        let mut client = Client::connect_with_little_room(lab.address);
        let limit = if technique.starts_with("stream") || technique.starts_with("iframe") { "&max_bytes=100000000" } else { "" };
        let target = format!("/topics/{topics}/{technique}client=me&control=1&after={after}{limit}");
        if technique == "ws?" {
            client.upgrade(&target);
        } else {
            client.get(&target);
            assert_eq!(client.answer_head().status, 200);
        }
        let mut page = Self { technique, client, secret: String::new(), waiting: VecDeque::new() };
        let Item::Note(note) = page.next() else { panic!("{technique}: the first message has no secret") };
        note["control"].as_str().unwrap_or_else(|| panic!("{technique}: {note}")).clone_into(&mut page.secret);
        page
    }

    #[track_caller]
    fn next(&mut self) -> Item {
        while self.waiting.is_empty() {
            let piece = match self.technique {
                "ws?" => {
                    let frame = self.client.frame();
                    if frame.first == 0x88 {
                        return close_frame(&frame.payload);
                    }
                    assert_eq!(frame.first, 0x81, "{:?}", frame.payload);
                    frame.payload
                }
                _ => self.client.chunk().expect("the stream goes on"),
            };
            self.waiting.extend(items(self.technique, &piece));
        }
        self.waiting.pop_front().unwrap()
    }

    /// The next note, behind messages that do not matter here.
    #[track_caller]
    fn note(&mut self) -> Value {
        loop {
            if let Item::Note(note) = self.next() {
                return note;
            }
        }
    }
}

impl Page {
    /// The last word, behind messages that do not matter here. The connection ends in an orderly way behind it.
    #[track_caller]
    fn end(mut self) -> (u64, String) {
        let note = self.note();
        assert_eq!(note["end"], true, "{}: {note}", self.technique);
        if self.technique != "ws?" {
            assert_eq!(self.client.chunk(), None, "{}", self.technique);
        }
        (note["code"].as_u64().unwrap(), note["sentence"].as_str().unwrap().to_owned())
    }
}

/// The secret in a note or in the answer to a poll.
pub(super) fn secret_of(json: &str) -> String {
    let note: Value = serde_json::from_str(json).unwrap();
    note["control"].as_str().unwrap_or_else(|| panic!("no secret in {json}")).to_owned()
}

/// Sends a control request on a connection of its own.
#[track_caller]
pub(super) fn change(lab: &Lab, secret: &str, body: &Value) -> String {
    let mut client = lab.connect();
    let body = body.to_string();
    let head = format!("POST /topics/a/control?client=me&control={secret} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain;charset=UTF-8");
    client.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let answer = client.answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().to_owned()
}

fn lab(model: IoModel) -> Lab {
    let history = HubConfig { history_messages: usize::MAX, history_bytes: usize::MAX, ..HubConfig::default() };
    Lab::with_hub(model, HubConfig { replay_bytes: 8 * BYTES, ..history })
}

/// Publishes a message whose text tells its topic and its place in it.
fn publish(lab: &Lab, topic: &str, nth: usize) -> u64 {
    publish_bytes(lab, topic, nth, BYTES)
}

fn publish_bytes(lab: &Lab, topic: &str, nth: usize, bytes: usize) -> u64 {
    lab.app.hub.publish(topic, Payload::text(format!("{topic} {nth} {}", "x".repeat(bytes)))).unwrap().id.sequence
}

fn id(lab: &Lab, sequence: u64) -> String {
    format!("{:x}-{sequence}", lab.app.hub.last().epoch)
}

/// What a client has received of each topic: each message once, and in order.
#[derive(Default)]
struct Account {
    /// The place of the next message in its topic.
    next: HashMap<String, usize>,
    /// The id of the last message of the topic.
    last: HashMap<String, u64>,
}

impl Account {
    #[track_caller]
    fn receive(&mut self, number: u64, data: &str) -> String {
        let mut words = data.split(' ');
        let (topic, nth) = (words.next().unwrap().to_owned(), words.next().unwrap().parse::<usize>().unwrap());
        let next = self.next.entry(topic.clone()).or_default();
        assert_eq!(nth, *next, "of {topic}");
        *next += 1;
        self.last.insert(topic.clone(), number);
        topic
    }

    fn count(&self, topic: &str) -> usize {
        self.next.get(topic).copied().unwrap_or_default()
    }
}

both! {
    /// By each technique, while two topics are published to without a pause: a topic is joined from
    /// its first message, left, and joined again from the last message that has come.
    fn joins_during_a_burst(model) {
        const COUNT: usize = 600;
        for technique in TECHNIQUES {
            let lab = lab(model);
            let mut page = Page::open(&lab, "a", technique, "earliest");
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                let _over = Over(&is_over);
                for topic in ["a", "b"] {
                    let (lab, is_over) = (&lab, &is_over);
                    scope.spawn(move || for nth in 0..COUNT {
                        if !is_over.load(SeqCst) {
                            publish(lab, topic, nth);
                        }
                        thread::yield_now();
                    });
                }
                let mut account = Account::default();
                let mut is_joined = false;
                change(&lab, &page.secret, &json!({ "join": ["b"], "after": "earliest" }));
                let mut newest = 0;
                let mut leaves = 0;
                while account.count("a") < COUNT || account.count("b") < COUNT {
                    match page.next() {
                        Item::Message(number, data) => {
                            assert!(!is_joined || number > newest, "{technique}: all in order after the note");
                            newest = newest.max(number);
                            let topic = account.receive(number, &data);
                            if topic == "b" && account.count("b") % 150 == 0 && leaves < 3 {
                                leaves += 1;
                                change(&lab, &page.secret, &json!({ "leave": ["b"] }));
                            }
                        }
                        // What was on its way has come, and so the last message of the topic is the
                        // cursor of the next join.
                        Item::Note(note) if note["left"] == json!(["b"]) => {
                            is_joined = false;
                            let after = id(&lab, account.last.get("b").copied().unwrap_or_default());
                            change(&lab, &page.secret, &json!({ "join": ["b"], "after": after }));
                        }
                        Item::Note(note) => {
                            assert_eq!(note["joined"], json!(["b"]), "{technique}: {note}");
                            is_joined = true;
                        }
                    }
                }
                assert_eq!(leaves, 3, "{technique}");
            });
            assert_eq!((lab.stats().dropped, lab.stats().slow_disconnects), (0, 0), "{technique}");
        }
    }

    /// A topic is left while the connection is about to subscribe to it. Behind the note, nothing is
    /// subscribed.
    fn a_leave_during_a_join(model) {
        for technique in ["stream?", "ws?"] {
            let lab = lab(model);
            for nth in 0..3 {
                publish(&lab, "b", nth);
            }
            let mut page = Page::open(&lab, "a", technique, "");
            let mut control = lab.connect();
            let post = |body: &str| {
                let head = format!("POST /topics/a/control?client=me&control={} HTTP/1.1\r\nHost: x", page.secret);
                format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            };
            // Both requests in one write.
            let both = post(r#"{"join":["b"],"after":"earliest"}"#) + &post(r#"{"leave":["b"]}"#);
            for _ in 0..300 {
                control.send(&both);
                assert_eq!((control.answer().status, control.answer().status), (200, 200));
                while page.note()["left"] != json!(["b"]) {}
                let info = lab.app.hub.info("b").unwrap();
                assert_eq!((info.subscribers.sum(), info.online.sum()), (0, 0), "{technique}");
            }
            publish(&lab, "b", 3);
            let number = publish(&lab, "a", 0);
            let Item::Message(found, _) = page.next() else { panic!("{technique}: no message") };
            assert_eq!(found, number, "{technique}");
        }
    }

    /// The connection of the farewell and that of the stream end at the same time, so either may
    /// come first.
    fn a_farewell_and_the_end_of_the_stream(model) {
        for technique in TECHNIQUES.into_iter().chain(["long-poll?"]) {
            let lab = lab(model);
            let online = || lab.app.hub.info("a").unwrap().online.sum();
            for ends_before in [false, true] {
                let (client, secret) = if technique == "long-poll?" {
                    let mut client = lab.connect();
                    let secret = secret_of(client.fetch("/topics/a/long-poll?client=me&control=1").text());
                    client.get(&format!("/topics/a/long-poll?client=me&control={secret}"));
                    (client, secret)
                } else {
                    let page = Page::open(&lab, "a", technique, "");
                    (page.client, page.secret)
                };
                eventually("the client is subscribed", || lab.app.hub.info("a").unwrap().subscribers.sum() == 1);
                let client = if ends_before {
                    client.reset();
                    eventually("the stream is over", || lab.app.hub.info("a").unwrap().subscribers.sum() == 0);
                    assert_eq!(online(), 1, "{technique}: its grace time has begun");
                    None
                } else {
                    Some(client)
                };
                assert_eq!(change(&lab, &secret, &json!({ "leave": "all" })), "{\"topics\":[]}\n");
                assert_eq!(online(), 0, "{technique}");
                drop(client);
                eventually("the connection has ended", || lab.app.hub.info("a").unwrap().subscribers.sum() == 0);
                assert_eq!(online(), 0, "{technique}");
            }
        }
    }

    /// A held poll does not wait for its time when its topics are left.
    fn a_held_poll_ends_at_once(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        let begun: Value = serde_json::from_slice(&client.fetch("/topics/a,b/long-poll?client=me&control=1").body).unwrap();
        let (secret, last) = (begun["control"].as_str().unwrap(), begun["last"].as_str().unwrap());
        for body in [json!({ "leave": ["a", "b"] }), json!({ "leave": "all" })] {
            client.get(&format!("/topics/a,b/long-poll?client=me&control={secret}&after={last}&wait=120"));
            eventually("it is held", || lab.stats().held == 1);
            change(&lab, secret, &body);
            let told: Value = serde_json::from_slice(&client.answer().body).unwrap();
            assert_eq!(told, json!({ "messages": [], "last": last, "gap": false, "left": ["a", "b"] }));
            assert_eq!(lab.app.hub.info("a").unwrap().online.sum(), 0);
        }
        client.get(&format!("/topics/a/long-poll?client=me&control={secret}&after={last}"));
        eventually("it is held", || lab.stats().held == 1);
        publish(&lab, "c", 0);
        change(&lab, secret, &json!({ "join": ["c"], "after": last }));
        let told: Value = serde_json::from_slice(&client.answer().body).unwrap();
        assert_eq!((&told["joined"], told["messages"].as_array().unwrap().len()), (&json!(["c"]), 1));
    }

    /// A stream that has no topics stays open, and joins one later.
    fn a_stream_without_topics(model) {
        for technique in TECHNIQUES {
            let lab = lab(model);
            let mut page = Page::open(&lab, "a", technique, "");
            change(&lab, &page.secret, &json!({ "leave": "all" }));
            assert_eq!(page.note(), json!({ "left": ["a"] }));
            change(&lab, &page.secret, &json!({ "join": ["b", "c"] }));
            let joined = page.note();
            assert_eq!(joined["joined"], json!(["b", "c"]));
            publish(&lab, "a", 0);
            let number = publish(&lab, "c", 0);
            let Item::Message(found, _) = page.next() else { panic!("{technique}: no message") };
            assert_eq!(found, number, "{technique}");
            drop(page);
            eventually("it has left", || lab.app.hub.info("c").unwrap().subscribers.sum() == 0);
        }
    }
}

/// A held poll of a chain, and its secret.
#[track_caller]
fn hold(lab: &Lab, topics: &str) -> (Client, String) {
    let mut client = lab.connect();
    let begun: Value = serde_json::from_slice(&client.fetch(&format!("/topics/{topics}/long-poll?client=me&control=1")).body).unwrap();
    let (secret, last) = (begun["control"].as_str().unwrap(), begun["last"].as_str().unwrap());
    let held = lab.stats().held;
    client.get(&format!("/topics/{topics}/long-poll?client=me&control={secret}&after={last}&wait=120"));
    eventually("it is held", || lab.stats().held == held + 1);
    (client, secret.to_owned())
}

both! {
    /// A shutdown, with topics that were joined and left: the connection and the chain are told.
    fn the_last_word_of_a_shutdown(model) {
        let lab = Lab::start(model);
        let mut pages = TECHNIQUES.map(|technique| Page::open(&lab, "a", technique, ""));
        for page in &mut pages {
            change(&lab, &page.secret, &json!({ "join": ["b"], "leave": ["a"] }));
            assert_eq!(page.note(), json!({ "left": ["a"] }));
            assert_eq!(page.note()["joined"], json!(["b"]));
        }
        let (mut held, _) = hold(&lab, "a");
        lab.stopper.stop();
        for page in pages {
            assert_eq!(page.end(), (1_001, "this server shuts down".to_owned()));
        }
        let answer = held.answer();
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &told["end"], &told["code"]), (503, &json!(true), &json!(1_001)));
        lab.join();
        assert_eq!(lab.stats().cut, 0);
    }

    /// Access to one topic is withdrawn, and the connection goes on with the other one. Then it loses that, too.
    fn access_is_withdrawn(model) {
        for technique in TECHNIQUES {
            let lab = Lab::start(model);
            let hub = &lab.app.hub;
            let mut page = Page::open(&lab, "a", technique, "");
            change(&lab, &page.secret, &json!({ "join": ["b"] }));
            assert_eq!(page.note()["joined"], json!(["b"]), "{technique}");
            let (mut held, of_chain) = hold(&lab, "a,b");
            assert_eq!(hub.revoke(|subscriber| subscriber.has_topic("a")), 2, "{technique}");
            publish(&lab, "a", 0);
            let number = publish(&lab, "b", 0);
            let lost = json!({ "left": ["a"], "code": 1008, "sentence": "the access to these topics was withdrawn" });
            assert_eq!(page.note(), lost, "{technique}");
            let Item::Message(found, _) = page.next() else { panic!("{technique}: no message") };
            assert_eq!((found, hub.info("a").unwrap().online.sum()), (number, 0), "{technique}");
            let answer = held.answer();
            assert!(answer.status == 403 && answer.text().contains("\"code\":1008"), "{technique}: {}", answer.text());
            // The chain goes on without the topic.
            held.get(&format!("/topics/b/long-poll?client=me&control={of_chain}&after={}", id(&lab, number)));
            eventually("it is held", || lab.stats().held == 1);
            assert_eq!(hub.revoke(|subscriber| subscriber.client() == Some("me")), 2, "{technique}");
            assert_eq!(held.answer().status, 403);
            assert_eq!(page.end(), (1_008, "the access to these topics was withdrawn".to_owned()), "{technique}");
            eventually("it has left", || lab.stats().streams + lab.stats().websockets == 0);
        }
    }

    /// Access is withdrawn again and again while a topic is joined. A join either comes to its end before or is given up, and nothing of the topic
    /// comes behind that.
    fn joins_while_access_is_withdrawn(model) {
        for technique in ["stream?", "ws?"] {
            let lab = lab(model);
            for nth in 0..50 {
                publish(&lab, "b", nth);
            }
            let mut page = Page::open(&lab, "a", technique, "");
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                let _over = Over(&is_over);
                let (lab, is_over) = (&lab, &is_over);
                scope.spawn(move || while !is_over.load(SeqCst) {
                    lab.app.hub.revoke(|subscriber| subscriber.has_topic("b"));
                    thread::yield_now();
                });
                let mut control = lab.connect();
                for _ in 0..300 {
                    let body = json!({ "join": ["b"], "after": "earliest" }).to_string();
                    let head = format!("POST /topics/a/control?client=me&control={} HTTP/1.1\r\nHost: x", page.secret);
                    control.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
                    let answer = control.answer();
                    if answer.status == 503 {
                        assert!(answer.text().starts_with("access to topics has changed"), "{}", answer.text());
                        continue;
                    }
                    assert_eq!(answer.status, 200, "{technique}: {}", answer.text());
                    let mut note = page.note();
                    if note["joined"] == json!(["b"]) {
                        note = page.note();
                        assert_eq!(note["code"], 1008, "{technique}: {note}");
                    } else {
                        assert_eq!(note["code"], 1012, "{technique}: {note}");
                    }
                    assert_eq!(note["left"], json!(["b"]), "{technique}: {note}");
                    assert_eq!(lab.app.hub.info("b").unwrap().subscribers.sum(), 0, "{technique}");
                }
            });
            let number = publish(&lab, "a", 0);
            let Item::Message(found, _) = page.next() else { panic!("{technique}: no message") };
            assert_eq!(found, number, "{technique}: it has its first topic still");
        }
    }
}

both_plain! {
    /// A connection is cut in the middle of the replay of a joined topic. The client comes back with
    /// the cursor of the topics that it had, and joins with that of the joined one.
    fn a_cut_during_a_join(model) {
        for technique in TECHNIQUES {
            // More than the system keeps for a connection.
            const COUNT: usize = 2_000;
            let lab = lab(model);
            for nth in 0..COUNT {
                publish_bytes(&lab, "b", nth, 4 * BYTES);
            }
            let (mut account, mut a, mut b) = (Account::default(), "earliest".to_owned(), "earliest".to_owned());
            let mut is_joined = false;
            for cuts in 0..4 {
                let mut page = Page::open(&lab, "a", technique, &a);
                change(&lab, &page.secret, &json!({ "join": ["b"], "after": b }));
                publish(&lab, "a", cuts);
                let end = if cuts == 3 { COUNT } else { (cuts + 1) * 100 };
                while account.count("b") < end || cuts == 3 && !(is_joined && account.count("a") == 4) {
                    match page.next() {
                        Item::Message(number, data) if account.receive(number, &data) == "a" => a = id(&lab, number),
                        Item::Message(number, _) => b = id(&lab, number),
                        Item::Note(note) => {
                            assert_eq!((&note["joined"], account.count("b")), (&json!(["b"]), COUNT), "{technique}");
                            is_joined = true;
                        }
                    }
                }
                assert_eq!(is_joined, cuts == 3, "{technique}: it was cut in between");
                drop(page);
                eventually("the connection has ended", || lab.stats().open == 0);
            }
        }
    }
}
