//! Hubs that speak STOMP to a broker. The broker is a small one that runs in the test, or a server that
//! is no broker.
//!
//! Covers: push::log::brokers::address, push::log::brokers::client, push::log::brokers::fields, push::log::brokers::stream
//! Covers: push::log::brokers::topic

use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use pushlab::proto::stomp::{Command, FrameWriter, Reader, Role, StompLimits, Version};
use pushlab::push::{Cursor, Hub, HubConfig, LogState, Payload, SharedLog, Topics};

use super::{NET, eventually};

type Headers = BTreeMap<String, String>;

/// The messages of a destination. A stream keeps them; a topic gives them to those that are there.
type Destinations = HashMap<String, Vec<(Headers, Vec<u8>)>>;

/// A broker with streams and topics, and nothing else.
#[derive(Clone, Default)]
struct Broker(Arc<Inner>);

#[derive(Default)]
struct Inner {
    destinations: Mutex<Destinations>,
    logins: Mutex<Vec<(String, String)>>,
    acknowledgements: AtomicUsize,
    /// All connections end.
    is_stopped: AtomicBool,
}

/// A subscription: its id, its destination, and the next message.
struct Subscribed {
    id: String,
    destination: String,
    next: usize,
    is_stream: bool,
}

impl Broker {
    fn start() -> (Self, SocketAddr) {
        let (broker, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (address, serving) = (listener.local_addr().unwrap(), broker.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let broker = serving.clone();
                // An error ends this connection alone: a hub that is dropped leaves in the middle of a frame.
                thread::spawn(move || broker.serve(stream.unwrap()));
            }
        });
        (broker, address)
    }

    fn destinations(&self) -> MutexGuard<'_, Destinations> {
        self.0.destinations.lock().unwrap()
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        let (mut reader, mut bytes) = (Reader::new(Role::Server, Version::V1_2), vec![0; 65_536]);
        let mut subscribed: Vec<Subscribed> = Vec::new();
        while !self.0.is_stopped.load(SeqCst) {
            let mut out = Vec::new();
            let read = match stream.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
                Err(error) => return Err(error),
            };
            let mut input = &bytes[..read];
            while !input.is_empty() {
                let (used, frame) = reader.next_frame(input, &StompLimits::default()).unwrap();
                input = &input[used..];
                let Some(frame) = frame else { break };
                let headers: Headers = frame.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                self.answer(frame.command, headers, frame.body, &mut subscribed, &mut out);
            }
            for of in &mut subscribed {
                self.deliver(of, &mut out);
            }
            stream.write_all(&out)?;
        }
        Ok(())
    }

    fn answer(&self, command: Command, headers: Headers, body: &[u8], subscribed: &mut Vec<Subscribed>, out: &mut Vec<u8>) {
        let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
        let destination = header("destination");
        match command {
            Command::Connect => {
                self.0.logins.lock().unwrap().push((header("login"), header("passcode")));
                FrameWriter::new(Command::Connected, Version::V1_2, out)
                    .header("version", "1.2")
                    .header("heart-beat", "0,0")
                    .end()
                    .unwrap();
            }
            Command::Send => {
                let is_stream = header("x-queue-type") == "stream" && header("persistent") == "true" && header("durable") == "true";
                assert_eq!(is_stream, destination.starts_with("/queue/"));
                self.destinations().entry(destination).or_default().push((headers, body.to_vec()));
            }
            Command::Subscribe => {
                let mut destinations = self.destinations();
                let kept = destinations.entry(destination.clone()).or_default().len();
                let is_stream = destination.starts_with("/queue/");
                let next = match &*header("x-stream-offset") {
                    "first" => 0,
                    "last" => kept.saturating_sub(3),
                    "" => kept,
                    offset => offset.strip_prefix("offset=").unwrap().parse().unwrap(),
                };
                assert!(!is_stream || header("ack") == "client" && !header("prefetch-count").is_empty());
                subscribed.push(Subscribed { id: header("id"), destination, next, is_stream });
                if headers.contains_key("receipt") {
                    FrameWriter::new(Command::Receipt, Version::V1_2, out).header("receipt-id", &header("receipt")).end().unwrap();
                }
            }
            Command::Ack => _ = self.0.acknowledgements.fetch_add(1, SeqCst),
            other => panic!("{other:?}"),
        }
    }

    fn deliver(&self, of: &mut Subscribed, out: &mut Vec<u8>) {
        let destinations = self.destinations();
        for (headers, body) in destinations[&of.destination].iter().skip(of.next) {
            let frame = FrameWriter::new(Command::Message, Version::V1_2, out).header("subscription", &of.id).header("message-id", "m");
            let frame = if of.is_stream {
                let offset = of.next.to_string();
                frame.header("x-stream-offset", &offset).header("ack", &format!("{}@{offset}", of.id))
            } else {
                frame
            };
            let own = headers.iter().filter(|(name, _)| name.starts_with("pushlab-"));
            own.fold(frame, |frame, (name, value)| frame.header(name, value)).body(body).unwrap();
            of.next += 1;
        }
    }

    /// What a program that is not a hub sends.
    fn send(&self, destination: &str, headers: &[(&str, &str)], body: &[u8]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.destinations().get_mut(destination).unwrap().push((headers, body.to_vec()));
    }
}

