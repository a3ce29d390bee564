//! Every kind of cursor has a defined answer, and never a silent partial replay.
//!
//! Covers: push::model::id, push::model::cursor, push::log::merge, push::model::replay
//! Covers: push::hub::hub, push::hub::publish, push::hub::state, push::hub::subscribe, push::hub::subscribers, push::hub::roster, push::hub::room

use pushlab::push::{Cursor, Hub, HubConfig, Id, Payload, PublishError, Topics};

use super::world::World;

fn topics(list: &str) -> Topics {
    Topics::parse(list, 9).unwrap()
}

fn texts(hub: &Hub, list: &str, cursor: Cursor) -> (bool, Vec<String>) {
    let replay = hub.replay(&topics(list), cursor);
    (replay.gap, replay.messages.iter().map(|message| message.text().unwrap().to_owned()).collect())
}

fn few() -> HubConfig {
    HubConfig { history_messages: 2, ..HubConfig::default() }
}

#[test]
fn ids_as_text() {
    for (text, epoch, sequence) in [("0-0", 0, 0), ("9f-17", 0x9f, 17), ("ffffffffffffffff-18446744073709551615", u64::MAX, u64::MAX)] {
        assert_eq!(text.parse(), Ok(Id { epoch, sequence }));
        assert_eq!(Id { epoch, sequence }.to_string(), text);
    }
    for text in ["", "-", "1", "1-", "-1", "1--1", "1-1-1", "g-1", "F-1", "01-1", "1-01", "+1-1", "1-+1", "1- 1", "1-1 ", "1-x"] {
        assert!(text.parse::<Id>().is_err(), "{text}");
    }
    for text in ["10000000000000000-1", "1-18446744073709551616", "earliest", "1-\u{661}"] {
        assert!(text.parse::<Id>().is_err(), "{text}");
    }
}

#[test]
fn cursors_as_text() {
    let id = Id { epoch: 10, sequence: 3 };
    for (text, cursor) in [("", Cursor::New), ("earliest", Cursor::Earliest), ("a-3", Cursor::After(id))] {
        assert_eq!(text.parse(), Ok(cursor));
        assert_eq!(cursor.to_string(), text);
    }
    assert!("Earliest".parse::<Cursor>().is_err());
}

