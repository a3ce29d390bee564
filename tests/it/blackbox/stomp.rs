//! STOMP over real sockets.
//!
//! Covers: push::stomp::endpoint

use std::collections::BTreeMap;
use std::thread;

use pushlab::proto::stomp::{Command, FrameWriter, Reader, Role, StompLimits, Version};
use pushlab::push::{HubConfig, Payload};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use super::socket::Socket;
use super::{Lab, both, eventually};

/// A client on an independent WebSocket.
struct Client {
    socket: WebSocket<Socket>,
    reader: Reader,
    waiting: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    command: Command,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Client {
    fn connect(lab: &Lab) -> Self {
        let mut request = format!("ws://{}/stomp", lab.address).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "v12.stomp, v11.stomp".parse().unwrap());
        let (socket, response) = tungstenite::client(request, lab.connect().stream).unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "v12.stomp");
        let mut client = Self { socket, reader: Reader::new(Role::Client, Version::V1_2), waiting: Vec::new() };
        client.send(Command::Connect, &[("accept-version", "1.2"), ("host", "a"), ("heart-beat", "0,0")], None);
        assert_eq!(client.take().command, Command::Connected);
        client
    }

    fn send(&mut self, command: Command, headers: &[(&str, &str)], body: Option<&[u8]>) {
        let mut out = Vec::new();
        let writer = FrameWriter::new(command, Version::V1_2, &mut out);
        let writer = headers.iter().fold(writer, |writer, (name, value)| writer.header(name, value));
        match body {
            Some(body) => writer.body(body).unwrap(),
            None => writer.end().unwrap(),
        }
        self.socket.send(Message::binary(out)).unwrap();
    }

    /// Sends a frame, and waits for its receipt. Messages that come before are an error.
    fn ask(&mut self, command: Command, headers: &[(&str, &str)]) {
        self.send(command, &[headers, &[("receipt", "r")]].concat(), None);
        assert_eq!(self.take().headers["receipt-id"], "r");
    }

    /// The next frame.
    fn take(&mut self) -> Seen {
        loop {
            if !self.waiting.is_empty() {
                let waiting = std::mem::take(&mut self.waiting);
                let (used, frame) = self.reader.next_frame(&waiting, &StompLimits::default()).unwrap();
                let seen = frame.map(|frame| Seen {
                    command: frame.command,
                    headers: frame.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                    body: frame.body.to_vec(),
                });
                self.waiting = waiting[used..].to_vec();
                if let Some(seen) = seen {
                    return seen;
                }
            }
            self.waiting = self.socket.read().unwrap().into_data().to_vec();
        }
    }

    fn number(&mut self) -> usize {
        std::str::from_utf8(&self.take().body).unwrap().parse().unwrap()
    }
}

