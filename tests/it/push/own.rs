//! Techniques that an application writes with public items: lines on a stream, and texts on a WebSocket. They lose nothing, declare each gap,
//! and leave when their connection ends.
//!
//! Covers: push::hub::subscription, push::hub::subscribe, push::model::encoding

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use pushlab::proto::Frame;
use pushlab::push::{
    Call, Cursor, Encoding, Endpoint, Hub, HubConfig, Mounted, Payload, Subscription, SubscriptionStatus, Technique, TopicMessage, Topics,
};
use pushlab::session::{Ending, Handler, Limits, Reply, Request, Response, Settings, SlowConsumer, Socket, WebSocketHandler};

use super::slow::{publish_in_rounds, sequence};
use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire;

const LINES: Technique = Technique::new("lines", Endpoint { path: "lines", parameters: &[], serve: serve_lines });
const TEXTS: Technique = Technique::new("texts", Endpoint { path: "texts", parameters: &["gaps"], serve: serve_texts });

/// `id topic payload` as text.
fn text(message: &TopicMessage) -> String {
    format!("{} {} {}", message.id(), message.topic(), message.text().unwrap_or("(bytes)"))
}

const LINE: Encoding = Encoding {
    message: |message| Frame::chunk(format!("{}\n", text(message)).as_bytes()),
    gap: Some(|gap| Frame::chunk(format!("gap {}\n", gap.from.map_or("here".to_owned(), |from| from.to_string())).as_bytes())),
    end: Some(|word| Frame::chunk(format!("end {} {}\n", word.code(), word.sentence()).as_bytes())),
};
const TEXT: Encoding = Encoding {
    message: |message| Frame::text(&text(message)),
    gap: Some(|gap| Frame::text(&format!("gap {}", gap.from.map_or("here".to_owned(), |from| from.to_string())))),
    end: None,
};
/// A format that cannot express a gap.
const BARE_TEXT: Encoding = Encoding { gap: None, ..TEXT };

fn serve_lines(call: &Call<'_>, reply: Reply<'_>) {
    match call.subscribe(LINE) {
        Ok(subscription) => {
            let head = call.dress(Response::text("")).field("X-From", &subscription.from().to_string());
            let mut stream = reply.stream(head);
            stream.heartbeat(b"\n");
            stream.feed(subscription);
        }
        Err(rejection) => call.reject(reply, &rejection),
    }
}

fn serve_texts(call: &Call<'_>, reply: Reply<'_>) {
    match call.subscribe(if call.parameter("gaps") == Some("0") { BARE_TEXT } else { TEXT }) {
        Ok(subscription) if call.parameter("gaps") == Some("0") && subscription.begins_with_gap() => reply.send(Response::status(410)),
        Ok(subscription) => reply.upgrade(Texts(subscription)),
        Err(rejection) => call.reject(reply, &rejection),
    }
}

struct Texts(Subscription);

impl Texts {
    fn advance(&mut self, socket: &mut Socket<'_>) {
        if matches!(self.0.advance(socket), SubscriptionStatus::MessagesGone | SubscriptionStatus::TooManyTopics) {
            let _ = socket.close(4_410, "");
        }
    }
}

impl WebSocketHandler for Texts {
    fn open(&mut self, socket: &mut Socket<'_>) {
        self.advance(socket);
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        self.advance(socket);
    }

    fn message(&mut self, _: pushlab::Message<'_>, _: &mut Socket<'_>) {}
}

fn app(hub: &Hub) -> impl Handler + use<> {
    let hub = hub.clone();
    move |request: &Request<'_>, reply: Reply<'_>| match hub.handle_with(&[&LINES, &TEXTS], request, reply) {
        Mounted::Handled => {}
        Mounted::NotMine(reply) => reply.send(Response::status(404)),
    }
}

fn connect_with(world: &World, policy: SlowConsumer, limits: Limits, target: &str) -> Rig {
    let settings = Settings { limits, slow_consumer: policy, ..Settings::default() };
    let mut rig = Rig::serving_with(settings, Arc::default(), app(&world.hub));
    rig.send(if target.contains("/texts") { wire::upgrade(target) } else { wire::get(target) });
    rig
}

fn connect(world: &World, target: &str) -> Rig {
    connect_with(world, SlowConsumer::Disconnect, Limits::default(), target)
}

