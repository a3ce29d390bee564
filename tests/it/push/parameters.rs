//! Query parameters that an endpoint does not know.
//!
//! Covers: push::http::query

use std::sync::{Arc, Mutex};

use pushlab::push::{Access, Hub, HubConfig};
use pushlab::session::Request;

use super::world::{World, app};
use crate::session::rig::Rig;
use crate::session::wire;

const TECHNIQUES: [&str; 7] = ["page?", "poll?", "long-poll?wait=0&", "stream?", "iframe?callback=f&", "multipart?", "events?"];

fn strict() -> World {
    World::with(HubConfig { strict_parameters: true, ..HubConfig::default() })
}

/// Names that clients and libraries add, and names that other endpoints know.
#[test]
fn unknown_parameters_are_ignored() {
    let world = World::new();
    world.publish("a", "needle");
    for unknown in ["_=1785000000000", "_=1&_=2", "access_token=a%20b", "t", "=", "%FF=%00", "After=x", "event=gap", "x=1;after=y"] {
        for technique in TECHNIQUES {
            let answer = world.get(&format!("/topics/a/{technique}{unknown}&after=earliest"));
            assert_eq!(answer.status, 200, "{technique}{unknown}");
            assert!(String::from_utf8_lossy(&answer.body).contains("needle"), "{technique}{unknown}");
        }
        assert_eq!(world.get(&format!("/topics/a?{unknown}")).status, 200, "{unknown}");
        let mut rig = world.connect();
        rig.send(wire::upgrade(&format!("/topics/a/ws?{unknown}&after=earliest")));
        assert!(rig.bytes().starts_with(b"HTTP/1.1 101 "), "{unknown}");
    }
    for path in ["poll?wait=never", "poll?pad=x", "events?every=0", "poll?last_event_id=x&last_event_id=y", "stream?lastEventId=x"] {
        assert_eq!(world.get(&format!("/topics/a/{path}")).status, 200, "{path}: known elsewhere alone");
    }
    assert_eq!(world.ask(&wire::post("/topics/a?_=1&after=x&event=e", "x")).status, 202);
}

#[test]
fn strict_hubs_refuse_unknown_parameters() {
    let world = strict();
    for (path, sentence) in [
        ("/topics/a?x=1", "`x` is not a parameter here; there are none\n"),
        ("/topics/a/poll?_=1", "`_` is not a parameter here; there are after, client, presence, callback, format\n"),
        ("/topics/a/poll?wait=1", "`wait` is not a parameter here; there are after, client, presence, callback, format\n"),
        ("/topics/a/stream?lastEventId=1-1", "`lastEventId` is not a parameter here; there are after, client, presence, format, max_bytes"),
        (
            "/topics/a/events?x",
            "`x` is not a parameter here; there are after, client, presence, format, last_event_id, lastEventId, control\n",
        ),
    ] {
        let answer = world.get(path);
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text().starts_with(sentence), "{path}: {}", answer.text());
    }
    let answer = world.ask(&wire::post("/topics/a?x=y", "x"));
    assert_eq!((answer.status, answer.text()), (400, "`x` is not a parameter here; there are event\n"));
    assert_eq!(world.get("/topics/a/events?lastEventId=1-1&last_event_id=1-1&after=").status, 200);
}

/// Known parameters are as strict on every hub, also among unknown ones.
#[test]
fn known_parameters_stay_strict() {
    for world in [World::new(), strict()] {
        for path in
            ["poll?format=xml", "poll?after=x", "poll?after=&after=", "poll?%61fter=1-1&after=1-1", "long-poll?wait=x", "page?every=0"]
        {
            assert_eq!(world.get(&format!("/topics/a/{path}")).status, 400, "{path}");
        }
        assert_eq!(world.ask(&wire::post("/topics/a?event=gap", "x")).status, 400);
    }
    assert_eq!(World::new().get("/topics/a/poll?_=1&_=2&after=x").status, 400);
}

#[test]
fn the_policy_sees_every_parameter() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let inner = Arc::clone(&seen);
    let may = move |request: &Request<'_>, _: Access, topic: &str| {
        inner.lock().unwrap().push(topic.to_owned());
        request.query_value("access_token").as_deref() == Some("t t")
    };
    let hub = Hub::with_policy(HubConfig::default(), may);
    let ask = |path: &str| {
        let mut rig = Rig::serving(app(&hub));
        rig.send(wire::get(path));
        rig.answer()
    };
    assert_eq!((ask("/topics/a/poll?access_token=t+t").status, ask("/topics/b/poll?access_token=u").status), (200, 403));
    assert_eq!(*seen.lock().unwrap(), ["a", "b"]);

    // A page that loads itself again keeps the parameters that the policy asks for, and no
    // character of theirs leaves the attribute.
    let page = ask("/topics/a/page?_=%22%3E&access_token=t%20t&every=9&%65very2=<\"'>&&after=earliest&t");
    let text = page.text();
    let start = text.find("content=\"9;url=").unwrap() + "content=\"9;url=".len();
    let address = text[start..].split('"').next().unwrap();
    let last = hub.last();
    let others = "&amp;_=%22%3E&amp;access_token=t%20t&amp;%65very2=&lt;&quot;'&gt;&amp;t";
    assert_eq!(address, format!("?every=9&amp;after={last}{others}"));
    let again = address.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    assert_eq!(ask(&format!("/topics/a/page{again}")).text(), text);
}

/// As many as the target has room for.
#[test]
fn thousands_of_unknown_parameters() {
    let world = World::new();
    world.publish("a", "x");
    let many: String = (0..3_900).map(|n| ["a&", "b&", "=&"][n % 3]).collect();
    for path in ["poll", "events", "page"] {
        let answer = world.get(&format!("/topics/a/{path}?{many}after=earliest"));
        assert_eq!(answer.status, 200, "{path}");
    }
}
