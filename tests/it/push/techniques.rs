//! The wire facts of each technique, on a virtual clock.
//!
//! Covers: push::techniques, push::model::poll_form, push::model::wire_form, push::model::encoding, push::http::call, session::audience

use std::sync::Arc;

use pushlab::push::{HubConfig, Payload};

use super::readers::{self, Seen};
use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire;

fn open(world: &World, target: &str) -> Rig {
    let mut rig = world.connect();
    rig.send(wire::get(target));
    rig
}

#[track_caller]
fn expect_common(answer: &wire::Answer) {
    for (name, value) in [
        ("Cache-Control", "no-store, no-transform"),
        ("X-Accel-Buffering", "no"),
        ("X-Content-Type-Options", "nosniff"),
        ("Vary", "Origin"),
    ] {
        let found: Vec<_> = answer.fields.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect();
        assert_eq!(found, [value], "{name}");
    }
}

#[test]
fn every_answer_is_neither_stored_nor_buffered() {
    let world = World::new();
    world.publish("a", "x");
    for technique in ["page", "poll", "long-poll?after=earliest", "stream", "iframe?callback=f", "multipart", "events", "poll?callback=f"] {
        expect_common(&world.get(&format!("/topics/a/{technique}")));
    }
    expect_common(&world.get("/topics/a"));
    let id = world.hub.last();
    expect_common(&world.get_with("/topics/a/poll", &format!("If-None-Match: \"{id}\"")));
}

#[test]
fn short_polling() {
    let world = World::new();
    let first = world.get("/topics/a/poll");
    let (seen, last) = readers::poll(&first.body);
    assert_eq!((seen, first.field("ETag")), (vec![], Some(&*format!("\"{last}\""))));
    let etag = format!("If-None-Match: \"{last}\"");
    let nothing = world.get_with("/topics/a/poll", &etag);
    assert_eq!((nothing.status, nothing.body.len(), nothing.field("ETag")), (304, 0, first.field("ETag")));
    let id = world.publish("a", "x").to_string();
    for etag in [etag, format!("If-None-Match: W/\"{last}\"")] {
        let answer = world.get_with("/topics/a/poll", &etag);
        assert_eq!(readers::poll(&answer.body), (vec![Seen::Message(id.clone(), "a".into(), b"x".to_vec())], id.clone()));
    }
    // The field is what the client has just seen; the query may be older.
    assert_eq!(world.get_with("/topics/a/poll?after=earliest", &format!("If-None-Match: \"{id}\"")).status, 304);
}

#[test]
fn raw_polling_gives_one_message_at_a_time() {
    let world = World::new();
    let ids = ["one", "two"].map(|text| world.publish("a", text));
    let mut after = "earliest".to_owned();
    for (id, text) in ids.iter().zip(["one", "two"]) {
        let answer = world.get(&format!("/topics/a/long-poll?format=raw&after={after}"));
        assert_eq!((answer.text(), answer.field("ETag")), (text, Some(&*format!("\"{id}\""))));
        after = id.to_string();
    }
    assert_eq!(world.get(&format!("/topics/a/poll?format=raw&after={after}")).status, 204);
    let answer = world.get("/topics/a/poll?format=raw&after=1-1");
    assert_eq!((answer.text(), answer.field("Pushlab-Gap").is_some()), ("one", true));
}

#[test]
fn long_polling() {
    let world = World::new();
    let start = world.publish("a", "x").to_string();
    let mut rig = open(&world, &format!("/topics/a/long-poll?after={start}"));
    rig.pass_secs(24);
    assert!(rig.bytes().is_empty());
    rig.pass_secs(1);
    let answer = rig.answer();
    assert_eq!((readers::poll(&answer.body), answer.field("ETag")), ((vec![], start.clone()), Some(&*format!("\"{start}\""))));
    // The same connection again; another topic's message does not release it.
    rig.send(wire::get(&format!("/topics/a/long-poll?wait=3&after={start}")));
    rig.deliver();
    world.publish("b", "not mine");
    assert_eq!(rig.deliver(), 0);
    let id = world.publish("a", "y").to_string();
    world.publish("a", "z");
    assert_eq!(rig.deliver(), 1);
    assert_eq!(readers::poll(&rig.answer().body), (vec![Seen::Message(id.clone(), "a".into(), b"y".to_vec())], id.clone()));
    let answer = rig.get(&format!("/topics/a/long-poll?after={id}")).remove(0);
    assert_eq!(readers::poll(&answer.body).0.len(), 1, "what came between two polls is kept");
    let gap = rig.get("/topics/a/long-poll?after=1-1").remove(0);
    let value: serde_json::Value = serde_json::from_slice(&gap.body).unwrap();
    assert_eq!((&value["gap"], value["from"].is_string(), value["messages"].as_array().unwrap().len()), (&true.into(), true, 3));
    assert_eq!(rig.get("/topics/a/long-poll?wait=0").len(), 1);
}

