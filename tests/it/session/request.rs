//! What a handler can ask of a request.
//!
//! Covers: session::request, session::cookies

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use pushlab::proto::http1::{Method, Version};
use pushlab::session::{Reply, Request, Response, normalized_path};

use super::rig::Rig;

/// Sends one request and shows it to `look`, which says what it sees.
fn see(head: impl AsRef<[u8]>, look: fn(&Request<'_>) -> String) -> String {
    let seen = Arc::new(Mutex::new(String::new()));
    let inner = Arc::clone(&seen);
    let mut rig = Rig::serving(move |request: &Request<'_>, reply: Reply<'_>| {
        *inner.lock().unwrap() = look(request);
        reply.send(Response::no_content());
    });
    assert_eq!(rig.ask(&head)[0].status, 204, "{}", head.as_ref().escape_ascii());
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[test]
fn path_and_query() {
    for (target, expected) in [
        ("/", "/ None"),
        ("/a/b%20c", "/a/b%20c None"),
        ("/a?", "/a Some(\"\")"),
        ("/a?b=c?d", "/a Some(\"b=c?d\")"),
        ("//double", "//double None"),
        ("http://h", "/ None"),
        ("http://h/p?q", "/p Some(\"q\")"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(see(&request, |request| format!("{} {:?}", request.path(), request.query())), expected, "{target}");
    }
}

/// Equivalent paths are one text; what is not equivalent stays apart, and nothing is decoded twice.
#[test]
fn paths_are_normalized() {
    for (path, expected) in [
        ("/%61%5A%30%2D%2E%5F%7E", "/aZ0-._~"),
        ("/%7e", "/~"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2Fb", "/a%2Fb"),
        ("/%c3%a9%Ff%00", "/%C3%A9%FF%00"),
        ("/%2c%3b%40%2a%25", "/%2C%3B%40%2A%25"),
        ("/%2541", "/%2541"),
        ("/%25%34%31", "/%2541"),
        ("/%2e%2e/%2E./..", "/../../.."),
        ("/%20+%2B", "/%20+%2B"),
        ("/a%3Fb%23", "/a%3Fb%23"),
        ("/*", "/*"),
        ("/'\"<>", "/'\"<>"),
    ] {
        for target in [path.to_owned(), format!("{path}?%61"), format!("http://h{path}")] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            let seen = see(&request, |request| format!("{} {} {:?}", request.path(), request.head().path(), request.query()));
            assert_eq!(seen, format!("{expected} {path} {:?}", target.contains('?').then_some("%61")), "{target}");
        }
    }
}

/// The same of a path that comes in pieces, behind a body, and to a WebSocket.
#[test]
fn paths_are_normalized_however_they_come() {
    let (seen, mut rig) = {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&seen);
        let rig = Rig::serving(move |request: &Request<'_>, reply: Reply<'_>| {
            inner.lock().unwrap().push(request.path().to_owned());
            reply.send(Response::no_content());
        });
        (seen, rig)
    };
    for byte in b"POST /%61?%61 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" {
        rig.send([*byte]);
    }
    rig.send("POST /%62 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /%63 HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS http://h/%64 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(*seen.lock().unwrap(), ["/a", "/b", "/c", "/d"]);
}

/// A text that is no request's path, as an application may write one, is not refused.
#[test]
fn bad_escapes_stay() {
    for text in ["", "%", "%4", "%4g", "%g4", "a%", "%%", "é%é"] {
        assert_eq!(normalized_path(text), text);
    }
    assert_eq!(normalized_path("%%41%"), "%A%");
    assert!(matches!(normalized_path("/topics/news/events"), Cow::Borrowed(_)));
}

#[test]
fn query_values() {
    for (query, expected) in [
        ("", "[]"),
        ("?", "[]"),
        ("?&&", "[]"),
        ("?a", r#"[("a", "")]"#),
        ("?=", r#"[("", "")]"#),
        ("?a=1&b=2&a=3", r#"[("a", "1"), ("b", "2"), ("a", "3")]"#),
        ("?a=b=c", r#"[("a", "b=c")]"#),
        ("?a=1+2%2B3", r#"[("a", "1 2+3")]"#),
        ("?%61%62=%26%3D", r#"[("ab", "&=")]"#),
        ("?a=%C3%A9%e2%82%ac", r#"[("a", "é€")]"#),
        ("?a=%FFx", r#"[("a", "�x")]"#),
        ("?a=%C3", r#"[("a", "�")]"#),
        ("?a=%", r#"[("a", "%")]"#),
        ("?a=%4", r#"[("a", "%4")]"#),
        ("?a=%4g%zz", r#"[("a", "%4g%zz")]"#),
        ("?a=%%41", r#"[("a", "%A")]"#),
        ("?a=%00", r#"[("a", "\0")]"#),
        ("?a=1;b=2", r#"[("a", "1;b=2")]"#),
    ] {
        let request = format!("GET /{query} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(see(&request, |request| format!("{:?}", request.query_values().collect::<Vec<_>>())), expected, "{query}");
    }
}

#[test]
fn the_first_query_value_of_a_name() {
    let request = "GET /?after=&topic=a&topic=b&caf%C3%A9=x HTTP/1.1\r\nHost: a\r\n\r\n";
    let look =
        |request: &Request<'_>| format!("{:?}", ["after", "topic", "café", "Topic", "none", ""].map(|name| request.query_value(name)));
    assert_eq!(see(request, look), r#"[Some(""), Some("a"), Some("x"), None, None, None]"#);
}

#[test]
fn host() {
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: a.example:81\r\n\r\n", "Some(\"a.example:81\")"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "None"),
        ("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "Some(\"b\")"),
        ("GET / HTTP/1.0\r\n\r\n", "None"),
    ] {
        assert_eq!(see(request, |request| format!("{:?}", request.host())), expected, "{request}");
    }
}

#[test]
fn fields() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-One:  first \r\nx-one: second\r\nX-Empty:\r\nX-Binary: \u{e9}\r\n\r\n".to_owned();
    let names = |request: &Request<'_>| {
        let lookups = ["X-ONE", "x-empty", "X-None", "X-On"].map(|name| request.field_text(name));
        format!("{lookups:?} {:?} {}", request.field_bytes("x-binary"), request.head().fields().count())
    };
    assert_eq!(see(&request, names), "[Some(\"first\"), Some(\"\"), None, None] Some([195, 169]) 5");
}

#[test]
fn fields_that_are_no_text() {
    let (seen, mut input) = (Arc::new(Mutex::new(0)), b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec());
    let inner = Arc::clone(&seen);
    let mut rig = Rig::serving(move |request: &Request<'_>, reply: Reply<'_>| {
        assert_eq!((request.field_bytes("x"), request.field_text("x")), (Some(&b"\xff"[..]), None));
        *inner.lock().unwrap() += 1;
        reply.send(Response::no_content());
    });
    input.extend(b"\xff\r\n\r\n");
    rig.send(input);
    assert_eq!(*seen.lock().unwrap(), 1);
}

/// Every cookie, and the one that is called `a`, of the `Cookie` fields with these values.
fn cookies(values: &[&[u8]]) -> String {
    let mut request = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for (at, value) in values.iter().enumerate() {
        request.extend([if at % 2 == 0 { "Cookie: " } else { "cOOkie:" }.as_bytes(), value, b"\r\nCookies: a=no\r\n"].concat());
    }
    request.extend(b"\r\n");
    see(request, |request| {
        let all: Vec<_> = request.cookies().map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii())).collect();
        format!("{} | {}", all.join("; "), request.cookie("a").map_or("none".to_owned(), |value| value.escape_ascii().to_string()))
    })
}

#[test]
fn every_cookie() {
    for (value, expected) in [
        (&b""[..], " | none"),
        (b"a=1", "a=1 | 1"),
        (b"a=1; b=2", "a=1; b=2 | 1"),
        (b"b=2;a=1", "b=2; a=1 | 1"),
        (b" ; ;a=1;; ", "a=1 | 1"),
        (b"a=", "a= | "),
        (b"a=b=c==", "a=b=c== | b=c=="),
        (b"a=\"1; b\"", "a=\\\"1 | \\\"1"),
        (b"a=\"quoted\"", "a=\\\"quoted\\\" | \\\"quoted\\\""),
        (b"  a  =  1 2  ;\tb=\t3", "a=1 2; b=3 | 1 2"),
        (b"A=1; aa=2", "A=1; aa=2 | none"),
        (b"=1; a", "=1 | none"),
        (b"theme=caf\xE9; a=1", "theme=caf\\xe9; a=1 | 1"),
        (b"a=\xFF\x80; \xFF=1", "a=\\xff\\x80; \\xff=1 | \\xff\\x80"),
        // The cookie with the longest path comes first.
        (b"a=near; a=far", "a=near; a=far | near"),
        (b"a=1, b=2", "a=1, b=2 | 1, b=2"),
    ] {
        assert_eq!(cookies(&[value]), expected, "{}", value.escape_ascii());
    }
}

/// HTTP/2 sends a field line for each cookie, and not every proxy joins them again (RFC 9113,
/// section 8.2.3).
#[test]
fn cookies_in_several_fields() {
    assert_eq!(cookies(&[]), " | none");
    assert_eq!(cookies(&[b"b=2", b"a=1"]), "b=2; a=1 | 1");
    assert_eq!(cookies(&[b"a=1; b=2", b"", b"a=3", b"c=4;"]), "a=1; b=2; a=3; c=4 | 1");
    assert_eq!(cookies(&[b"x=\xFF", b"a=1"]), "x=\\xff; a=1 | 1");
    // Joining them by "; " (RFC 9113, section 8.2.3) makes no difference.
    let lines: [&[u8]; 6] = [b"a=1", b"", b"b=\xFF; c", b" ;a=2;", b"=", b"d=\"=\";;"];
    for first in lines {
        for second in lines {
            assert_eq!(cookies(&[first, second]), cookies(&[&[first, b"; ", second].concat()]), "{first:?} {second:?}");
        }
    }
}

#[test]
fn the_rest() {
    let request = "PATCH /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let look = |request: &Request<'_>| {
        assert_eq!((request.method(), request.head().version()), (Method::Patch, Version::Http11));
        format!("{} {:?}", request.peer(), request.body())
    };
    assert_eq!(see(request, look), "192.0.2.1:4711 [97, 98, 99]");
}
