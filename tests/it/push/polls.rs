//! Polls that wait: who comes, who goes, and what happens to their topics meanwhile.
//!
//! Covers: push::hub::polls, push::hub::topic, push::hub::topic_table, push::hub::idle

use pushlab::proto::CloseReason;
use pushlab::push::{HubConfig, Payload, PublishError, Topics};
use pushlab::session::Settings;

use super::readers::{self, Seen};
use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire;

fn polling(world: &World, path: &str) -> Rig {
    let mut rig = world.connect_with(Settings::default());
    rig.send(wire::get(path));
    rig.deliver();
    rig
}

/// Time-outs, clients that leave and clients that come again, on one topic and on two: those that wait hear the next message, once and in
/// the order in which they came, and nobody else is counted.
#[test]
fn whoever_waits_is_told_and_nobody_else() {
    let world = World::new();
    let mut waiting = Vec::new();
    for round in 0..100 {
        let path = ["/topics/a/long-poll?wait=5", "/topics/b,a/long-poll?wait=5", "/topics/a/long-poll?wait=5&client=c"][round % 3];
        let mut rig = polling(&world, path);
        match round % 5 {
            0 => waiting.push(rig),
            1 => rig.close(CloseReason::Peer(1006)),
            _ => {
                rig.pass_secs(5);
                assert_eq!(readers::poll(&rig.answer().body).0, []);
            }
        }
    }
    // Of the client that has a name, only the latest poll waits, and that one's time was over.
    let ended = waiting.iter_mut().filter_map(|rig| (rig.deliver() > 0).then(|| readers::poll(&rig.answer().body).0));
    assert_eq!(ended.collect::<Vec<_>>(), vec![vec![]; 7]);
    let info = world.hub.info("a").unwrap();
    assert_eq!(info.subscribers.sum(), 13);
    let told = world.hub.publish("a", Payload::text("x")).unwrap();
    assert_eq!(told.subscribers, info.subscribers.sum());
    let mut heard = 0;
    for rig in &mut waiting {
        if rig.deliver() > 0 {
            assert_eq!(readers::poll(&rig.answer().body).0, [Seen::Message(told.id.to_string(), "a".into(), b"x".to_vec())]);
            heard += 1;
        }
    }
    assert_eq!(heard, told.subscribers);
    assert_eq!(["a", "b"].map(|topic| world.hub.info(topic).unwrap().subscribers.sum()), [0, 0]);
}

/// A topic that somebody listens to keeps its place, and one whose place is given to another takes nobody along.
#[test]
fn places_of_topics() {
    let world = World::with(HubConfig { topics: 2, ..HubConfig::default() });
    let mut rig = polling(&world, "/topics/a/long-poll");
    world.publish("b", "goes");
    world.publish("c", "takes the place of b");
    assert_eq!(world.hub.info("b").unwrap().published, 0);
    let both = polling(&world, "/topics/a,c/long-poll");
    assert_eq!(world.hub.publish("d", Payload::text("x")), Err(PublishError::TooManyTopics), "both are listened to");
    assert_eq!(world.get("/topics/d/long-poll").status, 503);
    drop(both);
    let info = ["a", "c"].map(|topic| world.hub.info(topic).unwrap());
    assert_eq!(info.map(|info| (info.subscribers.sum(), info.online.sum())), [(1, 1), (0, 0)]);

    // A client with a name is online for its grace time, also when its topic has had to go.
    let named = polling(&world, "/topics/c/long-poll?client=n");
    drop(named);
    world.publish("d", "takes the place of c");
    assert_eq!(["c", "d"].map(|topic| world.hub.info(topic).unwrap().online.sum()), [1, 0]);
    world.pass_secs(30);
    assert_eq!(world.hub.info("c").unwrap().online.sum(), 0);

    let id = world.publish("a", "x");
    assert_eq!(rig.deliver(), 1);
    assert_eq!(readers::poll(&rig.answer().body).1, id.to_string());
    let list = Topics::parse("a,d", 2).unwrap();
    assert_eq!(world.hub.replay(&list, "earliest".parse().unwrap()).messages.len(), 2);
}
