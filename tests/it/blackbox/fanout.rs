//! Many messages to many connections in one turn: who hears what, in which order, and who is in nobody's way.
//!
//! Covers: driver::wakes

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use pushlab::session::{Audience, on_message};
use pushlab::{Frame, IoModel, Pusher, Reply, Request, Response, SlowConsumer};

use super::app::Gate;
use super::{Client, Lab, both, eventually};
use crate::support::splits::Seeded;

/// Subscribers, each the client and its pusher: streams and WebSockets in turn.
fn subscribe(lab: &Lab, count: usize) -> Vec<(Subscriber, Pusher)> {
    let subscribe = |n| {
        let subscriber = Subscriber::new(lab.connect(), n % 2 == 1);
        (subscriber, lab.app.last_pusher(n + 1))
    };
    (0..count).map(subscribe).collect()
}

struct Subscriber {
    client: Client,
    is_websocket: bool,
}

impl Subscriber {
    fn new(mut client: Client, is_websocket: bool) -> Self {
        if is_websocket {
            client.upgrade("/ws");
            client.send_frame(0x81, b"pusher");
            assert_eq!(client.frame().payload, b"given");
        } else {
            client.get("/stream");
            client.answer_head();
        }
        Self { client, is_websocket }
    }

    /// The next message; `None` at the end.
    fn next(&mut self) -> Option<String> {
        if !self.is_websocket {
            return self.client.chunk().map(|bytes| String::from_utf8(bytes).unwrap());
        }
        let frame = self.client.frame();
        (frame.first != 0x88).then(|| String::from_utf8(frame.payload).unwrap())
    }

    #[track_caller]
    fn expect(&mut self, texts: &[impl AsRef<str>]) {
        for text in texts {
            assert_eq!(self.next().as_deref(), Some(text.as_ref()));
        }
    }
}

/// Does something while a handler blocks the event loop, so that all of it is posted before the loop takes any of it.
fn in_one_turn(lab: &Lab, post: impl FnOnce()) {
    let mut blocked = lab.connect();
    blocked.get("/block");
    eventually("the handler blocks", || lab.app.at_gate.swap(0, SeqCst) == 1);
    post();
    lab.app.gate.open();
    assert_eq!(blocked.answer().text(), "unblocked\n");
}

fn audience<'a>(pushers: impl IntoIterator<Item = &'a Pusher>) -> Audience {
    let mut audience = Audience::default();
    for pusher in pushers {
        assert!(audience.insert(pusher));
    }
    audience
}

/// In the form of a stream or of a WebSocket.
fn frame(text: &str, is_chunk: bool) -> Frame {
    if is_chunk { Frame::chunk(text.as_bytes()) } else { Frame::text(text) }
}

