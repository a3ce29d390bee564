//! HTTP/1.1 connections: promises after every step, cuts, and the same reading as others.

use std::time::{Duration, Instant, SystemTime};

use pushlab::proto::http1::{BodySize, Conn, Content, Event, Head, KnownFields, Next, ResponseHead, Version};
use pushlab::proto::{Frame, Now, Outbox, ProtocolLimits, RemoteError};

use super::chunked::{Decoded, decode_naively};
use super::input::{Cuts, Input};
use super::server::{Asked, answer};

/// ProtocolLimits that a short input meets.
fn tiny() -> ProtocolLimits {
    ProtocolLimits {
        head_bytes: 160,
        head_fields: 5,
        target_bytes: 40,
        body_bytes: 64,
        chunk_line_bytes: 24,
        head_timeout: Duration::from_secs(2),
        body_timeout: Duration::from_secs(3),
        keep_alive_timeout: Duration::from_secs(5),
        ..ProtocolLimits::default()
    }
}

/// An event that outlives its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Head {
        raw: Vec<u8>,
        content: Content,
    },
    Body(Vec<u8>),
    End,
    Error(RemoteError),
    Eof(Result<(), RemoteError>),
    Closing,
    /// Another protocol's bytes.
    Switched(Vec<u8>),
}

/// A server around one connection, with a few ways to answer, chosen by the request alone.
struct Peer<'l> {
    conn: Conn,
    /// The fields of the last head, if the run remembers them.
    known: Option<KnownFields>,
    now: Now,
    limits: &'l ProtocolLimits,
    out: Outbox,
    seen: Vec<Seen>,
    asked: Vec<Asked>,
    /// How the request in progress will be answered.
    way: usize,
    body_len: usize,
    is_late: bool,
}

/// What came of an input.
struct Run {
    seen: Vec<Seen>,
    output: Vec<u8>,
    asked: Vec<Asked>,
}

impl<'l> Peer<'l> {
    fn run(input: &[u8], cuts: Cuts<'_>, limits: &'l ProtocolLimits) -> Run {
        Self::run_knowing(None, input, cuts, limits)
    }

    fn run_knowing(known: Option<KnownFields>, mut input: &[u8], mut cuts: Cuts<'_>, limits: &'l ProtocolLimits) -> Run {
        let now = Now::new(Instant::now(), SystemTime::UNIX_EPOCH);
        let conn = Conn::new(now.instant(), limits);
        let (out, seen, asked) = (Outbox::new(), Vec::new(), Vec::new());
        let mut peer = Self { conn, known, now, limits, out, seen, asked, way: 0, body_len: 0, is_late: false };
        let mut waiting = Vec::new();
        while let Some(piece) = cuts.take(&mut input) {
            waiting.extend_from_slice(piece);
            let used = peer.digest(&waiting);
            waiting.drain(..used);
        }
        peer.end(waiting);
        Run { seen: peer.seen, output: peer.out.chunks().flatten().copied().collect(), asked: peer.asked }
    }

