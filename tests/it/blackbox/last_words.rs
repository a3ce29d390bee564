//! The last word of each technique, for each cause, read with readers that are not the hub's own.
//!
//! Covers: session::last_word, session::ending, session::http_end, push::model::note, push::model::poll_form, push::hub::revoke
//! Covers: push::hub::subscribe_error, push::hub::push_connection, driver::overflows

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use pushlab::push::{Access, Hub, HubConfig, Payload, Stomp, StompConfig};
use pushlab::{Config, IoModel};

use super::{Client, Lab, NET, both};
use crate::blackbox::eventually;
use crate::push::readers::{self, Seen};

/// How a client of a technique reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Events {
        is_json: bool,
    },
    Lines,
    Scripts,
    Parts {
        is_json: bool,
    },
    WebSocket {
        is_json: bool,
    },
    Stomp,
    /// A held poll, and one whose answer is a script.
    Poll,
    Jsonp,
}

pub struct Technique {
    /// Below the topics, so that further parameters can follow. Empty for STOMP.
    target: &'static str,
    way: Way,
}

const fn technique(target: &'static str, way: Way) -> Technique {
    Technique { target, way }
}

/// Those that stay open.
pub const STREAMS: [Technique; 9] = [
    technique("events?", Way::Events { is_json: false }),
    technique("events?format=json&", Way::Events { is_json: true }),
    technique("stream?max_bytes=1000000000&", Way::Lines),
    technique("iframe?callback=f&max_bytes=1000000000&", Way::Scripts),
    technique("multipart?", Way::Parts { is_json: false }),
    technique("multipart?format=json&", Way::Parts { is_json: true }),
    technique("ws?", Way::WebSocket { is_json: true }),
    technique("ws?format=raw&", Way::WebSocket { is_json: false }),
    technique("", Way::Stomp),
];

/// Those that are held until there is a message.
pub const POLLS: [Technique; 3] =
    [technique("long-poll?", Way::Poll), technique("long-poll?format=raw&", Way::Poll), technique("long-poll?callback=f&", Way::Jsonp)];

fn all() -> impl Iterator<Item = &'static Technique> {
    STREAMS.iter().chain(&POLLS)
}

/// A connection of one technique.
pub struct Open {
    pub client: Client,
    way: Way,
    content_type: String,
}

impl Technique {
    /// Sends the request, and takes the head of a stream.
    #[track_caller]
    fn open(&self, client: Client, topic: &str, after: &str) -> Open {
        let mut open = self.ask(client, topic, after);
        open.take_head();
        open
    }

    /// Sends the request.
    #[track_caller]
    pub fn ask(&self, mut client: Client, topic: &str, after: &str) -> Open {
        let target = format!("/topics/{topic}/{}after={after}", self.target);
        match self.way {
            Way::WebSocket { .. } => client.upgrade(&target),
            Way::Stomp => {
                client.upgrade("/stomp");
                client.send_frame(0x81, b"CONNECT\naccept-version:1.2\nhost:a\nlogin:ann\n\n\0");
                assert!(client.frame().payload.starts_with(b"CONNECTED\n"));
                let after = if after.is_empty() { String::new() } else { format!("after:{after}\n") };
                client.send_frame(0x81, format!("SUBSCRIBE\nid:0\ndestination:/topic/{topic}\n{after}\n\0").as_bytes());
            }
            _ => client.get(&target),
        }
        Open { client, way: self.way, content_type: String::new() }
    }
}

impl Open {
    /// Takes the head of a stream.
    #[track_caller]
    pub fn take_head(&mut self) {
        if !matches!(self.way, Way::WebSocket { .. } | Way::Stomp | Way::Poll | Way::Jsonp) {
            let head = self.client.answer_head();
            assert_eq!(head.status, 200);
            head.field("Content-Type").unwrap().clone_into(&mut self.content_type);
        }
    }

