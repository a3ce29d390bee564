//! A STOMP client on a virtual clock.

use std::sync::Arc;
use std::time::Duration;

use pushlab::proto::stomp::{Reader, Role, StompLimits, Version};
use pushlab::push::{Hub, HubConfig, Stomp, StompConfig};
use pushlab::session::{Limits, Reply, Request, Settings};

use crate::session::rig::Rig;
use crate::session::wire::{frame, text_frame};

/// A frame of the server, or the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub command: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A broker and its hub.
pub struct Broker {
    pub hub: Hub,
    pub stomp: Stomp,
}

impl Broker {
    pub fn new() -> Self {
        Self::with(HubConfig::default(), StompConfig::default())
    }

    pub fn with(hub: HubConfig, config: StompConfig) -> Self {
        let hub = Hub::new(hub);
        Self { stomp: Stomp::new(&hub, config), hub }
    }

    /// A client that has not sent CONNECT.
    pub fn open(&self) -> Client {
        Client::open(&self.stomp, Settings::default(), "")
    }

    pub fn open_with(&self, limits: Limits) -> Client {
        Client::open(&self.stomp, Settings { limits, ..Settings::default() }, "")
    }

    /// A client that is connected with 1.2.
    pub fn connect(&self) -> Client {
        self.connect_as("1.2")
    }

    pub fn connect_as(&self, version: &str) -> Client {
        let mut client = self.open();
        client.connect(version);
        client
    }
}

pub struct Client {
    pub rig: Rig,
    reader: Reader,
}

impl Client {
    /// Opens a WebSocket with these subprotocols.
    pub fn open(stomp: &Stomp, settings: Settings, protocols: &str) -> Self {
        let stomp = stomp.clone();
        let mut rig = Rig::serving_with(settings, Arc::default(), move |_: &Request<'_>, reply: Reply<'_>| stomp.serve(reply));
        let protocols = if protocols.is_empty() { String::new() } else { format!("Sec-WebSocket-Protocol: {protocols}\r\n") };
        rig.send(format!(
            "GET /stomp HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{protocols}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ));
        let head = rig.text();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let expected = protocols.split([':', ',']).nth(1).map(str::trim);
        let chosen = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(chosen, expected.filter(|name| name.contains(".stomp")), "{head}");
        Self { rig, reader: Reader::new(Role::Client, Version::V1_2) }
    }

    #[track_caller]
    pub fn connect(&mut self, version: &str) -> Seen {
        self.connect_with(&format!("accept-version:{version}\nhost:a\nheart-beat:0,0\n"))
    }

    #[track_caller]
    pub fn connect_with(&mut self, headers: &str) -> Seen {
        self.send(&format!("CONNECT\n{headers}\n\0"));
        let seen = self.take();
        assert_eq!(seen.iter().map(|seen| &*seen.command).collect::<Vec<_>>(), ["CONNECTED"], "{seen:?}");
        self.reader.set_version(Version::from_name(seen[0].get("version").unwrap()).unwrap());
        seen[0].clone()
    }

    /// Sends a text message with whole frames.
    pub fn send(&mut self, frames: &str) {
        self.rig.send(text_frame(frames));
    }

    pub fn send_binary(&mut self, frames: &[u8]) {
        self.rig.send(frame(0x82, frames));
    }

    /// Everything that came, with a line for the close frame.
    pub fn take(&mut self) -> Vec<Seen> {
        self.rig.deliver();
        let mut seen = Vec::new();
        for (opcode, payload) in self.rig.frames() {
            if opcode == 8 {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                seen.push(Seen { command: format!("close {code}"), headers: Vec::new(), body: Vec::new() });
                continue;
            }
            if payload == b"\n" {
                seen.push(Seen { command: "beat".to_owned(), headers: Vec::new(), body: Vec::new() });
                continue;
            }
            let mut rest = &payload[..];
            while let (used, Some(frame)) = self.reader.next_frame(rest, &StompLimits::default()).unwrap() {
                let headers = frame.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                seen.push(Seen { command: frame.command.name().to_owned(), headers, body: frame.body.to_vec() });
                rest = &rest[used..];
            }
            assert!(opcode == 2 || std::str::from_utf8(&payload).is_ok(), "a text message is UTF-8");
        }
        seen
    }

    /// The commands of everything that came.
    pub fn commands(&mut self) -> Vec<String> {
        self.take().into_iter().map(|seen| seen.command).collect()
    }

    /// The bodies of the messages that came; nothing else may have come.
    #[track_caller]
    pub fn bodies(&mut self) -> Vec<String> {
        let seen = self.take();
        assert!(seen.iter().all(|seen| seen.command == "MESSAGE"), "{seen:?}");
        seen.iter().map(|seen| seen.text().to_owned()).collect()
    }

    /// The sentence and the close code of a refusal, which is all that came.
    #[track_caller]
    pub fn refusal(&mut self) -> (String, String) {
        let seen = self.take();
        let [error, close] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(error.command, "ERROR");
        let sentence = error.get("message").unwrap().to_owned();
        assert_eq!(error.text(), format!("{sentence}\n"));
        (sentence, close.command.clone())
    }

    #[track_caller]
    pub fn subscribe(&mut self, id: &str, destination: &str, headers: &str) {
        self.send(&format!("SUBSCRIBE\nid:{id}\ndestination:{destination}\n{headers}\n\0"));
    }

    pub fn publish(&mut self, destination: &str, body: &str) {
        self.send(&format!("SEND\ndestination:{destination}\n\n{body}\0"));
    }

    pub fn pass(&mut self, millis: u64) {
        self.rig.pass(Duration::from_millis(millis));
    }
}
