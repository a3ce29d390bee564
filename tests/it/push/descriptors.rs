//! The descriptors of the techniques: the README's table, the facts on the wire, and techniques that an application adds.
//!
//! Covers: push::http::technique, push::model::per_technique

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use pushlab::push::{Call, Endpoint, Format, GapForm, Hub, HubConfig, Mounted, Rejection, TECHNIQUES, Technique};
use pushlab::session::{Handler, Reply, Request, Response, Settings};

use super::world::World;
use crate::session::rig::Rig;
use crate::session::wire::{self, Answer};

/// The file whose descriptor has this name.
fn file_of(technique: &Technique) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = "src/push/techniques";
    let files = fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap());
    let line = format!("    name: \"{}\",\n", technique.name());
    let mut found = files.filter(|entry| fs::read_to_string(entry.path()).unwrap().replace("\r\n", "\n").contains(&line));
    let file = found.next().unwrap_or_else(|| panic!("no file of {directory} has the descriptor of {}", technique.name()));
    assert!(found.next().is_none(), "{} has one descriptor", technique.name());
    format!("{directory}/{}", file.file_name().to_str().unwrap())
}

/// The README's table of techniques, as it must be.
fn table() -> String {
    let mut table = String::from("| Technique | How it works | Try | File, with its costs and when to choose it |\n|---|---|---|---|\n");
    for technique in TECHNIQUES {
        let target = format!("127.0.0.1:8080/topics/news/{}", technique.example());
        let example = if technique.name() == "ws" { format!("ws://{target}") } else { format!("curl -N 'http://{target}'") };
        let _ = writeln!(table, "| {} | {} | `{example}` | `{}` |", technique.title(), technique.summary(), file_of(technique));
    }
    table
}

#[test]
fn the_table_of_the_readme_follows_from_the_descriptors() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap().replace("\r\n", "\n");
    let start = readme.find("| Technique | ").expect("the README has a table of techniques");
    let end = start + readme[start..].find("\n\n").expect("an empty line follows the table") + 1;
    let wanted = table();
    assert!(readme[start..end] == wanted, "replace the README's table of techniques with:\n\n{wanted}");
}

#[test]
fn each_name_and_path_occurs_once() {
    let names: HashSet<_> = TECHNIQUES.iter().map(|technique| technique.name()).collect();
    let paths: HashSet<_> = TECHNIQUES.iter().filter_map(|technique| Some(technique.endpoint()?.path)).collect();
    assert_eq!((names.len(), paths.len()), (TECHNIQUES.len(), TECHNIQUES.len() - 1), "only JSONP has no path");
}

/// The answer to a request with a cursor of another hub, in this form.
fn with_a_gap(world: &World, technique: &Technique, format: Format) -> (Rig, Vec<u8>) {
    let example = technique.example();
    let path = example.split(['?', '&']).filter(|part| !part.starts_with("after=") && !part.starts_with("wait=")).collect::<Vec<_>>();
    let mut query = path[1..].to_vec();
    if technique.forms().len() > 1 {
        query.push(if format == Format::Raw { "format=raw" } else { "format=json" });
    }
    query.push("after=1-1");
    let target = format!("/topics/a/{}?{}", path[0], query.join("&"));
    let mut rig = world.connect();
    rig.send(if technique.name() == "ws" { wire::upgrade(&target) } else { wire::get(&target) });
    let bytes = rig.bytes();
    (rig, bytes)
}

#[test]
fn the_descriptors_are_true() {
    let world = World::with(HubConfig { history_messages: 1, ..HubConfig::default() });
    for text in ["gone", "there"] {
        world.publish("a", text);
    }
    for technique in TECHNIQUES {
        for form in technique.forms() {
            let context = format!("{} {:?}", technique.name(), form.format);
            let (mut rig, bytes) = with_a_gap(&world, technique, form.format);
            let (answer, rest) = wire::answer(&bytes, false);
            let text = String::from_utf8_lossy(if answer.status == 101 { rest } else { &answer.body });
            let has_gap = text.contains("\"gap\":true") || text.contains("class=\"gap\"") || text.contains("event: gap\n");
            let expected_status = match form.gap {
                GapForm::Refused => 410,
                _ if technique.name() == "ws" => 101,
                _ => 200,
            };
            assert_eq!((answer.status, has_gap), (expected_status, form.gap == GapForm::InBand), "{context}: {text}");
            if form.gap == GapForm::HeadOnly {
                assert!(answer.field("Pushlab-Gap").is_some(), "{context}");
            }
            if !form.content_type.is_empty() {
                let found = answer.field("Content-Type").unwrap();
                let media_type = if technique.name() == "multipart" { found.split(';').next().unwrap() } else { found };
                assert_eq!(media_type, form.content_type, "{context}");
            }
            if !technique.heartbeat().is_empty() {
                rig.pass_secs(25);
                let heartbeat = technique.heartbeat();
                let chunk = [format!("{:x}\r\n", heartbeat.len()).as_bytes(), heartbeat, b"\r\n"].concat();
                assert_eq!(rig.bytes(), chunk, "{context}");
            }
        }
    }
}

