//! Response heads and the order of commands, in both directions: what is allowed, and what is refused.
//!
//! Covers: proto::http1::response, proto::http1::conn::sending

use std::sync::Arc;

use pushlab::proto::http1::{BodySize, Conn, Event, Next, ResponseHead, append_field, is_field_value, reason_phrase};
use pushlab::proto::{Frame, LocalError, Outbox, ProtocolLimits, RemoteError};

use super::peer::{epoch, wire, with_request};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_CLOSE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const GET_10: &str = "GET / HTTP/1.0\r\n\r\n";
const GET_10_KEEP: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const OK: ResponseHead<'_> = ResponseHead::new(200, "");
const DATE: &str = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

/// The wire form of what a sender sends in answer to a request, without the date, and whether the connection is closing then.
fn answer(request: &str, send: impl FnOnce(&mut Conn, &mut Outbox)) -> (String, bool) {
    let (mut conn, mut out) = (with_request(request, &epoch(), &ProtocolLimits::default()), Outbox::new());
    send(&mut conn, &mut out);
    let text = String::from_utf8(wire(&out)).unwrap();
    assert_eq!(text.matches(DATE).count(), 1, "{text}");
    assert_eq!(text.contains("Connection: close") || text.contains(", close"), conn.is_closing(), "{text}");
    (text.replace(DATE, ""), conn.is_closing())
}

#[test]
fn framing_and_connection_fields() {
    let whole = |conn: &mut Conn, out: &mut Outbox| conn.send_response(&epoch(), &OK, b"abc", out).unwrap();
    let stream = |conn: &mut Conn, out: &mut Outbox| {
        conn.send_head(&epoch(), &OK, BodySize::Stream, out).unwrap();
        conn.send_body(b"0123456789abcdef", out).unwrap();
        conn.send_end(&epoch(), out).unwrap();
    };
    let (chunked, raw) = ("10\r\n0123456789abcdef\r\n0\r\n\r\n", "0123456789abcdef");
    for (request, sized_fields, sized_body, stream_fields, stream_body) in [
        (GET, "", "abc", "Transfer-Encoding: chunked\r\n", chunked),
        (HEAD, "", "", "Transfer-Encoding: chunked\r\n", ""),
        (GET_CLOSE, "Connection: close\r\n", "abc", "Transfer-Encoding: chunked\r\nConnection: close\r\n", chunked),
        (GET_10, "Connection: close\r\n", "abc", "Connection: close\r\n", raw),
        (GET_10_KEEP, "Connection: keep-alive\r\n", "abc", "Connection: close\r\n", raw),
    ] {
        assert_eq!(
            answer(request, whole).0,
            format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n{sized_fields}\r\n{sized_body}"),
            "{request}"
        );
        assert_eq!(answer(request, stream).0, format!("HTTP/1.1 200 OK\r\n{stream_fields}\r\n{stream_body}"), "{request}");
    }
}

