//! The text cases of tests/cases/http1, in every split. `blackbox::cases` gives the same cases to both drivers.
//!
//! Covers: proto::http1::framing, proto::http1::target

use pushlab::proto::ProtocolLimits;

use super::peer::Peer;
use crate::support::cases::{self, Case};
use crate::support::splits::splits;

#[test]
fn every_case_gives_its_transcript_however_it_is_split() {
    let cases = cases::read("http1");
    assert!(cases.len() >= 480, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        let whole = Peer::run(&case.input, &[case.input.len()], &ProtocolLimits::default());
        if whole.0 != case.transcript {
            failures.push(format!("{}\n  expected {:#?}\n  got {:#?}", case.name, case.transcript, whole.0));
            continue;
        }
        if case.output.as_ref().is_some_and(|output| *output != whole.1) {
            failures.push(format!("{}\n  output {}", case.name, whole.1.escape_ascii().to_string().replace("\\r\\n", "\\r\\n\n  = ")));
        }
        check_answers(case, &whole.1);
        for pieces in splits(case.input.len(), 20) {
            let split = Peer::run(&case.input, &pieces, &ProtocolLimits::default());
            if split != whole {
                failures.push(format!("{} in pieces {pieces:?}\n  whole {:?}\n  split {:?}", case.name, whole.0, split.0));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What a client is to be answered: a request, by the line of the transcript, or the error that is the last answer.
enum Asked<'a> {
    Request(&'a str),
    Error(&'a str),
}

fn asked(case: &Case) -> Vec<Asked<'_>> {
    let (mut asked, mut with_body) = (Vec::new(), None);
    for line in &case.transcript {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["body", ..] | ["closing" | "eof"] | ["switched", _] => {}
            ["end"] => asked.extend(with_body.take().map(Asked::Request)),
            ["error", _, status] => asked.push(Asked::Error(status)),
            ["eof", _] => asked.push(Asked::Error("400")),
            // The one path that is answered before the body.
            [_, path, _, content, ..] if path != "/early" && (content.starts_with("length=") || content == "chunked") => {
                with_body = Some(line.as_str());
            }
            _ => asked.push(Asked::Request(line)),
        }
    }
    asked
}

/// What holds for the answers of every case: one for each request, in order, with one `Date` (RFC 9110, section 6.6.1) and at most one
/// framing (RFC 9112, section 6.2), and an announcement when it is the last one (RFC 9112, section 9.6).
fn check_answers(case: &Case, output: &[u8]) {
    let output = String::from_utf8(output.to_vec()).unwrap().replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    let (mut rest, asked) = (output.as_str(), asked(case));
    for (index, request) in asked.iter().enumerate() {
        let is_last = index + 1 == asked.len();
        let (head, after) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{}: {rest:?} is no answer", case.name));
        let values = |name: &str| -> Vec<_> {
            head.lines().filter_map(|line| line.split_once(": ")).filter(|field| field.0 == name).map(|field| field.1).collect()
        };
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|line| line.get(..3)).unwrap_or_else(|| panic!("{}: {head}", case.name));
        assert_eq!(values("Date"), ["Thu, 01 Jan 1970 00:00:00 GMT"], "{}: {head}", case.name);
        let (lengths, codings) = (values("Content-Length"), values("Transfer-Encoding"));
        assert!(lengths.len() + codings.len() <= 1, "{}: {head}", case.name);
        let has_none = matches!(status, "101" | "204" | "304");
        assert!(!has_none || lengths.len() + codings.len() == 0, "{}: {head}", case.name);
        assert!(status != "405" || !values("Allow").is_empty(), "{}: {head}", case.name);
        let connection = values("Connection");
        match request {
            Asked::Error(expected) => {
                assert_eq!((status, &connection[..], is_last), (*expected, &["close"][..], true), "{}: {head}", case.name);
                let body_len: usize = lengths[0].parse().unwrap();
                return assert!(after.is_empty() || after.len() == body_len, "{}: {after}", case.name);
            }
            Asked::Request(request) => {
                if request.split(' ').any(|word| word == "close") {
                    assert_eq!(connection, ["close"], "{}: {head}", case.name);
                }
                rest = match (lengths.first(), codings.first()) {
                    _ if has_none || request.starts_with("HEAD ") => after,
                    (Some(length), _) => &after[length.parse().unwrap()..],
                    (None, Some(_)) => after.split_once("0\r\n\r\n").unwrap().1,
                    (None, None) => "",
                };
            }
        }
        let closes = is_last && case.transcript.last().is_some_and(|line| line == "closing");
        assert_eq!(connection.contains(&"close"), closes, "{}: {head}", case.name);
    }
    assert_eq!(rest, "", "{}", case.name);
}

#[test]
fn what_is_not_a_case_is_refused() {
    const GOOD: &str = "## a\n@ RFC 9112, 6.3; RFC 9110, 5.6.1.2\n> x\n< eof\n";
    let is_accepted = |text: &str| std::panic::catch_unwind(|| cases::check(&cases::parse("file", text))).is_ok();
    assert!(is_accepted(GOOD) && is_accepted(&format!("{GOOD}## b\n@ RFC 9112, 3\n>2 x\n<2 eof {{n}}\n")));
    for bad in [
        GOOD.replace("@ RFC 9112, 6.3; RFC 9110, 5.6.1.2\n", ""),
        GOOD.replace("6.3", "six"),
        GOOD.replace("6.3", "6."),
        GOOD.replace(", 6.3", ""),
        GOOD.replace("9112", "HTTP"),
        GOOD.replace("; ", ", "),
        GOOD.replace("< eof\n", ""),
        GOOD.replace("> x", "x"),
        GOOD.replace("> x", ">y x"),
        GOOD.replace("> x", "? x"),
        GOOD.replace("## a\n", ""),
        GOOD.repeat(2),
        format!("{GOOD}{}", GOOD.replace("## a", "## b")),
        format!("{GOOD}{}", GOOD.replace("> x", "> y")),
    ] {
        assert!(!is_accepted(&bad), "{bad}");
    }
}