fn hub(address: &str) -> Hub {
    Hub::new(HubConfig { log: Some(address.parse::<SharedLog>().unwrap()), ..HubConfig::default() })
}

fn ready(address: &str) -> Hub {
    let hub = hub(address);
    hub.wait_for_log(NET).unwrap();
    hub
}

/// The topics, events and payloads of all messages of two topics.
fn messages(hub: &Hub) -> Vec<(String, Option<String>, Vec<u8>, bool)> {
    let topics = Topics::parse("a,b", 2).unwrap();
    let messages = hub.replay(&topics, Cursor::Earliest).messages;
    let of = messages.iter().map(|message| {
        (message.topic().to_owned(), message.event().map(str::to_owned), message.bytes().to_vec(), message.text().is_some())
    });
    of.collect()
}

#[test]
fn a_stream_gives_both_hubs_the_same_ids() {
    let (broker, address) = Broker::start();
    let hubs = [(); 2].map(|()| ready(&format!("stomp+stream://us%65r:sec:ret@{address}/hub")));
    assert!(broker.0.logins.lock().unwrap().iter().all(|login| *login == ("user".to_owned(), "sec:ret".to_owned())));
    let mut ids = Vec::new();
    for number in 0..300 {
        ids.push(hubs[number % 2].publish("a", Payload::text(format!("a:b\\c\n{number}"))).unwrap().id);
    }
    ids.push(hubs[1].publish("b", Payload::binary(*b"\0\xff\r\n").event("e")).unwrap().id);
    assert!(ids.is_sorted() && ids.iter().all(|id| id.epoch == ids[0].epoch));
    eventually("both have everything", || hubs.iter().all(|hub| hub.last() == ids[300]));
    let expected = (0..300).map(|number| ("a".to_owned(), None, format!("a:b\\c\n{number}").into_bytes(), true));
    let expected: Vec<_> = expected.chain([("b".to_owned(), Some("e".to_owned()), b"\0\xff\r\n".to_vec(), false)]).collect();
    assert_eq!([messages(&hubs[0]), messages(&hubs[1])], [expected.clone(), expected]);
    assert!(broker.0.acknowledgements.load(SeqCst) >= 2, "one for 250 messages");
    let third = ready(&format!("stomp+stream://{address}/hub"));
    assert_eq!(third.last().epoch, ids[0].epoch);
    assert_eq!(messages(&third).len(), 301);
}

#[test]
fn a_hub_continues_after_the_broker_has_stopped() {
    let (broker, address) = Broker::start();
    let hub = ready(&format!("stomp+stream://{address}/hub"));
    hub.publish("a", Payload::text("one")).unwrap();
    broker.0.is_stopped.store(true, SeqCst);
    eventually("it has noticed", || hub.log_stats().unwrap().error.is_some_and(|error| error.ends_with("has closed the connection")));
    broker.0.is_stopped.store(false, SeqCst);
    let id = hub.publish("a", Payload::text("two")).unwrap().id;
    assert_eq!(messages(&hub).len(), 2);
    // The message may be in the stream twice, because the hub does not know what became of the first one. It counts once.
    assert!(hub.last() >= id && hub.last().epoch == id.epoch && hub.log_stats().unwrap().epochs == 0);
}

#[test]
fn other_programs_can_publish_too() {
    let (broker, address) = Broker::start();
    let hub = ready(&format!("stomp+stream://{address}/hub"));
    let send = |headers: &[(&str, &str)], body: &[u8]| broker.send("/queue/hub", headers, body);
    send(&[("pushlab-topic", "a")], b"text");
    send(&[("pushlab-topic", "a")], b"text");
    send(&[("pushlab-topic", "a")], b"\xff");
    send(&[("pushlab-topic", "a"), ("pushlab-event", "e"), ("pushlab-kind", "binary")], b"bytes");
    for bad in [
        [("pushlab-topic", "a b"), ("x", "")],
        [("x", ""), ("y", "")],
        [("pushlab-topic", "a"), ("pushlab-event", "gap")],
        [("pushlab-topic", "a"), ("pushlab-kind", "picture")],
        [("pushlab-topic", "a"), ("pushlab-origin", "-1")],
        [("pushlab-topic", "a"), ("pushlab-number", "x")],
        [("pushlab-topic", "a"), ("pushlab-after", "")],
        [("pushlab-topic", "a"), ("pushlab-sent", "now")],
    ] {
        send(&bad, b"bad");
    }
    send(&[("pushlab-topic", "a"), ("pushlab-kind", "text")], b"\xff");
    hub.publish("b", Payload::text("last")).unwrap();
    let a = |event: Option<&str>, body: &[u8], is_text| ("a".to_owned(), event.map(str::to_owned), body.to_vec(), is_text);
    let expected = [a(None, b"text", true), a(None, b"text", true), a(None, b"\xff", false), a(Some("e"), b"bytes", false)];
    assert_eq!(messages(&hub)[..4], expected);
    assert_eq!(messages(&hub).len(), 5);
}

