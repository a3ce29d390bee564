//! What the library accepts, a second reader finds in the same bytes: the same requests with the same bodies, one after the other.
//!
//! The second reader is naive, and shares nothing with the first. If it were a proxy in front, nothing could be smuggled past it.
//!
//! Covers: proto::http1::framing, proto::http1::head, proto::http1::chunked

use std::time::{Instant, SystemTime};

use pushlab::proto::http1::{Conn, Content, Event, Head, Next, ResponseHead, Version};
use pushlab::proto::{Now, Outbox, ProtocolLimits, RemoteError};

use crate::support::naive_http::{Request, Stop, read};
use crate::support::splits::Seeded;
use crate::support::{cases, handshakes};

/// Inputs longer than this are about limits, which the second reader does not have.
const INPUT_BYTES: usize = 2_000;

/// How the library leaves a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Waiting,
    /// After a last response.
    Closed,
    Refused(RemoteError),
}

/// What a server has of a request that it accepts whole.
pub struct Whole<H> {
    pub head: H,
    pub body: Vec<u8>,
    /// Where it ends in the input.
    pub end: usize,
}

/// The requests that a server accepts whole, each answered at its end.
pub fn accepted_as<H>(input: &[u8], keep: impl Fn(&Head<'_>) -> H) -> (Vec<Whole<H>>, End) {
    let (now, limits) = (Now::new(Instant::now(), SystemTime::UNIX_EPOCH), ProtocolLimits::default());
    let (mut conn, mut out) = (Conn::new(now.instant(), &limits), Outbox::new());
    let (mut requests, mut current, mut at) = (Vec::new(), None::<Whole<H>>, 0);
    loop {
        if conn.is_closing() && !conn.awaits_response() {
            return (requests, End::Closed);
        }
        let is_whole = match conn.next_event(now.instant(), &input[at..], &mut out, &limits) {
            Err(error) => return (requests, End::Refused(error)),
            Ok((used, next)) => {
                at += used;
                match next {
                    Next::NeedData | Next::Paused => return (requests, End::Waiting),
                    Next::Event(Event::Head(head)) => {
                        current = Some(Whole { head: keep(&head), body: Vec::new(), end: 0 });
                        head.content() == Content::None
                    }
                    Next::Event(Event::Body(bytes)) => {
                        current.as_mut().unwrap().body.extend_from_slice(bytes);
                        false
                    }
                    Next::Event(Event::End) => true,
                }
            }
        };
        if is_whole {
            requests.push(Whole { end: at, ..current.take().unwrap() });
            conn.send_response(&now, &ResponseHead::new(200, ""), b"", &mut out).unwrap();
        }
    }
}

fn accepted(input: &[u8]) -> (Vec<Request>, End) {
    let (requests, end) = accepted_as(input, |head| Request {
        method: head.method().as_str().to_owned(),
        target: head.target().to_owned(),
        is_http10: head.version() == Version::Http10,
        fields: head.fields().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        body: Vec::new(),
        end: 0,
    });
    (requests.into_iter().map(|Whole { head, body, end }| Request { body, end, ..head }).collect(), end)
}

pub fn is_framing(name: &str) -> bool {
    name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("Transfer-Encoding")
}

/// The requests without what says how their bodies were framed, and where they ended.
fn meaning(requests: &[Request]) -> Vec<Request> {
    let plain = requests.iter().map(|request| Request {
        fields: request.fields.iter().filter(|(name, _)| !is_framing(name)).cloned().collect(),
        end: 0,
        ..request.clone()
    });
    plain.collect()
}

/// A request as it was understood, on the wire again.
fn serialize(requests: &[Request]) -> Vec<u8> {
    let mut wire = Vec::new();
    for Request { method, target, is_http10, fields, body, .. } in requests {
        wire.extend(format!("{method} {target} HTTP/1.{}\r\n", u8::from(!is_http10)).into_bytes());
        for (name, value) in fields.iter().filter(|(name, _)| !is_framing(name)) {
            wire.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if fields.iter().any(|(name, _)| is_framing(name)) {
            wire.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
        }
        wire.extend([b"\r\n", &body[..]].concat());
    }
    wire
}

/// Errors about the grammar alone. The others are policy: methods, forms of targets, names of hosts, codings, limits.
const GRAMMAR: [RemoteError; 5] = [
    RemoteError::BadRequestLine,
    RemoteError::BadField,
    RemoteError::BadContentLength,
    RemoteError::ConflictingFraming,
    RemoteError::BadChunk,
];

/// Says what is wrong with how the library and the second reader read this.
fn disagreement(input: &[u8]) -> Option<&'static str> {
    let (ours, end) = accepted(input);
    let (lenient, _) = read(input, true);
    if lenient.get(..ours.len()) != Some(&ours[..]) {
        return Some("a lenient reader sees other requests");
    }
    let (strict, stop) = read(input, false);
    // Chunk extensions mean nothing to either, and where they end is the same.
    let is_cut_short = stop == Stop::OddExtension && ours.starts_with(&strict);
    if strict.get(..ours.len()) != Some(&ours[..]) && !is_cut_short {
        return Some("a strict reader sees other requests");
    }
    match end {
        End::Waiting if strict.len() > ours.len() => return Some("it waits where there is a whole request"),
        End::Refused(error) if strict.len() > ours.len() && GRAMMAR.contains(&error) => return Some("it refuses what is in order"),
        _ => {}
    }
    let again = serialize(&ours);
    if meaning(&read(&again, false).0) != meaning(&ours) || meaning(&accepted(&again).0) != meaning(&ours) {
        return Some("what was understood is not what was said");
    }
    None
}

/// Inputs of all tables.
pub fn inputs() -> Vec<Vec<u8>> {
    let of_http = cases::read("http1").into_iter().map(|case| case.input);
    let of_handshakes = handshakes::read().into_iter().map(|case| case.text_input());
    of_http.chain(of_handshakes).filter(|input| !input.is_empty() && input.len() <= INPUT_BYTES).collect()
}

#[test]
fn every_case_is_read_alike() {
    for input in inputs() {
        assert_eq!(disagreement(&input), None, "{}", input.escape_ascii());
    }
}

/// Bytes and lines that matter to a parser.
const WORDS: [&[u8]; 32] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b" ",
    b"\t",
    b"\0",
    b";\n",
    b";x=\"\n\"",
    b"\n3\r\nabc",
    b"\n0\r\n\r\n",
    b"\x0B",
    b"\x7F",
    b"\xFF",
    b":",
    b",",
    b";",
    b"\"",
    b"\\",
    b"0",
    b"+",
    b"-",
    b"x",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"chunked",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n",
    b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// An input or two, with a few bytes changed, taken away, added or doubled: mostly about the ends of lines.
pub fn mutate(numbers: &mut Seeded, inputs: &[Vec<u8>], with_bodies: &[Vec<u8>]) -> Vec<u8> {
    let pick = |numbers: &mut Seeded| {
        let from = if numbers.below(2) == 0 { inputs } else { with_bodies };
        from[numbers.below(from.len())].clone()
    };
    let mut input = pick(numbers);
    if numbers.below(2) == 0 {
        // Something behind it that may be read as its body, and the other way round.
        input.extend(pick(numbers));
    }
    for _ in 0..numbers.below(4) {
        let line_ends: Vec<_> = (0..input.len()).filter(|at| input[*at] == b'\r').collect();
        let at = match numbers.below(2) {
            0 if !line_ends.is_empty() => line_ends[numbers.below(line_ends.len())],
            _ => numbers.below(input.len() + 1),
        };
        let end = (at + numbers.below(6)).min(input.len());
        match numbers.below(8) {
            0 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            1 if at < input.len() => input[at] = input[at].to_ascii_lowercase() ^ 0x20,
            2 => drop(input.drain(at..end)),
            3 => drop(input.splice(at..at, input[at..end].to_vec())),
            4 => input.truncate(at),
            _ => drop(input.splice(at..at, WORDS[numbers.below(WORDS.len())].iter().copied())),
        }
    }
    input
}

#[test]
fn broken_cases_are_read_alike() {
    let inputs = inputs();
    let with_bodies: Vec<_> =
        inputs.iter().filter(|input| accepted(input).0.iter().any(|request| !request.body.is_empty())).cloned().collect();
    let (mut requests, mut bodies, mut refused) = (0, 0, 0);
    for seed in 1..=12_000 {
        let input = mutate(&mut Seeded::new(seed), &inputs, &with_bodies);
        assert_eq!(disagreement(&input), None, "seed {seed}: {}", input.escape_ascii());
        let (ours, end) = accepted(&input);
        requests += ours.len();
        bodies += ours.iter().filter(|request| !request.body.is_empty()).count();
        refused += usize::from(matches!(end, End::Refused(_)));
    }
    assert!(requests > 5_000 && bodies > 1_500 && refused > 3_000, "{requests} requests, {bodies} bodies, {refused} refused");
}