    /// What comes until the connection ends in an orderly way. The last word is the last of it.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<Seen> {
        self.client.make_room();
        match self.way {
            Way::WebSocket { .. } | Way::Stomp => self.read_frames(),
            Way::Poll => vec![readers::envelope(&serde_json::from_slice(&self.client.answer().body).unwrap())],
            Way::Jsonp => {
                let answer = self.client.answer();
                assert_eq!(answer.status, 200, "a browser runs no script with another status");
                let json = answer.text().strip_prefix("/**/f(").and_then(|text| text.strip_suffix(");")).unwrap();
                vec![readers::envelope(&serde_json::from_str(json).unwrap())]
            }
            _ => {
                let mut body = Vec::new();
                while let Some(chunk) = self.client.chunk() {
                    body.extend(chunk);
                }
                match self.way {
                    Way::Events { is_json } => readers::events(&body, is_json).0,
                    Way::Lines => readers::lines(&body),
                    Way::Scripts => readers::scripts(&body, "f"),
                    _ => readers::parts(&body, &self.content_type, matches!(self.way, Way::Parts { is_json: true })),
                }
            }
        }
    }

    fn read_frames(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            let frame = self.client.frame();
            match (frame.first, self.way) {
                (0x88, way) => {
                    let code = u16::from_be_bytes(frame.payload[..2].try_into().unwrap());
                    let end = Seen::End(code, String::from_utf8(frame.payload[2..].to_vec()).unwrap());
                    if way == Way::Stomp {
                        assert_eq!(seen.last(), Some(&end), "the ERROR and the close frame say the same");
                    } else {
                        seen.push(end);
                    }
                    self.client.send_frame(0x88, &frame.payload[..2]);
                    return seen;
                }
                (0x89, _) => {}
                (_, Way::WebSocket { is_json: true }) => seen.push(readers::envelope(&serde_json::from_slice(&frame.payload).unwrap())),
                (_, Way::WebSocket { .. }) => seen.push(Seen::Message(String::new(), String::new(), frame.payload)),
                _ => seen.extend(stomp(&frame.payload)),
            }
        }
    }
}

/// A MESSAGE, or the last word in an ERROR. `None` for a heart-beat.
fn stomp(frame: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(frame).unwrap().trim_end_matches(['\0', '\n']);
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.replace("\\c", ":"));
    match head.lines().next()? {
        "MESSAGE" => Some(Seen::Message(field("message-id:").unwrap(), String::new(), body.as_bytes().to_vec())),
        "ERROR" => Some(Seen::End(field("code:").unwrap().parse().unwrap(), field("message:").unwrap())),
        other => panic!("{other}"),
    }
}

/// Takes the last word off.
#[track_caller]
pub fn split(mut seen: Vec<Seen>) -> (Vec<Seen>, (u16, String)) {
    match seen.pop() {
        Some(Seen::End(code, sentence)) => (seen, (code, sentence)),
        last => {
            panic!("{} and then {}", seen.len(), last.map_or("nothing".into(), |last| String::from_utf8_lossy(last.payload()).into_owned()))
        }
    }
}

fn subscribed(lab: &Lab, topic: &str, count: u64) {
    eventually("it is subscribed", || lab.app.hub.info(topic).unwrap().subscribers.sum() == count);
}

fn publish(lab: &Lab, text: &str) {
    lab.app.hub.publish("a", Payload::text(text)).unwrap();
}

const SHUTDOWN: (u16, &str) = (1_001, "this server shuts down");
const REVOKED: (u16, &str) = (1_008, "the access to these topics was withdrawn");
const CHANGED: (u16, &str) = (1_012, "access to topics has changed: come back with your cursor");
const FULL: (u16, &str) = (1_013, "there are as many topics as this hub takes, and all have subscribers");
const SLOW: (u16, &str) = (4_408, "this client reads its messages too slowly");
const GONE: (u16, &str) = (4_410, "messages are missing");

fn owned((code, sentence): (u16, &str)) -> (u16, String) {
    (code, sentence.to_owned())
}

