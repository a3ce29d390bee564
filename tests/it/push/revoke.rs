//! Access that is withdrawn between the question to the policy and the subscription.
//!
//! Covers: push::hub::revoke, push::http::router

use std::sync::{Arc, OnceLock};

use pushlab::push::{Access, Hub, HubConfig, Stomp, StompConfig, StompPolicy, TECHNIQUES};
use pushlab::session::{Request, Settings};

use super::readers::{self, Seen};
use super::stomp::client::Client;
use super::world;
use crate::session::rig::Rig;
use crate::session::wire;

const SENTENCE: &str = "access to topics has changed: come back with your cursor";

/// A hub whose policy allows everything, and withdraws access each time that it is asked: as if another thread did so then.
fn hub() -> Hub {
    let own = Arc::new(OnceLock::<Hub>::new());
    let asked = Arc::clone(&own);
    let hub = Hub::with_policy(HubConfig::default(), move |_: &Request<'_>, _, _: &str| {
        assert_eq!(asked.get().unwrap().revoke(|_| true), 0);
        true
    });
    own.set(hub.clone()).unwrap();
    hub
}

fn answer(target: &str) -> (Rig, Vec<u8>) {
    let hub = hub();
    let mut rig = Rig::serving(world::app(&hub));
    let target = format!("/topics/a/{target}");
    rig.send(if target.contains("/ws?") { wire::upgrade(&target) } else { wire::get(&target) });
    let bytes = rig.bytes();
    assert_eq!(hub.info("a").unwrap().subscribers.sum(), 0, "{target}");
    (rig, bytes)
}

#[test]
fn what_was_checked_before_is_not_subscribed() {
    let end = [Seen::End(1_012, SENTENCE.to_owned())];
    for target in ["stream?", "iframe?callback=f&", "multipart?format=json&", "events?format=json&"] {
        let (_, bytes) = answer(target);
        assert_eq!(super::slow::read(target, &bytes), end, "{target}");
    }
    let (_, bytes) = answer("ws?");
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    // A WebSocket asks about publishing, too.
    assert_eq!(wire::frames(&bytes[head..]), [wire::close_with(1_012, SENTENCE)]);
    let (_, bytes) = answer("long-poll?");
    let (poll, _) = wire::answer(&bytes, false);
    assert_eq!((poll.status, [readers::envelope(&serde_json::from_slice(&poll.body).unwrap())]), (503, end.clone()));
    let (_, bytes) = answer("long-poll?callback=f");
    let (poll, _) = wire::answer(&bytes, false);
    let json = poll.text().strip_prefix("/**/f(").and_then(|text| text.strip_suffix(");")).unwrap();
    assert_eq!((poll.status, [readers::envelope(&serde_json::from_str(json).unwrap())]), (200, end));
    // The rest are answered at once, by what the policy said.
    assert_eq!(TECHNIQUES.len(), 9);
    for target in ["poll?", "page?"] {
        assert_eq!(wire::answer(&answer(target).1, false).0.status, 200, "{target}");
    }
}

/// A policy of STOMP that does the same.
struct Fickle(Hub);

impl StompPolicy for Fickle {
    fn allows(&self, user: &str, access: Access, destination: &str) -> bool {
        assert_eq!((user, access, destination), ("ann", Access::Subscribe, "/topic/a"));
        assert_eq!(self.0.revoke(|_| true), 0);
        true
    }
}

#[test]
fn what_was_checked_before_is_not_subscribed_by_stomp() {
    let hub = Hub::default();
    let stomp = Stomp::with_policy(&hub, StompConfig::default(), Fickle(hub.clone()));
    let mut client = Client::open(&stomp, Settings::default(), "");
    client.send("CONNECT\naccept-version:1.2\nhost:a\nlogin:ann\n\n\0");
    assert_eq!(client.take()[0].command, "CONNECTED");
    client.send("SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0");
    assert_eq!(client.refusal(), (SENTENCE.to_owned(), "close 1012".to_owned()));
    assert_eq!(hub.info("a").unwrap().subscribers.sum(), 0);
}
