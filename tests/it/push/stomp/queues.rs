//! Queues, from SEND to ACK.
//!
//! Covers: push::stomp::queue, push::stomp::queues

use pushlab::push::{HubConfig, StompConfig};

use super::client::{Broker, Client, Seen};

fn send_numbers(client: &mut Client, count: usize) {
    for n in 1..=count {
        client.publish("/queue/q", &n.to_string());
    }
}

fn bodies(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(Seen::text).collect()
}

#[test]
fn messages_wait_for_a_consumer_in_order() {
    let broker = Broker::new();
    let mut client = broker.connect();
    send_numbers(&mut client, 3);
    assert_eq!((broker.stomp.stats().queues, broker.stomp.stats().queued_messages, broker.stomp.stats().queued_bytes), (1, 3, 3));
    client.subscribe("0", "/queue/q", "");
    assert_eq!(client.bodies(), ["1", "2", "3"]);
    assert_eq!((broker.stomp.stats().queued_messages, broker.stomp.stats().queues), (0, 1));
    client.send("UNSUBSCRIBE\nid:0\n\n\0");
    assert_eq!(broker.stomp.stats().queues, 0, "a queue without messages and consumers is forgotten");
}

#[test]
fn one_consumer_gets_each_message() {
    let broker = Broker::new();
    let mut consumers = [broker.connect(), broker.connect()];
    for consumer in &mut consumers {
        consumer.subscribe("0", "/queue/q", "");
    }
    send_numbers(&mut broker.connect(), 5);
    let [first, second] = &mut consumers;
    assert_eq!((first.bodies(), second.bodies()), (vec!["1".into(), "3".into(), "5".into()], vec!["2".to_owned(), "4".into()]));
}

#[test]
fn the_senders_headers_arrive() {
    let broker = Broker::new();
    let (mut client, mut old) = (broker.connect(), broker.connect_as("1.0"));
    client.subscribe("0", "/queue/q", "ack:client\n");
    old.subscribe("0", "/queue/old", "");
    for queue in ["q", "old"] {
        client.send(&format!(
            "SEND\ndestination:/queue/{queue}\npriority:a\\nb\npriority:second\ncontent-type:text/plain\nmessage-id:forged\nreceipt:1\n\nx\0"
        ));
    }
    let seen = client.take();
    let message = seen.iter().find(|seen| seen.command == "MESSAGE").unwrap();
    let names: Vec<_> = message.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["subscription", "message-id", "destination", "ack", "priority", "content-type", "content-length"]);
    assert_eq!((message.get("priority"), message.get("message-id")), (Some("a\nb"), message.get("ack")));
    let seen = old.take();
    assert_eq!((seen[0].get("priority"), seen[0].text()), (None, "x"), "1.0 cannot carry a line end");
}

#[test]
fn unacknowledged_messages_go_to_another_consumer_when_one_leaves() {
    let broker = Broker::new();
    let mut first = broker.connect();
    first.subscribe("0", "/queue/q", "ack:client\nprefetch-count:2\n");
    send_numbers(&mut broker.connect(), 4);
    let seen = first.take();
    assert_eq!(bodies(&seen), ["1", "2"], "no more than it may hold");
    assert!(seen.iter().all(|seen| seen.get("redelivered").is_none()));
    first.send(&format!("ACK\nid:{}\n\n\0", seen[0].get("ack").unwrap()));
    assert_eq!(first.bodies(), ["3"]);
    let mut second = broker.connect();
    second.subscribe("0", "/queue/q", "ack:auto\n");
    assert_eq!(second.bodies(), ["4"]);
    drop(first);
    let seen = second.take();
    assert_eq!(bodies(&seen), ["2", "3"]);
    assert!(seen.iter().all(|seen| seen.get("redelivered") == Some("true")));
    assert_eq!((broker.stomp.stats().queued_messages, broker.stomp.stats().queue_redelivered), (0, 2));
}

