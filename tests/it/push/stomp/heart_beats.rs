//! Heart-beats in both directions, and the time for CONNECT, on a virtual clock.
//!
//! Covers: push::stomp::connection

use std::time::Duration;

use pushlab::proto::stomp::HeartBeat;
use pushlab::push::{HubConfig, StompConfig};
use pushlab::session::Limits;

use super::client::{Broker, Client};

/// A connected client, without the pings of the WebSocket.
fn connected(server: (u32, u32), client: &str) -> Client {
    let heart_beat = HeartBeat { sends_ms: server.0, wants_ms: server.1 };
    let broker = Broker::with(HubConfig::default(), StompConfig { heart_beat, ..StompConfig::default() });
    let mut opened = broker.open_with(Limits { heartbeat: None, ..Limits::default() });
    opened.connect_with(&format!("accept-version:1.2\nhost:a\nheart-beat:{client}\n"));
    opened
}

#[test]
fn the_server_sends_a_line_end_at_the_slower_sides_interval() {
    for (server, client, every) in [((100, 0), "0,400", 400), ((400, 0), "0,100", 400)] {
        let mut client = connected(server, client);
        for _ in 0..3 {
            client.pass(every - 1);
            assert_eq!(client.commands(), [""; 0]);
            client.pass(1);
            assert_eq!(client.commands(), ["beat"]);
        }
    }
}

/// In each direction, one side cannot send them or the other does not want them.
#[test]
fn no_heart_beats_were_agreed_on() {
    for (server, client) in [((100, 0), "100,0"), ((0, 100), "0,100"), ((100, 100), "0,0"), ((0, 0), "100,100")] {
        let mut client_of = connected(server, client);
        assert_eq!(client_of.rig.due_secs(), None, "{server:?} with {client}: no timer runs");
        client_of.pass(1_000_000);
        assert_eq!(client_of.commands(), [""; 0], "{server:?} with {client}");
    }
}

#[test]
fn a_silent_client_is_disconnected_after_two_intervals() {
    let mut client = connected((0, 100), "300,0");
    for _ in 0..5 {
        client.pass(599);
        client.send("\n");
        assert_eq!(client.commands(), [""; 0], "a heart-beat in time");
    }
    client.pass(599);
    client.publish("/topic/a", "x");
    client.pass(599);
    assert_eq!(client.commands(), [""; 0], "a frame counts as a heart-beat");
    client.pass(1);
    assert_eq!(client.refusal(), ("no heart-beat has arrived in time".to_owned(), "close 1008".to_owned()));
}

/// A client that sends nothing at all after CONNECT.
#[test]
fn the_first_interval_begins_with_connect() {
    let mut client = connected((0, 100), "100,0");
    client.pass(199);
    assert_eq!(client.commands(), [""; 0]);
    client.pass(1);
    assert_eq!(client.commands(), ["ERROR", "close 1008"]);
}

#[test]
fn both_directions_at_once() {
    let mut client = connected((100, 100), "100,100");
    for _ in 0..10 {
        client.pass(100);
        assert_eq!(client.commands(), ["beat"]);
        client.send("\n");
    }
    client.pass(100);
    client.pass(100);
    assert_eq!(client.commands(), ["beat", "ERROR", "close 1008"]);
}

#[test]
fn stomp_1_0_has_no_heart_beats() {
    let broker = Broker::new();
    let mut client = broker.open_with(Limits { heartbeat: None, ..Limits::default() });
    client.connect_with("heart-beat:1,1\n");
    client.pass(1_000_000);
    assert_eq!(client.commands(), [""; 0]);
}

#[test]
fn connect_must_come_in_time() {
    let broker = Broker::with(HubConfig::default(), StompConfig { connect_timeout: Duration::from_secs(2), ..StompConfig::default() });
    let mut client = broker.open();
    client.send("\n\nCONN");
    client.pass(1_999);
    assert_eq!(client.commands(), [""; 0]);
    client.pass(1);
    assert_eq!(client.refusal(), ("no CONNECT frame has arrived in time".to_owned(), "close 1008".to_owned()));
}
