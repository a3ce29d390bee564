//! Access that is withdrawn from connections whose topics can be changed, and what such a connection hears last.
//!
//! Covers: push::hub::revoke, push::hub::control, push::hub::channel_feed, push::http::control

use std::sync::{Arc, OnceLock};

use pushlab::push::{Access, Hub, HubConfig};
use pushlab::session::{Limits, Request, Settings};
use serde_json::{Value, json};

use super::control::{Page, change, expect, id, joined, left, online, subscribers};
use super::notes::TECHNIQUES;
use super::world::{World, app};
use crate::session::rig::Rig;
use crate::session::wire;

const REVOKED: &str = "the access to these topics was withdrawn";
const CHANGED: &str = "access to topics has changed: come back with your cursor";

/// The last word of some topics, on a connection that goes on.
fn lost(topics: &[&str], code: u16, sentence: &str) -> String {
    json!({ "left": topics, "code": code, "sentence": sentence }).to_string()
}

/// The last word of a connection.
fn end(code: u16, sentence: &str) -> String {
    json!({ "end": true, "code": code, "sentence": sentence }).to_string()
}

#[test]
fn a_connection_loses_the_denied_topics_alone() {
    for technique in TECHNIQUES {
        let world = World::new();
        let mut page = Page::open(&world, "a,b", technique);
        let mut other = Page::open_on(world.connect(), "a", "stream?", "other");
        page.expect_topics(&world, r#"{"join":["c","a.presence"]}"#, &["a", "b", "c", "a.presence"]);
        assert_eq!(page.next(), [joined(&["c", "a.presence"], 0, &world)], "{technique}");
        world.publish("a", "one");
        assert_eq!(world.hub.revoke(|_| false), 0);
        let count = world.hub.revoke(|subscriber| subscriber.client() == Some("me") && subscriber.has_topic("a"));
        assert_eq!((count, world.hub.stats().refused(403)), (2, 2), "{technique}: the topic and its presence topic");
        world.publish("a", "secret");
        let last = world.publish("b", "two").sequence;
        assert_eq!(page.next(), ["1", &lost(&["a", "a.presence"], 1_008, REVOKED), &last.to_string()], "{technique}");
        assert_eq!((subscribers(&world, "a"), online(&world, "a"), online(&world, "b")), (1, 1, 1), "{technique}: it has left at once");
        assert_eq!(other.next().len(), 2, "{technique}: another client has the topic still");
        // The list of the channel has changed, too. The policy decides about the next join, and the client has missed what came meanwhile.
        let after = json!({ "join": ["a"], "after": id(&world, 1) }).to_string();
        page.expect_topics(&world, "{}", &["b", "c"]);
        page.expect_topics(&world, &after, &["b", "c", "a"]);
        let came = page.next();
        assert_eq!((came.len(), came.last()), (2, Some(&joined(&["a"], last, &world))), "{technique}: {came:?}");
        assert_eq!((subscribers(&world, "a"), online(&world, "a"), page.rig.ending()), (2, 2, None), "{technique}");
    }
}

#[test]
fn a_connection_without_a_subscription_that_is_left_ends() {
    for technique in TECHNIQUES {
        let world = World::new();
        let mut page = Page::open(&world, "a,b", technique);
        let mut twin = Page::open(&world, "a", technique);
        world.publish("b", "one");
        assert_eq!(world.hub.revoke(|subscriber| subscriber.client() == Some("me")), 3, "each topic is a subscription");
        world.publish("b", "secret");
        assert_eq!(page.next(), ["1", &end(1_008, REVOKED)], "{technique}");
        assert_eq!(twin.next(), [end(1_008, REVOKED)], "{technique}");
        assert_eq!(["a", "b"].map(|topic| (subscribers(&world, topic), online(&world, topic))), [(0, 0); 2], "{technique}");
        let mut pages = [page, twin];
        for page in &mut pages {
            page.rig.eof();
        }
        for page in &pages {
            expect(&change(&world, "a", "me", &page.secret, r#"{"leave":"all"}"#), 404, "this client has no open");
        }
    }
}

/// One withdrawal after the other, until nothing is left.
#[test]
fn the_last_topic_is_the_last_word() {
    for technique in TECHNIQUES {
        let world = World::new();
        let mut page = Page::open(&world, "a,b", technique);
        page.expect_topics(&world, r#"{"leave":["a"]}"#, &["b"]);
        assert_eq!(page.next(), [left(&["a"])]);
        assert_eq!(world.hub.revoke(|subscriber| subscriber.has_topic("a")), 0, "it was left");
        page.expect_topics(&world, r#"{"leave":"all"}"#, &[]);
        assert_eq!(page.next(), [left(&["b"])]);
        assert_eq!(world.hub.revoke(|_| true), 0);
        assert_eq!(page.rig.ending(), None, "{technique}: nothing was withdrawn from it");
        page.expect_topics(&world, r#"{"join":["c"]}"#, &["c"]);
        assert_eq!(page.next(), [joined(&["c"], 0, &world)]);
        assert_eq!(world.hub.revoke(|_| true), 1);
        assert_eq!(page.next(), [end(1_008, REVOKED)], "{technique}");
    }
}

/// The connection is in the middle of the replay of a joined topic. Which client loses what does not matter: its permission is old.
#[test]
fn a_join_that_was_checked_before_is_given_up() {
    for technique in TECHNIQUES {
        for is_taken in [false, true] {
            let world = World::with(HubConfig { replay_bytes: 300, ..HubConfig::default() });
            (0..20).for_each(|_| _ = world.publish("b", &"x".repeat(100)));
            let limits = Limits { output_bytes: 300, ..Limits::default() };
            let rig = world.connect_with(Settings { limits, ..Settings::default() });
            let mut page = Page::open_on(rig, "a", technique, "me");
            page.rig.block();
            page.expect_topics(&world, r#"{"join":["b"],"after":"earliest"}"#, &["a", "b"]);
            if is_taken {
                page.rig.deliver();
            }
            assert_eq!(world.hub.revoke(|subscriber| subscriber.has_topic("b")), 0, "{technique}: it is not subscribed yet");
            page.rig.unblock();
            let mut came = page.next();
            assert_eq!(came.pop(), Some(lost(&["b"], 1_012, CHANGED)), "{technique}");
            assert_eq!(came.is_empty(), !is_taken, "{technique}: {came:?}");
            assert!(came.len() < 20 && subscribers(&world, "b") == 0 && online(&world, "b") == 0, "{technique}: {came:?}");
            // The client joins again, and continues.
            let body = json!({ "join": ["b"], "after": id(&world, came.len() as u64) }).to_string();
            page.expect_topics(&world, &body, &["a", "b"]);
            let more = page.next();
            assert_eq!((came.len() + more.len(), more.last()), (21, Some(&joined(&["b"], 20, &world))), "{technique}");
            // A join does not keep a connection that has lost all its subscriptions.
            page.rig.block();
            page.expect_topics(&world, r#"{"join":["c"]}"#, &["a", "b", "c"]);
            assert_eq!(world.hub.revoke(|_| true), 2);
            page.rig.unblock();
            assert_eq!(page.next(), [end(1_008, REVOKED)], "{technique}");
            assert_eq!(subscribers(&world, "c"), 0, "{technique}");
        }
    }
}

/// The connection has not got the missed messages of the topics with which it was opened.
#[test]
fn a_connection_that_is_behind_comes_back() {
    for technique in TECHNIQUES {
        let world = World::with(HubConfig { replay_bytes: 300, ..HubConfig::default() });
        (0..60).for_each(|_| _ = world.publish("a", &"x".repeat(100)));
        let limits = Limits { output_bytes: 2_000, ..Limits::default() };
        let mut rig = world.connect_with(Settings { limits, ..Settings::default() });
        rig.block();
        let target = format!("/topics/a/{technique}client=me&control=1&after=earliest");
        rig.send(if technique == "ws?" { wire::upgrade(&target) } else { wire::get(&target) });
        assert_eq!(world.hub.revoke(|_| true), 0, "{technique}");
        rig.unblock();
        let text = rig.text_lossy();
        let (before, after) = text.split_once(CHANGED).unwrap_or_else(|| panic!("{technique}: {text}"));
        assert!(before.contains("\"control\":") && before.contains("xxx") && !after.contains("xxx"), "{technique}: {text}");
        assert_eq!(subscribers(&world, "a"), 0, "{technique}");
    }
}

/// A policy that withdraws access while it is asked, as if another thread did so then.
#[test]
fn a_join_is_refused_if_access_changes_while_it_is_checked() {
    let own = Arc::new(OnceLock::<Hub>::new());
    let asked = Arc::clone(&own);
    let hub = Hub::with_policy(HubConfig::default(), move |_: &Request<'_>, access, topic: &str| {
        if access == Access::Subscribe && topic == "b" {
            assert_eq!(asked.get().unwrap().revoke(|_| false), 0);
        }
        true
    });
    own.set(hub.clone()).unwrap();
    let ask = |request: &str| {
        let mut rig = Rig::serving(app(&hub));
        rig.send(request);
        (rig.answer(), rig)
    };
    let (begun, mut stream) = ask(&wire::get("/topics/a/stream?client=me&control=1"));
    let (chain, _) = ask(&wire::get("/topics/a/long-poll?client=me&control=1"));
    let secret = |json: &str| serde_json::from_str::<Value>(json).unwrap()["control"].as_str().unwrap().to_owned();
    let secrets = [secret(begun.text().trim().lines().last().unwrap()), secret(chain.text())];
    let mut held = Rig::serving(app(&hub));
    held.send(wire::get(&format!("/topics/a/long-poll?client=me&control={}", secrets[1])));
    for secret in &secrets {
        let post = |body: &str| ask(&wire::post(&format!("/topics/a/control?client=me&control={secret}"), body)).0;
        expect(&post(r#"{"join":["b"]}"#), 503, "access to topics has changed while this request was checked: send it again");
        // Nothing has changed, and the policy is not asked about a leave.
        assert_eq!(post(r#"{"leave":["b"]}"#).text(), "{\"topics\":[\"a\"]}\n");
    }
    assert_eq!((stream.deliver(), held.deliver(), held.stats().held), (0, 0, 1));
    assert_eq!(hub.info("b").map(|info| info.subscribers.sum()), Ok(0));
}

/// The first answer of a chain, and a poll that is held.
fn chain(world: &World, topics: &str) -> (String, String, Rig) {
    let begun = world.json(&format!("/topics/{topics}/long-poll?client=me&control=1"));
    let text = |name: &str| begun[name].as_str().unwrap().to_owned();
    let (secret, last) = (text("control"), text("last"));
    let rig = hold(world, topics, &secret, &last);
    (secret, last, rig)
}

fn hold(world: &World, topics: &str, secret: &str, rest: &str) -> Rig {
    let mut rig = world.connect();
    rig.send(wire::get(&format!("/topics/{topics}/long-poll?client=me&control={secret}&after={rest}")));
    assert_eq!(rig.stats().held, 1);
    rig
}

#[test]
fn a_chain_that_loses_access_has_a_last_word() {
    for callback in ["", "&callback=f"] {
        let world = World::new();
        let [(one, _, _first), (two, last, mut second)] = [(); 2].map(|()| chain(&world, "a,b"));
        // A chain has no poll that another chain of its client ends, and access is withdrawn from both.
        let mut third = hold(&world, "a,b", &one, &format!("{last}{callback}"));
        assert_eq!(world.hub.revoke(|subscriber| subscriber.client() == Some("me") && subscriber.has_topic("b")), 2);
        world.publish("a", "not for a poll that has ended");
        for (rig, callback) in [(&mut third, callback), (&mut second, "")] {
            rig.deliver();
            let answer = rig.answer();
            assert_eq!(answer.status, if callback.is_empty() { 403 } else { 200 });
            let json = if callback.is_empty() { end(1_008, REVOKED) } else { format!("/**/f({});", end(1_008, REVOKED)) };
            assert!(same(answer.text(), &json), "{}", answer.text());
        }
        assert_eq!((online(&world, "a"), online(&world, "b"), subscribers(&world, "a")), (0, 0, 0), "it has left at once");
        for secret in [&one, &two] {
            expect(&change(&world, "a", "me", secret, r#"{"leave":"all"}"#), 404, "this client has no open");
        }
        // The chain goes on with the topics that are left, and joins by the next decision of the policy.
        let mut rig = hold(&world, "a", &one, &id(&world, 1));
        expect(&change(&world, "a", "me", &one, r#"{"join":["c"]}"#), 200, r#"["a","c"]"#);
        rig.deliver();
        assert!(rig.answer().text().contains(r#""joined":["c"]"#));
    }
}

/// Whether two texts have the same JSON, with the same text around it.
fn same(one: &str, two: &str) -> bool {
    let parts = |text: &str| -> Option<(String, Value, String)> {
        let (begin, end) = (text.find('{')?, text.rfind('}')? + 1);
        Some((text[..begin].to_owned(), serde_json::from_str(&text[begin..end]).ok()?, text[end..].to_owned()))
    };
    parts(one).is_some() && parts(one) == parts(two)
}

#[test]
fn a_shutdown_is_told_behind_all_that_was_sent() {
    let told = json!({ "end": true, "code": 1001, "sentence": "this server shuts down", "retry": 1500 });
    for technique in TECHNIQUES {
        let world = World::new();
        let mut page = Page::open(&world, "a", technique);
        page.expect_topics(&world, r#"{"join":["b"],"leave":["a"]}"#, &["b"]);
        assert_eq!(page.next(), [left(&["a"]), joined(&["b"], 0, &world)], "{technique}");
        world.publish("b", "one");
        page.rig.deliver();
        page.rig.shut_down();
        let last = if technique == "ws?" { end(1_001, "this server shuts down") } else { told.to_string() };
        assert_eq!(page.next(), ["1", &last], "{technique}");
    }
    let world = World::new();
    let (secret, last, mut rig) = chain(&world, "a");
    rig.shut_down();
    let answer = rig.answer();
    assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("2")));
    assert_eq!(serde_json::from_str::<Value>(answer.text()).unwrap(), told);
    assert_eq!((online(&world, "a"), subscribers(&world, "a")), (1, 0), "its grace time has begun");
    // Another server, or this one if it goes on, takes the next poll of the chain.
    let mut rig = hold(&world, "a", &secret, &last);
    world.publish("a", "one");
    rig.deliver();
    assert!(rig.answer().text().contains("one"));
}

/// The policy ends a slow reader. What is dropped counts for the topics of the moment.
#[test]
fn a_slow_reader_is_told() {
    for technique in TECHNIQUES {
        let world = World::new();
        let limits = Limits { output_bytes: 500, queue_bytes: 1_000, ..Limits::default() };
        let rig = world.connect_with(Settings { limits, ..Settings::default() });
        let mut page = Page::open_on(rig, "a", technique, "me");
        page.expect_topics(&world, r#"{"join":["b"],"leave":["a"]}"#, &["b"]);
        page.next();
        page.rig.block();
        for _ in 0..40 {
            world.publish("b", &"x".repeat(100));
            page.rig.deliver();
        }
        page.rig.unblock();
        let came = page.next();
        assert_eq!(came.last(), Some(&end(4_408, "this client reads its messages too slowly")), "{technique}");
        assert!(came.len() < 20, "{technique}: {came:?}");
        page.rig.eof();
        assert_eq!(subscribers(&world, "b"), 0, "{technique}");
    }
}