#[test]
fn a_nack_gives_the_message_to_another_consumer() {
    let broker = Broker::new();
    let (mut first, mut second) = (broker.connect(), broker.connect_as("1.1"));
    first.subscribe("0", "/queue/q", "ack:client-individual\n");
    second.subscribe("0", "/queue/q", "ack:client-individual\n");
    send_numbers(&mut broker.connect(), 1);
    let seen = first.take();
    first.send(&format!("NACK\nid:{}\n\n\0", seen[0].get("ack").unwrap()));
    assert_eq!(first.bodies(), [""; 0]);
    let seen = second.take();
    assert_eq!((seen[0].text(), seen[0].get("redelivered")), ("1", Some("true")));
    second.send(&format!("ACK\nsubscription:0\nmessage-id:{}\n\n\0", seen[0].get("message-id").unwrap()));
    assert_eq!(broker.stomp.stats().queued_messages, 0);
}

#[test]
fn an_acknowledgement_of_1_0_names_the_message_alone() {
    let broker = Broker::new();
    let mut client = broker.connect_as("1.0");
    client.send("SUBSCRIBE\ndestination:/queue/q\nack:client\n\n\0");
    send_numbers(&mut client, 2);
    let seen = client.take();
    assert_eq!(seen[0].get("subscription"), Some("/queue/q"));
    client.send(&format!("ACK\nmessage-id:{}\n\n\0", seen[1].get("message-id").unwrap()));
    assert_eq!(broker.stomp.stats().queued_messages, 0, "an acknowledgement counts for those before it");
    client.send("UNSUBSCRIBE\ndestination:/queue/q\n\n\0");
    assert_eq!(broker.stomp.stats().queues, 0);
}

#[test]
fn a_message_that_nobody_acknowledges_is_dropped_and_counted() {
    let broker = Broker::with(HubConfig::default(), StompConfig { queue_deliveries: 2, ..StompConfig::default() });
    let mut client = broker.connect();
    client.subscribe("0", "/queue/q", "ack:client-individual\n");
    send_numbers(&mut client, 1);
    for _ in 0..2 {
        let seen = client.take();
        client.send(&format!("NACK\nid:{}\n\n\0", seen[0].get("ack").unwrap()));
    }
    assert_eq!(client.commands(), [""; 0]);
    let stats = broker.stomp.stats();
    assert_eq!((stats.queue_undeliverable, stats.queued_messages), (1, 0));
}

/// At each bound, and one past it.
#[test]
fn queues_are_bounded() {
    let config = StompConfig { queue_messages: 2, queue_bytes: 20, queues: 2, ..StompConfig::default() };
    let full = "the queue is full: consumers take its messages more slowly than they are sent";
    for (frames, past, sentence) in [
        (vec!["q x", "q y"], "q z", full),
        (vec!["q 0123456789", "q 0123456789"], "q z", full),
        (vec!["q 0123456789"], "q 01234567890", full),
        (vec!["q x", "r y"], "s z", "there are as many queues as this broker takes"),
    ] {
        let broker = Broker::with(HubConfig::default(), config.clone());
        let mut client = broker.connect();
        let send = |client: &mut Client, frame: &str| {
            let (queue, body) = frame.split_once(' ').unwrap();
            client.publish(&format!("/queue/{queue}"), body);
        };
        for frame in &frames {
            send(&mut client, frame);
        }
        assert_eq!(client.commands(), [""; 0], "{frames:?}");
        send(&mut client, past);
        assert_eq!(client.refusal(), (sentence.to_owned(), "close 1013".to_owned()), "{frames:?}, then {past}");
        let stats = broker.stomp.stats();
        assert_eq!((stats.queued_messages, stats.queue_refused), (frames.len(), 1), "what was accepted stays");
    }
    let broker = Broker::with(HubConfig::default(), config);
    let mut client = broker.connect();
    client.subscribe("0", "/queue/a", "");
    client.subscribe("1", "/queue/b", "");
    client.subscribe("2", "/queue/c", "");
    assert_eq!(client.refusal().0, "there are as many queues as this broker takes");
}
