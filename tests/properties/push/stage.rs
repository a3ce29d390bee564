//! A hub, what is published to it, and the one client that listens.
//!
//! The input says what the topics and the events are called, what the payloads are, whether they come through the API or over HTTP, when the
//! client comes, and when time passes.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use pushlab::driver::drive::{Driven, Share, Turn, drive};
use pushlab::proto::{CloseReason, Now, Outbox};
use pushlab::push::{Hub, HubConfig, Mounted, Payload};
use pushlab::session::{Context, Delivery, Reply, Request, Response, Session, Settings, Stats, Surroundings};
use serde_json::Value;

use super::super::input::{Cuts, Input};
use super::super::remote::Remote;
use super::super::server::{Answer, Asked, answer};
use super::super::wire::Wire;
use super::base64;

/// More make no new states, only slower runs.
const MESSAGES_MAX: usize = 8;

/// Stands for the boundary of multipart streams in payloads, which the fuzzer cannot guess.
const BOUNDARY_MARK: u8 = 1;

/// A message as its publisher knows it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) event: Option<String>,
    pub(super) bytes: Vec<u8>,
    pub(super) is_text: bool,
}

impl Told {
    /// The payload where there is only room for text.
    pub(super) fn shown(&self) -> String {
        if self.is_text { String::from_utf8(self.bytes.clone()).expect("checked when published") } else { base64::encode(&self.bytes) }
    }

    /// The envelope that everybody must get.
    pub(super) fn envelope(&self) -> Value {
        let mut value = serde_json::json!({"id": self.id, "topic": self.topic, "data": self.shown()});
        if let Some(event) = &self.event {
            value["event"] = event.as_str().into();
        }
        if !self.is_text {
            value["encoding"] = "base64".into();
        }
        value
    }
}

/// What a client may see, in order.
#[derive(Debug)]
pub(super) enum Seen {
    Message(Told),
    /// A heartbeat was due.
    Beat,
}

/// What the client asks for.
pub(super) struct Ask {
    /// Behind the topics: `events?format=json`.
    pub(super) technique: String,
    /// Whether the response goes on after what was there at its beginning.
    pub(super) is_stream: bool,
}

/// What became of it.
pub(super) struct Heard {
    pub(super) answer: Answer,
    /// What the client is to be told, without the gap.
    pub(super) expected: Vec<Seen>,
    /// The cursor is of another hub: a gap is to be told first.
    pub(super) has_gap: bool,
    pub(super) topics: [String; 2],
    pub(super) boundary: String,
}

impl Heard {
    pub(super) fn messages(&self) -> impl Iterator<Item = &Told> {
        self.expected.iter().filter_map(|seen| if let Seen::Message(told) = seen { Some(told) } else { None })
    }

    /// The place in front of the first message of the hub.
    pub(super) fn start(&self) -> String {
        self.answer.field("Pushlab-Resumed").expect("every stream says it").to_owned()
    }
}

/// The rule for topics, events and clients, once more.
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-'))
}

/// The rule for callbacks.
pub(super) fn is_callback(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '$'))
}

/// As in a query (RFC 3986, section 2.1).
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        write!(encoded, "%{byte:02X}").expect("strings take everything");
    }
    encoded
}

/// A text that is no name gets one sentence as an answer, which no browser takes for anything but text.
pub(super) fn expect_refused(hub: &Hub, target: &str) {
    let answer = Client::new(hub).ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), Cuts::WHOLE);
    assert_eq!((answer.status, answer.field("Content-Type")), (400, Some("text/plain; charset=utf-8")), "{target}");
    assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
}

/// One connection, on a clock of its own.
struct Client {
    hub: Hub,
    now: Now,
    settings: Settings,
    stats: Stats,
    remote: Remote,
    driven: Option<Driven>,
    out: Outbox,
    wire: Wire,
}