both! {
    /// A shutdown: what was published before comes first.
    fn shutdown(model) {
        let lab = Lab::start(model);
        let mut opened: Vec<_> = STREAMS.iter().map(|technique| technique.open(lab.connect(), "a", "")).collect();
        subscribed(&lab, "a", STREAMS.len() as u64);
        let before = lab.stats().messages_out;
        publish(&lab, "news");
        eventually("all are told", || lab.stats().messages_out == before + STREAMS.len() as u64);
        opened.extend(POLLS.iter().map(|technique| technique.open(lab.connect(), "a", "")));
        subscribed(&lab, "a", (STREAMS.len() + POLLS.len()) as u64);
        lab.stopper.stop();
        for (open, technique) in opened.iter_mut().zip(all()) {
            let (seen, word) = split(open.read_to_end());
            assert_eq!(word, owned(SHUTDOWN), "{}", technique.target);
            assert_eq!(seen.len(), usize::from(!POLLS.iter().any(|poll| poll.target == technique.target)), "{}", technique.target);
        }
        lab.join();
        assert_eq!(lab.stats().cut, 0);
    }

    /// Each form says when to come back, and a held poll has a status.
    fn shutdown_on_the_wire(model) {
        for (target, parts) in [
            ("events?", &["retry: ", "event: end\ndata: {\"end\":true,\"code\":1001,\"sentence\":\"this server shuts down\",\"retry\":"][..]),
            ("events?format=json", &["retry: ", "\ndata: {\"end\":true,\"code\":1001,"]),
            ("stream?", &["{\"end\":true,\"code\":1001,\"sentence\":\"this server shuts down\",\"retry\":"]),
            ("iframe?callback=f", &["<script>parent.f({\"end\":true,\"code\":1001,"]),
            ("multipart?", &["\r\nX-End: 1\r\n", "--\r\n"]),
            ("long-poll?", &["HTTP/1.1 503 ", "\r\nContent-Type: application/json\r\n", "Retry-After: ", "{\"end\":true,\"code\":1001,"]),
            ("long-poll?callback=f", &["HTTP/1.1 200 ", "\r\nContent-Type: application/javascript; charset=utf-8\r\n", "/**/f({\"end\":true,"]),
        ] {
            let lab = Lab::start(model);
            let mut client = lab.connect();
            client.get(&format!("/topics/a/{target}"));
            subscribed(&lab, "a", 1);
            lab.stopper.stop();
            let text = String::from_utf8(client.take_to_end()).unwrap();
            let mut rest = &*text;
            for part in parts {
                rest = rest.split_once(part).unwrap_or_else(|| panic!("{target}: no {part} in {text}")).1;
            }
        }
    }

    /// A stream whose form cannot say a last word ends without one.
    fn shutdown_of_bare_lines(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        client.get("/topics/a/stream?format=raw");
        client.answer_head();
        subscribed(&lab, "a", 1);
        publish(&lab, "news");
        assert_eq!([client.text_chunk(), client.text_chunk()], ["\n", "news\n"]);
        lab.stopper.stop();
        assert_eq!(client.chunk(), None);
    }

    fn revoked(model) {
        let lab = Lab::start(model);
        let mut opened: Vec<_> = all().map(|technique| technique.open(lab.connect(), "a", "")).collect();
        let mut other = STREAMS[2].open(lab.connect(), "b", "");
        let mut both = STREAMS[2].open(lab.connect(), "b,a", "");
        let count = opened.len();
        subscribed(&lab, "a", count as u64 + 1);
        subscribed(&lab, "b", 2);
        assert_eq!(lab.app.hub.revoke(|subscriber| subscriber.has_topic("a") && !subscriber.has_topic("b")), count);
        assert_eq!(lab.app.hub.stats().refused(403), count as u64);
        assert_eq!(lab.app.hub.publish("a", Payload::text("secret")).unwrap().subscribers, 1, "those that are revoked get nothing");
        for (open, technique) in opened.iter_mut().zip(all()) {
            assert_eq!(split(open.read_to_end()), (vec![], owned(REVOKED)), "{}", technique.target);
        }
        // A connection with several topics ends as a whole.
        assert_eq!(lab.app.hub.revoke(|subscriber| subscriber.has_topic("a")), 1);
        let (seen, word) = split(both.read_to_end());
        assert_eq!((seen.len(), word), (1, owned(REVOKED)));
        lab.app.hub.publish("b", Payload::text("for all")).unwrap();
        assert_eq!(lab.app.hub.revoke(|_| true), 1);
        assert_eq!(split(other.read_to_end()).0.len(), 1, "a topic that was not revoked went on");
        eventually("all have left", || lab.stats().streams + lab.stats().held + lab.stats().websockets == 0);
    }

    /// The client, the topic and the technique are what an application can decide by.
    fn revoked_by_name(model) {
        let lab = Lab::start(model);
        let mut anonymous = STREAMS[2].open(lab.connect(), "a", "");
        let mut of_bob = STREAMS[2].open(lab.connect(), "a", "&client=bob");
        let mut held = POLLS[0].open(lab.connect(), "a", "&client=bob");
        let mut stomp = STREAMS[8].open(lab.connect(), "a", "");
        subscribed(&lab, "a", 4);
        let names = std::sync::Mutex::new(Vec::new());
        assert_eq!(lab.app.hub.revoke(|subscriber| {
            names.lock().unwrap().push((subscriber.client().map(str::to_owned), subscriber.technique(), subscriber.topics().count()));
            subscriber.client() == Some("bob")
        }), 2);
        let mut names = names.into_inner().unwrap();
        names.sort();
        let name = |client: &str| Some(client.to_owned());
        assert_eq!(names, [(None, "stream", 1), (name("ann"), "stomp", 1), (name("bob"), "long-poll", 1), (name("bob"), "stream", 1)]);
        assert_eq!(split(of_bob.read_to_end()).1, owned(REVOKED));
        assert_eq!(held.client.answer().status, 403);
        assert_eq!(lab.app.hub.revoke(|subscriber| subscriber.client() == Some("ann")), 1);
        assert_eq!(split(stomp.read_to_end()).1, owned(REVOKED));
        assert_eq!(lab.app.hub.revoke(|subscriber| subscriber.technique() == "stream"), 1);
        assert_eq!(split(anonymous.read_to_end()).1, owned(REVOKED));
    }
}

