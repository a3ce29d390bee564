//! The fields of a connection's last request.
//!
//! Covers: proto::http1::known, proto::http1::remembered

use std::time::Instant;

use pushlab::proto::http1::{Conn, Event, Head, KnownFields, Next};
use pushlab::proto::{Outbox, ProtocolLimits, RemoteError};

/// The head at the front of `input` by its known fields, as it shows itself.
fn by_known(known: &KnownFields, input: &[u8]) -> Option<String> {
    known.parse(input, &ProtocolLimits::default()).map(|head| format!("{head:?}"))
}

fn parse(raw: &[u8]) -> Head<'_> {
    Head::parse(raw, &ProtocolLimits::default()).unwrap()
}

fn knowing(raw: &[u8]) -> KnownFields {
    let known = KnownFields::default();
    known.remember(&parse(raw));
    known
}

const FIELDS: &str = "Host: example.org:80\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n";

#[test]
fn the_same_fields_mean_the_same_behind_another_request_line() {
    let sections = [
        FIELDS,
        "Host:\r\n\r\n",
        "Host: a\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "Host: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "X: y\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\n\r\n",
        &format!("Host: a\r\n{}\r\n", "A: b\r\n".repeat(60)),
    ];
    for section in sections {
        let known = knowing(format!("GET /a HTTP/1.1\r\n{section}").as_bytes());
        for line in ["GET /a", "HEAD /", "POST /%41?b=c", "PUT /a-longer-path-than-the-last-one", "OPTIONS *", "GET http://b.example/x"] {
            let raw = format!("{line} HTTP/1.1\r\n{section}");
            assert_eq!(by_known(&known, raw.as_bytes()), Some(format!("{:?}", parse(raw.as_bytes()))), "{raw}");
            assert_eq!(by_known(&known, format!("{raw}GET /next").as_bytes()), by_known(&known, raw.as_bytes()), "{raw}");
        }
    }
}

#[test]
fn what_is_not_the_same_is_parsed() {
    let known = knowing(format!("GET /a HTTP/1.1\r\n{FIELDS}").as_bytes());
    let long = format!("GET /{} HTTP/1.1\r\n{FIELDS}", "x".repeat(ProtocolLimits::default().target_bytes));
    let others = [
        format!("GET /a HTTP/1.0\r\n{FIELDS}"),
        format!("GET /a HTTP/1.7\r\n{FIELDS}"),
        format!("GET /a HTTP/1.1\n{FIELDS}"),
        format!("GET  /a HTTP/1.1\r\n{FIELDS}"),
        format!("BREW /a HTTP/1.1\r\n{FIELDS}"),
        format!("GET a HTTP/1.1\r\n{FIELDS}"),
        format!("GET /%4 HTTP/1.1\r\n{FIELDS}"),
        format!("GET /a HTTP/1.1 \r\n{FIELDS}"),
        format!("GET /a\r\n{FIELDS}"),
        format!("\r\n{FIELDS}"),
        format!("\n{FIELDS}"),
        format!("GET /a HTTP/1.1\r\n{}", FIELDS.replace("*/*", "a/b")),
        format!("GET /a HTTP/1.1\r\n{}", FIELDS.to_lowercase()),
        format!("GET /a HTTP/1.1\r\nX: y\r\n{FIELDS}"),
        format!("GET /a HTTP/1.1\r\n{}", &FIELDS[..FIELDS.len() - 1]),
        FIELDS.to_owned(),
        String::new(),
        long,
    ];
    for raw in others {
        assert_eq!(by_known(&known, raw.as_bytes()), None, "{raw}");
    }
}

#[test]
fn fields_of_1024_bytes_are_remembered_and_longer_ones_are_not() {
    for (len, is_known) in [(1_024, true), (1_025, false)] {
        let fields = "Host: a\r\nX: \r\n\r\n";
        let raw = format!("GET /a HTTP/1.1\r\n{}", fields.replace("X: ", &format!("X: {}", "y".repeat(len - fields.len()))));
        assert_eq!(by_known(&knowing(raw.as_bytes()), raw.as_bytes()).is_some(), is_known, "{len}");
    }
}