/// A poll of two topics is released once, and leaves both.
#[test]
fn long_polling_of_several_topics() {
    let world = World::new();
    let mut rig = open(&world, "/topics/a,b/long-poll");
    for topic in ["b", "a", "b"] {
        world.publish(topic, topic);
    }
    assert_eq!(rig.deliver(), 1);
    assert_eq!(readers::poll(&rig.answer().body).0.len(), 1);
    for topic in ["a", "b"] {
        assert_eq!(world.hub.info(topic).unwrap().subscribers.sum(), 0);
    }
}

/// The bodies of polls that are released together are one, however many callbacks and formats there are.
#[test]
fn polls_of_every_shape_are_released_together() {
    let world = World::new();
    let mut rigs: Vec<_> = ["", "?callback=f", "?callback=g", "?format=raw", "?callback=f"]
        .map(|query| open(&world, &format!("/topics/a/long-poll{query}")))
        .into();
    assert_eq!(world.hub.publish("a", Payload::text("x")).unwrap().subscribers, 5);
    let bodies: Vec<_> = rigs
        .iter_mut()
        .map(|rig| {
            rig.deliver();
            rig.answer().text().to_owned()
        })
        .collect();
    assert_eq!((&*bodies[3], &bodies[1]), ("x", &bodies[4]));
    assert_eq!(bodies[1], format!("/**/f({});", bodies[0]));
    assert_eq!(bodies[2], format!("/**/g({});", bodies[0]));
}

#[test]
fn streaming() {
    let world = World::new();
    let mut rig = open(&world, "/topics/a/stream?pad=2048");
    let bytes = rig.bytes();
    let answer = wire::answers(&bytes).remove(0);
    assert_eq!((answer.body.len(), answer.field("Content-Type")), (2_049, Some("application/x-ndjson")));
    assert_eq!(answer.field("Pushlab-Resumed"), Some(&*world.hub.last().to_string()));
    let id = world.publish("a", "x");
    rig.deliver();
    let line = format!("{{\"id\":\"{id}\",\"topic\":\"a\",\"data\":\"x\"}}\n");
    assert_eq!(rig.text(), format!("{:x}\r\n{line}\r\n", line.len()));
    rig.pass_secs(25);
    assert_eq!(rig.text(), "1\r\n\n\r\n");
}

#[test]
fn streams_end_after_their_bytes() {
    for technique in ["stream?", "iframe?callback=f&"] {
        let world = World::new();
        let line = world.json("/topics/a/poll").to_string().len() + 60;
        let mut rig = open(&world, &format!("/topics/a,b/{technique}max_bytes={line}"));
        for topic in ["a", "b", "a", "b"] {
            world.publish(topic, "xxxxxxxx");
        }
        rig.deliver();
        let answer = rig.answer();
        let count = if technique == "stream?" { readers::lines(&answer.body).len() } else { readers::scripts(&answer.body, "f").len() };
        assert!(answer.is_whole && count == 2, "{technique} {count}");
        assert_eq!(world.hub.info("a").unwrap().subscribers.sum(), 0);
        // What was missed counts, too.
        let answer = world.get(&format!("/topics/a,b/{technique}max_bytes=1&after=earliest"));
        assert!(answer.is_whole);
    }
}

#[test]
fn hidden_frames() {
    let world = World::new();
    let mut rig = open(&world, "/topics/a/iframe?callback=parent_f");
    let answer = wire::answers(&rig.bytes()).remove(0);
    assert!(answer.body.len() > 1_024 && answer.text().starts_with("<!DOCTYPE html>"));
    let id = world.publish("a", "</script>");
    rig.deliver();
    let text = rig.text();
    assert!(text.contains(&format!("<script>parent.parent_f({{\"id\":\"{id}\",\"topic\":\"a\",\"data\":\"<\\/script>\"}})</script>\n")));
    rig.pass_secs(25);
    assert_eq!(rig.text(), "1\r\n\n\r\n");
}

#[test]
fn frames_of_several_callbacks() {
    let world = World::new();
    let mut rigs = ["f", "g", "f"].map(|callback| open(&world, &format!("/topics/a/iframe?callback={callback}")));
    world.publish("a", "x");
    rigs[2].eof();
    world.publish("a", "y");
    for (rig, callback, count) in [(0, "f", 2), (1, "g", 2), (2, "f", 0)] {
        rigs[rig].deliver();
        assert_eq!(readers::scripts(&rigs[rig].answer().body, callback).len(), count);
    }
}

