//! Slow readers: what is dropped is declared in its place and counted; who is cut goes on by cursor.
//!
//! Covers: session::backlog, session::link

use pushlab::session::{Ending, Limits, Settings, SlowConsumer};

use super::readers::{self, Seen};
use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire;

pub const TECHNIQUES: [&str; 5] = ["stream?", "iframe?callback=f&", "multipart?format=json&", "events?format=json&", "ws?"];

fn connect(world: &World, policy: SlowConsumer, target: &str) -> Rig {
    let limits = Limits { output_bytes: 500, queue_bytes: 1_000, ..Limits::default() };
    let mut rig = world.connect_with(Settings { limits, slow_consumer: policy, ..Settings::default() });
    rig.send(if target.contains("/ws?") { wire::upgrade(target) } else { wire::get(target) });
    rig
}

pub fn read(technique: &str, bytes: &[u8]) -> Vec<Seen> {
    if technique == "ws?" {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        return readers::frames(&bytes[head..]);
    }
    let answer = wire::answers(bytes).remove(0);
    match technique {
        "stream?" => readers::lines(&answer.body),
        "iframe?callback=f&" => readers::scripts(&answer.body, "f"),
        "multipart?format=json&" => readers::parts(&answer.body, answer.field("Content-Type").unwrap(), true),
        _ => readers::events(&answer.body, true).0,
    }
}

pub fn sequence(id: &str) -> u64 {
    id.split_once('-').unwrap().1.parse().unwrap()
}

/// In each round, publishes so many messages while the client takes nothing, and then lets the client read. Returns how many there were.
pub fn publish_in_rounds(world: &World, rig: &mut Rig, rounds: [u64; 5]) -> u64 {
    for round in rounds {
        rig.block();
        for _ in 0..round {
            world.publish("a", "0123456789");
            rig.deliver();
        }
        rig.unblock();
    }
    rounds.iter().sum()
}

#[test]
fn every_hole_is_declared_and_counted() {
    for policy in [SlowConsumer::DropOldest, SlowConsumer::KeepLatest] {
        for technique in TECHNIQUES {
            let world = World::new();
            let mut rig = connect(&world, policy, &format!("/topics/a/{technique}"));
            let sent = publish_in_rounds(&world, &mut rig, [3, 40, 2, 30, 1]);
            let (mut last, mut delivered, mut missing, mut is_declared) = (0, 0, 0, false);
            for seen in read(technique, &rig.bytes()) {
                let Seen::Message(id, ..) = seen else {
                    assert!(!is_declared, "{policy} {technique}: one gap for each hole");
                    is_declared = true;
                    continue;
                };
                let hole = sequence(&id) - last - 1;
                assert_eq!(hole > 0, is_declared, "{policy} {technique}: {id}");
                (last, delivered, missing, is_declared) = (sequence(&id), delivered + 1, missing + hole, false);
            }
            assert_eq!((last, delivered + missing), (sent, sent), "{policy} {technique}");
            assert!(missing > 0, "{policy} {technique}");
            assert_eq!((world.hub.info("a").unwrap().drops, rig.stats().dropped), (missing, missing), "{policy} {technique}");
        }
    }
}

#[test]
fn who_is_cut_resumes_without_loss() {
    for technique in TECHNIQUES {
        let world = World::new();
        let (mut seen, mut after, mut cuts) = (Vec::new(), world.hub.last().to_string(), 0);
        for _ in 0..20 {
            let mut rig = connect(&world, SlowConsumer::Disconnect, &format!("/topics/a/{technique}after={after}"));
            for round in [3, 40] {
                for _ in 0..round {
                    world.publish("a", "0123456789");
                }
                rig.deliver();
                rig.block();
            }
            cuts += usize::from(rig.ending() == Some(Ending::Linger));
            rig.unblock();
            seen.extend(read(technique, &rig.bytes()));
            if technique != "ws?" {
                assert_eq!(seen.pop(), Some(Seen::End(4_408, "this client reads its messages too slowly".to_owned())), "{technique}");
            }
            if let Some(Seen::Message(id, ..)) = seen.last() {
                after.clone_from(id);
            }
        }
        seen.extend(readers::poll(&world.get(&format!("/topics/a/poll?after={after}")).body).0);
        let ids: Vec<_> = seen.iter().map(|seen| if let Seen::Message(id, ..) = seen { sequence(id) } else { 0 }).collect();
        assert_eq!(ids, (1..=20 * 43).collect::<Vec<_>>(), "{technique}");
        assert_eq!(cuts, 20, "{technique}");
    }
}
