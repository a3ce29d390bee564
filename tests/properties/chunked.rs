//! The chunked coding, against a decoder that reads whole lines, and through both directions.

use std::time::{Instant, SystemTime};

use pushlab::proto::http1::{BodySize, ChunkedDecoder, ChunkedEvent, Conn, ResponseHead};
use pushlab::proto::{Frame, Now, Outbox, ProtocolLimits};

use super::input::{Cuts, Input};

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// The body, and how much of the input it took.
    Whole(Vec<u8>, usize),
    /// The body so far.
    Partial(Vec<u8>),
    Refused,
}

fn decode(input: &[u8], mut cuts: Cuts<'_>, limits: &ProtocolLimits) -> Decoded {
    let (mut decoder, mut body, mut used_up, mut rest) = (ChunkedDecoder::new(), Vec::new(), 0, input);
    while let Some(piece) = cuts.take(&mut rest) {
        let mut at = 0;
        loop {
            let Ok((used, event)) = decoder.next(&piece[at..], limits) else { return Decoded::Refused };
            assert!(used <= piece.len() - at);
            at += used;
            match event {
                ChunkedEvent::Data(bytes) => {
                    assert!(!bytes.is_empty() && used >= bytes.len());
                    body.extend_from_slice(bytes);
                    assert!(body.len() <= limits.body_bytes);
                }
                ChunkedEvent::NeedData => break assert_eq!(at, piece.len(), "all of the input is consumed"),
                ChunkedEvent::End => return Decoded::Whole(body, used_up + at),
            }
        }
        used_up += piece.len();
    }
    Decoded::Partial(body)
}

/// RFC 9112, section 7.1, without a limit and with lines only looked at when they are whole.
pub(super) fn decode_naively(input: &[u8]) -> Decoded {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = line(&input[at..]) else { return Decoded::Partial(body) };
        let Some(size) = size(line) else { return Decoded::Refused };
        at += line.len() + 2;
        if size == 0 {
            break;
        }
        let Some(end) = usize::try_from(size).ok().and_then(|size| at.checked_add(size)).filter(|end| *end <= input.len()) else {
            body.extend_from_slice(&input[at..]);
            return Decoded::Partial(body);
        };
        body.extend_from_slice(&input[at..end]);
        match &input[end..] {
            [b'\r', b'\n', ..] => at = end + 2,
            [] | [b'\r'] => return Decoded::Partial(body),
            _ => return Decoded::Refused,
        }
    }
    loop {
        let Some(line) = line(&input[at..]) else { return Decoded::Partial(body) };
        at += line.len() + 2;
        if line.is_empty() {
            return Decoded::Whole(body, at);
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Decoded::Refused };
        if colon == 0 || !line[..colon].iter().copied().all(is_token) || !line[colon..].iter().copied().all(is_value) {
            return Decoded::Refused;
        }
    }
}

/// Up to the first carriage return or line feed, if the two stand together there.
fn line(input: &[u8]) -> Option<&[u8]> {
    let end = input.windows(2).position(|pair| pair == b"\r\n")?;
    Some(&input[..end])
}

fn size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extension) = line.split_at(digits);
    let blanks = extension.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let extension = &extension[blanks..];
    let is_extension = match extension.first() {
        None => line.len() == digits.len(),
        Some(b';') => extension.iter().copied().all(is_value) && quotes_are_closed(extension),
        Some(_) => false,
    };
    let text = std::str::from_utf8(digits).ok().filter(|_| is_extension)?;
    let significant = text.trim_start_matches('0');
    if text.is_empty() { None } else { Some(if significant.is_empty() { 0 } else { u64::from_str_radix(significant, 16).ok()? }) }
}

fn quotes_are_closed(extension: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in extension {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7F)
}

/// Bytes of any kind are decoded alike, and chunks that this side encodes come back.
pub(super) fn decodes_as_the_naive_decoder(data: &[u8]) {
    let mut input = Input::new(data);
    let (how, cuts) = (input.byte(), input.cuts());
    if how & 1 == 0 {
        let tiny = ProtocolLimits { body_bytes: 40, chunk_line_bytes: 24, ..ProtocolLimits::default() };
        let (bytes, limits) = (input.rest(), if how & 2 == 0 { ProtocolLimits::default() } else { tiny });
        let whole = decode(bytes, Cuts::WHOLE, &limits);
        assert_eq!(decode(bytes, cuts, &limits), whole);
        match (whole, decode_naively(bytes)) {
            // What is not whole may be wrong already, and what is right may be more than the limit.
            (Decoded::Refused, naive) => assert!(naive == Decoded::Refused || matches!(naive, Decoded::Partial(_)) || how & 2 != 0),
            (ours, naive) => assert_eq!(ours, naive),
        }
        return;
    }
    let (limits, now) = (ProtocolLimits::default(), Now::new(Instant::now(), SystemTime::UNIX_EPOCH));
    let (mut conn, mut out) = (Conn::new(now.instant(), &limits), Outbox::new());
    conn.next_event(now.instant(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut out, &limits).expect("a request");
    conn.send_head(&now, &ResponseHead::new(200, ""), BodySize::Stream, &mut out).expect("a response is owed");
    out.clear();
    let mut body = Vec::new();
    while !input.is_empty() {
        let (how, piece) = (input.byte(), input.some_bytes());
        let piece = piece.repeat(usize::from(how >> 4) + 1);
        body.extend_from_slice(&piece);
        match how & 3 {
            0 => conn.send_body(&piece, &mut out),
            1 => conn.send_frame(&Frame::chunk(&piece), &mut out),
            2 => conn.send_frame(&Frame::binary(&piece), &mut out),
            _ => conn.send_frame(&Frame::text(&String::from_utf8_lossy(&piece)), &mut out).map(|()| {
                body.truncate(body.len() - piece.len());
                body.extend_from_slice(String::from_utf8_lossy(&piece).as_bytes());
            }),
        }
        .expect("a live stream takes body bytes");
    }
    conn.send_end(&now, &mut out).expect("a live stream can be ended");
    let wire: Vec<u8> = out.chunks().flatten().copied().collect();
    let limits = ProtocolLimits { body_bytes: usize::MAX, ..limits };
    let expected = Decoded::Whole(body, wire.len());
    assert_eq!(decode(&wire, cuts, &limits), expected);
    assert_eq!(decode_naively(&wire), expected);
}