#[test]
fn a_plain_topic_has_ids_of_each_hub() {
    let (broker, address) = Broker::start();
    let hubs = [(); 2].map(|()| ready(&format!("stomp://{address}/hub")));
    let id = hubs[0].publish("a", Payload::text("one")).unwrap().id;
    eventually("the other hub has it", || hubs[1].last().sequence == 1);
    assert_eq!(messages(&hubs[0]), messages(&hubs[1]));
    assert_ne!(hubs[0].last().epoch, hubs[1].last().epoch);
    let topics = Topics::parse("a", 1).unwrap();
    assert!(hubs[1].replay(&topics, Cursor::After(id)).gap, "the cursor is one of another hub");
    broker.0.is_stopped.store(true, SeqCst);
    eventually("it has noticed", || hubs[0].log_stats().unwrap().error.is_some());
    broker.0.is_stopped.store(false, SeqCst);
    hubs[0].wait_for_log(NET).unwrap();
    let replay = hubs[0].replay(&topics, Cursor::After(id));
    assert!(replay.gap && replay.from.sequence == 2, "what was missed has a place of its own");
    assert_eq!(hubs[0].publish("a", Payload::text("two")).unwrap().id.sequence, 3);
}

/// Each hub counts what it has received. So a position of one hub says nothing about another one.
#[test]
fn after_a_gap_a_plain_topic_delivers_messages_of_hubs_that_have_received_less() {
    let (broker, address) = Broker::start();
    let hub_ahead = ready(&format!("stomp://{address}/hub"));
    for number in 0..5 {
        hub_ahead.publish("a", Payload::text(number.to_string())).unwrap();
    }
    let hub_behind = ready(&format!("stomp://{address}/hub"));
    let hubs = [&hub_ahead, &hub_behind];
    let connections = hubs.map(|hub| hub.log_stats().unwrap().connections);
    broker.0.is_stopped.store(true, SeqCst);
    eventually("both have noticed", || hubs.iter().all(|hub| hub.log_stats().unwrap().error.is_some()));
    broker.0.is_stopped.store(false, SeqCst);
    eventually("both follow again", || {
        hubs.iter().zip(connections).all(|(hub, before)| {
            let stats = hub.log_stats().unwrap();
            stats.state == LogState::Following && stats.connections > before
        })
    });
    hub_behind.publish("b", Payload::text("from the hub that has received less")).unwrap();
    hub_ahead.publish("b", Payload::text("last")).unwrap();
    let texts: Vec<_> = messages(&hub_ahead).into_iter().map(|(_, _, bytes, _)| String::from_utf8(bytes).unwrap()).collect();
    assert_eq!(texts, ["from the hub that has received less", "last"]);
}

/// Answers each connection with these bytes, and then closes it, if it shall.
fn answers(bytes: &'static [u8], closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(bytes);
            if !closes {
                open.push(stream);
            }
        }
    });
    address
}

#[test]
fn what_is_not_a_broker_is_said() {
    for (bytes, closes, sentence) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            false,
            "what listens at {} does not speak STOMP: the command is not one that a peer of this role sends",
        ),
        (b"CONNECTED\nversion:1.0\n\n\0", false, "the broker at {} does not speak STOMP 1.2"),
        (b"RECEIPT\nreceipt-id:1\n\n\0", false, "the broker at {} does not speak STOMP 1.2"),
        (
            b"ERROR\nmessage:Bad CONNECT\n\nAccess refused for user 'x'\n\0",
            false,
            "the broker at {} refuses: Bad CONNECT: Access refused for user 'x'",
        ),
        (b"ERROR\n\n\0", false, "the broker at {} refuses: it gives no reason"),
        (b"", true, "the broker at {} has closed the connection"),
    ] {
        let address = answers(bytes, closes);
        let hub = hub(&format!("stomp://{address}/hub"));
        let expected = sentence.replace("{}", &address.to_string());
        // A closed socket may also be reset, because the hub has sent CONNECT to it.
        let is_so = |error: &str| error.starts_with(&*expected) || closes && error.contains("has broken");
        eventually(&expected, || hub.log_stats().unwrap().error.is_some_and(|error| is_so(&error)));
        assert!(hub.wait_for_log(Duration::ZERO).is_err());
        hub.replay(&Topics::parse("a", 1).unwrap(), Cursor::Earliest);
    }
}