/// The messages and gaps that a client has received, one text for each. `bytes` begin with the head.
fn read(target: &str, bytes: &[u8]) -> Vec<String> {
    if target.contains("/texts") {
        let (_, frames) = wire::answer(bytes, false);
        let texts = wire::frames(frames).into_iter().filter(|(opcode, _)| *opcode == wire::TEXT);
        return texts.map(|(_, payload)| String::from_utf8(payload).unwrap()).collect();
    }
    let answer = wire::answers(bytes).remove(0);
    answer.text().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

const TARGETS: [&str; 2] = ["/topics/a,b/lines?", "/topics/a,b/texts?"];

#[test]
fn missed_and_new_messages_come_once_and_in_order() {
    for target in TARGETS {
        let world = World::new();
        let mut expected: Vec<_> = ["a", "b", "a"].map(|topic| format!("{} {topic} missed", world.publish(topic, "missed"))).into();
        let mut rig = connect(&world, &format!("{target}after=earliest&client=me"));
        let name = if target.contains("/texts") { "texts" } else { "lines" };
        for topic in ["a", "b"] {
            let info = world.hub.info(topic).unwrap();
            assert_eq!((info.subscribers.get(name), info.online.get(name), info.online.sum()), (1, 1, 1), "{target}");
        }
        expected.extend(["b", "a"].map(|topic| format!("{} {topic} new", world.publish(topic, "new"))));
        world.publish("c", "of another topic");
        rig.deliver();
        assert_eq!(read(target, &rig.bytes()), expected, "{target}");
        // A subscription leaves when its connection ends. The client's name stays for its grace time.
        rig.eof();
        let info = world.hub.info("a").unwrap();
        assert_eq!((info.subscribers.sum(), info.online.get(name)), (0, 1), "{target}");
        world.pass_secs(31);
        assert_eq!(world.hub.info("a").unwrap().online.sum(), 0, "{target}");
    }
}

#[test]
fn a_cursor_that_cannot_be_resumed_begins_with_a_gap() {
    for target in TARGETS {
        let world = World::with(HubConfig { history_messages: 1, ..HubConfig::default() });
        let gone = world.publish("a", "gone");
        let kept = world.publish("a", "kept");
        let mut rig = connect(&world, &format!("{target}after=1-1"));
        let bytes = rig.bytes();
        assert_eq!(read(target, &bytes), [format!("gap {gone}"), format!("{kept} a kept")], "{target}");
        if target.contains("lines") {
            let answer = wire::answers(&bytes).remove(0);
            assert_eq!((answer.field("X-From"), answer.field("Cache-Control")), (Some(&*gone.to_string()), Some("no-store, no-transform")));
        }
    }
    let world = World::new();
    assert!(connect(&world, "/topics/a/texts?gaps=0&after=1-1").bytes().starts_with(b"HTTP/1.1 410 "), "before the handshake");
}

/// A reader that is far behind gets one piece after the other. The history drops messages meanwhile.
#[test]
fn a_gap_that_opens_while_the_client_catches_up() {
    let limits = Limits { output_bytes: 200, ..Limits::default() };
    for target in ["/topics/a/lines?", "/topics/a/texts?", "/topics/a/texts?gaps=0&"] {
        let world = World::with(HubConfig { history_messages: 10, replay_bytes: 30, ..HubConfig::default() });
        (0..10).for_each(|_| _ = world.publish("a", "0123456789"));
        let mut rig = Rig::serving_with(Settings { limits: limits.clone(), ..Settings::default() }, Arc::default(), app(&world.hub));
        rig.block();
        let target_after = format!("{target}after=earliest");
        rig.send(if target.contains("/texts") { wire::upgrade(&target_after) } else { wire::get(&target_after) });
        (0..10).for_each(|_| _ = world.publish("a", "0123456789"));
        rig.unblock();
        let bytes = rig.bytes();
        let seen = read(target, &bytes);
        let gaps = seen.iter().filter(|text| text.starts_with("gap ")).count();
        if target.contains("gaps=0") {
            let (_, frames) = wire::answer(&bytes, false);
            assert_eq!(wire::frames(frames).last(), Some(&(wire::CLOSE, 4_410_u16.to_be_bytes().to_vec())));
            assert_eq!((gaps, world.hub.stats().refused(410)), (0, 1));
            continue;
        }
        assert_eq!(gaps, 1, "{target}: {seen:?}");
        let ids: Vec<_> =
            seen.iter().filter(|text| !text.starts_with("gap ")).map(|text| sequence(text.split(' ').next().unwrap())).collect();
        assert!(ids.is_sorted() && ids.ends_with(&(11..=20).collect::<Vec<_>>()), "{target}: {ids:?}");
    }
}

#[test]
fn a_slow_reader_is_told_of_each_hole() {
    let limits = Limits { output_bytes: 500, queue_bytes: 1_000, ..Limits::default() };
    for target in TARGETS {
        let world = World::new();
        let mut rig = connect_with(&world, SlowConsumer::DropOldest, limits.clone(), target);
        let sent = publish_in_rounds(&world, &mut rig, [3, 60, 2, 50, 1]);
        let (mut last, mut missing, mut is_declared) = (0, 0, false);
        for seen in read(target, &rig.bytes()) {
            if seen == "gap here" {
                assert!(!is_declared, "{target}: one gap for each hole");
                is_declared = true;
                continue;
            }
            let id = sequence(seen.split(' ').next().unwrap());
            assert_eq!(id - last > 1, is_declared, "{target}: {seen}");
            (last, missing, is_declared) = (id, missing + id - last - 1, false);
        }
        assert_eq!((last, missing > 0, world.hub.info("a").unwrap().drops), (sent, true, missing), "{target}");
        let mut cut = connect_with(&world, SlowConsumer::Disconnect, limits.clone(), target);
        cut.block();
        (0..100).for_each(|_| _ = world.publish("a", "0123456789"));
        cut.deliver();
        assert_eq!(cut.ending(), Some(Ending::Linger), "{target}");
        cut.unblock();
        let bytes = cut.bytes();
        let sentence = "this client reads its messages too slowly";
        assert!(String::from_utf8_lossy(&bytes).contains(sentence), "{target}");
        if !target.contains("texts") {
            assert_eq!(read(target, &bytes).last().map(String::as_str), Some(&*format!("end 4408 {sentence}")), "{target}");
        }
    }
}

/// A publish encodes a message once for all subscribers with the same encoding.
#[test]
fn a_publish_encodes_once() {
    static ENCODED: AtomicUsize = AtomicUsize::new(0);
    const COUNTED: Encoding = Encoding {
        message: |message| {
            ENCODED.fetch_add(1, SeqCst);
            (LINE.message)(message)
        },
        ..LINE
    };
    fn serve(call: &Call<'_>, reply: Reply<'_>) {
        reply.stream(Response::text("")).feed(call.subscribe(COUNTED).unwrap());
    }
    const TECHNIQUE: Technique = Technique::new("counted", Endpoint { path: "counted", parameters: &[], serve });
    let world = World::new();
    let hub = world.hub.clone();
    let app = move |request: &Request<'_>, reply: Reply<'_>| {
        assert!(matches!(hub.handle_with(&[&TECHNIQUE], request, reply), Mounted::Handled));
    };
    let mut rigs: Vec<_> = (0..5)
        .map(|_| {
            let mut rig = Rig::serving_with(Settings::default(), Arc::default(), app.clone());
            rig.send(wire::get("/topics/a/counted"));
            rig
        })
        .collect();
    let id = world.publish("a", "x");
    for rig in &mut rigs {
        rig.deliver();
        assert_eq!(read("", &rig.bytes()), [format!("{id} a x")]);
    }
    assert_eq!(ENCODED.load(SeqCst), 1);
    rigs.clear();
    world.publish("a", "y");
    assert_eq!(ENCODED.load(SeqCst), 1, "no subscriber is left");
}

/// The hub has no room for the topics of a subscription.
#[test]
fn topics_that_cannot_be_created() {
    let world = World::with(HubConfig { topics: 1, ..HubConfig::default() });
    let _first = connect(&world, "/topics/a/lines");
    for target in ["/topics/b/lines", "/topics/b/texts", "/topics/a,b/lines"] {
        assert!(connect(&world, target).bytes().starts_with(b"HTTP/1.1 503 "), "{target}");
    }
    assert_eq!(world.hub.stats().refused(503), 3);
}

/// A WebSocket that is subscribed to one topic twice.
struct Twice(Subscription, Subscription);

impl WebSocketHandler for Twice {
    fn open(&mut self, socket: &mut Socket<'_>) {
        for subscription in [&mut self.0, &mut self.1] {
            assert_eq!(subscription.advance(socket), SubscriptionStatus::Subscribed);
        }
    }

    fn message(&mut self, _: pushlab::Message<'_>, _: &mut Socket<'_>) {}
}

/// Two subscriptions of a connection are two: each sends its messages, and both end with the connection.
#[test]
fn two_subscriptions_of_one_connection() {
    let hub = Hub::default();
    let of_handler = hub.clone();
    let mut rig = Rig::serving(move |_: &Request<'_>, reply: Reply<'_>| {
        let subscribe = |topics| {
            let topics = Topics::parse(topics, 9).expect("names");
            of_handler.subscribe("twice", &topics, Cursor::New, TEXT).expect("there is room for the topics")
        };
        reply.upgrade(Twice(subscribe("a,b"), subscribe("b,c")));
    });
    rig.send(wire::upgrade("/"));
    rig.text();
    let subscribers = || ["a", "b", "c"].map(|topic| hub.info(topic).expect("a name").subscribers.sum());
    assert_eq!(subscribers(), [1, 2, 1]);
    for topic in ["a", "b", "c"] {
        hub.publish(topic, Payload::text("x")).expect("a name");
    }
    rig.deliver();
    let topics: Vec<_> =
        rig.frames().iter().map(|(_, text)| String::from_utf8_lossy(text).split(' ').nth(1).unwrap_or_default().to_owned()).collect();
    assert_eq!(topics, ["a", "b", "b", "c"]);
    rig.eof();
    assert_eq!(subscribers(), [0, 0, 0]);
}
