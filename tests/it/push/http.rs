//! What the endpoints say to right and to wrong requests.
//!
//! Covers: push::http::body, push::model::answer_fields, push::hub::stats

use std::time::Duration;

use pushlab::push::{Access, Hub, HubConfig, Payload};
use pushlab::session::{Request, Settings};

use super::world::{World, app};
use crate::session::rig::Rig;
use crate::session::wire::{self, Answer};

fn post(world: &World, path: &str, fields: &str, body: &str) -> Answer {
    world.ask(&format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len()))
}

#[test]
fn every_mistake_has_its_sentence() {
    let world = World::new();
    for (path, sentence) in [
        ("/topics/", "a topic's name must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`\n"),
        ("/topics/a%20b", "a topic's name must"),
        ("/topics/a,b", "a topic's name must"),
        ("/topics/a,,b/poll", "a topic's name must"),
        ("/topics/a/poll?after=1-1&after=1-2", "`after` is given twice\n"),
        (
            "/topics/a/poll?after=x",
            "`after` is not a cursor: a cursor must be an id as messages have it, such as 9f3a0c-17, or `earliest`\n",
        ),
        ("/topics/a/poll?format=xml", "`format` must be json or raw\n"),
        ("/topics/a/poll?format=raw&callback=f", "`format` must be json with a callback"),
        ("/topics/a/poll?client=a%20b", "`client` must have 1 to 64"),
        ("/topics/a/poll?client=", "`client` must have 1 to 64"),
        ("/topics/a/poll?presence=yes", "`presence` must be 0 or 1\n"),
        ("/topics/a/long-poll?wait=121", "`wait` must be a whole number from 0 to 120\n"),
        ("/topics/a/long-poll?wait=-1", "`wait` must be a whole number"),
        ("/topics/a/long-poll?wait=%2B1", "`wait` must be a whole number"),
        ("/topics/a/long-poll?wait=", "`wait` must be a whole number"),
        ("/topics/a/stream?pad=65537", "`pad` must be a whole number from 0 to 65536\n"),
        ("/topics/a/stream?max_bytes=0", "`max_bytes` must be a whole number from 1 to 4294967295\n"),
        ("/topics/a/iframe", "`callback` must name the function"),
        ("/topics/a/page?every=0", "`every` must be a whole number from 1 to 3600\n"),
        ("/topics/a/events?after=x&last_event_id=1-1", "`after` is not a cursor"),
        ("/topics/a/events?last_event_id=1-1&last_event_id=1-1", "`last_event_id` is given twice\n"),
        ("/topics/a/events?lastEventId=1-1&lastEventId=1-1", "`lastEventId` is given twice\n"),
        ("/topics/a/ws?after=x", "`after` is not a cursor"),
    ] {
        let answer = world.get(path);
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text().starts_with(sentence), "{path}: {}", answer.text());
        assert_eq!(answer.field("Cache-Control"), Some("no-store, no-transform"), "{path}");
    }
    let many = vec!["a"; 33].join(",");
    assert_eq!(world.get(&format!("/topics/{many}/poll")).text(), "a request may name at most 32 topics\n");
    assert_eq!(world.hub.info("a").unwrap().subscribers.sum(), 0);
}

#[test]
fn callbacks() {
    let world = World::new();
    let longest = "f".repeat(64);
    for callback in ["f", "a.b.c", "$_1", "jQuery123_456", &longest] {
        let answer = world.get(&format!("/topics/a/poll?callback={callback}"));
        assert_eq!((answer.status, answer.field("Content-Type")), (200, Some("application/javascript; charset=utf-8")), "{callback}");
        assert!(answer.text().starts_with(&format!("/**/{callback}({{\"messages\":[],")) && answer.text().ends_with("});"));
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
    }
    let long = "f".repeat(65);
    for callback in ["", "f(", "a-b", "a[0]", "f%0a", "f%00", "%C3%A4", "a;b", "a%2Fb", "alert(1)//", "%E2%80%A8", &long] {
        for technique in ["poll", "long-poll", "iframe"] {
            let answer = world.get(&format!("/topics/a/{technique}?callback={callback}"));
            assert_eq!(answer.status, 400, "{callback}");
            assert_eq!(answer.text(), "`callback` must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `$`\n");
        }
    }
}

