//! The same server behind a Unix domain socket.
//!
//! Covers: session::peer

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use pushlab::Config;
use pushlab::push::Payload;
use pushlab::session::{Forwarding, ForwardingField};

use super::client::frame;
use super::{Client, IoModel, Lab, both_plain, eventually};

/// More than the buffers of a socket and a connection's queue hold.
const LARGE: usize = 8 * 1024 * 1024;

/// A server, and the file of its socket, which is removed at the end.
struct Place {
    lab: Lab,
    path: PathBuf,
}

impl Place {
    fn start(model: IoModel) -> Self {
        Self::start_with(model, |_| {})
    }

    fn start_with(model: IoModel, configure: impl FnOnce(&mut Config)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("pushlab-it-{}-{}.sock", std::process::id(), NUMBER.fetch_add(1, SeqCst));
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        Self { lab: Lab::with_unix_listener(listener, model, configure), path }
    }

    fn connect(&self) -> Client {
        Client::over_unix(UnixStream::connect(&self.path).unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

both_plain! {
    fn requests_and_their_peer(model) {
        let place = Place::start(model);
        let mut client = place.connect();
        assert_eq!(client.fetch("/peer").text(), "a Unix socket");
        client.get("/hello");
        client.get("/hello");
        assert_eq!([client.answer().text(), client.answer().text()], ["hello\n"; 2]);
        assert_eq!(place.lab.stats().accepted, 1);
        assert_eq!(place.lab.address.to_string(), "0.0.0.0:0");
    }

    /// A proxy on the same machine is trusted by the word `unix`, and by no network.
    fn the_client_behind_a_proxy(model) {
        let request = "GET /client HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n";
        for (entry, expected) in [("unix", "203.0.113.9 true a"), ("0.0.0.0/0", "- false a"), ("::/0", "- false a")] {
            let fields = vec![ForwardingField::XForwardedFor, ForwardingField::XForwardedProto];
            let forwarding = Forwarding { proxies: vec![entry.parse().unwrap()], fields };
            let place = Place::start_with(model, |config| config.settings.forwarding = forwarding);
            let mut client = place.connect();
            client.send(request);
            assert_eq!(client.answer().text(), expected, "{entry}");
        }
    }

    /// The buffers of the socket fill up in both directions, and are read in pieces of any size.
    fn large_bodies(model) {
        let place = Place::start(model);
        let mut client = place.connect();
        assert_eq!(client.fetch(&format!("/big?n={LARGE}")).body, vec![b'x'; LARGE]);
        let body: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
        let head = format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        client.send([head.as_bytes(), &body].concat());
        assert_eq!(client.answer().body, body);
        // Cut into small writes.
        client.send(head);
        body.chunks(10_007).for_each(|chunk| client.send(chunk));
        assert_eq!(client.answer().body, body);
    }

    fn a_held_request_and_a_stream(model) {
        let place = Place::start(model);
        let (mut held, mut stream) = (place.connect(), place.connect());
        held.get("/poll");
        place.lab.app.one_held().release(pushlab::Response::text("now\n"));
        assert_eq!(held.answer().text(), "now\n");
        stream.get("/topics/a/stream?format=raw");
        stream.answer_head();
        eventually("it is subscribed", || place.lab.app.hub.info("a").is_ok_and(|info| info.subscribers.sum() == 1));
        place.lab.app.hub.publish("a", Payload::text("pushed")).unwrap();
        stream.take_until(b"pushed");
    }

    fn a_web_socket_and_its_echo(model) {
        let place = Place::start(model);
        let mut client = place.connect();
        client.upgrade("/ws");
        client.send(frame(0x81, b"one"));
        assert_eq!(client.frame().payload, b"one");
        let mut subscriber = place.connect();
        subscriber.upgrade("/topics/a/ws?format=raw");
        eventually("it is subscribed", || place.lab.app.hub.info("a").is_ok_and(|info| info.subscribers.sum() == 1));
        place.lab.app.hub.publish("a", Payload::text("two")).unwrap();
        assert_eq!(subscriber.frame().payload, b"two");
    }

    /// The end of the peer is noticed while the server waits to answer, and a half-closed peer gets
    /// its answer.
    fn the_end_of_a_peer(model) {
        let place = Place::start(model);
        let mut half = place.connect();
        half.get("/hello");
        half.end_sending();
        assert_eq!(half.answer().text(), "hello\n");
        half.expect_end();
        let mut gone = place.connect();
        gone.get("/poll");
        let _held = place.lab.app.one_held();
        drop(gone);
        eventually("the server has noticed", || place.lab.stats().open == 0 && place.lab.app.dropped() == 1);
    }

    /// A reader that takes nothing is disconnected, and the others get everything.
    fn a_slow_consumer(model) {
        let place = Place::start(model);
        let [mut slow, mut quick] = [(); 2].map(|()| place.connect());
        for client in [&mut slow, &mut quick] {
            client.get("/topics/a/events");
            client.answer_head();
        }
        eventually("both are subscribed", || place.lab.app.hub.info("a").is_ok_and(|info| info.subscribers.sum() == 2));
        let text = "x".repeat(100_000);
        for _ in 0..100 {
            place.lab.app.hub.publish("a", Payload::text(text.clone())).unwrap();
            quick.take_until(text.as_bytes());
        }
        eventually("the slow one is cut", || place.lab.stats().open == 1);
    }

    fn many_connections_and_a_shutdown(model) {
        let place = Place::start(model);
        let mut clients: Vec<Client> = (0..100).map(|_| place.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.fetch("/hello").status, 200);
        }
        place.lab.stopper.stop();
        for client in &mut clients {
            client.expect_end();
        }
        place.lab.join();
        // The file is still there, and nobody listens.
        assert!(UnixStream::connect(&place.path).is_err());
    }
}
