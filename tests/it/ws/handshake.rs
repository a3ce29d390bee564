//! The opening handshake: RFC 6455, sections 4.1 and 4.2.
//!
//! Covers: proto::ws::handshake

use pushlab::proto::RemoteError::{self, BadHandshake, ForbiddenOrigin, NotAWebSocketRequest, UnsupportedWebSocketVersion};
use pushlab::proto::ws::{Accept, HandshakePolicy, HandshakeRequest, accept_key, negotiate};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const GOOD: [(&str, &str); 4] =
    [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")];

fn request<'a>(fields: &'a [(&'a str, &'a str)]) -> HandshakeRequest<'a> {
    HandshakeRequest::from_fields(true, true, Some("example.com"), fields.iter().map(|(name, value)| (*name, value.as_bytes())))
}

fn policy(protocols: &'static [&'static str]) -> HandshakePolicy<'static> {
    HandshakePolicy { origins: &[], protocols }
}

/// The good request with `fields` instead of those of the same name, and besides the others.
fn outcome(fields: &[(&str, &str)]) -> Result<Accept, RemoteError> {
    let kept = GOOD.into_iter().filter(|(name, _)| !fields.iter().any(|(other, _)| name.eq_ignore_ascii_case(other)));
    let all: Vec<_> = kept.chain(fields.iter().copied().filter(|(_, value)| *value != "-")).collect();
    negotiate(&request(&all), &policy(&["chat", "stomp"]))
}

