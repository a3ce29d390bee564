//! Who is online, between polls as well.
//!
//! Covers: push::hub::presence

use std::time::Duration;

use pushlab::push::{HubConfig, TECHNIQUES};

use super::readers;
use super::world::World;
use crate::session::wire;

#[track_caller]
fn expect_online(world: &World, expected: &[(&str, u64)]) {
    let online = world.hub.info("a").unwrap().online;
    for technique in TECHNIQUES {
        let expected = expected.iter().find(|(name, _)| *name == technique.name()).map_or(0, |(_, count)| *count);
        assert_eq!(online.get(technique.name()), expected, "{}", technique.name());
    }
}

/// Who joined and left, as a stream was told.
fn changes(body: &[u8]) -> Vec<String> {
    let change = |payload: &[u8]| {
        let value: serde_json::Value = serde_json::from_slice(payload).unwrap();
        format!("{} {} {}", value["event"].as_str().unwrap(), value["technique"].as_str().unwrap(), value["online"])
    };
    readers::lines(body).iter().map(|seen| change(seen.payload())).collect()
}

#[test]
fn connections_are_online_for_as_long_as_they_last() {
    let world = World::new();
    let mut rigs: Vec<_> = ["stream", "events", "multipart", "iframe?callback=f", "long-poll", "long-poll?callback=f"]
        .map(|technique| {
            let mut rig = world.connect();
            rig.send(wire::get(&format!("/topics/a/{technique}")));
            rig
        })
        .into();
    let mut websocket = world.connect();
    websocket.send(wire::upgrade("/topics/a/ws"));
    rigs.push(websocket);
    let all = ["stream", "events", "multipart", "iframe", "long-poll", "jsonp"];
    let all: Vec<_> = all.into_iter().chain(["ws"]).map(|technique| (technique, 1)).collect();
    expect_online(&world, &all);
    for rig in &mut rigs {
        rig.eof();
    }
    expect_online(&world, &[]);
}

#[test]
fn pollers_without_a_name_are_not_online_between_polls() {
    let world = World::new();
    world.get("/topics/a/poll");
    world.get("/topics/a/page");
    expect_online(&world, &[]);
}

#[test]
fn a_token_stays_for_the_grace_time() {
    let world = World::new();
    for (technique, name) in [("poll", "poll"), ("page", "page")] {
        for seconds in [29, 29, 29] {
            world.get(&format!("/topics/a/{technique}?client=me"));
            world.pass_secs(seconds);
            expect_online(&world, &[(name, 1)]);
        }
        world.pass_secs(1);
        expect_online(&world, &[]);
    }
}

/// Names cost nothing to make up: of more clients in their grace time than there is room for, those leave that have been away for longest.
#[test]
fn as_many_stay_as_there_is_room_for_and_not_one_more() {
    let world = World::with(HubConfig { presence_absent: 3, ..HubConfig::default() });
    let mut watcher = world.connect();
    watcher.send(wire::get("/topics/a/stream?presence=1"));
    let mut poll = world.connect();
    poll.send(wire::get("/topics/a/long-poll?client=stays"));
    let stream = [("stream", 1), ("long-poll", 1)];
    let with = |technique, count| stream.into_iter().chain([(technique, count)]).collect::<Vec<_>>();
    for name in ["one", "two", "three"] {
        world.get(&format!("/topics/a/poll?client={name}"));
    }
    expect_online(&world, &with("poll", 3));
    assert_eq!(world.hub.stats().crowded_out, 0);
    world.get("/topics/a/poll?client=one");
    expect_online(&world, &with("poll", 3));
    world.get("/topics/a/page?client=four");
    expect_online(&world, &[stream[0], stream[1], ("poll", 2), ("page", 1)]);
    assert_eq!(world.hub.stats().crowded_out, 1);
    world.get("/topics/a/page?client=two");
    assert_eq!(world.hub.stats().crowded_out, 2, "it was the one that had left, and now it is three");
    world.get("/topics/a/page?client=one");
    expect_online(&world, &[stream[0], stream[1], ("page", 3)]);
    poll.eof();
    expect_online(&world, &[stream[0], ("page", 2), ("long-poll", 1)]);
    assert_eq!(world.hub.stats().crowded_out, 3, "four");
    watcher.deliver();
    let told = changes(&watcher.answer().body);
    assert_eq!(told.iter().filter(|text| text.starts_with("join")).count(), 7, "{told:?}");
    assert_eq!(told.iter().filter(|text| text.starts_with("leave")).count(), 3, "{told:?}");
}

/// Also over several topics, and where the grace time never ends. What is kept does not grow by requests of the same client.
#[test]
fn made_up_names_do_not_pile_up() {
    for presence_grace in [Duration::from_secs(30), Duration::MAX] {
        let world = World::with(HubConfig { presence_absent: 10, presence_grace, ..HubConfig::default() });
        for n in 0..100 {
            for _ in 0..3 {
                world.get(&format!("/topics/a,b{n},c{n}/poll?client=made-up-{n}"));
            }
        }
        let online = |topic: &str| world.hub.info(topic).unwrap().online.sum();
        assert_eq!((online("a"), online("b99"), online("b97"), online("b96"), online("c96")), (3, 1, 1, 0, 1), "ten in all");
        assert_eq!(world.hub.stats().crowded_out, 290);
        world.pass_secs(30);
        let left = if presence_grace == Duration::MAX { (3, 1) } else { (0, 0) };
        assert_eq!((online("a"), online("b99"), world.hub.stats().crowded_out), (left.0, left.1, 290));
    }
}

