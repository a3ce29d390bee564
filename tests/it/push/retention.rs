//! History at each of its bounds, and one past it.
//!
//! Covers: push::history

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
