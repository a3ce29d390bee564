//! Responses as handlers make them.
//!
//! Covers: session::response

use std::sync::Arc;

use pushlab::proto::{Bytes, LocalError};
use pushlab::session::{Reply, Request, Response};

use super::rig::Rig;

/// The wire form of a response after its date.
fn wire(response: &Response) -> String {
    let response = response.clone();
    let mut rig = Rig::serving(move |_: &Request<'_>, reply: Reply<'_>| reply.send(response.clone()));
    rig.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = rig.text();
    let (status, rest) = text.split_once("\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT\r\n").unwrap();
    format!("{}|{rest}", status.strip_prefix("HTTP/1.1 ").unwrap())
}

#[test]
fn constructors() {
    for (response, expected) in [
        (Response::text("a"), "200 OK|Content-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\na"),
        (Response::html("<p>"), "200 OK|Content-Type: text/html; charset=utf-8\r\nContent-Length: 3\r\n\r\n<p>"),
        (Response::json("{}"), "200 OK|Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
        (Response::new("", "x"), "200 OK|Content-Length: 1\r\n\r\nx"),
        (Response::status(404), "404 Not Found|Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\n404 Not Found\n"),
        (Response::status(299), "299 |Content-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\n299\n"),
        (Response::status(304).field("ETag", "\"1\""), "304 Not Modified|ETag: \"1\"\r\n\r\n"),
        (
            Response::text("x").with_status(201).field("Location", "/7").field("Set-Cookie", "a=b").field("Set-Cookie", "c=d"),
            "201 Created|Content-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\nLocation: /7\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nx",
        ),
    ] {
        assert_eq!(response.fault(), None);
        assert_eq!(wire(&response), expected);
    }
    assert!(!wire(&Response::no_content()).contains("Content-"));
}

#[test]
fn bodies() {
    let long = "x".repeat(10_000);
    let bodies: [(Bytes, &str); 7] = [
        ("static".into(), "static"),
        ((&b"bytes"[..]).into(), "bytes"),
        (String::from("owned").into(), "owned"),
        (vec![b'v'].into(), "v"),
        (Arc::<[u8]>::from(*b"shared").into(), "shared"),
        (long.clone().into(), &long),
        (Arc::<[u8]>::from(long.as_bytes()).into(), &long),
    ];
    for (body, expected) in bodies {
        assert_eq!(body.as_bytes(), expected.as_bytes());
        let text = wire(&Response::new("text/plain", body));
        assert_eq!(text.split_once("\r\n\r\n").unwrap().1, expected);
    }
}

#[test]
fn the_first_mistake_is_kept() {
    for (response, fault) in [
        (Response::text("").with_status(199), Some(LocalError::BadStatus)),
        (Response::text("").with_status(200), None),
        (Response::text("").with_status(599), None),
        (Response::status(600), Some(LocalError::BadStatus)),
        (Response::text("").field("Date", "today"), Some(LocalError::ReservedField)),
        (Response::text("").field("connection", "close"), Some(LocalError::ReservedField)),
        (Response::text("").field("", "x"), Some(LocalError::BadField)),
        (Response::text("").field("X", "a\0b"), Some(LocalError::BadField)),
        (Response::text("").field("X", "tab\tis fine, é too"), None),
        (Response::new("text/plain\n", ""), Some(LocalError::BadField)),
        (Response::text("").with_status(1).field("X", "\n"), Some(LocalError::BadStatus)),
        (Response::text("").field("X", "\n").with_status(1).with_status(200), Some(LocalError::BadField)),
    ] {
        assert_eq!(response.fault(), fault, "{response:?}");
    }
}
