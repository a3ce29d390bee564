//! What the library accepts, readers that others wrote find in the same bytes, or they refuse it. And what the library has understood, they
//! read in the same way when it is forwarded: nothing can be smuggled from one to the other.
//!
//! `cargo test` asks tiny_http, whose request line, fields and framing share no code with httparse. `tests/peers/run` starts more readers as
//! programs and names them in `PUSHLAB_PEERS`, command lines with colons between them.
//!
//! Covers: proto::http1::framing, proto::http1::head, proto::http1::chunked, proto::http1::target

mod forward;
mod program;
mod tiny;

use pushlab::proto::RemoteError;

use self::forward::{FRAMINGS, Framing, forward, understand};
use self::program::Program;
use self::tiny::TinyHttp;
use super::smuggling::{End, inputs, mutate};
use crate::support::cases;
use crate::support::splits::Seeded;

/// A request as a reader has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    method: String,
    target: String,
    /// The names in lower case.
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Seen {
    fn new(method: &str, target: &str, fields: impl Iterator<Item = (String, Vec<u8>)>, body: Vec<u8>) -> Self {
        let fields = fields.map(|(name, value)| match name.to_ascii_lowercase() {
            // h11 hands it out in lower case.
            name if name == "transfer-encoding" => (name, value.to_ascii_lowercase()),
            name => (name, value),
        });
        Self { method: method.to_owned(), target: target.to_owned(), fields: fields.collect(), body }
    }

    fn field(&self, wanted: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| &value[..])
    }
}

/// What a reader makes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Those that were whole.
    requests: Vec<Seen>,
    /// Why it reads no further, whatever comes. `None` while the rest may be the beginning of a request.
    stopped: Option<String>,
}

/// What the library reads, and how it ends.
fn read_by_us(input: &[u8]) -> (Vec<Seen>, End) {
    let (requests, end) = understand(input);
    (requests.into_iter().map(|request| request.seen).collect(), end)
}

/// Compares what the library has read of some bytes, and how it has ended, with a reader's reading of them.
fn compare(ours: &[Seen], end: End, theirs: &Reading) -> Result<(), &'static str> {
    if ours.iter().zip(&theirs.requests).any(|(ours, theirs)| ours != theirs) {
        return Err("other requests");
    }
    match (&theirs.requests[..], &theirs.stopped) {
        (requests, _) if requests.len() > ours.len() && end == End::Waiting => Err("requests in what is the beginning of one"),
        (requests, None) if requests.len() < ours.len() => Err("the beginning of a request in what are whole ones"),
        _ => Ok(()),
    }
}

/// Where tiny_http differs, and why we are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It has no trailers. RFC 9112, section 7.1: `chunked-body = *chunk last-chunk trailer-section CRLF`.
    Trailers,
    /// Where the end of file cuts a chunked body short, it takes what there is for whole. RFC 9112, section 8: it "is incomplete if the
    /// zero-sized chunk that terminates the encoding has not been received".
    CutShort,
    /// It takes all that follows a wish to upgrade for a body. RFC 9110, section 7.8: a server MAY ignore Upgrade; then requests follow.
    Upgrade,
    /// It closes without a word. RFC 9110, section 5.5: "field-vchar = VCHAR / obs-text".
    BeyondAscii,
    /// It closes where a first `Connection` has `close` in it. RFC 9110, section 7.6.1: a list of tokens.
    Close,
    /// It knows the one spelling of one expectation, in every version. RFC 9110, section 10.1.1: a list without regard to case, and in a
    /// request of HTTP/1.0 100-continue is ignored.
    Expectations,
    /// It knows 1.0 and 1.1. RFC 9110, section 2.5: as if it were the highest minor version that is known.
    MinorVersion,
    /// RFC 9112, section 2.2: a server "SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
    EmptyLines,
}

/// The cases that tiny_http reads in another way, or refuses to read.
const KNOWN: [(&str, Known); 27] = [
    ("trailers", Known::Trailers),
    ("trailers that would frame or route are dropped", Known::Trailers),
    ("a trailer that would close is dropped", Known::Trailers),
    ("a trailer with bytes beyond ASCII", Known::Trailers),
    ("requests of every framing, one behind the other", Known::Trailers),
    ("the end of file in data", Known::CutShort),
    ("an upgrade that Connection alone names", Known::Upgrade),
    ("an upgrade to something else is ignored", Known::Upgrade),
    ("an upgrade to a version of the protocol is another one", Known::Upgrade),
    ("a request that could be upgraded and is answered stays", Known::Upgrade),
    ("100 Continue before 101, when both were asked for", Known::Upgrade),
    ("bytes beyond ASCII in a value", Known::BeyondAscii),
    ("close inside another word is not close", Known::Close),
    ("close in quotes is not close", Known::Close),
    ("close with a parameter is not close", Known::Close),
    ("the same expectation twice", Known::Expectations),
    ("the same expectation in two fields, among empty elements", Known::Expectations),
    ("an empty Expect expects nothing", Known::Expectations),
    ("HTTP/1.0 has no expectations", Known::Expectations),
    ("100 Continue to a later minor version", Known::MinorVersion),
    ("a later minor version is read as 1.1", Known::MinorVersion),
    ("the last minor version is read as 1.1, with all that 1.1 has", Known::MinorVersion),
    ("a stream to a later minor version is chunked", Known::MinorVersion),
    ("an empty line in front", Known::EmptyLines),
    ("empty lines in front, and between requests", Known::EmptyLines),
    ("four empty lines in front, the most that are ignored", Known::EmptyLines),
    ("the empty line that an old client sends behind a body", Known::EmptyLines),
];

