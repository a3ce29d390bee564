//! Readers that are far behind: they reach the present on one connection, whatever the technique.
//!
//! Covers: push::hub::subscription, push::http::call, push::model::poll_form

use std::sync::{Arc, Weak};

use pushlab::proto::CloseReason;
use pushlab::push::{HubConfig, TopicMessage, Topics};
use pushlab::session::{Ending, Limits, Settings};

use super::readers::{self, Seen};
use super::slow::{TECHNIQUES, read, sequence};
use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire;

/// Messages of this many bytes, of which ten fit into a piece of a replay.
const MESSAGE_BYTES: usize = 100;

fn world(history_messages: usize) -> World {
    World::with(HubConfig { replay_bytes: 10 * MESSAGE_BYTES, history_messages, ..HubConfig::default() })
}

fn publish(world: &World, topic: &str, count: usize) {
    for _ in 0..count {
        world.publish(topic, &"x".repeat(MESSAGE_BYTES));
    }
}

/// A client whose system takes nothing yet.
fn connect(world: &World, target: &str) -> Rig {
    let limits = Limits { output_bytes: 500, queue_bytes: 1_000, ..Limits::default() };
    let mut rig = world.connect_with(Settings { limits, ..Settings::default() });
    rig.block();
    rig.send(if target.contains("/ws") { wire::upgrade(target) } else { wire::get(target) });
    rig
}

fn subscribers(world: &World) -> u64 {
    world.hub.info("a").unwrap().subscribers.sum()
}

/// Numbers of messages, with 0 for a gap.
fn numbers(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(|seen| if let Seen::Message(id, ..) = seen { sequence(id) } else { 0 }).collect()
}

/// Thirty pieces behind, and two more messages for each that the reader takes: it is subscribed in
/// the end, and has every message once.
#[test]
fn a_reader_reaches_the_present_on_one_connection() {
    for technique in TECHNIQUES {
        for topics in ["a", "a,b"] {
            let world = world(100_000);
            for _ in 0..150 {
                publish(&world, "b", 1);
                publish(&world, "a", 1);
            }
            let has_limit = technique.starts_with("stream") || technique.starts_with("iframe");
            let limit = if has_limit { "max_bytes=1000000&" } else { "" };
            let mut rig = connect(&world, &format!("/topics/{topics}/{technique}{limit}after=earliest"));
            let mut rounds = 0;
            while subscribers(&world) == 0 {
                rounds += 1;
                assert!(rounds < 1_000, "{technique} {topics}: it never arrives");
                if rounds % 2 == 0 {
                    publish(&world, "a", 1);
                }
                assert!(rig.out_len() < 2_000, "{technique}: {} bytes wait", rig.out_len());
                rig.take_up_to(400);
            }
            assert!(rounds > 50, "{technique}: the reader was slow");
            rig.unblock();
            publish(&world, "a", 3);
            rig.deliver();
            let expected: Vec<_> = (1..=world.hub.last().sequence).filter(|n| topics == "a,b" || n % 2 == 0 || *n > 300).collect();
            let bytes = rig.bytes();
            assert_eq!(numbers(&read(technique, &bytes)), expected, "{technique} {topics}");
            assert_eq!((rig.stats().dropped, rig.stats().slow_disconnects, rig.ending()), (0, 0, None), "{technique}");
        }
    }
}

/// A history that is shorter than what the reader is behind: each hole is told in its place, as
/// often as one opens, and nothing else is missing.
#[test]
fn a_gap_that_opens_again_is_told_again() {
    for technique in TECHNIQUES {
        let world = world(15);
        publish(&world, "a", 10);
        let mut rig = connect(&world, &format!("/topics/a/{technique}after=earliest"));
        for _ in 0..4 {
            publish(&world, "a", 40);
            (0..7).for_each(|_| rig.take_up_to(400));
        }
        rig.unblock();
        rig.deliver();
        assert_eq!(subscribers(&world), 1, "{technique}");
        let (mut last, mut holes, mut is_declared) = (0, 0, false);
        for number in numbers(&read(technique, &rig.bytes())) {
            if number == 0 {
                assert!(!is_declared, "{technique}: one gap for each hole");
                (is_declared, holes) = (true, holes + 1);
                continue;
            }
            assert_eq!(number > last + 1, is_declared, "{technique}: {number} behind {last}");
            (last, is_declared) = (number, false);
        }
        assert_eq!(last, world.hub.last().sequence, "{technique}");
        assert!(holes >= 2, "{technique}: {holes} holes");
    }
}

