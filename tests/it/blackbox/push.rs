//! The hub over real sockets.

use std::io::Read;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use pushlab::push::Payload;

use super::client::is_timeout;
use super::{Client, Lab, NET, both, eventually};
use crate::session::wire;

/// Sends `GET target` and takes the head of a stream.
fn open(lab: &Lab, target: &str) -> Client {
    let mut client = lab.connect();
    client.get(target);
    assert_eq!(client.answer_head().status, 200);
    client
}

fn publish(lab: &Lab, topic: &str, text: &str) -> String {
    lab.app.hub.publish(topic, Payload::text(text)).unwrap().id.to_string()
}

/// Waits until something has come for each of the clients, and reads it with one call.
fn read_each_once(clients: Vec<Client>) -> Vec<(Client, Vec<u8>)> {
    let mut poll = Poll::new().unwrap();
    let mut streams: Vec<_> = clients.into_iter().map(Client::into_nonblocking).collect();
    let mut watched: Vec<_> = streams.iter().map(|stream| TcpStream::from_std(stream.tcp.try_clone().unwrap())).collect();
    for (at, stream) in watched.iter_mut().enumerate() {
        poll.registry().register(stream, Token(at), Interest::READABLE).unwrap();
    }
    let (mut events, mut read) = (Events::with_capacity(64), vec![Vec::new(); streams.len()]);
    let mut missing = streams.len();
    while missing > 0 {
        poll.poll(&mut events, Some(NET)).unwrap();
        assert!(!events.is_empty(), "{missing} are not answered");
        for event in &events {
            let (Token(at), mut bytes) = (event.token(), [0; 4096]);
            let len = match streams[at].read(&mut bytes) {
                // Over TLS, what came may have been a ticket. Where mio emulates edges, it does not know of this read.
                Err(error) if is_timeout(error.kind()) => {
                    poll.registry().reregister(&mut watched[at], Token(at), Interest::READABLE).unwrap();
                    continue;
                }
                read => read.unwrap(),
            };
            assert!(read[at].is_empty(), "answered twice, or in two pieces");
            read[at] = bytes[..len].to_vec();
            missing -= 1;
        }
    }
    let clients = streams.into_iter().map(Client::around_nonblocking);
    clients.zip(read).collect()
}