/// The number of retained messages, as text: a technique of an application, made of public items.
const COUNT: Technique =
    Technique::new("count", Endpoint { path: "count", parameters: &["unit"], serve: |call, reply| serve_count(call, reply) });

fn serve_count(call: &Call<'_>, reply: Reply<'_>) {
    let count = || {
        let unit = call.parameter("unit").ok_or_else(|| Rejection::new(400, "`unit` must name a unit"))?;
        let missed = call.hub().replay(call.topics(), call.after()?);
        Ok(format!("{} {unit} of {} for {}\n", missed.messages.len(), call.topics(), call.client().unwrap_or("nobody")))
    };
    match count() {
        Ok(text) => reply.send(call.dress(Response::text(text))),
        Err(rejection) => call.reject(reply, &rejection),
    }
}

fn app_with_count(hub: &Hub) -> impl Handler + use<> {
    let hub = hub.clone();
    move |request: &Request<'_>, reply: Reply<'_>| match hub.handle_with(&[&COUNT], request, reply) {
        Mounted::Handled => {}
        Mounted::NotMine(reply) => reply.send(Response::status(404)),
    }
}

fn get_with_count(world: &World, path: &str) -> Answer {
    let mut rig = Rig::serving_with(Settings::default(), Arc::default(), app_with_count(&world.hub));
    rig.send(wire::get(path));
    rig.answer()
}

/// A technique is its descriptor and its place in a list: the router, the checks, the parameters and the refusals follow.
#[test]
fn an_application_adds_a_technique() {
    let world = World::with(HubConfig { strict_parameters: true, ..HubConfig::default() });
    world.publish("a", "x");
    world.publish("b", "y");
    for (path, status, text) in [
        ("a/count?unit=messages", 200, "0 messages of a for nobody\n"),
        ("a,b/count?unit=messages&after=earliest&client=me", 200, "2 messages of a,b for me\n"),
        ("a/count", 400, "`unit` must name a unit\n"),
        (
            "a/count?unit=x&after=y",
            400,
            "`after` is not a cursor: a cursor must be an id as messages have it, such as 9f3a0c-17, or `earliest`\n",
        ),
        ("a/count?unit=x&unit=x", 400, "`unit` is given twice\n"),
        ("a/count?wait=1", 400, "`wait` is not a parameter here; there are after, client, presence, unit\n"),
        ("a b/count?unit=x", 400, "a topic's name must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`\n"),
        ("a/none", 404, "there is no such technique; there are page, poll, long-poll, stream, iframe, multipart, events, ws, count\n"),
    ] {
        let answer = get_with_count(&world, &format!("/topics/{}", path.replace(' ', "%20")));
        assert_eq!((answer.status, answer.text()), (status, text), "{path}");
    }
    assert_eq!(world.get("/topics/a/count?unit=x").status, 404, "the list of another call is not changed");
    assert_eq!((world.hub.stats().refused(400), world.hub.stats().refused(404)), (5, 2));
}

/// Counters of techniques stand in the order of the list.
#[test]
fn counters_by_technique() {
    let world = World::new();
    let paths = ["ws", "events", "multipart", "iframe?callback=f", "stream", "long-poll?callback=f", "long-poll", "events"];
    let _rigs = paths.map(|path| {
        let mut rig = world.connect();
        let target = format!("/topics/a/{path}");
        rig.send(if path == "ws" { wire::upgrade(&target) } else { wire::get(&target) });
        rig
    });
    let counts = r#"{"long-poll":1,"jsonp":1,"stream":1,"iframe":1,"multipart":1,"events":2,"ws":1}"#;
    let text = world.get("/topics/a").text().to_owned();
    assert!(text.ends_with(&format!("\"subscribers\":{counts},\"online\":{counts}}}\n")), "{text}");
    let subscribers = world.hub.info("a").unwrap().subscribers;
    assert_eq!((subscribers.sum(), subscribers.get("events"), subscribers.get("poll"), subscribers.is_empty()), (8, 2, 0, false));
    assert_eq!(subscribers.iter().map(|(_, count)| count).sum::<u64>(), 8);
}