/// Which known difference of tiny_http this is, when it is one that no refusal goes with.
fn known_of_tiny_http(input: &[u8], ours: &[Seen], end: End, theirs: &[Seen]) -> Option<Known> {
    let has = |request: &Seen, text: &[u8]| {
        let options = request.field("connection").unwrap_or_default().to_ascii_lowercase();
        options.windows(text.len()).any(|part| part == text)
    };
    let agreed = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
    match (ours.get(agreed), &theirs[agreed..]) {
        (None, [cut]) if end == End::Waiting && cut.field("transfer-encoding").is_some() => Some(Known::CutShort),
        (Some(_), []) if agreed > 0 && has(&ours[agreed - 1], b"close") => Some(Known::Close),
        (Some(next), []) if next.fields.iter().any(|(_, value)| !value.is_ascii()) => Some(Known::BeyondAscii),
        (Some(next), [last]) => {
            let takes_the_rest = input.ends_with(&last.body) && *next == Seen { body: next.body.clone(), ..last.clone() };
            (takes_the_rest && has(next, b"upgrade")).then_some(Known::Upgrade)
        }
        _ => None,
    }
}

/// Whoever can be given the bytes of a whole connection.
trait Reader {
    fn read(&mut self, input: &[u8]) -> Reading;
}

/// Somebody to ask.
struct Peer {
    name: String,
    reader: Box<dyn Reader>,
    is_tiny_http: bool,
    /// How many broken cases it is asked about.
    seeds: u64,
}

/// tiny_http, and who is named in the environment.
fn peers() -> Vec<Peer> {
    let commands = std::env::var("PUSHLAB_PEERS").unwrap_or_default();
    // It is asked over sockets, which takes longer; and there are only so many ports.
    let seeds = if commands.is_empty() { 1_000 } else { 8_000 };
    let tiny = Peer { name: "tiny_http".to_owned(), reader: Box::new(TinyHttp::start()), is_tiny_http: true, seeds };
    let programs = commands.split(':').filter(|command| !command.is_empty()).map(|command| {
        let program = Program::start(command);
        Peer { name: program.name.clone(), reader: Box::new(program), is_tiny_http: false, seeds: 20_000 }
    });
    [tiny].into_iter().chain(programs).collect()
}

/// A request that everybody finds, unless it is taken for a part of what is in front of it.
const SENTINEL: &[u8] = b"GET /sentinel HTTP/1.1\r\nHost: sentinel\r\n\r\n";

/// What came of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All that we accept is read alike: so many requests.
    Alike(usize),
    /// It stops before the last of them.
    Refused,
    Known(Known),
}

impl Peer {
    /// Hands over what the library accepts: all up to where it refuses or closes. Behind requests that are whole, one more.
    fn ask(&mut self, input: &[u8]) -> Result<Outcome, String> {
        let (ours, end) = understand(input);
        let whole = ours.last().map_or(0, |last| last.end);
        let given = match end {
            End::Waiting if whole == input.len() => [input, SENTINEL].concat(),
            End::Waiting => input.to_vec(),
            End::Closed | End::Refused(_) => input[..whole].to_vec(),
        };
        let ours = read_by_us(&given).0;
        let theirs = self.reader.read(&given);
        match compare(&ours, end, &theirs) {
            Ok(()) if theirs.requests.len() < ours.len() => Ok(Outcome::Refused),
            Ok(()) => Ok(Outcome::Alike(ours.len())),
            Err(what) => self.explain(&given, &ours, end, &theirs, what),
        }
    }

    /// Sends on what the library has understood, and a request behind it.
    fn ask_forwarded(&mut self, input: &[u8], framing: Framing) -> Result<Outcome, String> {
        let mut wire = Vec::new();
        let mut expected: Vec<_> = understand(input).0.iter().map(|request| forward(request, framing, &mut wire)).collect();
        wire.extend(SENTINEL);
        expected.extend(read_by_us(SENTINEL).0);
        let (ours, end) = read_by_us(&wire);
        // With one more field than the client has sent, a head may be one too large for us.
        let is_beyond_a_limit = matches!(end, End::Refused(RemoteError::TooManyFields | RemoteError::HeadTooLarge));
        assert!(ours == expected || is_beyond_a_limit, "we do not read what we have forwarded: {}, {end:?}", wire.escape_ascii());
        let theirs = self.reader.read(&wire);
        if theirs.requests == expected && theirs.stopped.is_none() {
            return Ok(Outcome::Alike(expected.len()));
        }
        self.explain(&wire, &expected, End::Waiting, &theirs, "what was forwarded is not what was understood")
    }

