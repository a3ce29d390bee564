//! Each limit, at it and one past it, in every split.

use std::time::Instant;

use pushlab::proto::http1::{Conn, Next};
use pushlab::proto::{Outbox, ProtocolLimits, RemoteError};

use super::peer::Peer;
use crate::support::splits::splits;

/// The last line of the transcript, which no split may change.
fn last(input: &str, limits: &ProtocolLimits) -> String {
    let whole = Peer::run(input.as_bytes(), &[input.len()], limits);
    for pieces in splits(input.len(), 5) {
        assert_eq!(Peer::run(input.as_bytes(), &pieces, limits), whole, "{pieces:?}");
    }
    whole.0.last().unwrap().clone()
}

fn refusal(error: RemoteError) -> String {
    format!("error {error:?} {}", error.status())
}

#[test]
fn head_bytes() {
    let limits = ProtocolLimits { head_bytes: 64, ..ProtocolLimits::default() };
    let head = |len: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(len - start.len() - 4))
    };
    assert_eq!(last(&head(64), &limits), "eof");
    assert_eq!(last(&head(65), &limits), refusal(RemoteError::HeadTooLarge));
    assert_eq!(last(&head(640), &limits), refusal(RemoteError::HeadTooLarge));
    // The head of the next request is counted from its own start.
    assert_eq!(last(&head(64).repeat(3), &limits), "eof");
    // One that never ends is refused as soon as it has passed the limit.
    assert_eq!(last(&head(1_000)[..64], &limits), "eof UnexpectedEof");
    assert_eq!(last(&head(1_000)[..65], &limits), refusal(RemoteError::HeadTooLarge));
    // Even when it is not a head at all.
    assert_eq!(last(&format!("GET / HTTP/1.1\r\n{}", " ".repeat(60)), &limits), refusal(RemoteError::HeadTooLarge));
    // What comes before the fields is told which part of it is too long.
    assert_eq!(last(&"G".repeat(65), &limits), refusal(RemoteError::UnknownMethod));
    assert_eq!(last(&format!("G({}", "G".repeat(65)), &limits), refusal(RemoteError::BadRequestLine));
    assert_eq!(last(&format!("GET /{}", "x".repeat(65)), &limits), refusal(RemoteError::TargetTooLong));
    assert_eq!(last(&format!("GET / {}", "x".repeat(65)), &limits), refusal(RemoteError::BadRequestLine));
}

#[test]
fn head_fields() {
    let limits = ProtocolLimits { head_fields: 3, ..ProtocolLimits::default() };
    let head = |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(fields - 1));
    assert_eq!(last(&head(3), &limits), "eof");
    assert_eq!(last(&head(4), &limits), refusal(RemoteError::TooManyFields));
    let limits = ProtocolLimits { head_fields: 1_000, ..ProtocolLimits::default() };
    assert_eq!(last(&head(ProtocolLimits::HEAD_FIELDS_MAX), &limits), "eof");
    assert_eq!(last(&head(ProtocolLimits::HEAD_FIELDS_MAX + 1), &limits), refusal(RemoteError::TooManyFields));
    assert_eq!(last(&head(100), &ProtocolLimits::default()), "eof");
    assert_eq!(last(&head(101), &ProtocolLimits::default()), refusal(RemoteError::TooManyFields));
}

#[test]
fn target_bytes() {
    let limits = ProtocolLimits { target_bytes: 10, head_bytes: 100, ..ProtocolLimits::default() };
    let head = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(len - 1));
    assert_eq!(last(&head(10), &limits), "eof");
    assert_eq!(last(&head(11), &limits), refusal(RemoteError::TargetTooLong));
    assert_eq!(last(&head(200), &limits), refusal(RemoteError::TargetTooLong));
}

#[test]
fn body_bytes() {
    let limits = ProtocolLimits { body_bytes: 10, ..ProtocolLimits::default() };
    let sized = |len: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n{}", "x".repeat(len));
    assert_eq!(last(&sized(10), &limits), "eof");
    assert_eq!(last(&sized(11), &limits), refusal(RemoteError::BodyTooLarge));
    let chunked = |last: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nxxxx\r\n{last:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(last)
        )
    };
    assert_eq!(last(&chunked(6), &limits), "eof");
    assert_eq!(last(&chunked(7), &limits), refusal(RemoteError::BodyTooLarge));
}

#[test]
fn chunk_line_bytes() {
    let limits = ProtocolLimits { chunk_line_bytes: 10, ..ProtocolLimits::default() };
    let body = |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for (at, past) in [
        ("1;aaaaaa\r\nx\r\n0\r\n\r\n", "1;aaaaaaa\r\nx\r\n0\r\n\r\n"),
        ("00000001\r\nx\r\n0\r\n\r\n", "000000001\r\nx\r\n0\r\n\r\n"),
        ("1\r\nx\r\n0\r\nA: bbb\r\n\r\n", "1\r\nx\r\n0\r\nA: bbbb\r\n\r\n"),
        ("0\r\nA:\r\nB:\r\n\r\n", "0\r\nA:\r\nB:1\r\n\r\n"),
    ] {
        assert_eq!(last(&body(at), &limits), "eof", "{at:?}");
        assert_eq!(last(&body(past), &limits), refusal(RemoteError::BadChunk), "{past:?}");
    }
}

#[test]
fn chunk_framing_is_bounded_together() {
    let limits = ProtocolLimits { chunk_line_bytes: 40, ..ProtocolLimits::default() };
    let body = |chunks: usize, extension: usize| {
        let chunk = format!("1;{}\r\nx\r\n", "e".repeat(extension));
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(chunks))
    };
    // A chunk of one byte has a size line of 18 bytes free; 4 of them are not the extension's.
    assert_eq!(last(&body(1_000, 14), &limits), "eof");
    // Each of these goes a byte further, and the last of them meets the limit with its 19 bytes.
    assert_eq!(last(&body(22, 15), &limits), "eof");
    assert_eq!(last(&body(23, 15), &limits), refusal(RemoteError::BadChunk));
    assert_eq!(last(&body(1_000, 15), &limits), refusal(RemoteError::BadChunk));
    // Data pays for it: size lines at the limit, as many as come.
    let chunk = format!("64;{}\r\n{}\r\n", "e".repeat(35), "x".repeat(100));
    let paid = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(100));
    assert_eq!(last(&paid, &limits), "eof");
}

#[test]
fn a_head_that_comes_byte_by_byte_is_linear_work() {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "Field: value\r\n".repeat(90));
    let (now, limits, mut out) = (Instant::now(), ProtocolLimits::default(), Outbox::new());
    let mut conn = Conn::new(now, &limits);
    let mut looked_at = 0;
    for len in 1..=head.len() {
        let from = conn.head_scanned();
        looked_at += len - from;
        let (used, next) = conn.next_event(now, &head.as_bytes()[..len], &mut out, &limits).unwrap();
        match next {
            Next::NeedData => assert!(used == 0 && len < head.len()),
            _ => assert_eq!((used, len), (head.len(), head.len())),
        }
    }
    assert!(looked_at <= 2 * head.len(), "{looked_at} bytes looked at in a head of {}", head.len());
}