both! {
    /// One client, three techniques, two topics, one cursor.
    fn each_message_once_over_three_techniques(model) {
        let lab = Lab::start(model);
        publish(&lab, "a", "before");
        let mut client = open(&lab, "/topics/a,b/events");
        client.take_until(b"retry: 2000\n\n\r\n");
        eventually("the stream is subscribed", || lab.app.hub.info("b").unwrap().subscribers.sum() == 1);
        publish(&lab, "a", "one");
        let id = publish(&lab, "b", "two");
        assert!(client.text_chunk().ends_with("\ndata: one\n\n"));
        assert_eq!(client.text_chunk(), format!("id: {id}\ndata: two\n\n"));
        drop(client);
        eventually("the stream has left", || lab.app.hub.info("b").unwrap().subscribers.sum() == 0);

        publish(&lab, "b", "three");
        let mut client = lab.connect();
        let answer: serde_json::Value = serde_json::from_slice(&client.fetch(&format!("/topics/a,b/long-poll?after={id}")).body).unwrap();
        assert_eq!((&answer["messages"][0]["data"], answer["messages"].as_array().unwrap().len()), (&"three".into(), 1));
        client.get(&format!("/topics/a,b/long-poll?after={}", answer["last"].as_str().unwrap()));
        eventually("the poll is held", || lab.stats().held == 1);
        let id = publish(&lab, "a", "four");
        let answer: serde_json::Value = serde_json::from_slice(&client.answer().body).unwrap();
        assert_eq!((&answer["messages"][0]["data"], &answer["last"]), (&"four".into(), &(*id).into()));

        publish(&lab, "a", "five");
        let mut client = lab.connect();
        client.upgrade(&format!("/topics/a,b/ws?after={id}"));
        let five = client.frame();
        eventually("the WebSocket is subscribed", || lab.app.hub.info("a").unwrap().subscribers.sum() == 1);
        publish(&lab, "b", "six");
        for (frame, text) in [(five, "five"), (client.frame(), "six")] {
            let envelope: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
            assert_eq!(envelope["data"], text);
        }
        client.send_frame(0x81, b"from the client");
        let envelope: serde_json::Value = serde_json::from_slice(&client.frame().payload).unwrap();
        assert_eq!((&envelope["topic"], &envelope["data"]), (&"a".into(), &"from the client".into()));
    }

    /// Each of the answers is one write, head and body: who reads once, as soon as there is something to read, has all of it.
    fn thousand_polls_released_by_one_publish(model) {
        let lab = Lab::start(model);
        let mut clients = lab.connect_many(1_000);
        for client in &mut clients {
            client.get("/topics/a/long-poll");
        }
        eventually("all are held", || lab.app.hub.info("a").unwrap().subscribers.sum() == 1_000);
        let hub = lab.app.hub.clone();
        let (done, read) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| read_each_once(clients));
            (hub.publish("a", Payload::text("news")).unwrap(), reader.join().unwrap())
        });
        assert_eq!(done.subscribers, 1_000);
        let body = format!(r#"{{"messages":[{{"id":"{0}","topic":"a","data":"news"}}],"last":"{0}","gap":false}}"#, done.id);
        let end = format!("\r\n\r\n{body}");
        let mut clients = Vec::new();
        for (client, bytes) in read {
            let text = String::from_utf8(bytes).unwrap();
            let head = text.strip_suffix(&end).unwrap_or_else(|| panic!("not the whole answer: {text}"));
            assert!(head.starts_with("HTTP/1.1 200 ") && head.contains(&format!("Content-Length: {}", body.len())), "{head}");
            assert!(!head.contains("\r\n\r\n"), "one answer: {head}");
            clients.push(client);
        }
        eventually("all have left", || lab.stats().held == 0 && lab.app.hub.info("a").unwrap().subscribers.sum() == 0);
        // Another message finds nobody, and what comes next is the answer to the next request: no poll is answered twice.
        assert_eq!(lab.app.hub.publish("a", Payload::text("more")).unwrap().subscribers, 0);
        for client in &mut clients {
            assert_eq!(client.fetch("/number?n=7").text(), "7");
        }
    }

    /// What browsers, libraries and proxies add to a request: an event stream begins, and a poll is
    /// not answered twice.
    fn what_clients_add(model) {
        let lab = Lab::start(model);
        let id = publish(&lab, "a", "needle");
        let mut client = lab.connect();
        client.send("GET /%74opics/%61/event%73?_=1 HTTP/1.1\r\nHost: x\r\nLast-Event-ID: \u{e9}\r\n\r\n");
        let head = client.answer_head();
        let fields = ["Cache-Control", "X-Accel-Buffering"].map(|name| head.field(name));
        assert_eq!((head.status, fields), (200, [Some("no-store, no-transform"), Some("no")]));
        assert!(head.field("Pushlab-Gap").is_some());
        client.take_until(b"event: gap\n");
        client.take_until(b"data: needle\n\n");
        let mut client = lab.connect();
        for (after, tags, status) in [
            ("earliest", format!("\"x\", W/\"{id}-gzip\""), 304),
            ("earliest", "*".to_owned(), 200),
            (&*id, "*".to_owned(), 304),
            (&*id, "\"x".to_owned(), 200),
        ] {
            client.send(format!("GET /topics/a/poll?after={after}&_=1 HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tags}\r\n\r\n"));
            let answer = client.answer();
            assert_eq!((answer.status, answer.text().contains("needle")), (status, after == "earliest" && status == 200), "{tags}");
        }
    }

    /// The largest payload of the defaults arrives by every way, and one byte more is refused with
    /// a sentence by both ways in.
    fn the_largest_payload(model) {
        let lab = Lab::start(model);
        let text = "x".repeat(lab.app.hub.config().payload_bytes);
        assert_eq!(text.len(), 256 * 1024);
        let mut listeners = ["stream?", "events?", "multipart?", "iframe?callback=f"].map(|technique| open(&lab, &format!("/topics/a/{technique}")));
        for listener in &mut listeners {
            listener.chunk();
        }
        let mut held = lab.connect();
        held.get("/topics/a/long-poll");
        let mut socket = lab.connect();
        socket.upgrade("/topics/a/ws?format=raw");
        eventually("all are subscribed", || lab.app.hub.info("a").unwrap().subscribers.sum() == 6);
        let post = |body: &str| {
            let mut client = lab.connect();
            client.send(format!("POST /topics/a HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
            let answer = client.answer();
            (answer.status, answer.text().to_owned())
        };
        assert_eq!(post(&text).0, 202);
        for listener in &mut listeners {
            assert!(listener.text_chunk().contains(&text));
        }
        assert!(held.answer().text().contains(&text));
        assert!(socket.frame().payload == text.as_bytes());
        socket.send(wire::text_frame(&text));
        assert!(socket.frame().payload == text.as_bytes());
        let more = text + "x";
        assert_eq!(post(&more), (413, "the payload is larger than this hub takes\n".to_owned()));
        assert_eq!(post(&"x".repeat(1024 * 1024 + 1)), (413, "the request body is larger than the limit\n".to_owned()));
        socket.send(wire::text_frame(&more));
        let close = socket.frame();
        assert_eq!((close.first, &close.payload[..2]), (0x88, &1_009_u16.to_be_bytes()[..]));
        assert_eq!(&close.payload[2..], b"the payload is larger than this hub takes");
    }

    fn vanished_subscribers_are_let_go(model) {
        let lab = Lab::start(model);
        for target in ["/topics/a/long-poll", "/topics/a/events", "/topics/a/stream", "/topics/a/iframe?callback=f", "/topics/a/multipart"] {
            let mut client = lab.connect();
            client.get(target);
            eventually("it is subscribed", || lab.app.hub.info("a").unwrap().online.sum() == 1);
            client.reset();
            eventually("it has left", || lab.app.hub.info("a").unwrap().online.sum() == 0);
        }
    }

    fn publishing_over_http(model) {
        let lab = Lab::start(model);
        let mut listener = open(&lab, "/topics/a/stream");
        listener.chunk();
        eventually("it is subscribed", || lab.app.hub.info("a").unwrap().online.sum() == 1);
        let mut client = lab.connect();
        client.send("POST /topics/a?event=e HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi");
        let answer = client.answer();
        assert_eq!(answer.status, 202);
        let id = lab.app.hub.last();
        assert_eq!(answer.text(), format!("{{\"id\":\"{id}\",\"subscribers\":1}}\n"));
        assert_eq!(listener.text_chunk(), format!("{{\"id\":\"{id}\",\"topic\":\"a\",\"event\":\"e\",\"data\":\"hi\"}}\n"));
    }
}

both! {
    /// On real sockets the queue is another one with a thread per connection; the account is the same.
    fn dropped_messages_are_declared(model) {
        let lab = Lab::with(model, |config| {
            config.settings.slow_consumer = pushlab::SlowConsumer::DropOldest;
            config.settings.limits.output_bytes = 64 * 1024;
            config.settings.limits.queue_bytes = 128 * 1024;
        });
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/topics/a/stream?max_bytes=100000000");
        client.answer_head();
        eventually("it is subscribed", || lab.app.hub.info("a").unwrap().subscribers.sum() == 1);
        let text = "x".repeat(32 * 1024);
        eventually("messages are dropped", || {
            publish(&lab, "a", &text);
            lab.stats().dropped > 0
        });
        let last = publish(&lab, "a", "last");
        let (mut sequence, mut missing, mut is_declared) = (0, 0, false);
        while sequence < lab.app.hub.last().sequence {
            let line = client.text_chunk();
            if line.trim().is_empty() {
                continue;
            }
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            if value["gap"] == true {
                is_declared = true;
                continue;
            }
            let next: u64 = value["id"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap();
            assert_eq!(next > sequence + 1, is_declared, "behind {sequence} comes {next}, the last is {last}");
            missing += next - sequence - 1;
            (sequence, is_declared) = (next, false);
        }
        assert!(missing > 0);
        eventually("the topic has counted them", || lab.app.hub.info("a").unwrap().drops == missing);
        assert_eq!(lab.stats().dropped, missing);
    }
}

/// Fewer than a history retains: a client that is late meets no gap.
const RACED: u64 = 900;

/// Numbers of messages in lines of envelopes.
fn sequences(text: &str) -> impl Iterator<Item = u64> {
    let lines = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line)).filter(|line| line.starts_with('{'));
    lines.map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["id"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap()
    })
}

