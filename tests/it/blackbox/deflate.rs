//! Compressed WebSockets over sockets: echoes, the hub, STOMP, slow readers and shutdowns.

use std::sync::LazyLock;

use pushlab::proto::stomp::{Command, FrameWriter, Reader, Role, StompLimits, Version};
use pushlab::push::{HubConfig, Payload};
use pushlab::session::Upgrade;
use pushlab::{Deflate, IoModel, Message, Reply, Request, Socket, WebSocketHandler};

use super::client::WsFrame;
use super::{Client, Lab, both, eventually};
use crate::session::wire;
use crate::support::deflate::{Codec, deflated, inflated, noise, repetitive};

const BROWSER: &str = "permessage-deflate; client_max_window_bits";

fn lab(model: IoModel) -> Lab {
    Lab::with_hub(model, HubConfig { deflate: Some(Deflate::default()), ..HubConfig::default() })
}

/// A WebSocket with the extension.
fn open(lab: &Lab, target: &str, offer: &str) -> Client {
    let mut client = lab.connect();
    let request = wire::upgrade(target);
    client.send(format!("{}Sec-WebSocket-Extensions: {offer}\r\n\r\n", request.strip_suffix("\r\n").unwrap()));
    let answer = client.answer_head();
    assert!(answer.field("Sec-WebSocket-Extensions").is_some_and(|value| value.starts_with("permessage-deflate")), "{}", answer.head);
    client
}

/// The payload of a text frame that is compressed.
fn text(frame: &WsFrame) -> String {
    assert_eq!(frame.first, 0xC1);
    String::from_utf8(inflated(&frame.payload)).unwrap()
}

struct Echo;

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        socket.send(message);
    }
}

fn echo(request: &Request<'_>, reply: Reply<'_>) {
    let keeps = request.path() == "/takeover";
    let deflate = Deflate { threshold_bytes: 1, server_context_takeover: keeps, client_context_takeover: keeps, ..Deflate::default() };
    reply.upgrade_with(Upgrade { deflate: Some(deflate), ..Upgrade::default() }, Echo);
}