/// Of a message. Of a history, or of what fills a queue.
const BYTES: usize = 64 * 1024;

/// Messages of a history that no system keeps for a client that does not read.
const MANY: usize = 128;

/// A server with such a history. The replay is one piece by default: until its client has read that, a connection asks the hub for nothing.
fn lab_with_history(model: IoModel, configure: impl FnOnce(&mut HubConfig)) -> Lab {
    let mut hub = HubConfig { replay_bytes: usize::MAX, history_messages: usize::MAX, history_bytes: usize::MAX, ..HubConfig::default() };
    configure(&mut hub);
    // The clients are read one after the other.
    let lab = Lab::with_app_hub(model, Hub::new(hub), |config: &mut Config| config.settings.limits.write_timeout = 60 * NET);
    (0..MANY).for_each(|_| publish(&lab, &"x".repeat(BYTES)));
    lab
}

/// Connects clients that are behind, and waits until each of them gets its replay.
fn open_behind(lab: &Lab) -> Vec<(Open, &'static Technique)> {
    let open = |technique: &'static Technique| {
        // A form without ids begins with the first message, too.
        let mut open = technique.open(Client::connect_with_little_room(lab.address), "a", "earliest");
        open.client.wait_for(1);
        (open, technique)
    };
    STREAMS.iter().map(open).collect()
}

both! {
    /// Access is withdrawn from some clients while others catch up: those come back and are checked.
    fn revoked_while_behind(model) {
        let lab = lab_with_history(model, |_| {});
        let mut opened = open_behind(&lab);
        assert_eq!(lab.app.hub.revoke(|subscriber| panic!("{subscriber:?} is not subscribed")), 0);
        for (open, technique) in &mut opened {
            let (seen, word) = split(open.read_to_end());
            assert_eq!(word, owned(CHANGED), "{}", technique.target);
            assert!(seen.len() < MANY, "{}", technique.target);
        }
    }

    /// The hub is full when a client has caught up.
    fn full_behind_the_head(model) {
        let lab = lab_with_history(model, |hub| hub.topics = 1);
        let mut opened = open_behind(&lab);
        let _other = STREAMS[2].open(lab.connect(), "b", "");
        subscribed(&lab, "b", 1);
        for (open, technique) in &mut opened {
            assert_eq!(split(open.read_to_end()).1, owned(FULL), "{}", technique.target);
        }
        assert_eq!(lab.app.hub.stats().refused(503), STREAMS.len() as u64);
    }

    /// Messages are gone from the history when a client would get them, and frames of bare payloads cannot tell of a gap.
    fn gone_behind_the_head(model) {
        let lab = lab_with_history(model, |hub| (hub.history_messages, hub.replay_bytes) = (MANY, 4 * BYTES));
        let raw = &STREAMS[7];
        let mut open = raw.open(Client::connect_with_little_room(lab.address), "a", "earliest");
        open.client.wait_for(1);
        (0..MANY).for_each(|_| publish(&lab, "y"));
        assert_eq!(split(open.read_to_end()).1, owned(GONE));
    }

    /// The hub is full before anything was sent.
    fn full_before_the_head(model) {
        let lab = Lab::with_hub(model, HubConfig { topics: 1, ..HubConfig::default() });
        let _other = STREAMS[2].open(lab.connect(), "b", "");
        subscribed(&lab, "b", 1);
        let (code, sentence) = FULL;
        let mut refused = 0;
        for technique in all() {
            let target = format!("/topics/a/{}", technique.target);
            let (mut client, at) = (lab.connect(), technique.target);
            refused += 1;
            match technique.way {
                Way::Stomp => {
                    let mut open = technique.ask(client, "a", "");
                    assert_eq!(split(open.read_to_end()), (vec![], owned(FULL)));
                    refused -= 1;
                }
                Way::Jsonp | Way::Poll => {
                    let mut open = technique.ask(client, "a", "");
                    assert_eq!(split(open.read_to_end()), (vec![], owned(FULL)), "{at}");
                }
                // A page that has a frame sees no status: a script runs whatever the status is.
                Way::Scripts => {
                    let answer = client.fetch(&target);
                    assert_eq!((answer.status, answer.field("Content-Type")), (503, Some("text/html; charset=utf-8")));
                    assert_eq!(readers::scripts(&answer.body, "f"), [Seen::End(code, sentence.to_owned())]);
                }
                _ => {
                    let answer = client.fetch(&target);
                    assert_eq!((answer.status, answer.text()), (503, &*format!("{sentence}\n")), "{at}");
                }
            }
        }
        assert_eq!(lab.app.hub.stats().refused(503), refused);
    }

    /// The policy forgets a client, and the application says so.
    fn the_policy_changes_its_mind(model) {
        static IS_ALLOWED: [AtomicBool; 2] = [AtomicBool::new(true), AtomicBool::new(true)];
        let is_allowed = &IS_ALLOWED[usize::from(model == IoModel::EventLoop)];
        is_allowed.store(true, SeqCst);
        let hub = Hub::with_policy(HubConfig::default(), move |_, access, topic| {
            access == Access::Publish || topic != "a" || is_allowed.load(SeqCst)
        });
        let lab = Lab::with_app_hub(model, hub, |_| {});
        let mut open = STREAMS[0].open(lab.connect(), "a", "");
        subscribed(&lab, "a", 1);
        is_allowed.store(false, SeqCst);
        assert_eq!(lab.app.hub.revoke(|subscriber| subscriber.topics().any(|topic| topic == "a")), 1);
        assert_eq!(split(open.read_to_end()), (vec![], owned(REVOKED)));
        // A browser reconnects by itself, and gives up at this status.
        assert_eq!(lab.connect().fetch("/topics/a/events").status, 403);
    }
}