#[test]
fn paths_and_methods() {
    let world = World::new();
    for path in ["/", "/topics", "/topicsx/a", "/other/a/poll"] {
        assert_eq!(world.get(path).text(), "not the hub's\n", "{path}");
    }
    for path in ["/topics/a/", "/topics/a/sse", "/topics/a/poll/"] {
        let answer = world.get(path);
        let sentence = "there is no such technique; there are page, poll, long-poll, stream, iframe, multipart, events, ws\n";
        assert_eq!((answer.status, answer.text()), (404, sentence), "{path}");
    }
    for (method, path, allow) in [("PUT", "/topics/a", "GET, HEAD, POST, OPTIONS"), ("POST", "/topics/a/poll", "GET, HEAD, OPTIONS")] {
        let answer = world.ask(&format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!((answer.status, answer.field("Allow")), (405, Some(allow)));
        let answer = world.ask(&format!("OPTIONS {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((answer.status, answer.field("Allow")), (204, Some(allow)));
    }
    let world = World::with(HubConfig { prefix: "/push".to_owned(), ..HubConfig::default() });
    assert_eq!((world.get("/push/a").status, world.get("/topics/a").status), (200, 404));
}

/// An unreserved character and its escape are the same, in the prefix, in topics and in techniques
/// (RFC 3986, section 6.2.2.2).
#[test]
fn escaped_paths() {
    let world = World::new();
    world.publish("a-1.b_c", "needle");
    for path in [
        "/%74opics/a-1.b_c/poll",
        "/topic%73/%61%2D1%2e%62%5fc/poll",
        "/topics/a-1.b_c/%70%6F%6c%6C",
        "http://a/topics/a-1.b_c,%61/p%6Fll",
        "/topics/a-1.b_c%2c%61/poll",
        "/topics/a%2Ca-1.b_c/poll",
    ] {
        let answer = world.get(&format!("{path}?after=earliest"));
        assert!(answer.status == 200 && answer.text().contains("needle"), "{path}: {}", answer.text());
    }
    assert_eq!(world.ask(&wire::post("/topics/%61", "x")).status, 202);
    assert_eq!(world.json("/topics/%61")["topic"], "a");
    let mut rig = world.connect();
    rig.send(wire::upgrade("/topics/%61/%77s"));
    assert!(rig.bytes().starts_with(b"HTTP/1.1 101 "));
    for (path, status) in [
        ("/topics%2Fa/poll", 404),
        ("/topics/a%2Fpoll", 400),
        ("/topics/a/%2e%2e/a", 404),
        ("/topics/%2561/poll", 400),
        ("/topics/a%00/poll", 400),
        ("/topics/a%C3%A9/poll", 400),
        ("/topics/a/poll%3Fafter=earliest", 404),
        ("/topics/a/%2A", 404),
    ] {
        assert_eq!(world.get(path).status, status, "{path}");
    }
    for prefix in ["/~me/%C3%A9%2F", "/%7Eme/%c3%a9%2f"] {
        let world = World::with(HubConfig { prefix: prefix.to_owned(), ..HubConfig::default() });
        for path in ["/~me/%C3%A9%2F/a", "/%7e%6De/%c3%A9%2f/%61"] {
            assert_eq!(world.get(path).status, 200, "{prefix} {path}");
        }
        assert_eq!(world.get("/~me/%C3%A9//a").status, 404, "an escaped slash parts nothing");
    }
}

/// HEAD is answered with the head of a stream, and subscribes nobody.
#[test]
fn heads() {
    let world = World::new();
    for technique in ["page", "poll", "long-poll", "stream", "iframe?callback=f", "multipart", "events"] {
        let mut rig = world.connect();
        rig.send(format!("HEAD /topics/a/{technique} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let text = rig.text();
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n"), "{technique}: {text}");
        assert_eq!(world.hub.info("a").unwrap().subscribers.sum(), 0, "{technique}");
    }
}

#[test]
fn publishing() {
    let world = World::with(HubConfig { payload_bytes: 8, ..HubConfig::default() });
    let answer = post(&world, "/topics/a?event=e", "Content-Type: application/json\r\n", "{}");
    let id = world.hub.last();
    assert_eq!((answer.status, answer.text()), (202, &*format!("{{\"id\":\"{id}\",\"subscribers\":0}}\n")));
    for (fields, body, is_text) in [
        ("", "x", false),
        ("Content-Type: text/plain\r\n", "x", true),
        ("Content-Type: TEXT/html; charset=utf-8\r\n", "x", true),
        ("Content-Type: application/ld+json\r\n", "x", true),
        ("Content-Type: image/png\r\n", "x", false),
    ] {
        assert_eq!(post(&world, "/topics/b", fields, body).status, 202);
        let value = world.json("/topics/b/poll?after=earliest");
        assert_eq!(value["messages"].as_array().unwrap().last().unwrap().get("encoding").is_none(), is_text, "{fields}");
    }
    assert_eq!(post(&world, "/topics/a", "", "12345678").status, 202);
    let before = world.hub.last();
    for (path, fields, body, status, sentence) in [
        ("/topics/a", "", "123456789", 413, "the payload is larger than this hub takes\n"),
        ("/topics/a?event=gap", "", "x", 400, "an event's name must"),
        ("/topics/a?event=a%0ab", "", "x", 400, "an event's name must"),
        ("/topics/a.presence", "", "x", 403, "only the hub publishes"),
        ("/topics/a", "Content-Type: text/plain\r\n", "\u{0}", 202, ""),
    ] {
        let answer = post(&world, path, fields, body);
        assert_eq!(answer.status, status, "{path}");
        assert!(status == 202 || answer.text().starts_with(sentence), "{}", answer.text());
    }
    let mut rig = world.connect();
    rig.send(b"POST /topics/a HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n\xff");
    assert_eq!(rig.answer().text(), "a payload that is text must be UTF-8\n");
    assert_eq!(world.hub.last().sequence, before.sequence + 1);
}

/// Payloads are UTF-8 without a coding. What a body is declared to be decides, not what it looks
/// like.
#[test]
fn types_of_payloads() {
    let world = World::new();
    let charset = ("the charset of a payload must be UTF-8 or US-ASCII\n", Some("*/*;charset=utf-8"), None);
    let coding = ("a payload must be sent without a content coding\n", None, Some("identity"));
    let media_type = ("`Content-Type` must be one media type, such as `text/plain; charset=utf-8`\n", None, None);
    for (fields, expected) in [
        ("Content-Type: text/plain; charset=iso-8859-1", charset),
        ("Content-Type: text/plain; CHARSET=\"UTF-16\"", charset),
        ("Content-Type: text/plain; charset=\"\"", charset),
        ("Content-Type: text/plain; charset=utf-8; charset=latin1", charset),
        ("Content-Type: application/json;charset=windows-1252", charset),
        ("Content-Type: application/octet-stream;charset=shift_jis", charset),
        ("Content-Encoding: gzip", coding),
        ("Content-Encoding: identity, BR", coding),
        ("Content-Encoding: identity\r\nContent-Encoding: deflate", coding),
        ("Content-Encoding: x-none\r\nContent-Type: text/plain; charset=utf-16", coding),
        ("Content-Type: text", media_type),
        ("Content-Type: text/plain; charset=\"utf-8", media_type),
        ("Content-Type: text/plain; charset = utf-8", media_type),
        ("Content-Type: text/plain, text/html", media_type),
        ("Content-Type: text/plain\r\nContent-Type: text/html", media_type),
    ] {
        let answer = post(&world, "/topics/a", &format!("{fields}\r\n"), "x");
        assert_eq!(answer.status, 415, "{fields}");
        assert_eq!((answer.text(), answer.field("Accept"), answer.field("Accept-Encoding")), expected, "{fields}");
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!((world.hub.last().sequence, world.hub.stats().refused(415)), (0, 15));
    for (fields, is_text) in [
        ("Content-Type: text/plain; charset=utf-8", true),
        ("Content-Type: text/plain;charset=\"Utf-8\";format=flowed;", true),
        ("Content-Type: application/json; charset=US-ASCII", true),
        ("Content-Type: application/problem+json; x=\";charset=utf-16\"", true),
        ("Content-Type: text/plain\r\nContent-Type: text/plain", true),
        ("Content-Type:\r\nContent-Encoding:", false),
        ("Content-Type: image/svg+xml;charset=UTF-8\r\nContent-Encoding: Identity", false),
        ("Content-Type: text/plain\r\nContent-Encoding: , identity ,", true),
    ] {
        assert_eq!(post(&world, "/topics/a", &format!("{fields}\r\n"), "x").status, 202, "{fields}");
        let value = world.json("/topics/a/poll?after=earliest");
        assert_eq!(value["messages"].as_array().unwrap().last().unwrap().get("encoding").is_none(), is_text, "{fields}");
    }
    let answer = post(&world, "/topics/a", "Content-Type: text/plain; charset=us-ascii\r\n", "\u{e9}");
    assert_eq!((answer.status, answer.text()), (400, "a payload with the charset US-ASCII must be US-ASCII\n"));
}

#[test]
fn figures() {
    let world = World::new();
    assert_eq!(world.json("/topics/a")["published"], 0);
    let id = world.publish("a", "four");
    let mut rig = world.connect();
    rig.send(wire::get("/topics/a/events?after=1-1"));
    let value = world.json("/topics/a");
    let expected = format!(
        r#"{{"topic":"a","last":"{id}","retained":1,"bytes":4,"published":1,"gaps":1,"drops":0,"subscribers":{{"events":1}},"online":{{"events":1}}}}"#
    );
    assert_eq!(value, serde_json::from_str::<serde_json::Value>(&expected).unwrap());
}

#[test]
fn origins() {
    let ask = |settings: &Settings, origin: &str| {
        let world = World::new();
        let ask = |request: &str| {
            let mut rig = world.connect_with(settings.clone());
            rig.ask(request).remove(0)
        };
        let read = ask(&format!("GET /topics/a/poll HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\r\n"));
        let change = ask(&format!("POST /topics/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nOrigin: {origin}\r\n\r\nx")).status;
        let field = |name: &str| read.field(name).map(str::to_owned);
        assert_eq!(field("Vary").as_deref(), Some("Origin"));
        (field("Access-Control-Allow-Origin"), field("Access-Control-Allow-Credentials").is_some(), change)
    };
    let settings = |list: &[&str]| Settings {
        allow_origins: list.iter().map(ToString::to_string).collect(),
        allow_credentials: true,
        ..Settings::default()
    };
    let one = "https://one.example";
    for (list, origin, allowed, credentials, change) in [
        (&[][..], one, None, false, 403),
        (&[], "http://a", Some("http://a"), false, 202),
        (&[], "null", None, false, 403),
        (&[one], one, Some(one), true, 202),
        (&[one], "https://one.example:443", Some("https://one.example:443"), true, 202),
        (&[one], "http://one.example", None, false, 403),
        (&[one], "https://one.example.evil", None, false, 403),
        (&[one], "http://a", Some("http://a"), false, 202),
        (&["*"], one, Some("*"), false, 202),
        (&["*"], "null", Some("*"), false, 202),
        (&["*", one], one, Some(one), true, 202),
        (&["*", one], "https://two.example", Some("*"), false, 202),
    ] {
        assert_eq!(ask(&settings(list), origin), (allowed.map(str::to_owned), credentials, change), "{list:?} {origin}");
    }
}

#[test]
fn preflights() {
    let world = World::new();
    let settings = Settings { allow_origins: vec!["https://one.example".to_owned()], ..Settings::default() };
    let ask = |origin: &str| {
        let fields = format!("Origin: {origin}\r\nAccess-Control-Request-Method: POST");
        world.connect_with(settings.clone()).ask(format!("OPTIONS /topics/a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")).remove(0)
    };
    let answer = ask("https://one.example");
    assert_eq!((answer.status, answer.field("Access-Control-Allow-Methods")), (204, Some("GET, HEAD, POST, OPTIONS")));
    assert!(answer.field("Access-Control-Allow-Headers").unwrap().contains("Last-Event-ID"));
    assert_eq!(ask("https://two.example").field("Access-Control-Allow-Methods"), None);
}

/// Only who has the token publishes; nobody hears what is secret.
#[test]
fn policy() {
    let may = |request: &Request<'_>, access: Access, topic: &str| match access {
        Access::Publish => request.field_bytes("Authorization") == Some(b"Bearer t"),
        Access::Subscribe => topic != "secret",
    };
    let hub = Hub::with_policy(HubConfig::default(), may);
    let ask = |request: &str| {
        let mut rig = Rig::serving(app(&hub));
        rig.send(request);
        rig.answer()
    };
    let answer = ask(&wire::post("/topics/a", "x"));
    assert_eq!((answer.status, answer.text()), (403, "this request may not publish to a\n"));
    assert_eq!(ask("POST /topics/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\nContent-Length: 1\r\n\r\nx").status, 202);
    let secret = ["/topics/secret", "/topics/a,secret/poll", "/topics/secret.presence/poll", "/topics/secret/ws", "/topics/secret/events"];
    let escaped = ["/topics/%73ecret", "/topics/a%2csecre%74/poll", "/topics/secret%2Epresence/poll", "/t%6Fpics/secret/%77s"];
    for path in secret.into_iter().chain(escaped) {
        assert_eq!(ask(&wire::get(path)).status, 403, "{path}");
    }
    hub.publish("secret", Payload::text("the application itself is not asked")).unwrap();

    let mut rig = Rig::serving(app(&hub));
    rig.send(wire::upgrade("/topics/a/ws"));
    rig.bytes();
    rig.send(wire::text_frame("x"));
    assert_eq!(&rig.frames()[0].1[..2], 1_008_u16.to_be_bytes());
}

/// Each bound of a hub at its value and one past it; what is refused is counted once, by whatever way it came.
#[test]
fn whatever_is_refused_is_counted() {
    let config = HubConfig { topics: 2, payload_bytes: 4, topics_per_request: 2, hold_max: Duration::from_secs(9), ..HubConfig::default() };
    let world = World::with(config);
    let publish = wire::post("/topics/a", "four");
    let mut listening = world.connect();
    listening.send(wire::get("/topics/a,b/events"));
    for (request, status) in [
        (publish.clone(), 202),
        (publish.replace("four", "five!").replace(": 4", ": 5"), 413),
        (publish.replace("/a", "/c"), 503),
        (publish.replace("Host: a", "Host: a\r\nContent-Encoding: gzip"), 415),
        (wire::get("/topics/a,b/poll"), 200),
        (wire::get("/topics/a,b,c/poll"), 400),
        (wire::get("/topics/c/events"), 503),
        (wire::get("/topics/c/long-poll?wait=9"), 503),
        (wire::get("/topics/a/long-poll?wait=10"), 400),
        (wire::get("/topics/a/smoke-signals"), 404),
        (wire::get("/topics/a/ws?format=raw&after=1-1"), 410),
        (publish.replace("Host: a", "Host: a\r\nOrigin: https://b.example"), 403),
    ] {
        let before = world.hub.stats();
        assert_eq!(world.ask(&request).status, status, "{request}");
        let after = world.hub.stats();
        for refusal in [400, 403, 404, 410, 413, 415, 503] {
            assert_eq!(after.refused(refusal) - before.refused(refusal), u64::from(refusal == status), "{refusal} after {request}");
        }
    }
    assert_eq!(world.hub.stats().refused(202), 0);

    let mut rig = world.connect();
    rig.send(wire::upgrade("/topics/a/ws?format=raw"));
    rig.bytes();
    rig.send(wire::text_frame("fives"));
    assert_eq!(&rig.frames()[0].1[..2], 1_009_u16.to_be_bytes());
    world.hub.publish("a", Payload::text("fives")).unwrap_err();
    world.hub.publish("c d", Payload::text("x")).unwrap_err();
    drop(listening);
    world.publish("c", "x");
    let stats = world.hub.stats();
    assert_eq!((stats.topics, stats.forgotten, stats.crowded_out), (2, 1, 0));
    let expected = r#"{"topics":2,"forgotten":1,"crowded_out":0,
        "refused":{"bad_request":3,"forbidden":1,"not_found":1,"gone":1,"too_large":3,"unsupported_type":1,"no_room":3}}"#;
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parsed(&stats.json()), parsed(expected));
}

/// While a `WebSocket` still reads what it has missed, its topic has no subscriber and may be forgotten; then others may take all room.
#[test]
fn a_websocket_that_finds_no_room_is_counted() {
    let world = World::with(HubConfig { topics: 1, ..HubConfig::default() });
    (0..20).for_each(|_| _ = world.publish("a", &"x".repeat(60_000)));
    let mut slow = world.connect();
    slow.block();
    slow.send(wire::upgrade("/topics/a/ws?after=earliest"));
    let mut taker = world.connect();
    taker.send(wire::get("/topics/b/events"));
    slow.unblock();
    slow.bytes();
    assert_eq!((world.hub.stats().topics, world.hub.stats().refused(503)), (1, 1));
}