    /// Works on input until it needs more. Returns how much was used up.
    fn digest(&mut self, input: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let was_closing = self.conn.is_closing();
            let now = self.now.instant();
            let known_head = self.known.as_ref().and_then(|known| known.parse(&input[at..], self.limits));
            let next = match known_head {
                Some(head) if self.conn.begin_known(now, &head, self.limits) => {
                    let parsed = Head::parse(head.raw(), self.limits).expect("a head with known fields is valid");
                    assert_eq!(format!("{head:?}"), format!("{parsed:?}"), "known fields mean the same");
                    Ok((head.raw().len(), Next::Event(Event::Head(head))))
                }
                _ => self.conn.next_event(now, &input[at..], &mut self.out, self.limits),
            };
            let (used, next) = match next {
                Ok(next) => next,
                Err(error) => {
                    assert!(!was_closing, "an error is reported once");
                    assert!(self.conn.is_closing() && self.conn.deadline().is_none());
                    self.seen.push(Seen::Error(error));
                    if !self.conn.is_streaming() {
                        let is_head = if self.conn.awaits_response() { self.asked_head() } else { begins_with_head(&input[at..]) };
                        self.asked.push(if is_head { Asked::Head } else { Asked::Body });
                    }
                    self.conn.send_error(&self.now, error, &mut self.out);
                    return input.len();
                }
            };
            assert!(used <= input.len() - at, "no more is used than was given");
            at += used;
            match next {
                Next::Event(event) => {
                    assert!(!was_closing, "nothing comes after the end");
                    assert!(used > 0 || matches!(event, Event::End), "an event takes bytes");
                    self.take(event);
                }
                Next::NeedData => {
                    assert!(input.len() - at <= self.limits.head_bytes, "a head in progress is bounded");
                    assert!(!self.conn.is_closing() || at == input.len(), "a closing connection discards everything");
                    assert!(self.conn.is_closing() || self.conn.deadline().is_some(), "nothing is awaited for ever");
                    return at;
                }
                Next::Paused => {
                    assert_eq!(used, 0);
                    if !self.conn.awaits_response() {
                        return at;
                    }
                    assert!(self.is_late && self.conn.deadline().is_none(), "only a response is missing");
                    self.respond();
                }
            }
        }
    }

    fn asked_head(&self) -> bool {
        matches!(self.seen.iter().rev().find(|seen| matches!(seen, Seen::Head { .. })), Some(Seen::Head { raw, .. }) if raw.starts_with(b"HEAD "))
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Head(head) => {
                self.check_head(&head);
                if let Some(known) = &self.known {
                    known.remember(&head);
                }
                self.seen.push(Seen::Head { raw: head.raw().to_vec(), content: head.content() });
                self.way = head.path().len() + head.query().map_or(0, str::len);
                self.body_len = 0;
                self.is_late = self.way % 3 == 2 || head.content() != Content::None && self.way % 7 != 6;
                if !self.is_late {
                    self.respond();
                }
            }
            Event::Body(bytes) => {
                assert!(!bytes.is_empty());
                self.body_len += bytes.len();
                assert!(self.body_len <= self.limits.body_bytes);
                match self.seen.last_mut() {
                    Some(Seen::Body(body)) => body.extend_from_slice(bytes),
                    _ => self.seen.push(Seen::Body(bytes.to_vec())),
                }
            }
            Event::End => self.seen.push(Seen::End),
        }
    }

    fn check_head(&self, head: &Head<'_>) {
        assert!(head.raw().len() <= self.limits.head_bytes);
        assert!(head.target().len() <= self.limits.target_bytes);
        assert!(head.fields().count() <= self.limits.head_fields);
        assert!(head.path().starts_with('/') || head.path() == "*");
        assert!(!matches!(head.content(), Content::Length(length) if length > self.limits.body_bytes as u64));
        assert!(head.version() == Version::Http10 || head.field_bytes("host").is_some());
        for (name, value) in head.fields() {
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
            assert!(value.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7F));
        }
    }

    fn respond(&mut self) {
        self.asked.push(if self.asked_head() { Asked::Head } else { Asked::Body });
        let Self { conn, now, out, .. } = self;
        let head = ResponseHead::new(200, "text/plain");
        match self.way % 7 {
            1 => conn.send_response(now, &ResponseHead::new(204, ""), b"", out),
            2 => conn.send_response(now, &ResponseHead { fields: b"ETag: \"a\"\r\n", ..ResponseHead::new(304, "") }, b"", out),
            3 => conn.send_head(now, &head, BodySize::Stream, out).and_then(|()| {
                conn.send_body(b"one\n", out)?;
                conn.send_frame(&Frame::chunk(b"two\n"), out)?;
                conn.send_frame(&Frame::text("three\n"), out)?;
                conn.send_end(now, out)
            }),
            4 => conn.send_response(now, &ResponseHead::new(599, ""), vec![b'x'; 3_000], out),
            // A request with a body cannot be answered so before its end.
            5 if conn.send_switching_protocols(now, b"", out).is_ok() => Ok(()),
            6 => conn.send_head(now, &head, BodySize::Length(4), out).and_then(|()| {
                conn.send_body(b"wh", out)?;
                conn.send_body(b"en", out)?;
                conn.send_end(now, out)
            }),
            _ => conn.send_response(now, &head, b"hello", out),
        }
        .expect("a response is owed");
        assert!(!self.conn.awaits_response() && !self.conn.is_streaming());
    }

    fn end(&mut self, waiting: Vec<u8>) {
        if self.conn.is_closing() {
            return self.seen.push(Seen::Closing);
        }
        let Some(deadline) = self.conn.deadline() else {
            assert!(self.way % 7 == 5, "only another protocol has no deadline here");
            return self.seen.push(Seen::Switched(waiting));
        };
        let early = deadline.checked_sub(Duration::from_millis(1)).expect("the clock began before");
        assert_eq!(self.conn.handle_timeout(early), Ok(None));
        self.seen.push(Seen::Eof(self.conn.handle_eof()));
        assert!(self.conn.is_closing() && self.conn.deadline().is_none());
    }
}

/// Whether a head that is refused is a HEAD's, behind as many empty lines as are allowed.
fn begins_with_head(input: &[u8]) -> bool {
    let empty = input.chunks(2).take(4).take_while(|chunk| *chunk == b"\r\n").count();
    input[2 * empty..].starts_with(b"HEAD ")
}

fn check_output(run: &Run) {
    let (mut rest, mut asked) = (&run.output[..], run.asked.iter().peekable());
    while let Some(&request) = asked.next() {
        let answer = answer(rest, request).unwrap_or_else(|| panic!("{request:?} has no response: {}", rest.escape_ascii()));
        rest = &rest[answer.len..];
        assert!(answer.is_whole || asked.peek().is_none(), "only the last response can be ended by the close");
    }
    assert!(rest.is_empty() || rest == b"HTTP/1.1 100 Continue\r\n\r\n", "nobody asked for {}", rest.escape_ascii());
}