#[test]
fn a_grace_time_for_nobody() {
    let world = World::with(HubConfig { presence_absent: 0, ..HubConfig::default() });
    let mut events = world.connect();
    events.send(wire::get("/topics/a/events?client=me"));
    expect_online(&world, &[("events", 1)]);
    events.eof();
    expect_online(&world, &[]);
}

#[test]
fn a_token_is_one_client_whatever_it_does() {
    let world = World::new();
    let mut events = world.connect();
    events.send(wire::get("/topics/a/events?client=me"));
    expect_online(&world, &[("events", 1)]);
    world.get("/topics/a/poll?client=me");
    expect_online(&world, &[("poll", 1)]);
    world.pass_secs(60);
    expect_online(&world, &[("poll", 1)]);
    events.eof();
    world.pass_secs(29);
    let mut poll = world.connect();
    poll.send(wire::get("/topics/a/long-poll?client=me"));
    world.pass_secs(100);
    expect_online(&world, &[("long-poll", 1)]);
    poll.eof();
    world.pass_secs(30);
    expect_online(&world, &[]);
}

#[test]
fn a_second_poll_of_a_token_ends_the_first() {
    let world = World::new();
    let start = world.publish("a", "x");
    let (mut first, mut second, mut other) = (world.connect(), world.connect(), world.connect());
    first.send(wire::get(&format!("/topics/a/long-poll?client=me&after={start}")));
    other.send(wire::get("/topics/a,b/long-poll?client=me"));
    assert_eq!(first.deliver(), 0);
    second.send(wire::get("/topics/a/long-poll?client=me"));
    assert_eq!((first.deliver(), other.deliver(), second.deliver()), (1, 0, 0));
    assert_eq!(readers::poll(&first.answer().body), (vec![], start.to_string()));
    expect_online(&world, &[("long-poll", 1)]);
    assert_eq!(world.hub.info("a").unwrap().subscribers.get("long-poll"), 2);
    world.publish("a", "y");
    for rig in [&mut second, &mut other] {
        rig.deliver();
        assert_eq!(readers::poll(&rig.answer().body).0.len(), 1);
    }
}

#[test]
fn joining_and_leaving_is_told_to_who_asks() {
    let world = World::new();
    let mut watcher = world.connect();
    watcher.send(wire::get("/topics/a/stream?presence=1"));
    let mut guest = world.connect();
    guest.send(wire::get("/topics/a/long-poll"));
    guest.eof();
    world.get("/topics/a/poll?client=me");
    world.get("/topics/a/poll?client=me");
    world.pass_secs(30);
    world.hub.tick();
    watcher.deliver();
    let told = changes(&watcher.answer().body);
    assert_eq!(told, ["join stream 1", "join long-poll 2", "leave long-poll 1", "join poll 2", "leave poll 1"]);
    assert_eq!(world.json("/topics/a.presence")["published"], 5);
    assert_eq!(world.json("/topics/a.presence")["online"], serde_json::json!({}), "who watches is no member of the watch");
}

#[test]
fn joining_is_told_always_if_configured() {
    for (presence_messages, expected) in [(false, 0), (true, 1)] {
        let world = World::with(HubConfig { presence_messages, ..HubConfig::default() });
        world.get("/topics/a/poll?client=me");
        assert_eq!(world.hub.info("a.presence").unwrap().published, expected);
    }
}

/// Peers that are gone without a word, as far as a session can tell: a WebSocket by its pong, a poll by its time-out. Streams are found
/// out by the drivers' write time-out, or by the system.
#[test]
fn silent_peers_are_let_go_within_two_heartbeats() {
    let world = World::new();
    let (mut websocket, mut poll) = (world.connect(), world.connect());
    websocket.send(wire::upgrade("/topics/a/ws"));
    poll.send(wire::get("/topics/a/long-poll"));
    expect_online(&world, &[("ws", 1), ("long-poll", 1)]);
    for rig in [&mut websocket, &mut poll] {
        rig.pass_secs(50);
    }
    expect_online(&world, &[]);
    assert_eq!(world.hub.info("a").unwrap().subscribers.sum(), 0);
}

/// Who asks for a presence twice, by its name and by the parameter, is told once.
#[test]
fn a_presence_that_is_named_twice() {
    let world = World::new();
    let _member = {
        let mut rig = world.connect();
        rig.send(wire::get("/topics/a/events?presence=1"));
        rig
    };
    let told = world.json("/topics/a,a.presence/poll?after=earliest&presence=1");
    assert_eq!(told["messages"].as_array().unwrap().len(), 1, "{told}");
}

/// The topic of a presence may be forgotten before a poll that was answered has ended, and its place be another's by then.
#[test]
fn a_poll_that_ends_when_its_presence_topic_is_forgotten() {
    let world = World::with(HubConfig { topics: 2, ..HubConfig::default() });
    let mut poll = world.connect();
    poll.send(wire::get("/topics/b,z.presence/long-poll"));
    world.publish("b", "answers it");
    world.publish("a", "takes the place of z.presence");
    poll.deliver();
    assert_eq!(poll.answers().len(), 1);
    assert_eq!(poll.stats().panics, 0);
    expect_online(&world, &[]);
    world.publish("c", "takes the place of b");
    world.publish("d", "takes the place of a, at which nobody is");
    assert_eq!(world.hub.stats().forgotten, 3);
}