both! {
    /// Clients come in the very moments in which messages are published: none is lost between the replay and the subscription, or comes twice.
    fn subscribing_while_messages_are_published(model) {
        let lab = Lab::start(model);
        let hub = lab.app.hub.clone();
        let publisher = std::thread::spawn(move || {
            for n in 0..RACED {
                hub.publish("a", Payload::text("x")).unwrap();
                if n % 16 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        for round in 0..12 {
            let after = lab.app.hub.last();
            let mut client = lab.connect();
            let mut next = after.sequence + 1;
            if round % 3 == 0 {
                client.upgrade(&format!("/topics/a/ws?after={after}"));
            } else {
                client.get(&format!("/topics/a/{}after={after}", ["events?format=json&", "stream?"][round % 2]));
                assert_eq!(client.answer_head().status, 200);
            }
            let end = (after.sequence + 200).min(RACED);
            while next <= end {
                let text = if round % 3 == 0 { String::from_utf8(client.frame().payload).unwrap() } else { client.text_chunk() };
                for sequence in sequences(&text) {
                    assert_eq!(sequence, next, "round {round} after {after}");
                    next += 1;
                }
            }
        }
        publisher.join().unwrap();
        assert_eq!(lab.app.hub.last().sequence, RACED);
    }

    /// A value that is dropped with its connection publishes, wherever the driver drops it: to others, at the end of the server, too.
    fn publishing_while_being_dropped(model) {
        let lab = Lab::start(model);
        let mut subscriber = open(&lab, "/topics/a/events");
        assert!(subscriber.text_chunk().starts_with("id: "));
        for reset in [false, true] {
            let leaving = open(&lab, "/farewell");
            if reset { leaving.reset() } else { drop(leaving) }
            assert!(subscriber.text_chunk().ends_with("data: farewell\n\n"));
        }
        let staying = open(&lab, "/farewell");
        lab.stopper.stop();
        subscriber.take_to_end();
        lab.join();
        drop(staying);
        assert_eq!(lab.app.hub.info("a").unwrap().published, 3);
    }
}