#[test]
fn multipart() {
    let world = World::new();
    let mut rig = open(&world, "/topics/a/multipart");
    let answer = wire::answers(&rig.bytes()).remove(0);
    let boundary = answer.field("Content-Type").unwrap().split_once("boundary=").unwrap().1.to_owned();
    assert_eq!(answer.text(), format!("--{boundary}\r\n"));
    rig.pass_secs(25);
    assert_eq!(rig.text(), "10\r\nX-Heartbeat: 1\r\n\r\n");
    let id = world.publish("a", "x");
    rig.deliver();
    let part = format!("Content-Type: text/plain; charset=utf-8\r\nContent-ID: <{id}>\r\nContent-Length: 1\r\n\r\nx\r\n--{boundary}\r\n");
    assert_eq!(rig.text(), format!("{:x}\r\n{part}\r\n", part.len()));
}

#[test]
fn server_sent_events() {
    let world = World::new();
    let first = world.publish("a", "x");
    let mut rig = open(&world, "/topics/a/events");
    let answer = wire::answers(&rig.bytes()).remove(0);
    assert_eq!((answer.status, answer.field("Content-Type")), (200, Some("text/event-stream")));
    assert_eq!(answer.text(), format!("id: {first}\nretry: 2000\n\n"), "a stream cut before its first message resumes as well");
    let id = world.hub.publish("a", Payload::text("1\n2").event("temperature")).unwrap().id;
    rig.deliver();
    assert!(rig.text().contains(&format!("event: temperature\nid: {id}\ndata: 1\ndata: 2\n\n")));
    rig.pass_secs(25);
    assert_eq!(rig.text(), "3\r\n:\n\n\r\n");

    // The browser's field comes before what stands in the address.
    for (path, field, expected) in [
        ("", format!("Last-Event-ID: {first}"), 1),
        ("?last_event_id=earliest", "X-None: 1".to_owned(), 2),
        ("?after=earliest", "X-None: 1".to_owned(), 2),
        ("?last_event_id=earliest", format!("Last-Event-ID: {id}"), 0),
    ] {
        let answer = world.get_with(&format!("/topics/a/events{path}"), &field);
        assert_eq!(readers::events(&answer.body, false).0.len(), expected, "{path} {field}");
    }
    let answer = world.get_with("/topics/a/events", "Last-Event-ID: 1-1");
    assert_eq!(answer.field("Pushlab-Gap"), answer.field("Pushlab-Resumed"));
    // The client's last id changes with the gap, and not before: if the stream is cut before it, the next one must tell of the gap again.
    let from = answer.field("Pushlab-Gap").unwrap();
    assert!(answer.text().starts_with(&format!("retry: 2000\n\nevent: gap\nid: {from}\ndata: {{\"gap\":true,\"from\":\"{from}\"}}\n\n")));
    assert_eq!(readers::events(&answer.body, false).0.len(), 3);
}

