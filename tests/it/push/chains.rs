//! Chains of long polls whose topics can be changed.
//!
//! Covers: push::techniques::long_poll, push::hub::control

use std::time::Duration;

use pushlab::push::HubConfig;
use serde_json::{Value, json};

use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire::{self, Answer};

/// The chain's first answer.
#[track_caller]
fn begin(world: &World, topics: &str) -> (String, String) {
    let value = world.json(&format!("/topics/{topics}/long-poll?client=me&control=1"));
    assert_eq!((&value["messages"], &value["gap"]), (&json!([]), &json!(false)));
    (value["control"].as_str().unwrap().to_owned(), value["last"].as_str().unwrap().to_owned())
}

/// A poll of the chain, which is held.
#[track_caller]
fn hold(world: &World, topics: &str, secret: &str, after: &str) -> Rig {
    let mut rig = world.connect();
    rig.send(wire::get(&format!("/topics/{topics}/long-poll?client=me&control={secret}&after={after}")));
    assert_eq!(rig.stats().held, 1);
    rig
}

#[track_caller]
fn change(world: &World, secret: &str, body: &str) -> Answer {
    world.ask(&wire::post(&format!("/topics/a/control?client=me&control={secret}"), body))
}

/// What a held poll is answered.
#[track_caller]
fn answer(rig: &mut Rig) -> Value {
    rig.deliver();
    serde_json::from_slice(&rig.answer().body).unwrap()
}

fn id(world: &World, sequence: u64) -> String {
    format!("{:x}-{sequence}", world.hub.last().epoch)
}

fn numbers(answer: &Value) -> Vec<u64> {
    answer["messages"].as_array().unwrap().iter().map(|message| super::slow::sequence(message["id"].as_str().unwrap())).collect()
}

fn online(world: &World, topic: &str) -> u64 {
    world.hub.info(topic).unwrap().online.sum()
}

