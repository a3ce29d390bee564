//! The text cases of tests/cases/http1, in every split.
//!
//! Covers: proto::http1::framing, proto::http1::target

use pushlab::proto::Limits;

use super::peer::Peer;
use crate::support::{cases, splits::splits};

#[test]
fn every_case_gives_its_transcript_however_it_is_split() {
    let cases = cases::read("http1");
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        let whole = Peer::run(&case.input, &[case.input.len()], &Limits::default());
        if whole.0 != case.transcript {
            failures.push(format!("{}\n  expected {:#?}\n  got {:#?}", case.name, case.transcript, whole.0));
            continue;
        }
        if case.output.as_ref().is_some_and(|output| *output != whole.1) {
            failures.push(format!("{}\n  output {}", case.name, whole.1.escape_ascii().to_string().replace("\\r\\n", "\\r\\n\n  = ")));
        }
        for pieces in splits(case.input.len(), 20) {
            let split = Peer::run(&case.input, &pieces, &Limits::default());
            if split != whole {
                failures.push(format!("{} in pieces {pieces:?}\n  whole {:?}\n  split {:?}", case.name, whole.0, split.0));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
