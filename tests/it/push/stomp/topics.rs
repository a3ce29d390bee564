//! Topics of the hub, seen by STOMP clients.
//!
//! Covers: push::stomp::operations, push::stomp::subscriptions, push::model::stomp_form

use pushlab::push::{Cursor, HubConfig, Payload, StompConfig, Topics};
use pushlab::session::{Limits, Settings, SlowConsumer};

use super::client::{Broker, Client};

#[test]
fn a_message_of_the_hub_has_its_id_and_kind() {
    let broker = Broker::new();
    let mut client = broker.connect();
    client.subscribe("a:1", "/topic/news", "");
    let id = broker.hub.publish("news", Payload::text("it works").event("good")).unwrap();
    assert_eq!(id.subscribers, 1);
    broker.hub.publish("news", Payload::binary(b"\0\xff".as_slice())).unwrap();
    let seen = client.take();
    let [text, binary] = &seen[..] else { panic!("{seen:?}") };
    let headers: Vec<_> = text.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let id = id.id.to_string();
    assert_eq!(
        headers,
        [
            ("subscription", "a:1"),
            ("message-id", &*id),
            ("destination", "/topic/news"),
            ("event", "good"),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", "8"),
        ]
    );
    assert_eq!(text.text(), "it works");
    assert_eq!((&binary.body[..], binary.get("content-type")), (&b"\0\xff"[..], Some("application/octet-stream")));
}

#[test]
fn a_send_reaches_every_subscriber_of_the_topic() {
    let broker = Broker::new();
    let (mut sender, mut other) = (broker.connect(), broker.connect_as("1.1"));
    sender.subscribe("0", "/topic/a", "");
    other.subscribe("s", "/topic/a", "ack:client\n");
    sender.send("SEND\ndestination:/topic/a\nevent:tick\ncontent-type:application/json\n\n{}\0");
    sender.send("SEND\ndestination:/topic/a\ncontent-type:image/png\n\npng\0");
    sender.send_binary(b"SEND\ndestination:/topic/a\ncontent-length:2\n\n\0\xff\0");
    assert_eq!(sender.take().iter().map(|seen| seen.get("subscription").unwrap().to_owned()).collect::<Vec<_>>(), ["0"; 3]);
    let seen = other.take();
    assert_eq!(seen.iter().map(|seen| seen.get("subscription").unwrap()).collect::<Vec<_>>(), ["s"; 3]);
    assert!(seen.iter().all(|seen| seen.get("ack") == seen.get("message-id")));
    let replay = broker.hub.replay(&Topics::parse("a", 1).unwrap(), Cursor::Earliest);
    let kept: Vec<_> = replay.messages.iter().map(|message| (message.text(), message.event(), message.bytes().to_vec())).collect();
    assert_eq!(kept[0], (Some("{}"), Some("tick"), b"{}".to_vec()));
    assert_eq!(kept[1], (None, None, b"png".to_vec()));
    assert_eq!(kept[2], (None, None, b"\0\xff".to_vec()));
}

#[test]
fn a_subscription_continues_behind_its_cursor() {
    let broker = Broker::new();
    let ids: Vec<_> = (0..5).map(|n| broker.hub.publish("a", Payload::text(n.to_string())).unwrap().id).collect();
    for (after, expected) in [
        ("after:earliest\n".to_owned(), &["0", "1", "2", "3", "4", "new"][..]),
        (format!("after:{}\n", ids[2]), &["3", "4", "new"]),
        (format!("after:{}\n", ids[4]), &["new"]),
        ("after:\n".to_owned(), &["new"]),
        (String::new(), &["new"]),
    ] {
        let mut client = broker.connect();
        client.subscribe("0", "/topic/a", &after);
        broker.hub.publish("a", Payload::text("new")).unwrap();
        let bodies = client.bodies();
        assert_eq!(bodies[..expected.len() - 1], expected[..expected.len() - 1], "{after}");
        assert_eq!(bodies.last().map(String::as_str), Some("new"));
    }
}

#[test]
fn missing_messages_are_a_gap() {
    let broker = Broker::with(HubConfig { history_messages: 2, ..HubConfig::default() }, StompConfig::default());
    let ids: Vec<_> = (0..5).map(|n| broker.hub.publish("a", Payload::text(n.to_string())).unwrap().id).collect();
    let mut client = broker.connect();
    client.subscribe("0", "/topic/a", &format!("after:{}\n", ids[0]));
    let seen = client.take();
    let [gap, first, last] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(
        (gap.get("gap"), gap.get("message-id"), gap.get("subscription"), gap.get("destination")),
        (Some(&*ids[2].to_string()), Some(&*ids[2].to_string()), Some("0"), Some("/topic/a"))
    );
    assert_eq!((gap.text(), first.text(), last.text()), ("", "3", "4"));
    // The same cursor is the whole truth of what the client has.
    let mut client = broker.connect();
    client.subscribe("0", "/topic/a", &format!("after:{}\n", gap.get("message-id").unwrap()));
    assert_eq!(client.bodies(), ["3", "4"]);
}