/// Where the format has no room for a gap, the connection ends, and the next one is told by its
/// head.
#[test]
fn a_gap_that_opens_where_it_cannot_be_told() {
    for technique in ["stream", "ws"] {
        let world = world(15);
        publish(&world, "a", 10);
        let mut rig = connect(&world, &format!("/topics/a/{technique}?format=raw&after=earliest"));
        publish(&world, "a", 40);
        rig.unblock();
        rig.deliver();
        assert_eq!((subscribers(&world), world.hub.stats().refused(410)), (0, 1), "{technique}");
        let bytes = rig.bytes();
        if technique == "stream" {
            let answer = wire::answers(&bytes).remove(0);
            assert!(answer.is_whole && answer.text().lines().count() < 12, "{}", answer.text());
        } else {
            let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let (opcode, payload) = wire::frames(&bytes[head..]).pop().unwrap();
            assert_eq!((opcode, &payload[..2]), (8, &4_410_u16.to_be_bytes()[..]));
        }
    }
}

/// What is bare on the wire is caught up with, too, and so is a stream whose first piece is a gap.
#[test]
fn other_formats_and_a_gap_at_the_beginning() {
    for (technique, is_json) in [("multipart", false), ("events", false), ("events?format=json", true), ("multipart?format=json", true)] {
        let world = world(100);
        publish(&world, "a", 300);
        let separator = if is_json { "&" } else { "?" };
        let mut rig = connect(&world, &format!("/topics/a/{technique}{separator}after=1-1"));
        while subscribers(&world) == 0 {
            rig.take_up_to(700);
        }
        rig.unblock();
        let answer = wire::answers(&rig.bytes()).remove(0);
        let seen = match technique.split_once('?').map_or(technique, |(name, _)| name) {
            "events" => readers::events(&answer.body, is_json).0,
            _ => readers::parts(&answer.body, answer.field("Content-Type").unwrap(), is_json),
        };
        let expected: Vec<_> = [0].into_iter().chain(201..=300).collect();
        assert_eq!(numbers(&seen), expected, "{technique}");
        assert!(answer.field("Pushlab-Gap").is_some());
    }
}

/// The hub keeps one piece for a reader that does not read, however many messages the reader has
/// missed.
#[test]
fn a_reader_far_behind_holds_one_piece() {
    for technique in TECHNIQUES {
        let world = world(1_000);
        publish(&world, "a", 1_000);
        let topics = Topics::parse("a", 1).unwrap();
        let (mut cursor, mut all) = ("earliest".parse().unwrap(), Vec::<Weak<TopicMessage>>::new());
        while all.len() < 1_000 {
            let replay = world.hub.replay(&topics, cursor);
            all.extend(replay.messages.iter().map(Arc::downgrade));
            cursor = pushlab::push::Cursor::After(replay.last);
        }
        let mut rig = connect(&world, &format!("/topics/a/{technique}after=earliest"));
        rig.take_up_to(700);
        publish(&world, "a", 1_000);
        let kept = all.iter().filter(|message| message.strong_count() > 0).count();
        assert!((1..=10).contains(&kept), "{technique}: {kept} messages");
        rig.close(CloseReason::Transport);
        assert_eq!(all.iter().filter(|message| message.strong_count() > 0).count(), 0, "{technique}");
    }
}

/// A stream ends after its limit although messages are missing behind it, and the next stream goes
/// on.
#[test]
fn a_stream_with_a_limit_ends_while_it_is_behind() {
    for technique in ["stream?", "iframe?callback=f&"] {
        let world = world(1_000);
        publish(&world, "a", 100);
        let (mut after, mut all, mut rounds) = ("earliest".to_owned(), Vec::new(), 0);
        while all.len() < 100 {
            let mut rig = connect(&world, &format!("/topics/a/{technique}max_bytes=2000&after={after}"));
            rig.unblock();
            let bytes = rig.bytes();
            let answer = wire::answers(&bytes).remove(0);
            let seen = read(technique, &bytes);
            assert_eq!(answer.is_whole, (10..20).contains(&seen.len()), "{technique}: {}", seen.len());
            let Some(Seen::Message(id, ..)) = seen.last() else { panic!("nothing came") };
            after.clone_from(id);
            all.extend(numbers(&seen));
            rounds += 1;
        }
        assert_eq!(all, (1..=100).collect::<Vec<_>>(), "{technique}");
        assert!(rounds > 5);
    }
}

