//! Cursors in request fields: whatever a client sends, the answer is one that it understands, and
//! no message is lost in silence.
//!
//! Covers: push::http::conditions

use pushlab::push::HubConfig;

use super::readers;
use super::world::World;
use crate::session::wire::Answer;

/// Sends fields with bytes that need not be UTF-8.
fn ask(world: &World, method: &str, path: &str, fields: &[&[u8]]) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n").into_bytes();
    for field in fields {
        request.extend([*field, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    let mut rig = world.connect();
    rig.send(request);
    rig.deliver();
    rig.answer()
}

/// A world with two messages on the topic `a`, and their ids.
fn world() -> (World, [String; 2]) {
    let world = World::new();
    let ids = ["one", "two"].map(|text| world.publish("a", text).to_string());
    (world, ids)
}

/// What an event stream sends: how many messages, and whether a gap comes first.
#[track_caller]
fn events(world: &World, query: &str, fields: &[&[u8]]) -> (usize, bool) {
    let answer = ask(world, "GET", &format!("/topics/a/events?format=json{query}"), fields);
    assert_eq!(answer.status, 200, "{query} {fields:?}");
    let seen = readers::events(&answer.body, true).0;
    let gap = seen.contains(&readers::Seen::Gap);
    assert_eq!(answer.field("Pushlab-Gap"), answer.field("Pushlab-Resumed").filter(|_| gap), "{query} {fields:?}");
    (seen.len() - usize::from(gap), gap)
}

#[test]
fn an_empty_last_event_id_counts_as_absent() {
    let (world, [first, _]) = world();
    let after = format!("&after={first}");
    for (query, fields) in [
        ("", &[][..]),
        ("", &[&b"Last-Event-ID:"[..]]),
        ("", &[b"Last-Event-ID:  \t"]),
        ("", &[b"Last-Event-ID:", b"Last-Event-ID:"]),
        ("&last_event_id=", &[]),
        ("&lastEventId=", &[]),
        ("&lastEventId=&last_event_id=", &[b"Last-Event-ID:"]),
    ] {
        assert_eq!(events(&world, &format!("{query}{after}"), fields), (1, false), "{query} {fields:?}");
        assert_eq!(events(&world, query, fields), (0, false), "{query} {fields:?}: only what is new");
    }
}

#[test]
fn a_foreign_last_event_id_is_a_gap() {
    let (world, [first, second]) = world();
    let list = format!("Last-Event-ID: {first}, {second}");
    let quoted = format!("Last-Event-ID: \"{first}\"");
    let different = [format!("Last-Event-ID: {first}"), format!("Last-Event-ID: {second}")];
    for fields in [
        &[&b"Last-Event-ID: 17"[..]][..],
        &[b"Last-Event-ID: word"],
        &[b"Last-Event-ID: two words"],
        &[b"Last-Event-ID: 0"],
        &[b"Last-Event-ID: *"],
        &[b"Last-Event-ID: Earliest"],
        &["Last-Event-ID: \u{e9}\u{1f600}".as_bytes()],
        &[b"Last-Event-ID: \xff\xfe"],
        &[list.as_bytes()],
        &[quoted.as_bytes()],
        &[different[0].as_bytes(), different[1].as_bytes()],
        &[b"Last-Event-ID: 1-1"],
        &[b"Last-Event-ID: urn:uuid:550e8400-e29b-41d4-a716-446655440000"],
    ] {
        for query in ["", "&after=earliest", "&last_event_id=earliest"] {
            assert_eq!(events(&world, query, fields), (2, true), "{query} {fields:?}");
        }
    }
    for query in ["last_event_id=17", "lastEventId=word", "lastEventId=%C3%A9", "last_event_id=%FF", "lastEventId=a,b", "lastEventId=1-1"] {
        assert_eq!(events(&world, &format!("&{query}"), &[]), (2, true), "{query}");
    }
    assert_eq!(ask(&world, "HEAD", "/topics/a/events", &[b"Last-Event-ID: 17"]).status, 200);
    // Nothing is retained: the gap is told all the same.
    assert_eq!(events(&World::new(), "", &[b"Last-Event-ID: 17"]), (0, true));
}

/// The field is newer than the parameter that a library appends, and that one is newer than what
/// the page wrote.
#[test]
fn the_newest_source_of_a_last_event_id_counts() {
    let (world, [first, second]) = world();
    let field = format!("Last-Event-ID: {second}");
    for (query, fields, expected) in [
        (format!("&last_event_id={first}"), &[][..], 1),
        (format!("&lastEventId={first}"), &[], 1),
        (format!("&lastEventId={second}&last_event_id={first}"), &[], 0),
        (format!("&last_event_id={first}&lastEventId={second}"), &[], 0),
        (format!("&after=earliest&lastEventId={first}"), &[], 1),
        (format!("&lastEventId={first}"), &[field.as_bytes()], 0),
        ("&after=earliest".to_owned(), &[b"Last-Event-ID:", field.as_bytes(), field.as_bytes()], 0),
        (String::new(), &[b"Last-Event-ID: earliest"], 2),
        ("&lastEventId=earliest".to_owned(), &[], 2),
    ] {
        assert_eq!(events(&world, &query, fields), (expected, false), "{query} {fields:?}");
    }
}

/// What a poll says: its status, how many messages, and whether there is a gap. A long poll that
/// does not wait says the same.
#[track_caller]
fn poll(world: &World, query: &str, fields: &[&[u8]]) -> (u16, usize, bool) {
    let [short, long] = ["poll?", "long-poll?wait=0&"].map(|technique| {
        let path = format!("/topics/a/{technique}{query}");
        let [answer, head] = ["GET", "HEAD"].map(|method| ask(world, method, &path, fields));
        assert_eq!((answer.status, answer.field("ETag")), (head.status, head.field("ETag")), "{path} {fields:?}");
        answer
    });
    assert_eq!((short.status, &short.body, short.field("ETag")), (long.status, &long.body, long.field("ETag")), "{query} {fields:?}");
    assert!(short.field("ETag").is_some_and(|tag| tag.starts_with('"')), "{query} {fields:?}");
    if short.status == 304 {
        return (304, 0, false);
    }
    let seen = readers::poll(&short.body).0;
    let gap = seen.contains(&readers::Seen::Gap);
    (short.status, seen.len() - usize::from(gap), gap)
}

#[test]
fn tags_that_leave_the_cursor_to_the_address() {
    let (world, [first, second]) = world();
    let [unquoted, open, close] = [second.clone(), format!("\"{second}"), format!("{second}\"")];
    let [broken, starred] = [format!("\"{second}\", \"x"), format!("\"{second}\", *")];
    for value in ["\"x\"", "W/\"x\"", "\"x\", \"17\"", "\"earliest\"", "x", "\"", "\"\"", "W/", &unquoted, &open, &close, &broken, &starred]
    {
        let field = format!("If-None-Match: {value}");
        assert_eq!(poll(&world, &format!("after={first}"), &[field.as_bytes()]), (200, 1, false), "{field}");
        assert_eq!(
            poll(&world, &format!("after={second}"), &[field.as_bytes()]),
            (200, 0, false),
            "{field}: a foreign tag matches nothing"
        );
        assert_eq!(poll(&world, "", &[field.as_bytes()]), (200, 0, false), "{field}");
    }
    for field in [&b"If-None-Match:"[..], b"If-None-Match: ,", b"If-None-Match: \xff", b"If-None-Match: \"\xff\""] {
        assert_eq!(poll(&world, &format!("after={first}"), &[field]), (200, 1, false));
        assert_eq!(poll(&world, &format!("after={second}"), &[field]), (200, 0, false));
    }
    assert_eq!(ask(&world, "GET", "/topics/a/poll?after=x", &[format!("If-None-Match: \"{second}\"").as_bytes()]).status, 400);
}

#[test]
fn any_tag_loses_no_message() {
    let (world, [first, second]) = world();
    let any = &[&b"If-None-Match: *"[..]][..];
    assert_eq!(poll(&world, "", any), (304, 0, false));
    assert_eq!(poll(&world, &format!("after={second}"), any), (304, 0, false));
    assert_eq!(poll(&world, &format!("after={first}"), any), (200, 1, false));
    assert_eq!(poll(&world, "after=earliest", any), (200, 2, false));
    assert_eq!(poll(&world, "after=1-1", any), (200, 2, true));
}

#[test]
fn tags_of_messages_are_cursors() {
    let (world, [first, second]) = world();
    let future = format!("{}-9", second.split_once('-').unwrap().0);
    for suffix in ["", "-gzip", ";gzip", "--gzip", "-br", "-df", "-gzip-gzip"] {
        for weak in ["", "W/"] {
            let [old, current] = [&first, &second].map(|id| format!("If-None-Match: {weak}\"{id}{suffix}\""));
            assert_eq!(poll(&world, "after=earliest", &[old.as_bytes()]), (200, 1, false), "{old}");
            assert_eq!(poll(&world, "after=earliest", &[current.as_bytes()]), (304, 0, false), "{current}");
        }
    }
    for (lines, expected) in [
        // Of several the newest counts, wherever it stands.
        (&[format!("\"{first}\", \"{second}\"")][..], (304, 0, false)),
        (&[format!("\"{second}\",\"{first}\"")], (304, 0, false)),
        (&[format!("\"{second}\""), format!("W/\"{first}-gzip\"")], (304, 0, false)),
        (&[format!("\"x\", ,\"{first}\", \"y,z\"")], (200, 1, false)),
        // Ids that this hub has not given count where no other is there.
        (&[format!("\"{first}\", \"1-99\", \"{future}\"")], (200, 1, false)),
        (&["\"1-99\"".to_owned()], (200, 2, true)),
        (&[format!("\"{future}\"")], (200, 2, true)),
    ] {
        let fields: Vec<_> = lines.iter().map(|value| format!("If-None-Match: {value}").into_bytes()).collect();
        let fields: Vec<_> = fields.iter().map(Vec::as_slice).collect();
        assert_eq!(poll(&world, "after=earliest", &fields), expected, "{lines:?}");
    }
}

/// A 304 answers nobody who is behind: not behind what was evicted, and not behind what fills
/// several answers.
#[test]
fn a_client_that_is_behind_gets_no_304() {
    let world = World::with(HubConfig { history_messages: 1, ..HubConfig::default() });
    let ids = ["1", "2", "3"].map(|text| world.publish("a", text).to_string());
    for (id, expected) in [(&ids[0], (200, 1, true)), (&ids[1], (200, 1, false)), (&ids[2], (304, 0, false))] {
        assert_eq!(poll(&world, "", &[format!("If-None-Match: \"{id}\"").as_bytes()]), expected, "{id}");
    }
    let world = World::with(HubConfig { replay_bytes: 3, ..HubConfig::default() });
    let first = world.publish("a", "1");
    (2..=5).for_each(|n| _ = world.publish("a", &n.to_string()));
    let mut tag = format!("\"{first}\"");
    for (count, status) in [(3, 200), (1, 200), (0, 304)] {
        let answer = ask(&world, "GET", "/topics/a/poll", &[format!("If-None-Match: {tag}").as_bytes()]);
        let seen = if status == 304 { 0 } else { readers::poll(&answer.body).0.len() };
        assert_eq!((answer.status, seen), (status, count), "{tag}");
        answer.field("ETag").unwrap().clone_into(&mut tag);
    }
}

/// A long poll is held where a short one would have nothing to say, and says then what is new.
#[test]
fn long_polls_with_tags_wait() {
    let (world, [_, second]) = world();
    let tag = format!("\"{second}\"");
    for value in [&*tag, "*", "\"x\"", "\"", "", &format!("\"x\", W/\"{second}-gzip\"")] {
        let mut rig = world.connect();
        rig.send(format!("GET /topics/a/long-poll?after={second} HTTP/1.1\r\nHost: a\r\nIf-None-Match: {value}\r\n\r\n"));
        assert!(rig.bytes().is_empty(), "{value} is held");
        rig.pass_secs(25);
        let answer = rig.answer();
        assert_eq!((answer.status, answer.field("ETag"), readers::poll(&answer.body).0.len()), (200, Some(&*tag), 0), "{value}");
    }
    let mut rig = world.connect();
    rig.send("GET /topics/a/long-poll HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"1-1\"\r\n\r\n");
    assert_eq!(readers::poll(&rig.answer().body).0.len(), 3, "a tag of another epoch is a gap, at once");
}

/// In raw format a gap stands in the head, also where no message is behind it.
#[test]
fn a_gap_without_messages_is_told_in_raw_format() {
    let world = World::new();
    for technique in ["poll", "long-poll"] {
        let answer = world.get(&format!("/topics/a/{technique}?format=raw&after=1-1"));
        assert_eq!((answer.status, answer.field("Pushlab-Gap").is_some()), (204, true), "{technique}");
    }
    let answer = ask(&world, "GET", "/topics/a/poll?format=raw", &[b"If-None-Match: *"]);
    assert_eq!((answer.status, answer.field("Pushlab-Gap")), (304, None));
}