both! {
    /// STOMP and the other techniques share the topics.
    fn topics_are_the_hubs(model) {
        let lab = Lab::start(model);
        let mut stomp = Client::connect(&lab);
        stomp.ask(Command::Subscribe, &[("id", "0"), ("destination", "/topic/a")]);
        let mut websocket = lab.connect();
        websocket.upgrade("/topics/a/ws");
        eventually("both are subscribed", || lab.app.hub.info("a").unwrap().subscribers.sum() == 2);
        let id = lab.app.hub.publish("a", Payload::text("from the hub")).unwrap().id.to_string();
        let seen = stomp.take();
        assert_eq!((&seen.headers["message-id"], &seen.body[..]), (&id, &b"from the hub"[..]));
        websocket.frame();
        stomp.send(Command::Send, &[("destination", "/topic/a")], Some(b"from stomp"));
        assert_eq!(stomp.take().body, b"from stomp");
        let envelope: serde_json::Value = serde_json::from_slice(&websocket.frame().payload).unwrap();
        assert_eq!(envelope["data"], "from stomp");
    }

    /// Sent = received, once and in order, over connections that are cut again and again.
    fn a_client_that_is_cut_resumes_with_its_cursor(model) {
        const COUNT: usize = 2_000;
        let lab = Lab::with_hub(model, HubConfig { history_messages: COUNT, ..HubConfig::default() });
        let hub = lab.app.hub.clone();
        let publisher = thread::spawn(move || {
            for n in 0..COUNT {
                hub.publish("a", Payload::text(n.to_string())).unwrap();
            }
        });
        let (mut cursor, mut next) = ("earliest".to_owned(), 0);
        while next < COUNT {
            let mut client = Client::connect(&lab);
            client.send(Command::Subscribe, &[("id", "0"), ("destination", "/topic/a"), ("after", &cursor)], None);
            // A cut after a different number of messages each time, in the replay and behind it.
            for _ in 0..(1 + next % 97).min(COUNT - next) {
                let seen = client.take();
                assert!(!seen.headers.contains_key("gap"), "the history is longer than this");
                assert_eq!(std::str::from_utf8(&seen.body).unwrap(), next.to_string());
                cursor.clone_from(&seen.headers["message-id"]);
                next += 1;
            }
        }
        publisher.join().unwrap();
    }

    /// Consumers on connections that end without a word: each message is acknowledged once.
    fn a_queue_loses_nothing_when_consumers_vanish(model) {
        const COUNT: usize = 500;
        let lab = Lab::start(model);
        let mut sender = Client::connect(&lab);
        for n in 0..COUNT {
            sender.send(Command::Send, &[("destination", "/queue/q")], Some(n.to_string().as_bytes()));
        }
        eventually("all are queued", || lab.app.stomp().stats().queued_messages == COUNT);
        let mut done = vec![0; COUNT];
        while done.iter().sum::<usize>() < COUNT {
            let mut consumer = Client::connect(&lab);
            consumer.send(Command::Subscribe, &[("id", "0"), ("destination", "/queue/q"), ("ack", "client-individual"), ("prefetch-count", "40")], None);
            let left = COUNT - done.iter().sum::<usize>();
            for _ in 0..left.min(25) {
                let seen = consumer.take();
                consumer.ask_past_messages(&seen.headers["ack"]);
                done[std::str::from_utf8(&seen.body).unwrap().parse::<usize>().unwrap()] += 1;
            }
            drop(consumer);
            eventually("the consumer has left", || lab.app.stomp().stats().connections == 1);
        }
        assert!(done.iter().all(|count| *count == 1), "{done:?}");
        assert_eq!(lab.app.stomp().stats().queued_messages, 0);
    }

    fn a_hundred_clients_with_ids_of_their_own(model) {
        const CLIENTS: usize = 100;
        let lab = Lab::start(model);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(&lab)).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.ask(Command::Subscribe, &[("id", &format!("client-{n}")), ("destination", "/topic/a")]);
        }
        for n in 0..20 {
            assert_eq!(lab.app.hub.publish("a", Payload::text(n.to_string())).unwrap().subscribers, CLIENTS as u64);
        }
        lab.app.hub.publish("a", Payload::binary(vec![0xFF; 100_000])).unwrap();
        for (n, client) in clients.iter_mut().enumerate() {
            for number in 0..20 {
                assert_eq!(client.number(), number);
            }
            let last = client.take();
            assert_eq!((&*last.headers["subscription"], last.body), (&*format!("client-{n}"), vec![0xFF; 100_000]));
        }
    }

    /// On both models, a handler's timer ends at its time, whichever thread has set it.
    fn a_handlers_timer(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        client.upgrade("/timer");
        for millis in ["1", "30", "0"] {
            client.send_frame(0x81, millis.as_bytes());
            assert_eq!(client.frame().payload, b"timer");
        }
    }
}

impl Client {
    /// Acknowledges, and waits for the receipt. Further messages may come before it.
    fn ask_past_messages(&mut self, id: &str) {
        self.send(Command::Ack, &[("id", id), ("receipt", id)], None);
        let mut later = Vec::new();
        loop {
            let seen = self.take();
            if seen.command == Command::Receipt {
                break;
            }
            later.push(seen);
        }
        // What came before the receipt is taken again, in its order.
        let mut bytes = Vec::new();
        for Seen { command, headers, body } in later {
            let writer = FrameWriter::new(command, Version::V1_2, &mut bytes);
            let headers = headers.iter().filter(|(name, _)| *name != "content-length");
            headers.fold(writer, |writer, (name, value)| writer.header(name, value)).body(&body).unwrap();
        }
        bytes.append(&mut self.waiting);
        self.waiting = bytes;
    }
}