/// A message of more bytes than the system keeps for a connection.
const MUCH: usize = 8 * 1024 * 1024;

/// A client that has not read, until the policy ends its connection.
fn overwhelm(model: IoModel, technique: &Technique, close_timeout: Duration) -> (Lab, Open) {
    let hub = Hub::new(HubConfig { payload_bytes: 2 * MUCH, history_bytes: 4 * MUCH, ..HubConfig::default() });
    let lab = Lab::with_app_hub(model, hub, |config: &mut Config| {
        config.settings.limits.output_bytes = BYTES;
        config.settings.limits.queue_bytes = 4 * BYTES;
        config.settings.limits.close_timeout = close_timeout;
    });
    lab.app.stomp.set(Stomp::new(&lab.app.hub, StompConfig::default())).ok();
    let mut open = technique.open(Client::connect_with_little_room(lab.address), "a", "");
    subscribed(&lab, "a", 1);
    publish(&lab, &"x".repeat(MUCH));
    // The first bytes of the message are there. Nothing that is published from now on can be written.
    open.client.wait_for(64 * 1024);
    eventually("the policy acts", || {
        publish(&lab, &"x".repeat(BYTES));
        lab.stats().slow_disconnects > 0
    });
    publish(&lab, "too late");
    (lab, open)
}

both! {
    /// A slow reader that still takes bytes gets what the output had, and then the last word.
    fn slow_and_told(model) {
        for technique in &STREAMS {
            let (lab, mut open) = overwhelm(model, technique, 60 * NET);
            let (seen, word) = split(open.read_to_end());
            assert_eq!(word, owned(SLOW), "{}", technique.target);
            let lens: Vec<_> = seen.iter().filter(|seen| !seen.payload().is_empty()).map(|seen| seen.payload().len()).collect();
            assert_eq!(lens[0], MUCH, "{}", technique.target);
            assert!(lens[1..].iter().all(|len| *len == BYTES), "{}: {lens:?}", technique.target);
            eventually("the counter says so", || lab.stats().slow_told == 1);
            assert_eq!((lab.stats().slow_disconnects, lab.stats().write_stalls), (1, 0), "{}", technique.target);
            drop(open);
            eventually("the connection ends", || lab.stats().open == 0);
        }
    }

    /// A reader that takes no bytes is cut without a last word.
    fn slow_and_cut(model) {
        for technique in &STREAMS {
            let (lab, mut open) = overwhelm(model, technique, Duration::from_millis(50));
            eventually("the connection is cut", || lab.stats().open == 0);
            let stats = lab.stats();
            assert_eq!((stats.slow_disconnects, stats.slow_told, stats.write_stalls), (1, 0, 0), "{}", technique.target);
            assert!(open.client.drain() < MUCH, "{}", technique.target);
        }
    }
}
