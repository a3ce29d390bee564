//! CONNECT, receipts, transactions and the end of a session.
//!
//! Covers: push::stomp::session, push::stomp::frames, push::stomp::transactions

use pushlab::push::{Cursor, HubConfig, StompConfig, Topics};
use pushlab::session::Settings;

use super::client::{Broker, Client};

#[test]
fn the_highest_version_of_both_sides_is_chosen() {
    for (protocols, headers, expected) in [
        ("", "accept-version:1.0,1.1,1.2\n", "1.2"),
        ("", "accept-version:1.1,1.0\n", "1.1"),
        ("", "", "1.0"),
        ("v12.stomp, v11.stomp, v10.stomp", "accept-version:1.2,1.1,1.0\n", "1.2"),
        ("v11.stomp, v12.stomp", "accept-version:1.2,1.1,1.0\n", "1.1"),
        ("v10.stomp", "accept-version:1.1,1.0\n", "1.0"),
        ("mqtt", "accept-version:1.2\n", "1.2"),
    ] {
        let broker = Broker::new();
        let mut client = Client::open(&broker.stomp, Settings::default(), protocols);
        let connected = client.connect_with(headers);
        assert_eq!(connected.get("version"), Some(expected), "{protocols} {headers}");
        assert_eq!(connected.get("heart-beat"), Some("10000,10000"));
        assert!(connected.get("server").unwrap().starts_with("pushlab/"));
        assert_eq!(broker.stomp.stats().connections, 1);
    }
}

#[test]
fn stomp_opens_a_session_as_connect_does() {
    let broker = Broker::new();
    let mut client = broker.open();
    client.send("STOMP\naccept-version:1.2\nhost:a\n\n\0SEND\ndestination:/topic/a\nreceipt:1\n\nx\0");
    assert_eq!(client.commands(), ["CONNECTED", "RECEIPT"], "both frames came in one message");
}

#[test]
fn frames_may_be_cut_anywhere_between_messages() {
    let broker = Broker::new();
    let mut client = broker.connect();
    for byte in "SEND\ndestination:/topic/a\nreceipt:7\n\nhello\0\n".chars() {
        client.send(&byte.to_string());
    }
    let seen = client.take();
    assert_eq!((seen.len(), seen[0].get("receipt-id")), (1, Some("7")));
    let replay = broker.hub.replay(&Topics::parse("a", 1).unwrap(), Cursor::Earliest);
    assert_eq!(replay.messages[0].text(), Some("hello"));
}

#[test]
fn every_frame_but_connect_gets_its_receipt() {
    let broker = Broker::new();
    let mut client = broker.connect();
    client.send("BEGIN\ntransaction:t\nreceipt:begin\n\n\0SEND\ndestination:/queue/q\ntransaction:t\nreceipt:send\n\nx\0");
    client.send("COMMIT\ntransaction:t\nreceipt:a\\cb\n\n\0");
    client.send("SUBSCRIBE\nid:0\ndestination:/queue/q\nack:client\nreceipt:subscribe\n\n\0");
    let seen = client.take();
    let ids: Vec<_> = seen.iter().filter(|seen| seen.command == "RECEIPT").map(|seen| seen.get("receipt-id").unwrap()).collect();
    assert_eq!(ids, ["begin", "send", "a:b", "subscribe"]);
    let message = seen.iter().find(|seen| seen.command == "MESSAGE").unwrap();
    client.send(&format!("ACK\nid:{}\nreceipt:ack\n\n\0", message.get("ack").unwrap()));
    client.send("UNSUBSCRIBE\nid:0\nreceipt:unsubscribe\n\n\0DISCONNECT\nreceipt:disconnect\n\n\0");
    let seen = client.take();
    let ids: Vec<_> = seen.iter().map(|seen| seen.get("receipt-id").unwrap_or(&seen.command)).collect();
    assert_eq!(ids, ["ack", "unsubscribe", "disconnect", "close 1000"]);
    assert_eq!(broker.stomp.stats().connections, 0);
    client.publish("/topic/a", "too late");
    client.send("no frame\n");
    assert_eq!(client.commands(), [""; 0], "input after DISCONNECT is ignored");
    assert_eq!(broker.hub.info("a").unwrap().published, 0);
}

