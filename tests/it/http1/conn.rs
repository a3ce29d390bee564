//! The connection's deadlines, ends and order, at made-up times.
//!
//! Covers: proto::http1::conn

use std::time::{Duration, Instant};

use pushlab::proto::http1::{Conn, Event, Next, ResponseHead};
use pushlab::proto::{CloseReason, Outbox, ProtocolLimits, RemoteError};

use super::peer::{epoch, wire, with_request};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n";
const TICK: Duration = Duration::from_nanos(1);

fn need_data(conn: &mut Conn, now: Instant, input: &[u8]) {
    let next = conn.next_event(now, input, &mut Outbox::new(), &ProtocolLimits::default());
    assert!(matches!(next, Ok((_, Next::NeedData))), "{next:?}");
}

/// Asserts when the connection's deadline is and what it means, one tick before it and at it.
fn assert_expires(conn: &mut Conn, at: Instant, expected: Result<Option<CloseReason>, RemoteError>) {
    assert_eq!(conn.deadline(), Some(at));
    assert_eq!(conn.handle_timeout(at.checked_sub(TICK).unwrap()), Ok(None));
    assert!(!conn.is_closing());
    assert_eq!(conn.handle_timeout(at), expected);
    assert!(conn.is_closing());
    assert_eq!((conn.deadline(), conn.handle_timeout(at + Duration::from_secs(1_000))), (None, Ok(None)));
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<Conn>() <= 64, "{} bytes", size_of::<Conn>());
}

#[test]
fn an_idle_connection_expires_without_an_error() {
    let (start, limits) = (Instant::now(), ProtocolLimits::default());
    let mut conn = Conn::new(start, &limits);
    need_data(&mut conn, start + Duration::from_secs(5), b"");
    need_data(&mut conn, start + Duration::from_secs(6), b"\r\n");
    assert!(conn.is_idle());
    assert_expires(&mut conn, start + limits.keep_alive_timeout, Ok(Some(CloseReason::Idle)));
}

#[test]
fn the_keep_alive_time_runs_from_the_end_of_each_response() {
    let (mut now, limits) = (epoch(), ProtocolLimits::default());
    let mut conn = with_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &now, &limits);
    assert_eq!(conn.deadline(), None, "the time of a response is the session's");
    now.advance(Duration::from_secs(500));
    assert_eq!(conn.handle_timeout(now.instant()), Ok(None));
    conn.send_response(&now, &ResponseHead::new(200, ""), b"", &mut Outbox::new()).unwrap();
    assert_expires(&mut conn, now.instant() + limits.keep_alive_timeout, Ok(Some(CloseReason::Idle)));
}

#[test]
fn the_time_of_a_head_runs_from_its_first_byte() {
    let (start, limits) = (Instant::now(), ProtocolLimits::default());
    let mut conn = Conn::new(start, &limits);
    let first = start + Duration::from_secs(70);
    for len in 1..GET.len() {
        need_data(&mut conn, first + Duration::from_millis(len as u64), &GET[..len]);
        assert!(!conn.is_idle());
    }
    assert_expires(&mut conn, first + Duration::from_millis(1) + limits.head_timeout, Err(RemoteError::HeadTimeout));
}

#[test]
fn the_time_of_a_body_is_prolonged_by_its_rate() {
    let (now, limits) = (epoch(), ProtocolLimits::default());
    let mut conn = with_request(POST, &now, &limits);
    let end = now.instant() + limits.body_timeout;
    assert_eq!(conn.deadline(), Some(end));
    let piece = [b'x'; 750];
    let next = conn.next_event(now.instant() + Duration::from_secs(3), &piece, &mut Outbox::new(), &limits);
    assert!(matches!(next, Ok((750, Next::Event(Event::Body(_))))));
    assert_expires(&mut conn, end + Duration::from_millis(1_500), Err(RemoteError::BodyTimeout));
}

