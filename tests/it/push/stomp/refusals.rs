//! Every refusal is an ERROR with a sentence, and the end.
//!
//! Covers: push::stomp::refusal, push::stomp::config

use pushlab::proto::stomp::StompLimits;
use pushlab::push::{Access, Hub, HubConfig, Stomp, StompConfig, StompLogin, StompPolicy};
use pushlab::session::Settings;

use super::client::{Broker, Client};

/// Frames after CONNECT, the sentence, and the close code.
const TABLE: [(&str, &str, u16); 31] = [
    ("CONNECT\naccept-version:1.2\nhost:a\n\n\0", "this connection has sent CONNECT before", 1002),
    ("MESSAGE\n\n\0", "the command is not one that a peer of this role sends", 1002),
    ("SEND\n\nx\0", "SEND needs the header destination", 1002),
    ("SEND\ndestination:/elsewhere\n\nx\0", "a destination must begin with /topic/ or /queue/", 1008),
    ("SEND\ndestination:/topic/a b\n\nx\0", "a topic's name must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`", 1008),
    ("SEND\ndestination:/queue/\n\nx\0", "a queue's name must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`", 1008),
    ("SEND\ndestination:/topic/a.presence\n\nx\0", "this client may not send to this destination", 1008),
    (
        "SEND\ndestination:/topic/a\nevent:gap\n\nx\0",
        "an event's name must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`, and `gap` is the hub's own",
        1008,
    ),
    ("SEND\ndestination:/topic/a\n\n0123456789a\0", "the payload is larger than this hub takes", 1009),
    ("SEND\ndestination:/topic/a\ntransaction:t\n\nx\0", "no transaction with this name is open", 1002),
    ("SEND\ndestination:/topic/a\nbad\n\nx\0", "a header must be a name, a colon and a value, without NUL and CR", 1002),
    ("SEND\ndestination:/topic/a\n\n0123456789abcdefghijk\0", "the body is larger than the limit", 1009),
    ("SUBSCRIBE\nid:0\n\n\0", "SUBSCRIBE needs the header destination", 1002),
    ("SUBSCRIBE\ndestination:/topic/a\n\n\0", "SUBSCRIBE needs the header id", 1002),
    ("SUBSCRIBE\nid:0\ndestination:/topic/a\nack:never\n\n\0", "ack must be auto, client or client-individual", 1002),
    ("SUBSCRIBE\nid:0\ndestination:/topic/a\nafter:x\n\n\0", "after must be earliest, or the message-id of a topic's message", 1002),
    (
        "SUBSCRIBE\nid:0\ndestination:/queue/a\nafter:earliest\n\n\0",
        "after is for topics: a queue gives each message to one consumer",
        1002,
    ),
    ("SUBSCRIBE\nid:0\ndestination:/queue/a\nprefetch-count:0\n\n\0", "prefetch-count must be a number from 1 to 10000", 1002),
    ("SUBSCRIBE\nid:0\ndestination:/queue/a\nprefetch-count:10001\n\n\0", "prefetch-count must be a number from 1 to 10000", 1002),
    (
        "SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0SUBSCRIBE\nid:0\ndestination:/topic/b\n\n\0",
        "this connection has a subscription with this id already",
        1002,
    ),
    (
        "SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0SUBSCRIBE\nid:2\ndestination:/topic/a\n\n\0",
        "a connection may have at most 2 subscriptions",
        1013,
    ),
    ("UNSUBSCRIBE\n\n\0", "UNSUBSCRIBE needs the header id", 1002),
    ("UNSUBSCRIBE\nid:0\n\n\0", "this connection has no subscription with this id", 1002),
    ("ACK\n\n\0", "ACK needs the header id", 1002),
    ("ACK\nid:queue-1\n\n\0", "no message with this id waits for an acknowledgement", 1002),
    ("NACK\nid:1-1\n\n\0", "no message with this id waits for an acknowledgement", 1002),
    ("BEGIN\n\n\0", "BEGIN needs the header transaction", 1002),
    ("BEGIN\ntransaction:t\n\n\0BEGIN\ntransaction:t\n\n\0", "a transaction with this name is open already", 1002),
    ("BEGIN\ntransaction:t\n\n\0BEGIN\ntransaction:u\n\n\0", "a connection may have at most 1 open transactions", 1013),
    ("COMMIT\ntransaction:t\n\n\0", "no transaction with this name is open", 1002),
    (
        "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\n0123456789\0SEND\ndestination:/queue/a\ntransaction:t\n\n0123456789\0",
        "the transactions of a connection may have at most 80 bytes",
        1013,
    ),
];

#[test]
fn every_refusal_has_its_sentence_and_its_code() {
    let config = StompConfig {
        subscriptions: 2,
        transactions: 1,
        transaction_bytes: 80,
        limits: StompLimits { body_bytes: 20, ..StompLimits::default() },
        ..StompConfig::default()
    };
    for (frames, sentence, code) in TABLE {
        let broker = Broker::with(HubConfig { payload_bytes: 10, ..HubConfig::default() }, config.clone());
        let mut client = broker.connect();
        client.send(frames);
        assert_eq!(client.refusal(), (sentence.to_owned(), format!("close {code}")), "{frames:?}");
        assert_eq!((broker.stomp.stats().errors, broker.stomp.stats().connections), (1, 0), "{frames:?}");
        client.publish("/topic/a", "late");
        client.send("no frame\n");
        assert_eq!(client.commands(), [""; 0], "{frames:?}: input after the error is ignored");
        assert_eq!(broker.hub.info("a").unwrap().subscribers.sum(), 0, "{frames:?}: all subscriptions have ended");
    }
}