#[test]
fn a_transaction_happens_at_its_commit_or_not_at_all() {
    let broker = Broker::new();
    let mut client = broker.connect();
    client.subscribe("0", "/topic/a", "");
    client.subscribe("1", "/queue/q", "");
    client.send("BEGIN\ntransaction:t\n\n\0BEGIN\ntransaction:u\n\n\0");
    for name in ["t", "u"] {
        client.send(&format!("SEND\ndestination:/topic/a\ntransaction:{name}\n\ntopic {name}\0"));
        client.send(&format!("SEND\ndestination:/queue/q\ntransaction:{name}\n\nqueue {name}\0"));
    }
    assert_eq!(client.bodies(), [""; 0]);
    client.send("ABORT\ntransaction:u\n\n\0COMMIT\ntransaction:t\n\n\0");
    assert_eq!(client.bodies(), ["queue t", "topic t"]);
}

/// A commit that does not fit into its queues does nothing, also to topics.
#[test]
fn a_commit_that_does_not_fit_does_nothing() {
    let broker = Broker::with(HubConfig::default(), StompConfig { queue_messages: 2, ..StompConfig::default() });
    let mut client = broker.connect();
    client.send("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/topic/a\ntransaction:t\n\nx\0");
    for _ in 0..3 {
        client.send("SEND\ndestination:/queue/q\ntransaction:t\n\nx\0");
    }
    client.send("COMMIT\ntransaction:t\nreceipt:7\n\n\0");
    let seen = client.take();
    assert_eq!((seen[0].get("receipt-id"), &*seen[1].command), (Some("7"), "close 1013"));
    assert_eq!(broker.hub.info("a").unwrap().published, 0);
    let stats = broker.stomp.stats();
    assert_eq!((stats.queued_messages, stats.queue_refused, stats.errors), (0, 3, 1));
}

#[test]
fn an_acknowledgement_in_a_transaction_counts_at_the_commit() {
    let broker = Broker::new();
    let mut client = broker.connect();
    client.publish("/queue/q", "one");
    client.subscribe("0", "/queue/q", "ack:client-individual\n");
    let id = client.take()[0].get("ack").unwrap().to_owned();
    client.send(&format!("BEGIN\ntransaction:t\n\n\0ACK\nid:{id}\ntransaction:t\n\n\0"));
    assert_eq!(broker.stomp.stats().queued_messages, 1);
    client.send("COMMIT\ntransaction:t\n\n\0");
    assert_eq!((client.commands(), broker.stomp.stats().queued_messages), (vec![], 0));
}

/// An acknowledgement of an unknown message refuses the commit before anything happens.
#[test]
fn a_commit_with_an_unknown_acknowledgement_does_nothing() {
    let broker = Broker::new();
    let mut client = broker.connect();
    client.send("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/topic/a\ntransaction:t\n\nx\0");
    client.send("SEND\ndestination:/queue/q\ntransaction:t\n\nx\0ACK\nid:7\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0");
    let seen = client.take();
    assert_eq!(seen[0].get("message"), Some("no message with this id waits for an acknowledgement"));
    assert_eq!((broker.hub.info("a").unwrap().published, broker.stomp.stats().queued_messages), (0, 0));
}

#[test]
fn the_counters_are_json() {
    let broker = Broker::new();
    let mut client = broker.connect();
    client.publish("/queue/q", "12345");
    let stats: serde_json::Value = serde_json::from_str(&broker.stomp.stats().json()).unwrap();
    assert_eq!(
        (&stats["connections"], &stats["frames"], &stats["queued_messages"], &stats["queued_bytes"]),
        (&1.into(), &2.into(), &1.into(), &5.into())
    );
    drop(client);
    assert_eq!(broker.stomp.stats().connections, 0);
}