    fn explain(&self, input: &[u8], ours: &[Seen], end: End, theirs: &Reading, what: &str) -> Result<Outcome, String> {
        let known = known_of_tiny_http(input, ours, end, &theirs.requests).filter(|_| self.is_tiny_http);
        known.map(Outcome::Known).ok_or_else(|| format!("{}: {what}\n{}\n{ours:?}, {end:?}\n{theirs:?}", self.name, input.escape_ascii()))
    }
}

#[test]
fn every_case_is_read_alike() {
    let cases = cases::read("http1");
    for peer in &mut peers() {
        let (mut alike, mut forwarded, mut others) = (0, 0, Vec::new());
        for case in &cases {
            match peer.ask(&case.input).unwrap_or_else(|what| panic!("{}: {what}", case.name)) {
                Outcome::Alike(requests) => alike += requests,
                outcome => others.push((case.name.split_once(": ").unwrap().1, outcome)),
            }
            for framing in FRAMINGS {
                match peer.ask_forwarded(&case.input, framing).unwrap_or_else(|what| panic!("{}: {what}", case.name)) {
                    Outcome::Alike(requests) => forwarded += requests,
                    outcome => assert_eq!(outcome, Outcome::Known(Known::BeyondAscii), "{}", case.name),
                }
            }
        }
        println!("{}: {} cases, {alike} requests alike, {forwarded} forwarded; {} cases not", peer.name, cases.len(), others.len());
        assert!(alike > 340 && forwarded > 2_300 && others.len() <= KNOWN.len(), "{}: {others:?}", peer.name);
        if peer.is_tiny_http {
            for (title, outcome) in &others {
                let known = KNOWN.iter().find(|(known, _)| known == title);
                let is_right = known.is_some_and(|(_, known)| [Outcome::Refused, Outcome::Known(*known)].contains(outcome));
                assert!(is_right, "{title}: {outcome:?} is not a known difference");
            }
            let is_needed = |known: &str| others.iter().any(|(title, _)| *title == known);
            assert!(KNOWN.iter().all(|(title, _)| is_needed(title)), "some of KNOWN is read alike: {others:?}");
        }
    }
}

#[test]
fn what_is_accepted_of_broken_cases_is_read_alike() {
    let inputs = inputs();
    let has_body = |input: &&Vec<u8>| read_by_us(input).0.iter().any(|request| !request.body.is_empty());
    let with_bodies: Vec<_> = inputs.iter().filter(has_body).cloned().collect();
    for peer in &mut peers() {
        let (mut alike, mut refused, mut known) = (0, 0, 0);
        for seed in 1..=peer.seeds {
            let mut numbers = Seeded::new(seed);
            let input = mutate(&mut numbers, &inputs, &with_bodies);
            let framing = FRAMINGS[numbers.below(FRAMINGS.len())];
            for outcome in [peer.ask(&input), peer.ask_forwarded(&input, framing)] {
                match outcome.unwrap_or_else(|what| panic!("seed {seed}: {what}")) {
                    Outcome::Alike(requests) => alike += requests as u64,
                    Outcome::Refused => refused += 1,
                    Outcome::Known(_) => known += 1,
                }
            }
        }
        println!("{}: {} broken cases, {alike} requests alike; {refused} refused, {known} known differences", peer.name, peer.seeds);
        assert!(alike > peer.seeds && refused + known < peer.seeds / 5, "{}: {alike}, {refused}, {known}", peer.name);
    }
}

/// That the comparison finds what it is there for.
#[test]
fn a_smuggled_request_would_be_seen() {
    let smuggled = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let one = format!("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    let two = format!("POST /1 HTTP/1.1\r\nHost: a\r\n\r\n{smuggled}");
    let half = &one[..one.len() - 1];
    let reading =
        |input: &str, stopped: Option<&str>| Reading { requests: read_by_us(input.as_bytes()).0, stopped: stopped.map(str::to_owned) };
    for (ours, theirs, is_alike) in [
        (&*one, reading(&one, None), true),
        (&two, reading(&two, None), true),
        (half, reading(half, None), true),
        (&one, reading(&two, None), false),
        (&two, reading(&one, None), false),
        // They have read less. Whether they will never read more makes the difference.
        (&one, reading(half, None), false),
        (&one, reading(half, Some("400")), true),
        // They have read more.
        (half, reading(&one, None), false),
        (half, reading(&one, Some("400")), false),
    ] {
        let (requests, end) = read_by_us(ours.as_bytes());
        assert_eq!(compare(&requests, end, &theirs).is_ok(), is_alike, "{ours:?}: {theirs:?}");
    }
}