/// One `onmessage` hears everything: the envelope has the name, and a gap is an event like any other.
#[test]
fn server_sent_events_as_json_have_no_names() {
    let world = World::new();
    let first = world.hub.publish("a", Payload::text("1\n2").event("temperature")).unwrap().id;
    let mut rig = world.connect();
    rig.send("GET /topics/a/events?format=json HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 1-1\r\n\r\n");
    let second = world.hub.publish("a", Payload::binary([255]).event("picture")).unwrap().id;
    rig.deliver();
    let from = format!("{}-0", first.to_string().split_once('-').unwrap().0);
    let gap = format!("id: {from}\ndata: {{\"gap\":true,\"from\":\"{from}\"}}\n\n");
    let envelopes = [(first, r#""temperature","data":"1\n2"}"#), (second, r#""picture","data":"/w==","encoding":"base64"}"#)]
        .map(|(id, rest)| format!("id: {id}\ndata: {{\"id\":\"{id}\",\"topic\":\"a\",\"event\":{rest}\n\n"));
    assert_eq!(rig.answer().text(), format!("retry: 2000\n\n{gap}{}{}", envelopes[0], envelopes[1]));
}

fn websocket(world: &World, target: &str) -> Rig {
    let mut rig = world.connect();
    rig.send(wire::upgrade(target));
    rig
}

#[test]
fn websockets() {
    let world = World::with(HubConfig { payload_bytes: 8, ..HubConfig::default() });
    let mut rig = websocket(&world, "/topics/a,b/ws");
    rig.bytes();
    rig.send(wire::text_frame("x"));
    rig.send(wire::frame(0x82, &[0xff]));
    rig.deliver();
    let texts: Vec<_> = rig.frames().into_iter().map(|(_, payload)| String::from_utf8(payload).unwrap()).collect();
    assert!(texts[0].ends_with(r#","topic":"a","data":"x"}"#) && texts[1].ends_with(r#","data":"/w==","encoding":"base64"}"#), "{texts:?}");
    rig.send(wire::text_frame("123456789"));
    assert_eq!(&rig.frames()[0].1[..2], 1_009_u16.to_be_bytes());

    let mut raw = websocket(&world, "/topics/b/ws?format=raw");
    raw.bytes();
    world.publish("b", "y");
    raw.deliver();
    assert_eq!(raw.frames(), [wire::text("y")]);
    assert_eq!(world.get("/topics/b/ws").status, 426);
    assert!(websocket(&world, "/topics/b/ws?format=raw&after=1-1").text().starts_with("HTTP/1.1 410 "));
}

/// What was missed is larger than all queues together: it comes as the client reads, and then what was published meanwhile.
#[test]
fn a_websocket_catches_up_at_its_own_pace() {
    use pushlab::session::{Limits, Settings};
    let world = World::new();
    for n in 0..100 {
        world.publish("a", &format!("{n:0>1000}"));
    }
    let limits = Limits { output_bytes: 2_000, queue_bytes: 4_000, ..Limits::default() };
    let mut rig = world.connect_with(Settings { limits, ..Settings::default() });
    rig.block();
    rig.send(wire::upgrade("/topics/a/ws?after=earliest"));
    world.publish("a", "last");
    assert_eq!(world.hub.info("a").unwrap().subscribers.sum(), 0);
    rig.unblock();
    rig.deliver();
    let bytes = rig.bytes();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let seen = readers::frames(&bytes[head..]);
    assert_eq!((seen.len(), seen[100].payload()), (101, &b"last"[..]));
    assert_eq!(world.hub.info("a").unwrap().subscribers.get("ws"), 1);
}

#[test]
fn meta_refresh() {
    let world = World::with(HubConfig { page_messages: 2, ..HubConfig::default() });
    let ids = ["1", "2", "3"].map(|text| world.publish("a", text).to_string());
    let answer = world.get("/topics/a/page?every=7&client=me");
    assert!(answer.text().contains("<meta http-equiv=\"refresh\" content=\"7;url=?every=7&amp;client=me\">"));
    assert_eq!(readers::page(&answer.body).0.len(), 2, "the newest");
    let answer = world.get(&format!("/topics/a/page?after={}", ids[1]));
    assert!(answer.text().contains(&format!("content=\"5;url=?every=5&amp;after={}\"", ids[2])));
    assert_eq!(readers::page(&answer.body), (vec![Seen::Message(ids[2].clone(), "a".into(), b"3".to_vec())], ids[2].clone()));
}

/// A page without a cursor has the newest messages of all its topics, wherever they begin, and as
/// many as it may.
#[test]
fn meta_refresh_of_more_than_is_shown() {
    let world = World::with(HubConfig { page_messages: 4, replay_bytes: 100, ..HubConfig::default() });
    let mut ids = Vec::new();
    for n in 0..60 {
        ids.push(world.publish(["a", "b", "b", "c"][n % 4], &format!("{n:010}")).to_string());
    }
    let shown = |list: &str| {
        let (seen, last) = readers::page(&world.get(&format!("/topics/{list}/page")).body);
        let ids: Vec<_> = seen.iter().map(|seen| if let Seen::Message(id, ..) = seen { id.clone() } else { String::new() }).collect();
        (ids, last)
    };
    assert_eq!(shown("a,b,c"), (ids[56..].to_vec(), ids[59].clone()));
    assert_eq!(shown("c,a"), ([52, 55, 56, 59].map(|at| ids[at].clone()).to_vec(), ids[59].clone()));
    world.publish("a", &"x".repeat(200));
    assert_eq!(shown("a,b,c").0.len(), 1, "one that is larger than all that may be shown is shown alone");
    assert_eq!(shown("unheard-of").0.len(), 0);
}

/// Many subscribers of one form share one frame: the payload is in memory once.
#[test]
fn a_form_is_encoded_once() {
    let world = World::new();
    let mut rigs: Vec<_> = (0..3).map(|_| open(&world, "/topics/a/stream")).collect();
    world.publish("a", "x");
    let replay = world.hub.replay(&pushlab::push::Topics::parse("a", 1).unwrap(), "earliest".parse().unwrap());
    assert!(Arc::ptr_eq(
        &replay.messages[0],
        &world.hub.replay(&pushlab::push::Topics::parse("a", 1).unwrap(), "earliest".parse().unwrap()).messages[0]
    ));
    rigs.swap_remove(0).eof();
    world.publish("a", "y");
    for rig in &mut rigs {
        rig.deliver();
        assert_eq!(readers::lines(&rig.answer().body).len(), 2);
    }
}