/// Bytes of any kind: what holds after every step, and an output that a client understands.
pub(super) fn keeps_its_promises(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = if input.flag() { tiny() } else { ProtocolLimits::default() };
    check_output(&Peer::run(input.rest(), Cuts::WHOLE, &limits));
}

/// Bytes of any kind: cut in any way, with and without a memory of the last fields, and whole.
pub(super) fn does_not_depend_on_cuts(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = if input.flag() { tiny() } else { ProtocolLimits::default() };
    let cuts = input.cuts();
    let bytes = input.rest();
    let whole = Peer::run(bytes, Cuts::WHOLE, &limits);
    let cut = Peer::run(bytes, cuts.clone(), &limits);
    let known = [Cuts::WHOLE, cuts].map(|cuts| Peer::run_knowing(Some(KnownFields::default()), bytes, cuts, &limits));
    for run in known.iter().chain([&cut]) {
        assert_eq!(run.seen, whole.seen);
        assert!(run.output == whole.output, "{}\n{}", run.output.escape_ascii(), whole.output.escape_ascii());
    }
}

/// Bytes of any kind: heads as `httparse` reads them, lengths and chunks as a naive reader does.
pub(super) fn agrees_with_others(data: &[u8]) {
    let limits = ProtocolLimits::default();
    let run = Peer::run(data, Cuts::WHOLE, &limits);
    let (mut rest, mut seen) = (data, run.seen.iter().peekable());
    while let Some(event) = seen.next() {
        let Seen::Head { raw, content } = event else { continue };
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        }
        rest = rest.strip_prefix(&raw[..]).expect("a head stands where the message before it ended");
        compare_head(raw, *content, &limits);
        let mut body = &b""[..];
        if let Some(Seen::Body(bytes)) = seen.peek() {
            body = bytes;
            seen.next();
        }
        let is_whole = matches!(seen.peek(), Some(Seen::End));
        let expected = match content {
            Content::None => continue,
            Content::Length(length) => match usize::try_from(*length).ok().and_then(|length| rest.get(..length)) {
                Some(bytes) => Decoded::Whole(bytes.to_vec(), bytes.len()),
                None => Decoded::Partial(rest.to_vec()),
            },
            Content::Chunked => decode_naively(rest),
        };
        match expected {
            // An answer that came before the end of the body is the last one: nothing more is read.
            _ if matches!(seen.peek(), Some(Seen::Closing)) => assert!(body.is_empty()),
            Decoded::Whole(bytes, len) if is_whole => {
                assert_eq!(body, bytes);
                rest = &rest[len..];
            }
            Decoded::Partial(bytes) if !is_whole => assert!(bytes.starts_with(body)),
            Decoded::Refused if !is_whole => {}
            other => assert!(matches!(seen.peek(), Some(Seen::Error(RemoteError::BodyTooLarge | RemoteError::BadChunk))), "{other:?}"),
        }
    }
}

fn compare_head(raw: &[u8], content: Content, limits: &ProtocolLimits) {
    let head = Head::parse(raw, limits).expect("it was parsed before");
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    // `httparse` refuses minor versions that are later than 1.1, which are to be read as 1.1.
    let mut known = raw.to_vec();
    let line_len = raw.iter().position(|byte| *byte == b'\r').expect("a head has lines");
    known[line_len - 1] = known[line_len - 1].min(b'1');
    assert_eq!(request.parse(&known), Ok(httparse::Status::Complete(raw.len())));
    assert_eq!(request.method, Some(head.method().as_str()));
    assert_eq!(request.path, Some(head.target()));
    assert_eq!(request.version, Some(u8::from(head.version() == Version::Http11)));
    let theirs: Vec<_> = request.headers.iter().map(|field| (field.name, field.value)).collect();
    let ours: Vec<_> = head.fields().collect();
    assert_eq!(ours, theirs);
    let named = |name: &str| -> Vec<_> { theirs.iter().filter(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1).collect() };
    for (name, _) in &theirs {
        assert_eq!(head.field_bytes(name), named(name).first().copied());
    }
    let codings = named("transfer-encoding").join(&b',');
    let codings: Vec<_> = codings.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty()).collect();
    match (&named("content-length")[..], &codings[..]) {
        ([], []) => assert_eq!((content, named("transfer-encoding").len()), (Content::None, 0)),
        ([length], []) => {
            assert_eq!(named("transfer-encoding").len(), 0);
            assert!(length.iter().all(u8::is_ascii_digit));
            let length = std::str::from_utf8(length).expect("digits").parse().expect("a number");
            assert_eq!(content, if length == 0 { Content::None } else { Content::Length(length) });
        }
        ([], [coding]) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"));
            assert_eq!((content, head.version()), (Content::Chunked, Version::Http11));
        }
        (lengths, codings) => panic!("two framings: {lengths:?} {codings:?}"),
    }
    assert!(named("host").len() <= 1);
}
