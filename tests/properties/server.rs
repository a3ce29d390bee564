//! What a client makes of a server's output: whole responses, or frames, one after the other.

use super::chunked::{Decoded, decode_naively};

/// What the client knows of a request whose response comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The response has a body.
    Body,
    /// It has none: HEAD.
    Head,
}

/// One response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The whole body has come.
    pub(super) is_whole: bool,
    /// Bytes of the output.
    pub(super) len: usize,
    /// The body as far as it has come, without its framing.
    pub(super) body: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// The one value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| std::str::from_utf8(value).expect("the server's own text"));
        assert!(found.next().is_none(), "{name} is given twice");
        value
    }
}

/// The response at the front of `output`; `None` while its head is not whole. 100 Continue is skipped.
///
/// # Panics
/// When it is not a response.
pub(super) fn answer(output: &[u8], asked: Asked) -> Option<Answer> {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let skipped = output.chunks(CONTINUE.len()).take_while(|chunk| *chunk == CONTINUE).count() * CONTINUE.len();
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let head_len = match response.parse(&output[skipped..]) {
        Ok(httparse::Status::Complete(len)) => skipped + len,
        Ok(httparse::Status::Partial) => return None,
        Err(error) => panic!("{error}: {}", output.escape_ascii()),
    };
    let status = response.code.expect("a whole head has a status");
    assert_eq!(response.version, Some(1));
    let values = |name: &str| -> Vec<_> {
        response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.to_vec()).collect()
    };
    assert_eq!(values("Date").len(), 1, "every response has one date");
    assert!(values("Connection").len() <= 1);
    let (length, coding) = (values("Content-Length"), values("Transfer-Encoding"));
    assert!(length.len() + coding.len() <= 1, "one framing");
    let rest = &output[head_len..];
    let fields = response.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
    let (is_whole, body_len, body) = if asked == Asked::Head || matches!(status, 101 | 204 | 304) {
        assert!(asked == Asked::Head || length.is_empty() && coding.is_empty(), "{status} has no body");
        (true, 0, Vec::new())
    } else if let Some(length) = length.first() {
        let length: usize = String::from_utf8_lossy(length).parse().expect("a length is decimal");
        let len = length.min(rest.len());
        (rest.len() >= length, len, rest[..len].to_vec())
    } else if coding.is_empty() {
        // Ended by the close.
        (false, rest.len(), rest.to_vec())
    } else {
        assert_eq!(coding[0], b"chunked");
        match decode_naively(rest) {
            Decoded::Whole(body, len) => (true, len, body),
            Decoded::Partial(body) => (false, rest.len(), body),
            Decoded::Refused => panic!("not chunked: {}", rest.escape_ascii()),
        }
    };
    Some(Answer { status, is_whole, len: head_len + body_len, body, fields })
}

/// A frame of a server: first byte and payload.
pub(super) type ServerFrame = (u8, Vec<u8>);

/// The whole frames of `output`; what follows them is part of one.
///
/// # Panics
/// When the rules of RFC 6455 for a server's frames are broken.
pub(super) fn frames(mut output: &[u8]) -> Vec<ServerFrame> {
    let mut frames: Vec<ServerFrame> = Vec::new();
    while let [first, second, rest @ ..] = output {
        assert!(frames.last().is_none_or(|(first, _)| *first != 0x88), "nothing follows a close frame");
        assert!(matches!(first, 0x81 | 0x82 | 0x88 | 0x89 | 0x8A), "a whole frame, without reserved bits: {first:#x}");
        let (len, rest) = match (second, rest) {
            (0..=125, _) => (usize::from(*second), rest),
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (127, [0, 0, 0, 0, bytes @ ..]) if bytes.len() >= 4 => {
                let (len, rest) = bytes.split_at(4);
                (len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
            }
            (126 | 127, _) => break,
            _ => panic!("a server's frame is not masked"),
        };
        assert!(len <= 125 && *second <= 125 || (*second == 126 && len > 125) || len > 0xFFFF, "the shortest form");
        assert!(first & 0x08 == 0 || len <= 125, "a control frame is short");
        let Some((payload, rest)) = rest.split_at_checked(len) else { break };
        assert!(*first != 0x81 || std::str::from_utf8(payload).is_ok(), "text is UTF-8");
        frames.push((*first, payload.to_vec()));
        output = rest;
    }
    frames
}