#[test]
fn one_sequence_for_all_topics() {
    let world = World::new();
    let ids: Vec<_> = ["a", "b", "a", "c"].map(|topic| world.publish(topic, topic)).to_vec();
    assert_eq!(ids.iter().map(|id| id.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(ids.iter().all(|id| id.epoch == ids[0].epoch));
    assert_eq!(world.hub.last(), ids[3]);
    assert_eq!(texts(&world.hub, "c,a", Cursor::Earliest), (false, vec!["a".into(), "a".into(), "c".into()]));
    assert_eq!(texts(&world.hub, "a,b", Cursor::After(ids[0])), (false, vec!["b".into(), "a".into()]));
    assert_eq!(texts(&world.hub, "a", Cursor::After(ids[2])), (false, vec![]));
    assert_eq!(texts(&world.hub, "a", Cursor::New), (false, vec![]));
}

#[test]
fn what_is_gone_is_a_gap() {
    let world = World::with(few());
    let ids: Vec<_> = (1..=5).map(|n| world.publish("a", &n.to_string())).collect();
    let before = Id { sequence: 0, ..ids[0] };
    for (cursor, gap, expected) in [
        (Cursor::After(before), true, &["4", "5"][..]),
        (Cursor::After(ids[1]), true, &["4", "5"]),
        (Cursor::After(ids[2]), false, &["4", "5"]),
        (Cursor::After(ids[3]), false, &["5"]),
        (Cursor::After(ids[4]), false, &[]),
        (Cursor::Earliest, false, &["4", "5"]),
        // Of the future, and of another epoch.
        (Cursor::After(Id { sequence: 6, ..ids[0] }), true, &["4", "5"]),
        (Cursor::After(Id { epoch: ids[0].epoch ^ 1, sequence: 4 }), true, &["4", "5"]),
    ] {
        assert_eq!(texts(&world.hub, "a", cursor), (gap, expected.iter().map(ToString::to_string).collect()), "{cursor}");
        assert_eq!(world.hub.replay(&topics("a"), cursor).from.sequence, if gap { 3 } else { start(cursor, 3) }, "{cursor}");
    }
    // Nothing of this topic is gone.
    world.publish("b", "b");
    assert_eq!(texts(&world.hub, "b", Cursor::After(before)), (false, vec!["b".into()]));
    assert_eq!(texts(&world.hub, "a,b", Cursor::After(ids[1])), (true, vec!["4".into(), "5".into(), "b".into()]));
}

fn start(cursor: Cursor, earliest: u64) -> u64 {
    match cursor {
        Cursor::After(id) => id.sequence,
        _ => earliest,
    }
}

#[test]
fn what_is_too_much_for_one_answer_comes_in_several() {
    let world = World::with(HubConfig { replay_bytes: 10, ..HubConfig::default() });
    for text in ["12345", "67890", "123456789012", "1", ""] {
        world.publish("a", text);
    }
    let (mut cursor, mut sizes) = (Cursor::Earliest, Vec::new());
    loop {
        let replay = world.hub.replay(&topics("a"), cursor);
        sizes.push(replay.messages.len());
        cursor = Cursor::After(replay.last);
        if replay.is_whole {
            break;
        }
    }
    assert_eq!(sizes, [2, 1, 2]);
}

/// A topic that had to go takes the knowledge of what it had with it: whoever comes back is told.
#[test]
fn a_forgotten_topic_is_a_gap() {
    let world = World::with(HubConfig { topics: 2, ..HubConfig::default() });
    let ids: Vec<_> = ["a", "b", "b"].map(|topic| world.publish(topic, topic)).to_vec();
    let last = world.publish("c", "c");
    assert_eq!(texts(&world.hub, "a", Cursor::After(Id { sequence: 0, ..last })), (true, vec![]), "a was used least recently");
    assert_eq!(texts(&world.hub, "a", Cursor::After(ids[0])), (false, vec![]), "and had nothing behind this");
    assert_eq!(texts(&world.hub, "b", Cursor::After(ids[0])), (false, vec!["b".into(), "b".into()]));
    world.publish("a", "again");
    assert_eq!(texts(&world.hub, "b", Cursor::After(ids[0])), (true, vec![]), "now b had to go");
}

#[test]
fn topics_with_subscribers_are_never_forgotten() {
    let world = World::with(HubConfig { topics: 2, ..HubConfig::default() });
    let (mut one, mut two) = (world.connect(), world.connect());
    one.send(crate::session::wire::get("/topics/a/stream"));
    two.send(crate::session::wire::get("/topics/b/long-poll"));
    assert_eq!(world.hub.publish("c", Payload::text("x")), Err(PublishError::TooManyTopics));
    for path in ["/topics/c/stream", "/topics/c/long-poll", "/topics/a,c/events", "/topics/c/ws"] {
        assert_eq!(world.get(path).status, 503, "{path}");
    }
    one.eof();
    assert!(world.hub.publish("c", Payload::text("x")).is_ok());
}

#[test]
fn what_is_wrong_is_not_published() {
    let world = World::with(HubConfig { payload_bytes: 4, ..HubConfig::default() });
    for (topic, payload, error) in [
        ("a b", Payload::text("x"), "a topic's name"),
        ("", Payload::text("x"), "a topic's name"),
        ("a", Payload::text("12345"), "larger"),
        ("a", Payload::binary([0; 5]), "larger"),
        ("a", Payload::text("x").event("a\nb"), "an event's name"),
        ("a", Payload::text("x").event(""), "an event's name"),
        ("a", Payload::text("x").event("gap"), "the hub's own"),
    ] {
        let found = world.hub.publish(topic, payload).unwrap_err().to_string();
        assert!(found.contains(error), "{found}");
    }
    assert_eq!(world.hub.last().sequence, 0);
    assert!(world.hub.publish("a", Payload::binary([0; 4]).event("e.v-e_1")).is_ok());
}
