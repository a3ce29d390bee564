//! Upgrades that are accepted and upgrades that are refused.
//!
//! Covers: session::reply, session::context

use pushlab::session::Settings;

use super::rig::Rig;
use super::wire::{frames, get, text, text_frame, upgrade};

#[test]
fn accepted() {
    let mut rig = Rig::new();
    rig.send(upgrade("/ws"));
    let answer = rig.answer();
    assert_eq!((answer.status, answer.field("Sec-WebSocket-Accept")), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    assert_eq!((answer.field("Connection"), answer.field("Upgrade")), (Some("Upgrade"), Some("websocket")));
    assert_eq!((rig.stats().websockets, rig.shelf.alive()), (1, 3));
    assert_eq!(rig.shelf.calls(), ["GET /ws ", "open -"]);
}

#[test]
fn messages_right_behind_the_request() {
    let mut rig = Rig::new();
    rig.send([get("/hello").into_bytes(), upgrade("/ws").into_bytes(), text_frame("early"), text_frame("bird")].concat());
    let bytes = rig.bytes();
    let at = bytes.windows(4).rposition(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(frames(&bytes[at..]), [text("early"), text("bird")]);
}

#[test]
fn the_first_offered_subprotocol_that_is_spoken() {
    for (offer, chosen) in [("chat", Some("chat")), ("mqtt, superchat, chat", Some("superchat")), ("mqtt", None), ("Chat", None)] {
        let mut rig = Rig::new();
        rig.send(upgrade("/ws").replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Protocol: {offer}\r\n\r\n")));
        assert_eq!(rig.answer().field("Sec-WebSocket-Protocol"), chosen, "{offer}");
        assert_eq!(rig.shelf.calls()[1], format!("open {}", chosen.unwrap_or("-")));
    }
}

#[test]
fn refused_and_the_connection_goes_on() {
    let valid = upgrade("/ws");
    let with = |more: &str| valid.replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
    for (request, status) in [
        (get("/ws"), 426),
        (valid.replace("GET", "POST"), 426),
        (valid.replace("Version: 13", "Version: 8"), 426),
        (valid.replace("Upgrade: websocket", "Upgrade: h2c"), 426),
        (valid.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        (with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (with("Origin: https://evil.example"), 403),
    ] {
        let mut rig = Rig::new();
        let answers = rig.ask(format!("{request}{}", get("/hello")));
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [status, 200], "{request}");
        let version = (status == 426).then_some("13");
        assert_eq!(answers[0].field("Sec-WebSocket-Version"), version, "{request}");
        // RFC 9110, section 7.8: Upgrade comes with its connection option.
        assert_eq!(answers[0].field("Connection"), version.map(|_| "Upgrade"), "{request}");
        assert_eq!(answers[0].field("Upgrade"), version.map(|_| "websocket"), "{request}");
        assert_eq!((rig.stats().websockets, rig.stats().remote_errors, rig.shelf.alive()), (0, 0, 0), "{request}");
        assert!(!rig.shelf.calls().iter().any(|call| call.starts_with("open")), "{request}");
    }
}

#[test]
fn http_1_0_cannot_be_upgraded() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(upgrade("/ws").replace("HTTP/1.1", "HTTP/1.0"))[0].status, 426);
}

#[test]
fn origins() {
    for (allowed, origin, status) in [
        (&[][..], "http://a", 101),
        (&[], "http://b", 403),
        (&["https://b.example"], "https://b.example", 101),
        (&["https://b.example"], "https://b.example.evil", 403),
        (&["*"], "https://anything.example", 101),
    ] {
        let settings = Settings { allow_origins: allowed.iter().map(|&origin| origin.to_owned()).collect(), ..Settings::default() };
        let mut rig = Rig::with(settings);
        rig.send(upgrade("/ws").replace("\r\n\r\n", &format!("\r\nOrigin: {origin}\r\n\r\n")));
        assert_eq!(rig.answer().status, status, "{origin} with {allowed:?}");
    }
}