impl Client {
    fn new(hub: &Hub) -> Self {
        let mut client = Self {
            hub: hub.clone(),
            now: Now::new(Instant::now(), SystemTime::UNIX_EPOCH),
            settings: Settings::default(),
            stats: Stats::default(),
            remote: Remote::default(),
            driven: None,
            out: Outbox::new(),
            wire: Wire::default(),
        };
        client.wire.open();
        client.call(|driven, _, _, cx| *driven = Some(Driven::new(Session::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), cx))));
        client
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Option<Driven>, &mut Outbox, &mut Wire, &Context<'_>) -> T) -> T {
        let hub = self.hub.clone();
        let app = move |request: &Request<'_>, reply: Reply<'_>| match hub.handle(request, reply) {
            Mounted::Handled => {}
            Mounted::NotMine(reply) => reply.send(Response::status(404)),
        };
        let Self { now, settings, stats, remote, driven, out, wire, .. } = self;
        call(driven, out, wire, &Context { app: &app, surroundings: Surroundings { now, settings, stats, remote } })
    }

    fn on_session<T>(&mut self, call: impl FnOnce(&mut Session, &mut Outbox, &Context<'_>) -> T) -> T {
        self.call(|driven, out, _, cx| call(&mut driven.as_mut().expect("made at once").session, out, cx))
    }

    fn drive(&mut self) {
        self.call(|driven, out, wire, cx| {
            let (driven, mut buffer) = (driven.as_mut().expect("made at once"), vec![0; 4 * 1024]);
            drive(&mut Turn { driven, out, buffer: &mut buffer, share: Share::UNLIMITED, cx }, wire)
        });
    }

    fn send(&mut self, mut bytes: &[u8], mut cuts: Cuts<'_>) {
        while let Some(piece) = cuts.take(&mut bytes) {
            self.wire.incoming.extend_from_slice(piece);
            self.on_session(|session, _, _| session.may_read());
            self.drive();
        }
    }

    /// What was posted arrives.
    fn listen(&mut self) {
        while let Some((serial, command)) = self.remote.take() {
            self.on_session(|session, out, cx| _ = session.deliver(serial, Delivery::Command(command), out, cx));
            self.drive();
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.advance(time);
        let now = self.now.instant();
        while self.on_session(|session, _, _| session.deadline()).is_some_and(|deadline| deadline <= now) {
            self.on_session(Session::timed_out);
            self.drive();
        }
    }

    /// The one answer.
    fn answer(&mut self) -> Answer {
        let answer = answer(&self.wire.sent, Asked::Body).expect("a head");
        assert_eq!(answer.len, self.wire.sent.len(), "nothing behind the answer");
        answer
    }

    fn ask(&mut self, request: &str, cuts: Cuts<'_>) -> Answer {
        self.send(request.as_bytes(), cuts);
        self.listen();
        self.answer()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.on_session(|session, _, cx| session.close(CloseReason::Transport, cx));
    }
}

struct Stage {
    hub: Hub,
    topics: [String; 2],
    boundary: String,
    published: u64,
}

impl Stage {
    fn new(input: &mut Input<'_>) -> Self {
        let hub = Hub::new(HubConfig::default());
        let topics = ["a", "b"].map(|default| {
            let name = if input.flag() { input.text() } else { default.to_owned() };
            if is_name(&name) && !name.ends_with(".presence") {
                return name;
            }
            if !is_name(&name) {
                assert!(hub.publish(&name, Payload::text("x")).is_err());
                // Escaped commas are commas: these names are a list.
                if !name.split(',').all(is_name) {
                    expect_refused(&hub, &format!("/topics/{}/events", percent_encoded(&name)));
                }
            }
            default.to_owned()
        });
        let answer = Client::new(&hub).ask("GET /topics/a/multipart HTTP/1.1\r\nHost: a\r\n\r\n", Cuts::WHOLE);
        let content_type = answer.field("Content-Type").expect("a type");
        let boundary = content_type.strip_prefix("multipart/x-mixed-replace; boundary=").expect("the type").to_owned();
        Self { hub, topics, boundary, published: 0 }
    }

    /// Publishes what the input says; `None` if that must not be, and is not.
    fn publish(&mut self, what: u8, input: &mut Input<'_>) -> Option<Told> {
        let (is_text, has_event, is_posted, has_boundary) = (what & 1 == 0, what & 2 != 0, what & 4 != 0, what & 8 != 0);
        let topic = self.topics[usize::from(what >> 4 & 1)].clone();
        let event = has_event.then(|| input.text());
        let mut bytes = input.some_bytes().to_vec();
        if has_boundary {
            let pieces: Vec<_> = bytes.split(|byte| *byte == BOUNDARY_MARK).collect();
            bytes = pieces.join(format!("--{}", self.boundary).as_bytes());
        }
        let is_fine = event.as_ref().is_none_or(|event| is_name(event) && event != "gap");
        let id = if is_posted {
            self.post(&topic, event.as_deref(), &bytes, is_text, is_fine)?
        } else {
            if is_text {
                bytes = String::from_utf8_lossy(&bytes).into_owned().into_bytes();
            }
            let payload = match String::from_utf8(bytes.clone()) {
                Ok(text) if is_text => Payload::text(text),
                _ => Payload::binary(bytes.clone()),
            };
            let payload = event.iter().fold(payload, |payload, name| payload.event(name.clone()));
            let published = self.hub.publish(&topic, payload);
            assert_eq!(published.is_ok(), is_fine, "{event:?}");
            published.ok()?.id.to_string()
        };
        self.published += 1;
        assert!(id.ends_with(&format!("-{}", self.published)), "nothing else was published");
        Some(Told { id, topic, event, bytes, is_text })
    }

    /// Publishes over HTTP.
    fn post(&self, topic: &str, event: Option<&str>, bytes: &[u8], is_text: bool, is_fine: bool) -> Option<String> {
        let query = event.map_or_else(String::new, |event| format!("?event={}", percent_encoded(event)));
        let media_type = if is_text { "text/plain" } else { "application/octet-stream" };
        let head = format!(
            "POST /topics/{topic}{query} HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        );
        let mut client = Client::new(&self.hub);
        client.send(&[head.as_bytes(), bytes].concat(), Cuts::WHOLE);
        let answer = client.answer();
        let is_fine = is_fine && (!is_text || std::str::from_utf8(bytes).is_ok());
        assert_eq!(answer.status, if is_fine { 202 } else { 400 });
        let value: Value = is_fine.then(|| serde_json::from_slice(&answer.body).expect("JSON"))?;
        Some(value["id"].as_str().expect("an id").to_owned())
    }
}

/// Everything that the input says: publishes, lets the client come and listen, and returns what it got.
pub(super) fn play(input: &mut Input<'_>, ask: &Ask) -> Heard {
    let mut stage = Stage::new(input);
    let (cuts, has_gap, mut is_open) = (input.cuts(), input.flag(), false);
    let mut client = Client::new(&stage.hub);
    let mut expected = Vec::new();
    let after = if has_gap { "1-1" } else { "earliest" };
    let join = if ask.technique.contains('?') { '&' } else { '?' };
    let target = format!("/topics/{},{}/{}{join}after={after}", stage.topics[0], stage.topics[1], ask.technique);
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    while !input.is_empty() && expected.len() < MESSAGES_MAX {
        let what = input.byte();
        if what & 0x80 != 0 && !is_open {
            client.send(request.as_bytes(), cuts.clone());
            is_open = true;
        }
        if what & 0x40 != 0 && is_open && ask.is_stream {
            client.pass(client.settings.limits.heartbeat.expect("there is one by default"));
            expected.push(Seen::Beat);
        }
        let Some(told) = stage.publish(what, input) else { continue };
        if !is_open || ask.is_stream {
            expected.push(Seen::Message(told));
        } else if expected.is_empty() && client.wire.sent.is_empty() {
            // A poll that is held gets the one that it has waited for.
            expected.push(Seen::Message(told));
        }
        client.listen();
    }
    if !is_open {
        client.send(request.as_bytes(), cuts);
    }
    client.listen();
    if client.wire.sent.is_empty() {
        client.pass(Duration::from_secs(25));
    }
    let Stage { topics, boundary, .. } = stage;
    Heard { answer: client.answer(), expected, has_gap, topics, boundary }
}
