//! Payloads that want to get out of their string, script, field, part or page, through every technique and back by a reader.
//!
//! Covers: push::model::envelope, push::model::json, push::model::payload, push::model::topic_message

use pushlab::push::{Payload, append_json_string};

use super::readers::{self, Seen};
use super::world::World;
use crate::session::wire;
use crate::support::splits::Seeded;

const HOSTILE: [&str; 16] = [
    "",
    "plain",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>--!><!-- </SCRIPT\t>",
    "\"quotes\" and 'others' and \\ and \\\" and \\u0041",
    "one\ntwo\r\nthree\rfour\n",
    "\n\nid: 7\nevent: x\ndata: y\n\n",
    "\u{2028}\u{2029}",
    "emoji \u{1f600}\u{200d}\u{1f3ff}, umlaut \u{e4}, \u{feff}, \u{fffd}",
    "nul \0 and \u{1}\u{8}\u{b}\u{c}\u{1b}\u{7f}\u{85}",
    "</textarea></title></pre></li>&amp;&lt;&#10;",
    "{\"gap\":true}",
    "\r\n--boundary--\r\nContent-Type: text/html\r\n\r\n",
    "*/);alert(1);/**/f(",
    "<",
];

fn string(text: &str) -> String {
    let mut out = String::new();
    append_json_string(text, &mut out);
    out
}

#[test]
fn strings_come_back() {
    let mut numbers = Seeded::new(11);
    let alphabet: Vec<char> = "<>/!-\"\\\n\r\t\0\u{1f}\u{7f}su\u{2027}\u{2028}\u{2029}\u{202a}\u{10ffff}ä ".chars().collect();
    let random = (0..2_000).map(|_| (0..numbers.below(12)).map(|_| alphabet[numbers.below(alphabet.len())]).collect::<String>());
    let all = (0..=0x2100).filter_map(char::from_u32).collect::<String>();
    for text in HOSTILE.into_iter().map(str::to_owned).chain([all]).chain(random.collect::<Vec<_>>()) {
        let json = string(&text);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "{json}");
        assert!(!json.contains("</") && !json.contains("<!") && !json.contains(['\u{2028}', '\u{2029}']), "{json}");
        assert!(!json.bytes().any(|byte| byte < 0x20), "{json}");
    }
}

/// The body of the answer of any technique.
fn body(world: &World, technique: &str) -> (Vec<u8>, String) {
    let answer = world.get(&format!("/topics/a/{technique}"));
    assert_eq!(answer.status, 200, "{technique}");
    let content_type = answer.field("Content-Type").unwrap().to_owned();
    (answer.body, content_type)
}

#[test]
fn texts_arrive_by_every_technique() {
    let world = World::new();
    let expected: Vec<Seen> =
        HOSTILE.iter().map(|text| Seen::Message(world.publish("a", text).to_string(), "a".into(), text.as_bytes().to_vec())).collect();
    let untold = |seen: Vec<Seen>| -> Vec<Vec<u8>> { seen.iter().map(|seen| seen.payload().to_vec()).collect() };
    assert_eq!(readers::poll(&body(&world, "poll?after=earliest").0).0, expected);
    assert_eq!(readers::poll(&body(&world, "long-poll?after=earliest").0).0, expected);
    assert_eq!(readers::jsonp(&body(&world, "poll?after=earliest&callback=a.b$_1").0, "a.b$_1").0, expected);
    assert_eq!(readers::lines(&body(&world, "stream?after=earliest").0), expected);
    assert_eq!(readers::scripts(&body(&world, "iframe?after=earliest&callback=f").0, "f"), expected);
    assert_eq!(readers::events(&body(&world, "events?after=earliest&format=json").0, true).0, expected);
    let (parts, content_type) = body(&world, "multipart?after=earliest&format=json");
    assert_eq!(readers::parts(&parts, &content_type, true), expected);
    let (parts, content_type) = body(&world, "multipart?after=earliest");
    assert_eq!(untold(readers::parts(&parts, &content_type, false)), HOSTILE.map(|text| text.as_bytes().to_vec()));

    // Event streams know lines only, and a page has no place for NUL.
    let raw = untold(readers::events(&body(&world, "events?after=earliest").0, false).0);
    assert_eq!(raw, HOSTILE.map(|text| text.replace("\r\n", "\n").replace('\r', "\n").into_bytes()));
    let page = untold(readers::page(&body(&world, "page?after=earliest").0).0);
    assert_eq!(page, HOSTILE.map(|text| text.replace('\0', "\u{fffd}").into_bytes()));

    let mut rig = world.connect();
    rig.send(wire::upgrade("/topics/a/ws?after=earliest"));
    let bytes = rig.bytes();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(readers::frames(&bytes[head..]), expected);
}

#[test]
fn bytes_arrive_by_every_technique() {
    let world = World::new();
    let all: Vec<u8> = (0..=255).collect();
    for len in [0, 1, 2, 3, 256] {
        world.hub.publish("a", Payload::binary(&all[..len])).unwrap();
    }
    let expected: Vec<Vec<u8>> = [0, 1, 2, 3, 256].map(|len| all[..len].to_vec()).to_vec();
    let payloads = |seen: Vec<Seen>| -> Vec<Vec<u8>> { seen.iter().map(|seen| seen.payload().to_vec()).collect() };
    assert_eq!(payloads(readers::poll(&body(&world, "poll?after=earliest").0).0), expected);
    assert_eq!(payloads(readers::lines(&body(&world, "stream?after=earliest").0)), expected);
    let (parts, content_type) = body(&world, "multipart?after=earliest");
    assert_eq!(payloads(readers::parts(&parts, &content_type, false)), expected);
    assert_eq!(world.get("/topics/a/poll?after=earliest&format=raw").field("Content-Type"), Some("application/octet-stream"));

    let mut rig = world.connect();
    rig.send(wire::upgrade("/topics/a/ws?after=earliest&format=raw"));
    let bytes = rig.bytes();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(wire::frames(&bytes[head..]), expected.into_iter().map(|payload| (2, payload)).collect::<Vec<_>>());
}

/// A subscriber who learned the boundary publishes it.
#[test]
fn the_boundary_as_a_payload() {
    for (format, is_json) in [("raw", false), ("json", true)] {
        let world = World::new();
        let target = format!("multipart?after=earliest&format={format}");
        let (_, content_type) = body(&world, &target);
        let boundary = content_type.split_once("boundary=").unwrap().1;
        let texts = [format!("--{boundary}\r\n"), format!("x\r\n--{boundary}--"), boundary.to_owned()];
        for text in &texts {
            world.publish("a", text);
        }
        let (bytes, content_type) = body(&world, &target);
        let seen = readers::parts(&bytes, &content_type, is_json);
        assert_eq!(seen.iter().map(Seen::payload).collect::<Vec<_>>(), texts.each_ref().map(String::as_bytes));
    }
}