#[test]
fn a_change_ends_the_hold_and_the_next_poll_goes_on() {
    let world = World::new();
    let (secret, last) = begin(&world, "a");
    for _ in 0..3 {
        world.publish("b", "x");
    }
    let mut rig = hold(&world, "a", &secret, &last);
    let body = json!({ "join": ["b"], "after": id(&world, 1) }).to_string();
    assert_eq!(change(&world, &secret, &body).text(), "{\"topics\":[\"a\",\"b\"]}\n");
    let told = answer(&mut rig);
    assert_eq!(
        (numbers(&told), &told["joined"], &told["last"], told.get("left")),
        (vec![2, 3], &json!(["b"]), &json!(id(&world, 3)), None)
    );
    let mut rig = hold(&world, "a,b", &secret, &id(&world, 3));
    assert_eq!((online(&world, "a"), online(&world, "b")), (1, 1));
    change(&world, &secret, r#"{"leave":["a"]}"#);
    let told = answer(&mut rig);
    assert_eq!((numbers(&told), &told["left"], &told["last"], told.get("joined")), (vec![], &json!(["a"]), &json!(id(&world, 3)), None));
    assert_eq!((online(&world, "a"), online(&world, "b")), (0, 1), "b is in its grace time");
    // With a message, the chain goes on as every long poll does.
    let mut rig = hold(&world, "b", &secret, &id(&world, 3));
    world.publish("b", "x");
    let told = answer(&mut rig);
    assert_eq!((numbers(&told), told.get("joined"), told.get("control")), (vec![4], None, None));
}

#[test]
fn a_poll_whose_topics_are_all_left_is_answered_at_once() {
    for callback in ["", "&callback=f"] {
        let world = World::new();
        let (secret, last) = begin(&world, "a,b");
        let mut rig = hold(&world, "a,b", &secret, &format!("{last}{callback}"));
        let delete = format!("DELETE /topics/a,b/control?client=me&control={secret} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(world.ask(&delete).text(), "{\"topics\":[]}\n");
        rig.deliver();
        let answer = rig.answer();
        assert!(answer.text().contains(r#""messages":[],"#) && answer.text().contains(r#""left":["a","b"]"#), "{}", answer.text());
        assert_eq!(answer.text().starts_with("/**/f("), !callback.is_empty());
        assert_eq!((online(&world, "a"), online(&world, "b"), rig.stats().held), (0, 0, 0));
        assert_eq!(change(&world, &secret, "{}").status, 404, "nothing is left to leave");
    }
}

/// Between two polls, nothing is open: a client puts the topic into its next poll. But it can leave.
#[test]
fn between_two_polls() {
    let world = World::new();
    let (secret, last) = begin(&world, "a");
    assert_eq!(online(&world, "a"), 1);
    assert_eq!(change(&world, &secret, r#"{"join":["b"]}"#).status, 404);
    let mut rig = hold(&world, "a", &secret, &last);
    world.publish("a", "x");
    // The poll has its answer, which has not left yet.
    assert_eq!(change(&world, &secret, r#"{"join":["b"]}"#).status, 404);
    assert_eq!(numbers(&answer(&mut rig)), [1]);
    assert_eq!((online(&world, "a"), change(&world, &secret, r#"{"leave":"all"}"#).status, online(&world, "a")), (1, 200, 0));
    // A chain is remembered for the grace time after each of its polls, also those that are answered
    // at once.
    let (secret, _) = begin(&world, "a");
    for _ in 0..4 {
        world.pass_secs(29);
        let poll = format!("/topics/a/long-poll?client=me&control={secret}&after={}", id(&world, 0));
        assert_eq!(numbers(&world.json(&poll)), [1]);
        world.json(&poll.replace("long-poll?", "long-poll?wait=0&"));
    }
    world.pass_secs(29);
    assert_eq!(change(&world, &secret, "{}").text(), "{\"topics\":[\"a\"]}\n");
    world.pass_secs(1);
    assert_eq!(change(&world, &secret, "{}").status, 404);
    // The server may have forgotten a chain, or another server begun it.
    let mut rig = hold(&world, "a", &secret, &id(&world, 1));
    assert_eq!(change(&world, &secret, r#"{"leave":"all"}"#).status, 200);
    assert_eq!(answer(&mut rig)["left"], json!(["a"]));
}

/// More than one answer has room for: the client joins again from the last message that it got, and
/// keeps the cursor of its other topics.
#[test]
fn a_replay_that_does_not_fit_is_no_join() {
    let world = World::with(HubConfig { replay_bytes: 30, ..HubConfig::default() });
    let (secret, last) = begin(&world, "a");
    for _ in 0..7 {
        world.publish("b", "0123456789");
    }
    let (mut after, mut got, mut rounds) = ("earliest".to_owned(), Vec::new(), 0);
    loop {
        rounds += 1;
        let mut rig = hold(&world, "a", &secret, &last);
        change(&world, &secret, &json!({ "join": ["b"], "after": after }).to_string());
        let told = answer(&mut rig);
        got.extend(numbers(&told));
        if told.get("joined").is_some() {
            assert_eq!((told.get("more"), &told["last"]), (None, &json!(id(&world, 7))));
            break;
        }
        assert_eq!((&told["more"], &told["last"]), (&json!(true), &json!(last)));
        after = id(&world, *got.last().unwrap());
    }
    assert_eq!((got, rounds), ((1..=7).collect(), 3));
}

#[test]
fn a_gap_of_a_joined_topic_is_told() {
    let world = World::with(HubConfig { history_messages: 2, ..HubConfig::default() });
    let (secret, last) = begin(&world, "a");
    for _ in 0..4 {
        world.publish("b", "x");
    }
    let mut rig = hold(&world, "a", &secret, &last);
    change(&world, &secret, &json!({ "join": ["b"], "after": id(&world, 1) }).to_string());
    let told = answer(&mut rig);
    assert_eq!(
        (&told["gap"], &told["from"], numbers(&told), &told["joined"]),
        (&json!(true), &json!(id(&world, 2)), vec![3, 4], &json!(["b"]))
    );
}

/// The next poll of a chain ends the one before it. Another chain of the same client is left alone.
#[test]
fn two_chains_of_one_client() {
    let world = World::new();
    let [(one, last), (two, _)] = [(); 2].map(|()| begin(&world, "a"));
    let mut rigs = [hold(&world, "a", &one, &last), hold(&world, "a", &two, &last)];
    let mut again = hold(&world, "a", &one, &last);
    assert_eq!(answer(&mut rigs[0])["messages"], json!([]), "its successor has come");
    assert_eq!(rigs[1].deliver(), 0);
    change(&world, &two, r#"{"leave":"all"}"#);
    assert_eq!((answer(&mut rigs[1])["left"].clone(), again.deliver(), online(&world, "a")), (json!(["a"]), 0, 1));
    change(&world, &one, "{}");
    change(&world, &one, r#"{"leave":["b"]}"#);
    assert_eq!((again.deliver(), again.stats().held), (0, 1), "nothing has changed");
    change(&world, &one, r#"{"leave":["a"]}"#);
    assert_eq!((answer(&mut again)["left"].clone(), online(&world, "a")), (json!(["a"]), 0));
    // A client that goes away while it is held.
    let (secret, last) = begin(&world, "a");
    hold(&world, "a", &secret, &last).eof();
    assert_eq!(world.hub.info("a").unwrap().subscribers.sum(), 0);
    assert_eq!(change(&world, &secret, "{}").status, 200);
}

/// Without a grace time, a chain works while one of its polls is held.
#[test]
fn without_a_grace_time() {
    let world = World::with(HubConfig { presence_grace: Duration::ZERO, ..HubConfig::default() });
    let (secret, last) = begin(&world, "a");
    assert_eq!(change(&world, &secret, "{}").status, 404);
    let mut rig = hold(&world, "a", &secret, &last);
    assert_eq!(change(&world, &secret, r#"{"join":["b"]}"#).status, 200);
    assert_eq!(answer(&mut rig)["joined"], json!(["b"]));
}

/// The end of a chain's earlier poll may be a message for the next one.
#[test]
fn a_poll_that_is_told_of_its_predecessors_end() {
    let world = World::with(HubConfig { presence_absent: 0, presence_messages: true, ..HubConfig::default() });
    let (secret, _) = begin(&world, "a");
    let mut earlier = hold(&world, "a", &secret, &world.hub.last().to_string());
    let last = world.hub.last();
    let told = world.json(&format!("/topics/a,a.presence/long-poll?client=me&control={secret}&after={last}"));
    assert_eq!(numbers(&told), [last.sequence + 1], "{told}");
    assert!(told["messages"][0]["data"].as_str().unwrap().contains("leave"), "{told}");
    assert_eq!(answer(&mut earlier)["messages"], json!([]));
}
