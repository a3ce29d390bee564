//! The client's side: requests, and a reading of the answers that shares no code with the library.

use httparse::{EMPTY_HEADER, Status};

/// One response as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body came to its end. One that the close ends never does.
    pub is_whole: bool,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn announces_close(&self) -> bool {
        self.field("Connection").is_some_and(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close")))
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

pub fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// All answers to requests other than HEAD.
pub fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let (answer, rest) = answer(bytes, false);
        answers.push(answer);
        bytes = rest;
    }
    answers
}

/// The first answer and what follows it.
pub fn answer(bytes: &[u8], is_to_head: bool) -> (Answer, &[u8]) {
    let mut fields = [EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let Ok(Status::Complete(used)) = head.parse(bytes) else { panic!("no head: {:?}", String::from_utf8_lossy(bytes)) };
    let fields = head.headers.iter().map(|field| (field.name.to_owned(), String::from_utf8(field.value.to_vec()).unwrap()));
    let mut answer = Answer { status: head.code.unwrap(), fields: fields.collect(), body: Vec::new(), is_whole: true };
    let rest = &bytes[used..];
    if is_to_head || answer.status < 200 || matches!(answer.status, 204 | 304) {
        return (answer, rest);
    }
    if answer.field("Transfer-Encoding") == Some("chunked") {
        let rest = dechunk(rest, &mut answer);
        return (answer, rest);
    }
    let len = answer.field("Content-Length").map(|length| length.parse::<usize>().unwrap());
    let (body, rest) = rest.split_at(len.unwrap_or(rest.len()).min(rest.len()));
    answer.body = body.to_vec();
    answer.is_whole = len == Some(body.len());
    (answer, rest)
}

fn dechunk<'a>(mut bytes: &'a [u8], answer: &mut Answer) -> &'a [u8] {
    loop {
        let Ok(Status::Complete((at, size))) = httparse::parse_chunk_size(bytes) else {
            assert!(bytes.is_empty(), "a chunk's size is cut");
            answer.is_whole = false;
            return bytes;
        };
        let end = at + usize::try_from(size).unwrap();
        assert_eq!(&bytes[end..end + 2], b"\r\n");
        answer.body.extend(&bytes[at..end]);
        bytes = &bytes[end + 2..];
        if size == 0 {
            return bytes;
        }
    }
}

/// A frame as a client sends it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len => {
            frame.push(0xff);
            if len < 65_536 {
                frame.pop();
                frame.push(0xfe);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            } else {
                frame.extend((len as u64).to_be_bytes());
            }
        }
    }
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

pub fn text_frame(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

pub fn close_frame(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

/// All frames of a server: opcode and payload.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!((first & 0xf0, second & 0x80), (0x80, 0), "final, no extension, not masked");
        let (len, rest) = match second {
            127 => (usize::try_from(u64::from_be_bytes(rest[..8].try_into().unwrap())).unwrap(), &rest[8..]),
            126 => (usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), &rest[2..]),
            len => (usize::from(*len), rest),
        };
        frames.push((first & 0x0f, rest[..len].to_vec()));
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty(), "a frame's head is cut");
    frames
}

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A text frame, as [`frames`] gives it.
pub fn text(text: &str) -> (u8, Vec<u8>) {
    (TEXT, text.into())
}

/// A close frame without a reason, as [`frames`] gives it.
pub fn close(code: u16) -> (u8, Vec<u8>) {
    close_with(code, "")
}

/// A close frame, as [`frames`] gives it.
pub fn close_with(code: u16, reason: &str) -> (u8, Vec<u8>) {
    (CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
}