#[test]
fn the_example_of_the_rfc() {
    assert_eq!(&accept_key(KEY), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let mut out = Vec::new();
    let fields = [
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Version", "13"),
    ];
    negotiate(&request(&fields), &policy(&["superchat", "chat"])).unwrap().fields(&mut out);
    assert_eq!(out, b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n");
}

/// A case: fields, of which one whose value is `-` is left out, and what comes of them.
type Case<'a, T> = (&'a [(&'a str, &'a str)], T);

#[test]
fn acceptable() {
    let table: &[Case<'_, Option<&str>>] = &[
        (&[], None),
        (&[("upgrade", "WebSocket")], None),
        (&[("UPGRADE", "h2c, websocket")], None),
        (&[("Upgrade", "h2c"), ("Upgrade", "websocket")], None),
        (&[("connection", "keep-alive, Upgrade")], None),
        (&[("Connection", "keep-alive"), ("Connection", "UPGRADE")], None),
        (&[("Connection", ",, upgrade\t,")], None),
        (&[("sec-websocket-key", KEY), ("SEC-WEBSOCKET-VERSION", "13")], None),
        (&[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")], None),
        (&[("Sec-WebSocket-Extensions", "\"nonsense")], None),
        (&[("Origin", "http://example.com")], None),
        (&[("Sec-WebSocket-Protocol", "chat")], Some("chat")),
        (&[("Sec-WebSocket-Protocol", "stomp, chat")], Some("stomp")),
        (&[("Sec-WebSocket-Protocol", "mqtt,\tchat ,stomp")], Some("chat")),
        (&[("Sec-WebSocket-Protocol", "mqtt"), ("Sec-WebSocket-Protocol", "stomp"), ("sec-websocket-protocol", "chat")], Some("stomp")),
        (&[("Sec-WebSocket-Protocol", "mqtt, wamp")], None),
        (&[("Sec-WebSocket-Protocol", "CHAT")], None),
        (&[("Sec-WebSocket-Protocol", "chat2, cha")], None),
        (&[("Sec-WebSocket-Protocol", "")], None),
        (&[("Sec-WebSocket-Protocol", ",")], None),
    ];
    for (fields, protocol) in table {
        let accept = outcome(fields).unwrap_or_else(|error| panic!("{fields:?}: {error}"));
        assert_eq!((accept.protocol, accept.key), (*protocol, accept_key(KEY)), "{fields:?}");
    }
}

#[test]
fn unacceptable() {
    let table: &[Case<'_, RemoteError>] = &[
        (&[("Upgrade", "-")], NotAWebSocketRequest),
        (&[("Upgrade", "h2c")], NotAWebSocketRequest),
        (&[("Upgrade", "websockets")], NotAWebSocketRequest),
        (&[("Upgrade", "websocket/13")], NotAWebSocketRequest),
        (&[("Connection", "-")], NotAWebSocketRequest),
        (&[("Connection", "keep-alive")], NotAWebSocketRequest),
        (&[("Connection", "not-upgrade, upgraded")], NotAWebSocketRequest),
        (&[("Connection", "websocket"), ("Upgrade", "upgrade")], NotAWebSocketRequest),
        (&[("Sec-WebSocket-Version", "-")], UnsupportedWebSocketVersion),
        (&[("Sec-WebSocket-Version", "8")], UnsupportedWebSocketVersion),
        (&[("Sec-WebSocket-Version", "13, 8")], UnsupportedWebSocketVersion),
        (&[("Sec-WebSocket-Version", "013")], UnsupportedWebSocketVersion),
        (&[("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "13")], UnsupportedWebSocketVersion),
        (&[("Sec-WebSocket-Key", "-")], BadHandshake),
        (&[("Sec-WebSocket-Key", "")], BadHandshake),
        (&[("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)], BadHandshake),
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ")], BadHandshake),
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR==")], BadHandshake), // bits past the last byte
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZSE=")], BadHandshake), // 17 bytes
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j")], BadHandshake),     // 15 bytes
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZSEh")], BadHandshake), // 18 bytes
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub2_jZQ==")], BadHandshake), // the alphabet for URLs
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBs ZSBub25jZQ=")], BadHandshake),
        (&[("Sec-WebSocket-Key", "d===================ZQ==")], BadHandshake),
        (&[("Origin", "http://evil.example")], ForbiddenOrigin),
        (&[("Origin", "null")], ForbiddenOrigin),
        (&[("Origin", "http://example.com"), ("Origin", "http://example.com")], ForbiddenOrigin),
        // The order of what is looked at.
        (&[("Upgrade", "-"), ("Sec-WebSocket-Version", "-")], NotAWebSocketRequest),
        (&[("Sec-WebSocket-Version", "-"), ("Sec-WebSocket-Key", "-")], UnsupportedWebSocketVersion),
        (&[("Sec-WebSocket-Key", "-"), ("Origin", "null")], BadHandshake),
    ];
    for (fields, error) in table {
        assert_eq!(outcome(fields), Err(*error), "{fields:?}");
    }
}

#[test]
fn method_and_version() {
    for (is_get, is_http11) in [(false, true), (true, false), (false, false)] {
        let fields = GOOD.iter().map(|(name, value)| (*name, value.as_bytes()));
        let request = HandshakeRequest::from_fields(is_get, is_http11, None, fields);
        assert!(!request.is_upgrade());
        assert_eq!(negotiate(&request, &HandshakePolicy::default()), Err(NotAWebSocketRequest));
    }
    assert!(request(&GOOD).is_upgrade());
}

#[test]
fn values_that_are_not_text() {
    let fields = |name: &'static str| GOOD.iter().map(|(name, value)| (*name, value.as_bytes())).chain([(name, &b"\xff"[..])]);
    let outcome = |name| negotiate(&HandshakeRequest::from_fields(true, true, None, fields(name)), &policy(&["chat"]));
    assert_eq!(outcome("Origin"), Err(ForbiddenOrigin));
    assert_eq!(outcome("Sec-WebSocket-Key"), Err(BadHandshake));
    assert_eq!(outcome("Sec-WebSocket-Protocol").unwrap().protocol, None);
}

#[test]
fn a_list_of_origins() {
    let origins = ["https://app.example".to_string()];
    let policy = HandshakePolicy { origins: &origins, protocols: &[] };
    let mut fields = GOOD.to_vec();
    assert!(negotiate(&request(&fields), &policy).is_ok(), "no Origin, no browser");
    fields.push(("Origin", "https://app.example"));
    assert!(negotiate(&request(&fields), &policy).is_ok());
    *fields.last_mut().unwrap() = ("Origin", "https://example.com");
    assert_eq!(negotiate(&request(&fields), &policy), Err(ForbiddenOrigin));
}
