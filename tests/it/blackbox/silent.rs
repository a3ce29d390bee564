//! Subscribers whose peer is gone without a word: no end of file, no reset, no byte any more. The hub must not count them for ever.
//!
//! Covers: driver::server, driver::listen, push::hub::presence, session::websocket, session::http

use std::time::{Duration, Instant};

use pushlab::push::Payload;
use pushlab::{Config, IoModel, SlowConsumer};

use super::client::request;
use super::{Client, Lab, both, eventually};

/// Long enough for a loaded machine to answer a ping in.
const HEARTBEAT: Duration = Duration::from_millis(500);

fn start(model: IoModel, configure: impl FnOnce(&mut Config)) -> Lab {
    Lab::with(model, |config| {
        beat(config);
        configure(config);
    })
}

fn beat(config: &mut Config) {
    config.settings.limits.heartbeat = Some(HEARTBEAT);
    config.settings.limits.pong_timeout = HEARTBEAT;
}

/// A listening socket whose connections are given up when a byte is not acknowledged in time.
#[cfg(target_os = "linux")]
fn impatient() -> std::net::TcpListener {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_tcp_user_timeout(Some(HEARTBEAT)).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1024).unwrap();
    socket.into()
}

/// A subscriber that is gone as soon as it has begun to read.
fn vanished(lab: &Lab, target: &str) -> Client {
    let mut client = lab.connect();
    client.get(&format!("/topics/a/{target}"));
    assert_eq!(client.answer_head().status, 200);
    client.vanish();
    client
}

/// Subscribers of a technique, which are as many as are online.
fn count(lab: &Lab, technique: &str) -> u64 {
    let info = lab.app.hub.info("a").unwrap();
    assert!(info.online.get(technique) >= info.subscribers.get(technique));
    info.subscribers.get(technique)
}

#[track_caller]
fn expect_nobody(lab: &Lab) {
    eventually("nobody is subscribed or online", || {
        let info = lab.app.hub.info("a").unwrap();
        (info.subscribers.sum(), info.online.sum()) == (0, 0)
    });
}

both! {
    /// One peer answers its pings and the other is gone: only that one is let go, within two heartbeats and not before its time.
    fn websocket(model) {
        let lab = start(model, |_| {});
        let begun = Instant::now();
        let (mut silent, mut alive) = (lab.connect(), lab.connect());
        silent.upgrade("/topics/a/ws");
        silent.vanish();
        alive.upgrade("/topics/a/ws");
        eventually("both are subscribed", || count(&lab, "ws") == 2);
        let mut pings = 0;
        while count(&lab, "ws") == 2 {
            let ping = alive.frame();
            assert_eq!(ping.first, 0x89);
            alive.send_frame(0x8a, &ping.payload);
            pings += 1;
        }
        // The pings of the other are a clock that a loaded machine does not put wrong.
        assert!(begun.elapsed() >= 2 * HEARTBEAT && (2..=3).contains(&pings), "let go after {pings} heartbeats, {:?}", begun.elapsed());
        assert_eq!(lab.app.hub.publish("a", Payload::text("x")).unwrap().subscribers, 1);
        loop {
            let frame = alive.frame();
            if frame.first == 0x81 {
                break;
            }
            alive.send_frame(0x8a, &frame.payload);
        }
        eventually("the silent one is gone", || lab.stats().websockets == 1 && lab.app.hub.info("a").unwrap().online.sum() == 1);
        drop(alive);
        expect_nobody(&lab);
    }

    /// What is published to them goes nowhere: the system keeps some of it, and then the time for writing ends them.
    fn streams(model) {
        let lab = start(model, |config| {
            config.settings.slow_consumer = SlowConsumer::DropOldest;
            config.settings.limits.write_timeout = HEARTBEAT;
            config.settings.limits.output_bytes = 64 * 1024;
            config.settings.limits.queue_bytes = 128 * 1024;
        });
        let targets = ["events", "multipart", "stream?max_bytes=1000000000", "iframe?callback=f&max_bytes=1000000000"];
        let clients = targets.map(|target| vanished(&lab, target));
        eventually("all are subscribed", || lab.app.hub.info("a").unwrap().subscribers.sum() == 4);
        for technique in ["events", "multipart", "stream", "iframe"] {
            assert_eq!(count(&lab, technique), 1);
        }
        let text = "x".repeat(32 * 1024);
        eventually("all are given up", || {
            lab.app.hub.publish("a", Payload::text(&*text)).unwrap();
            lab.stats().write_stalls == 4
        });
        expect_nobody(&lab);
        eventually("the connections are closed", || lab.stats().open == 0);
        assert_eq!(lab.stats().slow_disconnects, 0);
        drop(clients);
    }

    /// Nothing is published: the system takes the heartbeats, and has been told for how long they may go unacknowledged.
    #[cfg(target_os = "linux")]
    fn quiet_streams(model) {
        let lab = Lab::with_listener(impatient(), model, beat);
        let targets = ["events", "multipart", "stream", "iframe?callback=f"];
        let clients = targets.map(|target| vanished(&lab, target));
        eventually("all are subscribed", || lab.app.hub.info("a").unwrap().subscribers.sum() == 4);
        expect_nobody(&lab);
        eventually("the connections are closed", || lab.stats().open == 0);
        assert_eq!((lab.stats().write_stalls, lab.stats().slow_disconnects), (0, 0));
        drop(clients);
    }

    /// A held poll lasts as long as it may, and its connection as long as an idle one.
    fn poll(model) {
        let lab = start(model, |config| config.settings.limits.protocol.keep_alive_timeout = HEARTBEAT);
        let begun = Instant::now();
        let mut client = lab.connect();
        client.get("/topics/a/long-poll?wait=1");
        eventually("it is subscribed", || count(&lab, "long-poll") == 1);
        client.vanish();
        expect_nobody(&lab);
        assert!(begun.elapsed() >= Duration::from_secs(1));
        eventually("the connection is closed", || lab.stats().open == 0);
        assert_eq!(lab.stats().hold_timeouts, 1);
    }

    /// A held poll whose answer, and those of the polls behind it, nobody takes.
    fn polls_in_a_row(model) {
        let lab = start(model, |config| config.settings.limits.write_timeout = HEARTBEAT);
        let mut client = lab.connect();
        client.send(request("/topics/a/long-poll") + &request("/topics/a/long-poll?after=earliest").repeat(100));
        eventually("the first is held", || count(&lab, "long-poll") == 1);
        client.vanish();
        let text = "x".repeat(60 * 1024);
        for _ in 0..16 {
            lab.app.hub.publish("a", Payload::text(&*text)).unwrap();
        }
        eventually("the connection is given up", || lab.stats().write_stalls == 1 && lab.stats().open == 0);
        expect_nobody(&lab);
    }
}