#[test]
fn a_connection_begins_with_connect() {
    for (frame, sentence, code) in [
        ("SEND\ndestination:/topic/a\n\nx\0", "the first frame must be CONNECT or STOMP", 1002),
        ("CONNECT\naccept-version:3.0\nhost:a\n\n\0", "the supported versions are 1.0, 1.1 and 1.2", 1002),
        (
            "CONNECT\naccept-version:1.2\nhost:a\nheart-beat:1\n\n\0",
            "heart-beat must be two numbers of milliseconds with a comma between them",
            1002,
        ),
        ("GET / HTTP/1.1\r\n\r\n", "the command is not one that a peer of this role sends", 1002),
    ] {
        let broker = Broker::new();
        let mut client = broker.open();
        client.send(frame);
        assert_eq!(client.refusal(), (sentence.to_owned(), format!("close {code}")), "{frame:?}");
    }
    let broker = Broker::new();
    let mut client = Client::open(&broker.stomp, Settings::default(), "v11.stomp");
    client.send("CONNECT\naccept-version:1.2\nhost:a\n\n\0");
    assert_eq!(client.refusal().0, "the supported versions are 1.0, 1.1 and 1.2", "the subprotocol is 1.1");
}

#[test]
fn an_error_names_the_receipt_of_its_frame() {
    let mut client = Broker::new().connect();
    client.send("UNSUBSCRIBE\nid:0\nreceipt:a\\cb\n\n\0");
    assert_eq!(client.take()[0].get("receipt-id"), Some("a:b"));
}

#[test]
fn stomp_1_0_has_no_nack() {
    let mut client = Broker::new().connect_as("1.0");
    client.send("NACK\nmessage-id:queue-1\n\n\0");
    assert_eq!(client.refusal().0, "STOMP 1.0 has no NACK");
    let mut client = Broker::new().connect_as("1.1");
    client.send("ACK\nmessage-id:queue-1\n\n\0");
    assert_eq!(client.refusal().0, "ACK needs the header subscription");
}

struct Rules;

impl StompPolicy for Rules {
    fn user(&self, login: &StompLogin<'_>) -> Option<String> {
        match (login.login, login.passcode, login.host) {
            ("reader", ..) => Some("r".to_owned()),
            ("writer", "secret:1", "a") => Some("w".to_owned()),
            _ => None,
        }
    }

    fn allows(&self, user: &str, access: Access, destination: &str) -> bool {
        match access {
            Access::Publish => user == "w",
            Access::Subscribe => destination == "/topic/open" || destination == "/queue/open",
        }
    }
}

#[test]
fn the_application_decides_about_logins_and_destinations() {
    let hub = Hub::default();
    let stomp = Stomp::with_policy(&hub, StompConfig::default(), Rules);
    let open = |headers: &str| {
        let mut client = Client::open(&stomp, Settings::default(), "");
        client.send(&format!("CONNECT\naccept-version:1.2\nhost:a\n{headers}\n\0"));
        client
    };
    for headers in ["", "login:writer\n", "login:writer\npasscode:wrong\n", "login:stranger\npasscode:secret:1\n"] {
        assert_eq!(open(headers).refusal(), ("this login and passcode may not connect".to_owned(), "close 1008".to_owned()), "{headers}");
    }
    let mut writer = open("login:writer\npasscode:secret:1\n");
    writer.publish("/topic/closed", "x");
    assert_eq!((writer.commands(), hub.info("closed").unwrap().published), (vec!["CONNECTED".to_owned()], 1));
    let mut reader = open("login:reader\n");
    reader.subscribe("0", "/topic/open", "");
    reader.subscribe("1", "/topic/open.presence", "");
    assert_eq!(reader.commands()[..1], ["CONNECTED"]);
    for (frame, sentence) in [
        ("SEND\ndestination:/topic/open\n\nx\0", "this client may not send to this destination"),
        ("SUBSCRIBE\nid:9\ndestination:/topic/closed\n\n\0", "this client may not subscribe to this destination"),
        ("SUBSCRIBE\nid:9\ndestination:/queue/open.presence\n\n\0", "this client may not subscribe to this destination"),
    ] {
        let mut reader = open("login:reader\n");
        reader.take();
        reader.send(frame);
        assert_eq!(reader.refusal(), (sentence.to_owned(), "close 1008".to_owned()));
    }
    assert_eq!(hub.stats().refused(403), 3);
}

/// The policy of a hub is about requests, which STOMP frames are not. So an endpoint without a policy of
/// its own allows nothing.
#[test]
fn a_hub_with_a_policy_needs_one_for_stomp() {
    let hub = Hub::with_policy(HubConfig::default(), |_, _, _| true);
    let stomp = Stomp::new(&hub, StompConfig::default());
    let mut client = Client::open(&stomp, Settings::default(), "");
    client.connect("1.2");
    client.subscribe("0", "/topic/a", "");
    assert_eq!(client.refusal().0, "this client may not subscribe to this destination");
}
