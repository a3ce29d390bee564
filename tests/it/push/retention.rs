//! History at each of its bounds, and one past it.
//!
//! Covers: push::log::history, push::log::memory_log

use std::time::Duration;

use pushlab::push::HubConfig;

use super::world::World;

fn retained(world: &World) -> (usize, usize) {
    let info = world.hub.info("a").unwrap();
    (info.retained, info.retained_bytes)
}

#[test]
fn by_count() {
    let world = World::with(HubConfig { history_messages: 3, ..HubConfig::default() });
    for expected in [1, 2, 3, 3, 3] {
        world.publish("a", "x");
        assert_eq!(retained(&world), (expected, expected));
    }
    world.publish("b", "x");
    assert_eq!(retained(&world), (3, 3), "each topic has bounds of its own");
}

#[test]
fn by_bytes() {
    let world = World::with(HubConfig { history_bytes: 10, ..HubConfig::default() });
    for (text, expected) in [("12345", (1, 5)), ("67890", (2, 10)), ("1", (2, 6)), ("", (3, 6)), ("1234567890", (2, 10)), ("x", (1, 1))] {
        world.publish("a", text);
        assert_eq!(retained(&world), expected, "{text}");
    }
    world.publish("a", "12345678901");
    assert_eq!(retained(&world), (0, 0), "larger than all that may be kept");
}

#[test]
fn by_age() {
    let world = World::with(HubConfig { history_age: Duration::from_secs(60), ..HubConfig::default() });
    world.publish("a", "1");
    world.pass_secs(30);
    world.publish("a", "2");
    world.pass(Duration::from_millis(29_999));
    assert_eq!(retained(&world), (2, 2));
    world.pass(Duration::from_millis(1));
    assert_eq!(retained(&world), (1, 1));
    world.pass_secs(30);
    world.hub.tick();
    assert_eq!(retained(&world), (0, 0));
}

/// Messages go in their time in each topic, be it looked at by itself or with all others, and also
/// in a topic that had none for a while.
#[test]
fn by_age_in_many_topics() {
    let world = World::with(HubConfig { history_age: Duration::from_secs(60), history_messages: 2, ..HubConfig::default() });
    let retained = |topic: usize| world.hub.info(&format!("t{topic}")).unwrap().retained;
    for round in 0..3 {
        for topic in 0..30 {
            (0..=topic % 3).for_each(|_| _ = world.publish(&format!("t{topic}"), "x"));
            world.pass_secs(1);
        }
        world.pass_secs(29);
        world.hub.tick();
        // The first one was published 59 s ago.
        assert_eq!([0, 1, 2, 29].map(retained), [1, 2, 2, 2], "round {round}");
        world.pass_secs(11);
        if round == 1 {
            world.hub.tick();
        }
        assert_eq!([0, 10, 11, 29].map(retained), [0, 0, 2, 2], "round {round}");
        world.pass_secs(60);
    }
}