/// Two subscriptions of one connection, and then one.
#[test]
fn an_unsubscribed_topic_is_quiet() {
    let broker = Broker::new();
    let mut client = broker.connect();
    client.subscribe("0", "/topic/a", "");
    client.subscribe("1", "/topic/a", "");
    client.subscribe("2", "/topic/b", "");
    broker.hub.publish("a", Payload::text("x")).unwrap();
    let mut ids: Vec<_> = client.take().iter().map(|seen| seen.get("subscription").unwrap().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, ["0", "1"]);
    client.send("UNSUBSCRIBE\nid:0\n\n\0UNSUBSCRIBE\nid:2\nreceipt:r\n\n\0");
    assert_eq!(client.commands(), ["RECEIPT"]);
    broker.hub.publish("a", Payload::text("x")).unwrap();
    broker.hub.publish("b", Payload::text("x")).unwrap();
    assert_eq!(client.take().iter().map(|seen| seen.get("subscription").unwrap().to_owned()).collect::<Vec<_>>(), ["1"]);
    assert_eq!((broker.hub.info("a").unwrap().subscribers.sum(), broker.hub.info("b").unwrap().subscribers.sum()), (1, 0));
    drop(client);
    assert_eq!(broker.hub.info("a").unwrap().subscribers.sum(), 0, "a connection that ends has left");
}

#[test]
fn presence_is_a_topic_too() {
    let broker = Broker::new();
    let mut client = broker.connect();
    client.subscribe("0", "/topic/a.presence", "");
    let mut other = broker.connect();
    other.subscribe("0", "/topic/a", "");
    let seen = client.take();
    assert!(seen[0].text().contains("stomp"), "{seen:?}");
}

/// A replay of any length comes as the client reads, and messages that are published meanwhile follow.
#[test]
fn a_client_that_is_far_behind_catches_up_at_its_own_pace() {
    let broker = Broker::with(
        HubConfig { history_bytes: 64 * 1024 * 1024, history_messages: 1_000, ..HubConfig::default() },
        StompConfig::default(),
    );
    let text = "x".repeat(10_000);
    for n in 0..300 {
        broker.hub.publish("a", Payload::text(format!("{n} {text}"))).unwrap();
    }
    let mut client = broker.open_with(Limits { output_bytes: 64 * 1024, ..Limits::default() });
    client.connect("1.2");
    client.rig.block();
    client.subscribe("0", "/topic/a", "after:earliest\n");
    assert!(client.rig.out_len() < 200_000, "{} bytes wait", client.rig.out_len());
    broker.hub.publish("a", Payload::text("300 new")).unwrap();
    client.rig.unblock();
    let numbers: Vec<usize> = client.bodies().iter().map(|body| body.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..=300).collect::<Vec<_>>());
    broker.hub.publish("a", Payload::text("301")).unwrap();
    assert_eq!(client.bodies(), ["301"]);
}

/// A policy that drops messages must not drop a receipt in silence: the connection ends, with a
/// sentence, and the client continues with its cursor.
#[test]
fn a_client_whose_messages_are_dropped_is_disconnected() {
    let broker = Broker::new();
    let limits = Limits { output_bytes: 1_000, queue_bytes: 2_000, ..Limits::default() };
    let settings = Settings { limits, slow_consumer: SlowConsumer::DropOldest, ..Settings::default() };
    let mut client = Client::open(&broker.stomp, settings, "");
    client.connect("1.2");
    client.subscribe("0", "/topic/a", "");
    client.rig.block();
    for n in 0..50 {
        broker.hub.publish("a", Payload::text(format!("{n} {}", "x".repeat(100)))).unwrap();
        client.rig.deliver();
    }
    client.rig.unblock();
    let seen = client.take();
    let error = seen.iter().position(|seen| seen.command == "ERROR").expect("an ERROR");
    assert!(seen[error].get("message").unwrap().contains("reads too slowly"), "{seen:?}");
    assert_eq!(client.commands().last().or(seen.last().map(|seen| &seen.command)).map(String::as_str), Some("close 1008"));
    assert!(broker.hub.info("a").unwrap().drops > 0);
}

/// Subscribers with different ids share the bytes of a message.
#[test]
fn versions_and_ids_differ_and_the_body_is_the_same() {
    let broker = Broker::new();
    let mut clients: Vec<_> = ["1.2", "1.1", "1.0"].map(|version| broker.connect_as(version)).into();
    for (client, id) in clients.iter_mut().zip(["x:1", "x\\c2", "x3"]) {
        client.subscribe(if id == "x:1" { "x\\c1" } else { id }, "/topic/a", "");
    }
    // A large body is shared, and a small one is copied for each id.
    for body in ["same".to_owned(), "s".repeat(5_000)] {
        broker.hub.publish("a", Payload::text(&*body)).unwrap();
        let seen: Vec<_> = clients.iter_mut().map(|client| client.take().remove(0)).collect();
        assert_eq!(seen.iter().map(|seen| seen.get("subscription").unwrap()).collect::<Vec<_>>(), ["x:1", "x:2", "x3"]);
        assert!(seen.iter().all(|seen| seen.text() == body));
    }
}