both! {
    fn echo_of_every_size(model) {
        let lab = Lab::answering(model, echo);
        for path in ["/", "/takeover"] {
            for offer in [BROWSER, "permessage-deflate; server_max_window_bits=9"] {
                let mut client = open(&lab, path, offer);
                // The largest window understands all smaller ones.
                let mut codec = Codec::new(15);
                for round in 0..3 {
                    // One round of large messages is slow enough in a debug build.
                    let lens = if round == 1 { &[65_535, 65_536, 200_000][..] } else { &[0, 1, 100, 125, 126, 5_000] };
                    for &len in lens {
                        let (text, bytes) = (repetitive(len), noise(len));
                        for (first, payload) in [(0xC1, text.as_bytes()), (0xC2, &bytes)] {
                            let compressed = if path == "/takeover" { codec.deflate(payload) } else { deflated(payload) };
                            client.send(wire::frame(first, &compressed));
                            let frame = client.frame();
                            assert_eq!(frame.first & 0xBF, first & 0xBF);
                            let got = match (frame.first & 0x40, path) {
                                (0, _) => frame.payload,
                                (_, "/takeover") => codec.inflate(&frame.payload),
                                _ => inflated(&frame.payload),
                            };
                            assert!(got == payload, "{path} {offer}: {len} bytes in round {round}");
                        }
                    }
                }
            }
        }
    }

    /// Some subscribers negotiate compression and some do not. Each gets each message once and in order, live and after a cut.
    fn topics_of_the_hub(model) {
        let lab = lab(model);
        let publish = |n: usize| lab.app.hub.publish("a", Payload::text(format!("{n} {}", repetitive(700)))).unwrap().id;
        let offers = [BROWSER, "permessage-deflate; server_max_window_bits=10", "permessage-deflate; client_no_context_takeover"];
        let mut compressed = offers.map(|offer| open(&lab, "/topics/a/ws?format=raw", offer));
        let mut plain = lab.connect();
        plain.upgrade("/topics/a/ws?format=raw");
        eventually("all are subscribed", || lab.app.hub.info("a").is_ok_and(|info| info.subscribers.sum() == 4));
        for n in 0..30 {
            publish(n);
        }
        for n in 0..30 {
            let expected = format!("{n} {}", repetitive(700));
            for client in &mut compressed {
                assert_eq!(text(&client.frame()), expected);
            }
            assert_eq!(plain.frame(), WsFrame { first: 0x81, payload: expected.into_bytes() });
        }
        drop(compressed);
        let id = publish(30);
        (31..40).for_each(|n| _ = publish(n));
        let mut client = open(&lab, &format!("/topics/a/ws?format=raw&after={id}"), BROWSER);
        for n in 31..40 {
            assert!(text(&client.frame()).starts_with(&n.to_string()), "missed messages are compressed too");
        }
        let mut client = open(&lab, "/topics/a/ws?after=earliest", BROWSER);
        let envelope: serde_json::Value = serde_json::from_str(&text(&client.frame())).unwrap();
        assert!(envelope["data"].as_str().unwrap().starts_with("0 {"));
        // What a client publishes is inflated first.
        client.send(wire::frame(0xC1, &deflated(format!("40 {}", repetitive(300)).as_bytes())));
        while plain.frame().payload != format!("40 {}", repetitive(300)).as_bytes() {}
    }

    /// A message that inflates to more than the limit ends its own connection, and the others go on.
    fn a_bomb(model) {
        // Made before the connections are open: it takes seconds in a debug build, and the server
        // does not wait so long for a client.
        static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| deflated(&vec![0; 64 * 1024 * 1024]));
        let bomb = &*BOMB;
        let lab = lab(model);
        let mut other = open(&lab, "/topics/a/ws?format=raw", BROWSER);
        let mut client = open(&lab, "/topics/a/ws", BROWSER);
        client.send(wire::frame(0xC2, bomb));
        let frame = client.frame();
        assert_eq!((frame.first, &frame.payload[..2]), (0x88, &1_009_u16.to_be_bytes()[..]));
        client.expect_end();
        assert_eq!(lab.broken_rules().get("MessageTooLarge"), Some(&1));
        lab.app.hub.publish("a", Payload::text(repetitive(500))).unwrap();
        assert_eq!(text(&other.frame()), repetitive(500));
    }

    /// A pusher in a thread, messages of all kinds, and a reader that takes its time.
    fn a_slow_reader_loses_nothing(model) {
        let lab = lab(model);
        let mut client = Client::connect_with_little_room(lab.address);
        let request = wire::upgrade("/topics/a/ws?format=raw");
        client.send(format!("{}Sec-WebSocket-Extensions: {BROWSER}\r\n\r\n", request.strip_suffix("\r\n").unwrap()));
        client.answer_head();
        eventually("the client is subscribed", || lab.app.hub.info("a").is_ok_and(|info| info.subscribers.sum() == 1));
        // Letters without a pattern shrink to 60 %, so that the system's buffers fill up.
        let letters: String = noise(50_000).into_iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        for n in 0..15 {
            lab.app.hub.publish("a", Payload::text(format!("{n} {letters}"))).unwrap();
        }
        for n in 0..15 {
            assert!(text(&client.frame()) == format!("{n} {letters}"), "message {n}");
        }
    }

    fn a_shutdown(model) {
        let lab = lab(model);
        let mut client = open(&lab, "/topics/a/ws?format=raw", BROWSER);
        eventually("the client is subscribed", || lab.app.hub.info("a").is_ok_and(|info| info.subscribers.sum() == 1));
        lab.app.hub.publish("a", Payload::text(repetitive(500))).unwrap();
        assert_eq!(text(&client.frame()), repetitive(500));
        lab.stopper.stop();
        let frame = client.frame();
        assert_eq!((frame.first, &frame.payload[..2]), (0x88, &1_001_u16.to_be_bytes()[..]));
        client.send_frame(0x88, &1_001_u16.to_be_bytes());
        client.expect_end();
        lab.join();
    }

    /// Subscriptions with ids of their own, and with the same id, on messages of one part and of two.
    fn stomp(model) {
        let lab = lab(model);
        let mut clients: Vec<_> = ["one", "two", "two"].into_iter().map(|id| (StompClient::connect(&lab), id)).collect();
        for (client, id) in &mut clients {
            client.send(Command::Subscribe, &[("id", id), ("destination", "/topic/a"), ("receipt", "r")], b"");
            assert_eq!(client.take().0, Command::Receipt);
        }
        for len in [10, 600, 5_000] {
            let body = repetitive(len);
            clients[0].0.send(Command::Send, &[("destination", "/topic/a"), ("content-type", "text/plain")], body.as_bytes());
            for (client, id) in &mut clients {
                assert_eq!(client.take(), (Command::Message, (*id).to_owned(), body.clone().into_bytes(), len > 100));
            }
        }
    }
}

/// A STOMP client on a compressed WebSocket.
struct StompClient {
    client: Client,
    reader: Reader,
}

impl StompClient {
    fn connect(lab: &Lab) -> Self {
        let mut client = Self { client: open(lab, "/stomp", BROWSER), reader: Reader::new(Role::Client, Version::V1_2) };
        client.send(Command::Connect, &[("accept-version", "1.2"), ("host", "a"), ("heart-beat", "0,0")], b"");
        assert_eq!(client.take().0, Command::Connected);
        client
    }

    fn send(&mut self, command: Command, headers: &[(&str, &str)], body: &[u8]) {
        let mut out = Vec::new();
        let writer =
            headers.iter().fold(FrameWriter::new(command, Version::V1_2, &mut out), |writer, (name, value)| writer.header(name, value));
        if body.is_empty() {
            writer.end().unwrap();
        } else {
            writer.body(body).unwrap();
        }
        self.client.send(wire::frame(0xC2, &deflated(&out)));
    }

    /// The next frame: its command, its subscription and its body, and whether it was compressed.
    fn take(&mut self) -> (Command, String, Vec<u8>, bool) {
        let WsFrame { first, payload } = self.client.frame();
        let is_compressed = first & 0x40 != 0;
        let bytes = if is_compressed { inflated(&payload) } else { payload };
        let (_, frame) = self.reader.next_frame(&bytes, &StompLimits::default()).unwrap();
        let frame = frame.expect("a message has a whole frame");
        (frame.command, frame.headers.get("subscription").unwrap_or_default().to_owned(), frame.body.to_vec(), is_compressed)
    }
}