both! {
    /// Whatever is posted to audiences that overlap, to lists and to single connections: each connection gets its own in that order.
    fn order_over_all_senders(model) {
        for seed in 0..12 {
            let mut numbers = Seeded::new(seed);
            let lab = Lab::start(model);
            let (mut subscribers, pushers): (Vec<_>, Vec<_>) = subscribe(&lab, 6).into_iter().unzip();
            let before = lab.stats().messages_out;
            let groups: Vec<Vec<usize>> = (0..3).map(|_| (0..6).filter(|_| numbers.below(2) == 0).collect()).collect();
            let members = |group: &[usize]| group.iter().map(|&n| pushers[n].clone()).collect::<Vec<_>>();
            let audiences: Vec<_> = groups.iter().map(|group| audience(&members(group))).collect();
            let mut expected = vec![Vec::new(); 6];
            in_one_turn(&lab, || {
                for n in 0..40 {
                    let text = n.to_string();
                    let frame = frame(&text, numbers.below(2) == 0);
                    let group = numbers.below(3);
                    let reached = match numbers.below(6) {
                        0 => {
                            let one = numbers.below(6);
                            pushers[one].push(&frame);
                            vec![one]
                        }
                        1 => {
                            Pusher::push_all(&members(&groups[group]), &frame);
                            groups[group].clone()
                        }
                        _ => {
                            audiences[group].send_to_all(&frame);
                            groups[group].clone()
                        }
                    };
                    for n in reached {
                        expected[n].push(text.clone());
                    }
                }
            });
            for (subscriber, expected) in subscribers.iter_mut().zip(&expected) {
                subscriber.expect(expected);
            }
            let sent: usize = expected.iter().map(Vec::len).sum();
            eventually("all is counted", || lab.stats().messages_out == before + sent as u64);
        }
    }

    /// Who is in a list twice hears everything twice, and still in the order of posting.
    fn twice_in_a_list(model) {
        let lab = Lab::start(model);
        let (mut subscribers, pushers): (Vec<_>, Vec<_>) = subscribe(&lab, 2).into_iter().unzip();
        in_one_turn(&lab, || {
            for text in ["1", "2"] {
                Pusher::push_all([&pushers[0], &pushers[1], &pushers[0]], &frame(text, true));
            }
        });
        subscribers[0].expect(&["1", "1", "2", "2"]);
        subscribers[1].expect(&["1", "2"]);
    }

    /// Large messages are written one by one, and are whole all the same.
    fn large_messages(model) {
        let lab = Lab::start(model);
        let (mut subscribers, pushers): (Vec<_>, Vec<_>) = subscribe(&lab, 4).into_iter().unzip();
        let members = audience(&pushers);
        let texts: Vec<_> = ["a", "b", "c"].map(|letter| letter.repeat(100_000)).into();
        in_one_turn(&lab, || texts.iter().for_each(|text| members.send_to_all(&frame(text, true))));
        for subscriber in &mut subscribers {
            subscriber.expect(&texts);
        }
    }

    /// A message behind the close of one of its readers reaches the others.
    fn a_connection_that_closes_in_the_middle(model) {
        let lab = Lab::start(model);
        let (mut subscribers, pushers): (Vec<_>, Vec<_>) = subscribe(&lab, 4).into_iter().unzip();
        let members = audience(&pushers);
        in_one_turn(&lab, || {
            members.send_to_all(&frame("first", true));
            pushers[0].close(1000);
            pushers[1].close(1000);
            members.send_to_all(&frame("second", false));
        });
        for (n, subscriber) in subscribers.iter_mut().enumerate() {
            subscriber.expect(if n < 2 { &["first"][..] } else { &["first", "second"] });
            if n < 2 {
                assert_eq!(subscriber.next(), None);
            }
        }
    }

    /// Those who have vanished are found out by the write, and are in nobody's way.
    fn connections_that_have_vanished(model) {
        let lab = Lab::start(model);
        let mut subscribers = subscribe(&lab, 6);
        let members = audience(subscribers.iter().map(|(_, pusher)| pusher));
        let mut left = subscribers.split_off(2);
        in_one_turn(&lab, || {
            for (subscriber, _) in subscribers {
                subscriber.client.reset();
            }
            members.send_to_all(&frame("first", true));
            members.send_to_all(&frame("second", true));
        });
        for (subscriber, _) in &mut left {
            subscriber.expect(&["first", "second"]);
        }
        eventually("they are gone", || lab.app.dropped() == 2);
    }

    /// One of an audience does not read: the others get everything in time, and it gets in order what was not dropped.
    fn a_slow_reader_in_the_middle(model) {
        const BYTES: usize = 4_000;
        let lab = Lab::with(model, |config| {
            config.settings.slow_consumer = SlowConsumer::DropOldest;
            config.settings.limits.output_bytes = 10 * BYTES;
            config.settings.limits.queue_bytes = 20 * BYTES;
        });
        let mut subscribers = subscribe(&lab, 2);
        let slow = Subscriber::new(Client::connect_with_little_room(lab.address), false);
        subscribers.insert(1, (slow, lab.app.last_pusher(3)));
        let (mut subscribers, pushers): (Vec<_>, Vec<_>) = subscribers.into_iter().unzip();
        let members = audience(&pushers);
        let mut count = 0;
        let text = |n: usize| format!("{n:0BYTES$}");
        eventually("messages are dropped", || {
            for n in count..count + 5 {
                members.send_to_all(&frame(&text(n), true));
            }
            for n in [0, 2] {
                subscribers[n].expect(&(count..count + 5).map(text).collect::<Vec<_>>());
            }
            count += 5;
            lab.stats().dropped > 0
        });
        members.send_to_all(&frame("0last", true));
        let mut got: Vec<usize> = Vec::new();
        while let Some(text) = subscribers[1].next().filter(|text| text != "0last") {
            got.push(text.parse().unwrap());
        }
        assert!(got.is_sorted_by(|a, b| a < b), "{got:?}");
        assert_eq!(got.len() as u64 + lab.stats().dropped, count as u64);
        assert_eq!(lab.app.lost.load(SeqCst) as u64, lab.stats().dropped);
    }

    /// The write time-out of a reader that takes nothing runs from the moment in which it was written to.
    fn a_reader_that_stalls(model) {
        let lab = Lab::with(model, |config| config.settings.limits.write_timeout = Duration::from_millis(50));
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/stream");
        client.answer_head();
        // The audience keeps the stream open.
        let members = audience([&lab.app.one_pusher()]);
        members.send_to_all(&Frame::chunk(&vec![b'x'; 30_000_000]));
        eventually("the connection is given up", || lab.stats().write_stalls == 1 && lab.stats().open == 0);
        assert!(client.drain() < 30_000_000);
    }
}