#[test]
fn the_end_of_file_between_requests_is_in_order() {
    let (now, limits) = (epoch(), ProtocolLimits::default());
    let mut fresh = Conn::new(now.instant(), &limits);
    assert_eq!((fresh.handle_eof(), fresh.is_closing()), (Ok(()), true));

    let (mut owed, mut out) = (with_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &now, &limits), Outbox::new());
    assert_eq!((owed.handle_eof(), owed.awaits_response()), (Ok(()), true));
    owed.send_response(&now, &ResponseHead::new(200, ""), b"", &mut out).unwrap();
    assert!(owed.is_closing() && String::from_utf8(wire(&out)).unwrap().contains("\r\nConnection: close\r\n"));
}

#[test]
fn the_end_of_file_inside_a_message_is_an_error() {
    let (now, limits) = (epoch(), ProtocolLimits::default());
    let mut head = Conn::new(now.instant(), &limits);
    need_data(&mut head, now.instant(), b"G");
    assert_eq!((head.handle_eof(), head.is_closing()), (Err(RemoteError::UnexpectedEof), true));
    let mut body = with_request(POST, &now, &limits);
    assert_eq!((body.handle_eof(), body.is_closing()), (Err(RemoteError::UnexpectedEof), true));
}

#[test]
fn the_end_of_file_behind_a_body_is_in_order_before_its_end_is_reported() {
    let (now, limits, mut out) = (epoch(), ProtocolLimits::default(), Outbox::new());
    let mut conn = with_request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", &now, &limits);
    assert!(matches!(conn.next_event(now.instant(), b"x", &mut out, &limits), Ok((1, Next::Event(Event::Body(b"x"))))));
    assert_eq!(conn.handle_eof(), Ok(()));
    assert!(matches!(conn.next_event(now.instant(), b"", &mut out, &limits), Ok((0, Next::Event(Event::End)))));
}

#[test]
fn a_pipelined_request_waits_for_its_turn() {
    let (now, limits, mut out) = (epoch(), ProtocolLimits::default(), Outbox::new());
    let mut conn = with_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &now, &limits);
    assert!(conn.awaits_response());
    assert!(matches!(conn.next_event(now.instant(), GET, &mut out, &limits), Ok((0, Next::Paused))));
    conn.send_head(&now, &ResponseHead::new(200, ""), pushlab::proto::http1::BodySize::Stream, &mut out).unwrap();
    assert!(conn.is_streaming() && !conn.awaits_response());
    assert!(matches!(conn.next_event(now.instant(), GET, &mut out, &limits), Ok((0, Next::Paused))));
    conn.send_end(&now, &mut out).unwrap();
    assert!(conn.is_idle() && !conn.is_streaming());
    let next = conn.next_event(now.instant(), GET, &mut out, &limits);
    assert!(matches!(next, Ok((used, Next::Event(Event::Head(_)))) if used == GET.len()));
}

#[test]
fn the_invitation_to_send_a_body_comes_when_the_body_is_asked_for() {
    let (now, limits, mut out) = (epoch(), ProtocolLimits::default(), Outbox::new());
    let mut conn = with_request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", &now, &limits);
    for _ in 0..2 {
        assert!(matches!(conn.next_event(now.instant(), b"", &mut out, &limits), Ok((0, Next::NeedData))));
        assert_eq!(wire(&out), b"HTTP/1.1 100 Continue\r\n\r\n");
    }
}

#[test]
fn an_error_ends_the_input_for_good() {
    let (now, limits, mut out) = (epoch(), ProtocolLimits::default(), Outbox::new());
    let mut conn = Conn::new(now.instant(), &limits);
    assert_eq!(conn.next_event(now.instant(), b"\0", &mut out, &limits).unwrap_err(), RemoteError::BadRequestLine);
    assert!(matches!(conn.next_event(now.instant(), GET, &mut out, &limits), Ok((used, Next::NeedData)) if used == GET.len()));
    assert!(conn.is_closing() && conn.deadline().is_none() && conn.handle_eof().is_ok());
}