#[test]
fn statuses_and_their_bodies() {
    let now = epoch();
    for (status, body, expected) in [
        (200, "", Ok("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
        (299, "a", Ok("HTTP/1.1 299 \r\nContent-Length: 1\r\n\r\na")),
        (599, "", Ok("HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n")),
        (204, "", Ok("HTTP/1.1 204 No Content\r\n\r\n")),
        (304, "", Ok("HTTP/1.1 304 Not Modified\r\n\r\n")),
        (205, "", Ok("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")),
        (204, "a", Err(LocalError::BodyLength)),
        (205, "a", Err(LocalError::BodyLength)),
        (304, "a", Err(LocalError::BodyLength)),
        (100, "", Err(LocalError::BadStatus)),
        (101, "", Err(LocalError::BadStatus)),
        (199, "", Err(LocalError::BadStatus)),
        (600, "", Err(LocalError::BadStatus)),
        (0, "", Err(LocalError::BadStatus)),
    ] {
        let (mut conn, mut out) = (with_request(GET, &now, &ProtocolLimits::default()), Outbox::new());
        let result = conn.send_response(&now, &ResponseHead::new(status, ""), body, &mut out);
        let text = String::from_utf8(wire(&out)).unwrap().replace(DATE, "");
        match expected {
            Ok(expected) => assert_eq!((result, text.as_str()), (Ok(()), expected)),
            Err(error) => {
                assert_eq!((result, text.as_str()), (Err(error), ""), "{status}");
                assert!(conn.awaits_response(), "an error answer can still be sent");
            }
        }
    }
    assert_eq!((reason_phrase(431), reason_phrase(299)), ("Request Header Fields Too Large", ""));
}

#[test]
fn streams_cannot_be_answers_without_a_body() {
    for status in [204, 205, 304] {
        let (mut conn, mut out) = (with_request(GET, &epoch(), &ProtocolLimits::default()), Outbox::new());
        let result = conn.send_head(&epoch(), &ResponseHead::new(status, ""), BodySize::Stream, &mut out);
        assert_eq!((result, out.len()), (Err(LocalError::BodyLength), 0));
    }
}

#[test]
fn fields_that_the_application_adds() {
    for (name, value, expected) in [
        ("X-A", "b", Ok("X-A: b\r\n")),
        ("X-A", "", Ok("X-A: \r\n")),
        ("X-A", " b\tc ", Ok("X-A: b\tc\r\n")),
        ("X-A", "\u{fc}", Ok("X-A: \u{fc}\r\n")),
        ("Upgrade", "websocket", Ok("Upgrade: websocket\r\n")),
        ("", "b", Err(LocalError::BadField)),
        ("X A", "b", Err(LocalError::BadField)),
        ("X:", "b", Err(LocalError::BadField)),
        ("X\r\nY", "b", Err(LocalError::BadField)),
        ("\u{fc}", "b", Err(LocalError::BadField)),
        ("X-A", "b\r\nc: d", Err(LocalError::BadField)),
        ("X-A", "b\n", Err(LocalError::BadField)),
        ("X-A", "b\r", Err(LocalError::BadField)),
        ("X-A", "b\0", Err(LocalError::BadField)),
        ("X-A", "\u{7f}", Err(LocalError::BadField)),
        ("X-A", "\u{1b}[0m", Err(LocalError::BadField)),
        ("content-length", "1", Err(LocalError::ReservedField)),
        ("Transfer-Encoding", "chunked", Err(LocalError::ReservedField)),
        ("CONNECTION", "close", Err(LocalError::ReservedField)),
        ("Date", "now", Err(LocalError::ReservedField)),
    ] {
        let mut fields = Vec::new();
        let result = append_field(&mut fields, name, value);
        assert_eq!(result.map(|()| fields.as_slice()), expected.map(str::as_bytes), "{name:?}: {value:?}");
        assert!(result.is_ok() || fields.is_empty());
    }
    assert!(is_field_value("text/plain; charset=utf-8") && !is_field_value("text/plain\r\nX: y"));
}

#[test]
fn a_body_has_the_announced_length() {
    let (now, mut out) = (epoch(), Outbox::new());
    let mut conn = with_request(GET, &now, &ProtocolLimits::default());
    conn.send_head(&now, &OK, BodySize::Length(3), &mut out).unwrap();
    assert_eq!(conn.send_body(b"abcd", &mut out), Err(LocalError::BodyLength));
    conn.send_body(b"ab", &mut out).unwrap();
    assert_eq!(conn.send_frame(&Frame::chunk(b"c"), &mut out), Err(LocalError::WrongState));
    assert_eq!(conn.send_end(&now, &mut out), Err(LocalError::BodyLength));
    conn.send_body(b"c", &mut out).unwrap();
    conn.send_end(&now, &mut out).unwrap();
    assert!(wire(&out).ends_with(b"\r\n\r\nabc") && conn.is_idle());
}

#[test]
fn nothing_is_sent_out_of_turn() {
    let (now, limits, mut out) = (epoch(), ProtocolLimits::default(), Outbox::new());
    let mut idle = Conn::new(now.instant(), &limits);
    let mut streaming = with_request(GET, &now, &limits);
    streaming.send_head(&now, &OK, BodySize::Stream, &mut Outbox::new()).unwrap();
    let mut closed = with_request(GET_CLOSE, &now, &limits);
    closed.send_response(&now, &OK, b"", &mut Outbox::new()).unwrap();
    let mut switched = with_request(GET, &now, &limits);
    switched.send_switching_protocols(&now, b"", &mut Outbox::new()).unwrap();
    for conn in [&mut idle, &mut streaming, &mut closed, &mut switched] {
        assert_eq!(conn.send_response(&now, &OK, b"", &mut out), Err(LocalError::WrongState));
        assert_eq!(conn.send_switching_protocols(&now, b"", &mut out), Err(LocalError::WrongState));
    }
    let mut owed = with_request(GET, &now, &limits);
    for conn in [&mut idle, &mut closed, &mut switched, &mut owed] {
        assert_eq!(conn.send_body(b"a", &mut out), Err(LocalError::WrongState));
        assert_eq!(conn.send_frame(&Frame::chunk(b"a"), &mut out), Err(LocalError::WrongState));
        assert_eq!(conn.send_end(&now, &mut out), Err(LocalError::WrongState));
    }
    assert!(out.is_empty());
}

#[test]
fn large_bodies_and_frames_ride_along_uncopied() {
    let body: Arc<[u8]> = vec![b'x'; 100_000].into();
    let sent = |send: &dyn Fn(&mut Conn, &mut Outbox)| {
        let (mut conn, mut out) = (with_request(GET, &epoch(), &ProtocolLimits::default()), Outbox::new());
        send(&mut conn, &mut out);
        assert!(out.capacity() < 1_000, "{} bytes copied", out.capacity());
        wire(&out)
    };
    let copied = {
        let (mut conn, mut out) = (with_request(GET, &epoch(), &ProtocolLimits::default()), Outbox::new());
        conn.send_head(&epoch(), &OK, BodySize::Length(body.len() as u64), &mut out).unwrap();
        conn.send_body(&body, &mut out).unwrap();
        conn.send_end(&epoch(), &mut out).unwrap();
        wire(&out)
    };
    assert_eq!(sent(&|conn, out| conn.send_response(&epoch(), &OK, body.to_vec(), out).unwrap()), copied);
    assert_eq!(sent(&|conn, out| conn.send_response(&epoch(), &OK, Arc::clone(&body), out).unwrap()), copied);
    for frame in [Frame::chunk(&body), Frame::binary(&body)] {
        let stream = sent(&|conn, out| {
            conn.send_head(&epoch(), &OK, BodySize::Stream, out).unwrap();
            conn.send_frame(&frame, out).unwrap();
            conn.send_frame(&Frame::chunk(b""), out).unwrap();
            conn.send_frame(&Frame::text(""), out).unwrap();
        });
        let chunk = [b"186a0\r\n", &body[..], b"\r\n"].concat();
        assert!(stream.ends_with(&chunk), "nothing follows, for an empty frame is not sent");
    }
}

#[test]
fn every_refusal_names_its_status_and_closes() {
    let now = epoch();
    for (error, line) in [
        (RemoteError::BadField, "HTTP/1.1 400 Bad Request"),
        (RemoteError::ForbiddenOrigin, "HTTP/1.1 403 Forbidden"),
        (RemoteError::HeadTimeout, "HTTP/1.1 408 Request Timeout"),
        (RemoteError::BodyTooLarge, "HTTP/1.1 413 Content Too Large"),
        (RemoteError::TargetTooLong, "HTTP/1.1 414 URI Too Long"),
        (RemoteError::UnknownExpectation, "HTTP/1.1 417 Expectation Failed"),
        (RemoteError::NotAWebSocketRequest, "HTTP/1.1 426 Upgrade Required"),
        (RemoteError::HeadTooLarge, "HTTP/1.1 431 Request Header Fields Too Large"),
        (RemoteError::UnknownMethod, "HTTP/1.1 501 Not Implemented"),
        (RemoteError::UnsupportedVersion, "HTTP/1.1 505 HTTP Version Not Supported"),
    ] {
        let (text, closing) = answer(GET, |conn, out| conn.send_error(&now, error, out));
        assert!(text.starts_with(line) && text.ends_with(&format!("\r\n\r\n{error}\n")) && closing, "{text}");
        assert!(text.contains(&format!("\r\nContent-Length: {}\r\n", error.to_string().len() + 1)), "{text}");
        let upgrade = "\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        assert_eq!(text.contains(upgrade), error.status() == 426, "{text}");
        assert!(answer(HEAD, |conn, out| conn.send_error(&now, error, out)).0.ends_with("\r\n\r\n"));
    }
}

#[test]
fn a_refusal_inside_a_response_is_silent() {
    let (now, mut out) = (epoch(), Outbox::new());
    let mut conn = with_request(GET, &now, &ProtocolLimits::default());
    conn.send_head(&now, &OK, BodySize::Stream, &mut out).unwrap();
    let before = out.len();
    conn.send_error(&now, RemoteError::BodyTimeout, &mut out);
    conn.send_error(&now, RemoteError::BodyTimeout, &mut out);
    assert_eq!((out.len(), conn.is_closing(), conn.is_streaming()), (before, true, false));
}

#[test]
fn the_last_response_says_so() {
    let (now, limits, mut out) = (epoch(), ProtocolLimits::default(), Outbox::new());
    let mut conn = Conn::new(now.instant(), &limits);
    conn.close_after_response();
    let (_, next) = conn.next_event(now.instant(), GET.as_bytes(), &mut out, &limits).unwrap();
    assert!(matches!(next, Next::Event(Event::Head(head)) if head.keep_alive()));
    conn.send_response(&now, &OK, b"", &mut out).unwrap();
    assert!(conn.is_closing() && String::from_utf8(wire(&out)).unwrap().contains("\r\nConnection: close\r\n"));
    assert!(matches!(conn.next_event(now.instant(), GET.as_bytes(), &mut out, &limits), Ok((used, Next::NeedData)) if used == GET.len()));
}