/// All that a connection gets in a turn leaves in one write.
#[test]
fn one_write_for_each_reader() {
    let lab = Lab::start(IoModel::EventLoop);
    let (mut subscribers, pushers): (Vec<_>, Vec<_>) = subscribe(&lab, 20).into_iter().unzip();
    // In the form of every second one; the others' copies are gathered, too.
    for is_chunk in [true, false] {
        let (members, mut before) = (audience(&pushers), lab.stats());
        let texts: Vec<_> = (0..16).map(|n| n.to_string()).collect();
        in_one_turn(&lab, || {
            // Nothing is written while the loop is blocked.
            before = lab.stats();
            for text in &texts {
                members.send_to_all(&frame(text, is_chunk));
            }
            pushers[7].push(&frame("own", is_chunk));
        });
        for (n, subscriber) in subscribers.iter_mut().enumerate() {
            subscriber.expect(&texts);
            if n == 7 {
                subscriber.expect(&["own"]);
            }
        }
        eventually("20 readers, and who was blocked", || lab.stats().writes == before.writes + 21);
        assert_eq!(lab.stats().messages_out, before.messages_out + 20 * 16 + 1);
        lab.app.gate.close();
    }
}

/// Many connections with an answer of their own each, in one turn.
#[test]
fn many_alone() {
    let lab = Lab::start(IoModel::EventLoop);
    let (mut subscribers, pushers): (Vec<_>, Vec<_>) = subscribe(&lab, 20).into_iter().unzip();
    in_one_turn(&lab, || {
        for (n, pusher) in pushers.iter().enumerate() {
            pusher.push(&frame(&n.to_string(), n % 4 < 2));
        }
    });
    for (n, subscriber) in subscribers.iter_mut().enumerate() {
        subscriber.expect(&[n.to_string()]);
    }
}

/// With threads, a handler's posts to many readers wake their writers together, when the handler is done. A handler that
/// goes on for long, here until its readers have answered, does not hold the messages back.
#[test]
fn a_handler_that_blocks_after_its_posts_delays_nobody() {
    static PUSHERS: Mutex<Vec<Pusher>> = Mutex::new(Vec::new());
    static GATE: Gate = Gate::new();
    static WENT_ON: AtomicBool = AtomicBool::new(false);
    fn answer(request: &Request<'_>, reply: Reply<'_>) {
        if request.path() == "/ws" {
            return reply.upgrade(on_message(|_, _| {}).on_open(|socket| PUSHERS.lock().unwrap().push(socket.pusher())));
        }
        let frames = ["one", "two", "three"].map(Frame::text);
        for frame in &frames {
            Pusher::push_all(&*PUSHERS.lock().unwrap(), frame);
        }
        GATE.wait();
        WENT_ON.store(true, SeqCst);
        reply.send(Response::no_content());
    }
    let lab = Lab::answering(IoModel::ThreadPerConnection, answer);
    let mut readers: Vec<Client> = (0..5).map(|_| lab.connect()).collect();
    for reader in &mut readers {
        reader.upgrade("/ws");
    }
    eventually("all have opened", || PUSHERS.lock().unwrap().len() == 5);
    let mut publisher = lab.connect();
    publisher.get("/publish");
    for reader in &mut readers {
        for text in ["one", "two", "three"] {
            assert_eq!(reader.frame().payload, text.as_bytes());
        }
    }
    assert!(!WENT_ON.load(SeqCst), "the handler still waits");
    GATE.open();
    assert_eq!(publisher.answer().status, 204);
}

/// One handler posts more than is put off, to readers that take everything: nothing is lost or refused.
#[test]
fn a_handler_that_posts_more_than_is_put_off() {
    static PUSHERS: Mutex<Vec<Pusher>> = Mutex::new(Vec::new());
    const MESSAGES: usize = 500;
    fn answer(request: &Request<'_>, reply: Reply<'_>) {
        if request.path() == "/ws" {
            return reply.upgrade(on_message(|_, _| {}).on_open(|socket| PUSHERS.lock().unwrap().push(socket.pusher())));
        }
        let frame = Frame::text(&"x".repeat(1_000));
        for _ in 0..MESSAGES {
            Pusher::push_all(&*PUSHERS.lock().unwrap(), &frame);
        }
        reply.send(Response::no_content());
    }
    let lab = Lab::answering(IoModel::ThreadPerConnection, answer);
    let mut readers: Vec<Client> = (0..3).map(|_| lab.connect()).collect();
    for reader in &mut readers {
        reader.upgrade("/ws");
    }
    eventually("all have opened", || PUSHERS.lock().unwrap().len() == 3);
    let mut publisher = lab.connect();
    assert_eq!(publisher.fetch("/publish").status, 204);
    for reader in &mut readers {
        for _ in 0..MESSAGES {
            assert_eq!(reader.frame().payload.len(), 1_000);
        }
    }
    assert_eq!((lab.stats().dropped, lab.stats().slow_disconnects), (0, 0));
}
