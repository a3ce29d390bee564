//! The text cases of tests/cases/http1 over sockets: what a driver's client reads is what the core has written.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use pushlab::proto::ProtocolLimits;
use pushlab::{Frame, Reply, Request, Response};

use super::{Lab, both_plain};
use crate::http1::peer::Peer;
use crate::support::cases;
use crate::support::splits::Seeded;

/// The answers of [`Peer`], which shows a path as it was sent.
fn answer(request: &Request<'_>, reply: Reply<'_>) {
    match request.head().path() {
        "/none" => reply.send(Response::no_content()),
        "/same" => reply.send(Response::status(304).field("ETag", "\"a\"")),
        "/reset" => reply.send(Response::status(205)),
        "/fixed" => reply.send(Response::method_not_allowed("GET, HEAD")),
        "/stream" => {
            let mut stream = reply.stream(Response::new("text/plain", "one\n"));
            stream.send(b"");
            stream.send_frame(&Frame::chunk(b"two\n"));
            stream.send_frame(&Frame::text("three\n"));
            stream.end();
        }
        path => reply.send(Response::new("text/plain", [path.as_bytes(), request.body()].concat())),
    }
}

/// Every `Date` becomes the core tests' own.
fn without_dates(mut answers: &[u8]) -> Vec<u8> {
    const DATE: &[u8] = b"\r\nDate: ";
    const EPOCH: &[u8] = b"Thu, 01 Jan 1970 00:00:00 GMT";
    let mut dated = Vec::new();
    while let Some(at) = answers.windows(DATE.len()).position(|window| window == DATE) {
        let (before, after) = answers.split_at(at + DATE.len());
        let Some((_, rest)) = after.split_at_checked(EPOCH.len()) else { break };
        dated.extend_from_slice(before);
        dated.extend_from_slice(EPOCH);
        answers = rest;
    }
    dated.extend_from_slice(answers);
    dated
}

both_plain! {
    fn every_case(model) {
        let lab = Lab::answering(model, answer);
        let (mut failures, mut tried, mut numbers) = (Vec::new(), 0, Seeded::new(1));
        let mut broken = BTreeMap::new();
        for case in cases::read("http1").iter().filter(|case| case.core_only.is_none()) {
            let (_, expected) = Peer::run(&case.input, &[case.input.len()], &ProtocolLimits::default());
            // Whole, and in two writes, which the system may or may not keep apart. What comes behind a last answer may reset it away.
            let cut = if case.transcript.ends_with(&["closing".to_owned()]) { case.input.len() } else { numbers.below(case.input.len() + 1) };
            for rule in case.transcript.iter().filter_map(|line| line.strip_prefix("error ").or(line.strip_prefix("eof "))) {
                *broken.entry(rule.split(' ').next().unwrap_or(rule).to_owned()).or_insert(0) += 2;
            }
            for first in [case.input.len(), cut] {
                let mut client = lab.connect();
                let (first, second) = case.input.split_at(first);
                client.send(first);
                // The server may have ended the connection by now, and is right then.
                let _ = client.stream.write_all(second).and_then(|()| client.stream.shutdown(std::net::Shutdown::Write));
                let mut answers = Vec::new();
                let end = client.stream.read_to_end(&mut answers);
                tried += 1;
                if without_dates(&answers) != expected {
                    failures.push(format!(
                        "{} ({end:?})\n  expected {}\n  got {}",
                        case.name,
                        expected.escape_ascii(),
                        answers.escape_ascii()
                    ));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        assert_eq!(lab.stats().accepted, tried);
        assert_eq!(lab.broken_rules(), broken, "each rule is counted by its name");
        assert_eq!(lab.stats().remote_errors, broken.values().sum::<u64>());
    }
}