/// A shutdown ends a stream while its reader is behind, and tells the reader when to come back.
#[test]
fn a_shutdown_while_a_reader_is_behind() {
    for technique in TECHNIQUES {
        let world = world(1_000);
        publish(&world, "a", 100);
        let mut rig = connect(&world, &format!("/topics/a/{technique}after=earliest"));
        rig.take_up_to(2_000);
        rig.block();
        rig.shut_down();
        rig.unblock();
        let bytes = rig.bytes();
        let mut seen = read(technique, &bytes);
        // The close frame of a WebSocket has its last word.
        if technique != "ws?" {
            assert_eq!(seen.pop(), Some(Seen::End(1_001, "this server shuts down".to_owned())), "{technique}");
        }
        let seen = numbers(&seen);
        assert!((5..50).contains(&seen.len()) && seen.iter().copied().eq(1..=seen.len() as u64), "{technique}: {seen:?}");
        if technique == "ws?" {
            assert!(rig.ending().is_none(), "the closing handshake is the client's to end");
        } else {
            assert!(wire::answers(&bytes).remove(0).is_whole, "{technique}");
            assert!(matches!(rig.ending(), Some(Ending::Flush | Ending::Linger)), "{technique}");
        }
        assert_eq!(String::from_utf8_lossy(&bytes).contains("retry: 1500"), technique.starts_with("events"));
    }
}

/// A reader counts as a subscriber from the present on, and not before.
#[test]
fn counted_from_the_present_on() {
    let world = world(1_000);
    publish(&world, "a", 100);
    let mut rig = connect(&world, "/topics/a/events?after=earliest&client=me");
    assert_eq!((subscribers(&world), world.hub.info("a").unwrap().online.sum()), (0, 0));
    rig.unblock();
    let info = world.hub.info("a").unwrap();
    assert_eq!((info.subscribers.get("events"), info.online.get("events")), (1, 1));
    rig.eof();
    assert_eq!(subscribers(&world), 0);
}

/// `more` is there exactly where not everything fitted, whichever way the answer comes.
#[test]
fn polls_say_when_there_is_more() {
    let world = world(1_000);
    let start = world.hub.last();
    publish(&world, "a", 25);
    for (path, callback) in [("poll?", false), ("long-poll?", false), ("poll?callback=f&", true), ("long-poll?callback=f&", true)] {
        for first in [format!("after={start}"), "after=earliest".to_owned(), "after=1-1".to_owned()] {
            let (mut after, mut all, mut rounds) = (first.clone(), Vec::new(), Vec::new());
            loop {
                let answer = world.get(&format!("/topics/a/{path}{after}"));
                let text = answer.text().to_owned();
                let (seen, last) = if callback { readers::jsonp(&answer.body, "f") } else { readers::poll(&answer.body) };
                all.extend(numbers(&seen).into_iter().filter(|number| *number > 0));
                rounds.push((text.contains(r#""more""#), text.contains(r#","more":true}"#)));
                after = format!("after={last}");
                if !text.contains(r#""more":true"#) {
                    break;
                }
            }
            assert_eq!(all, (1..=25).collect::<Vec<_>>(), "{path} {first}");
            assert_eq!(rounds, [(true, true), (true, true), (false, false)], "{path} {first}");
        }
    }
    assert!(!world.get("/topics/a/poll").text().contains("more"), "nothing is new");
    let exact = world.hub.replay(&Topics::parse("a", 1).unwrap(), "earliest".parse().unwrap()).messages[4].id();
    let answer = world.get(&format!("/topics/a/poll?after={exact}"));
    assert!(answer.text().contains(r#""more":true"#), "twenty of a piece of ten");
    let tenth_from_last = pushlab::push::Id { sequence: 15, ..exact };
    assert!(!world.get(&format!("/topics/a/poll?after={tenth_from_last}")).text().contains("more"), "ten fit");
    let mut held = connect(&world, "/topics/a/long-poll");
    held.unblock();
    publish(&world, "a", 2);
    held.deliver();
    assert!(!held.answer().text().contains("more"), "the answer to a poll that waited has one message");
}

/// A page that has not everything loads the next one at once, and the last one at its interval.
#[test]
fn a_page_that_is_behind_comes_again_at_once() {
    let world = world(1_000);
    publish(&world, "a", 25);
    let (mut after, mut all, mut waits) = ("earliest".to_owned(), Vec::new(), Vec::new());
    while waits.last() != Some(&"7".to_owned()) {
        let answer = world.get(&format!("/topics/a/page?every=7&after={after}"));
        let (seen, last) = readers::page(&answer.body);
        all.extend(numbers(&seen));
        let refresh = answer.text().split_once("content=\"").unwrap().1.split_once("http-equiv=\"refresh\" content=\"").unwrap().1;
        let (wait, address) = refresh.split_once(";url=").unwrap();
        assert!(address.starts_with(&format!("?every=7&amp;after={last}\"")), "{address}");
        waits.push(wait.to_owned());
        after = last;
    }
    assert_eq!((all, waits), ((1..=25).collect(), ["0", "0", "7"].map(str::to_owned).to_vec()));
    assert!(world.get("/topics/a/page").text().contains("content=\"5;url=?every=5\""), "without a cursor there is no more");
}
