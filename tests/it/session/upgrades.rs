//! What becomes of upgrades that are accepted and of those that are refused; which are is in tests/cases/ws/handshake.txt.
//!
//! Covers: session::reply, session::settings

use super::rig::Rig;
use super::wire::{get, upgrade};

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
fn the_first_offered_subprotocol_that_is_spoken() {
    for (offer, chosen) in [("chat", Some("chat")), ("mqtt, superchat, chat", Some("superchat")), ("mqtt", None), ("Chat", None)] {
        let mut rig = Rig::new();
        rig.send(upgrade("/ws").replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Protocol: {offer}\r\n\r\n")));
        assert_eq!(rig.answer().field("Sec-WebSocket-Protocol"), chosen, "{offer}");
        assert_eq!(rig.shelf.calls()[1], format!("open {}", chosen.unwrap_or("-")));
    }
}

#[test]
fn what_is_refused_leaves_nothing() {
    let valid = upgrade("/ws");
    for (request, status) in [
        (get("/ws"), 426),
        (valid.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        (valid.replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n"), 403),
    ] {
        let mut rig = Rig::new();
        let answers = rig.ask(format!("{request}{}", get("/hello")));
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [status, 200], "{request}");
        assert_eq!((rig.stats().websockets, rig.stats().remote_errors, rig.shelf.alive()), (0, 0, 0), "{request}");
        assert!(!rig.shelf.calls().iter().any(|call| call.starts_with("open")), "{request}");
    }
}
