//! The chunked decoder alone.
//!
//! Covers: proto::http1::chunked

use pushlab::proto::http1::{ChunkedDecoder, ChunkedEvent};
use pushlab::proto::{ProtocolLimits, RemoteError};

use crate::support::splits::splits;

/// The decoded body; `None` while the end has not come.
fn decode(input: &[u8], pieces: &[usize], limits: &ProtocolLimits) -> Result<(Vec<u8>, Option<usize>), RemoteError> {
    let (mut decoder, mut body, mut from, mut to) = (ChunkedDecoder::new(), Vec::new(), 0, 0);
    for &piece in pieces {
        to += piece;
        loop {
            let (used, event) = decoder.next(&input[from..to], limits)?;
            from += used;
            match event {
                ChunkedEvent::Data(bytes) => body.extend_from_slice(bytes),
                ChunkedEvent::NeedData => break assert_eq!(from, to, "all of the input is consumed"),
                ChunkedEvent::End => return Ok((body, Some(from))),
            }
        }
    }
    Ok((body, None))
}

fn decode_all_ways(input: &[u8], limits: &ProtocolLimits) -> Result<(Vec<u8>, Option<usize>), RemoteError> {
    let whole = decode(input, &[input.len()], limits);
    for pieces in splits(input.len(), 10) {
        assert_eq!(decode(input, &pieces, limits), whole, "{} in {pieces:?}", input.escape_ascii());
    }
    whole
}

#[test]
fn bodies_are_decoded() {
    for (input, body) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n", "01234567890123456789"),
        ("0005\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("1;a\r\nx\r\n0\r\n\r\n", "x"),
        ("1 ; a = \"q;\\\"\t\" ;b\r\nx\r\n0;last\r\n\r\n", "x"),
        ("1;a=\"\"\r\nx\r\n0\r\n\r\n", "x"),
        ("1\r\nx\r\n0\r\nA: b\r\nC:\r\nD: \u{fc}\r\n\r\n", "x"),
    ] {
        assert_eq!(decode_all_ways(input.as_bytes(), &ProtocolLimits::default()), Ok((body.into(), Some(input.len()))), "{input:?}");
        let followed = format!("{input}GET ");
        assert_eq!(decode_all_ways(followed.as_bytes(), &ProtocolLimits::default()), Ok((body.into(), Some(input.len()))), "{followed:?}");
        for len in 0..input.len() {
            let (got, end) = decode(&input.as_bytes()[..len], &[len], &ProtocolLimits::default()).unwrap();
            assert!(end.is_none() && body.as_bytes().starts_with(&got), "{input:?} cut at {len} is not over");
        }
    }
}

#[test]
fn broken_chunks_are_refused() {
    for input in [
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\n",
        "1\rx",
        "1\r\r\n",
        ";a\r\n",
        "1;a\n",
        "1;a\0\r\n",
        "1 a\r\n",
        "1;\"a\r\n",
        "1;\"a\\\r\n",
        "1\r\nxx\r\n",
        "1\r\nx\n",
        "1\r\nx\r\r\n",
        "1\r\nx1\r\n",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\n A: b\r\n",
        "0\r\nA\r\n",
        "0\r\nA : b\r\n",
        "0\r\n: b\r\n",
        "0\r\nA: b\n",
        "0\r\nA: b\0\r\n",
        "0\r\nA: b\r\r\n",
        "0\r\nA: b\r\n c\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
    ] {
        assert_eq!(decode_all_ways(input.as_bytes(), &ProtocolLimits::default()), Err(RemoteError::BadChunk), "{input:?}");
    }
    assert_eq!(decode_all_ways(b"ffffffffffffffff\r\n", &ProtocolLimits::default()), Err(RemoteError::BodyTooLarge));
}

#[test]
fn sizes_that_add_up_past_64_bits_do_not_wrap() {
    let limits = ProtocolLimits { body_bytes: usize::MAX, ..ProtocolLimits::default() };
    let mut decoder = ChunkedDecoder::new();
    assert_eq!(decoder.next(b"1\r\nx\r\n", &limits), Ok((4, ChunkedEvent::Data(b"x"))));
    assert_eq!(decoder.next(b"\r\nffffffffffffffff\r\nabc", &limits), Ok((23, ChunkedEvent::Data(b"abc"))));
}

#[test]
fn an_ended_decoder_consumes_nothing() {
    let (mut decoder, limits) = (ChunkedDecoder::new(), ProtocolLimits::default());
    assert_eq!(decoder.next(b"0\r\n\r\n0\r\n\r\n", &limits), Ok((5, ChunkedEvent::End)));
    assert_eq!(decoder.next(b"0\r\n\r\n", &limits), Ok((0, ChunkedEvent::End)));
    assert_eq!(decoder.next(b"", &limits), Ok((0, ChunkedEvent::End)));
}