#[test]
fn the_last_fields_are_known_until_they_are_forgotten() {
    let (first, second) = (format!("GET / HTTP/1.1\r\n{FIELDS}"), "GET / HTTP/1.1\r\nHost: b\r\n\r\n");
    let known = KnownFields::default();
    assert_eq!(by_known(&known, second.as_bytes()), None);
    known.remember(&parse(first.as_bytes()));
    known.remember(&parse(second.as_bytes()));
    assert_eq!((by_known(&known, first.as_bytes()), by_known(&known, second.as_bytes()).is_some()), (None, true));
    known.forget();
    assert_eq!(by_known(&known, second.as_bytes()), None);
}

/// HTTP/1.0 needs no `Host`.
#[test]
fn fields_without_a_host_name_none() {
    for section in ["\r\n", "Connection: keep-alive\r\n\r\n", "Host:\r\n\r\n", "Host: a\r\nExpect: 100-continue\r\n\r\n"] {
        let known = knowing(format!("GET /a HTTP/1.0\r\n{section}").as_bytes());
        let raw = format!("HEAD /another HTTP/1.0\r\n{section}");
        assert_eq!(by_known(&known, raw.as_bytes()), Some(format!("{:?}", parse(raw.as_bytes()))), "{raw}");
        let later = raw.replace("HTTP/1.0", "HTTP/1.1");
        assert_eq!(by_known(&known, later.as_bytes()), None, "{later}");
    }
}

/// A client that sends a new field each time gains nothing, and nearly always is not asked again.
#[test]
fn fields_that_are_others_each_time_are_remembered_rarely() {
    let known = KnownFields::default();
    let head = |number: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {number:03}\r\n\r\n").into_bytes();
    let mut remembered = Vec::new();
    for number in 1..=192 {
        assert_eq!(by_known(&known, &head(number)), None);
        known.remember(&parse(&head(number)));
        // A head that is found begins a new count, so the memory is looked at from outside.
        if format!("{known:?}").contains(&format!("{:?}", &head(number)["GET / HTTP/1.1\r\n".len()..])) {
            remembered.push(number);
        }
    }
    assert_eq!(remembered, [1, 2, 3, 4, 64, 124, 184]);

    known.remember(&parse(&head(1)));
    known.forget();
    known.remember(&parse(&head(1)));
    assert!(by_known(&known, &head(1)).is_some(), "another connection begins anew");
    for number in 2..=5 {
        known.remember(&parse(&head(number)));
        assert!(by_known(&known, &head(number)).is_some(), "a head that was found begins anew");
    }
}

/// The host of an absolute target does not stand in the fields.
#[test]
fn the_fields_behind_an_absolute_target_are_not_remembered() {
    let raw = format!("GET http://example.org/ HTTP/1.1\r\n{FIELDS}");
    assert_eq!(by_known(&knowing(raw.as_bytes()), raw.as_bytes()), None);
}

/// What a connection refuses or does not take now, it refuses or leaves in the usual way.
#[test]
fn a_connection_takes_a_known_head_between_requests_alone() {
    let (now, limits) = (Instant::now(), ProtocolLimits { body_bytes: 4, ..ProtocolLimits::default() });
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let mut conn = Conn::new(now, &limits);
    assert!(!conn.begin_known(now, &parse(post), &limits), "the body is too large");
    assert_eq!(conn.next_event(now, post, &mut Outbox::new(), &limits).unwrap_err(), RemoteError::BodyTooLarge);

    let absolute = b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut conn = Conn::new(now, &limits);
    assert!(!conn.begin_known(now, &parse(absolute), &limits), "the connection is not secured");
    assert_eq!(conn.next_event(now, absolute, &mut Outbox::new(), &limits).unwrap_err(), RemoteError::MisdirectedTarget);

    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut conn = Conn::new(now, &limits);
    assert!(matches!(conn.next_event(now, &get[..9], &mut Outbox::new(), &limits), Ok((0, Next::NeedData))));
    assert!(!conn.begin_known(now, &parse(get), &limits), "the head has begun before");
    assert!(matches!(conn.next_event(now, get, &mut Outbox::new(), &limits), Ok((_, Next::Event(Event::Head(_))))));
    assert!(!conn.begin_known(now, &parse(get), &limits), "a response is owed");
}
