//! The table of frames, in every split.
//!
//! Covers: proto::ws::conn, proto::ws::event, proto::ws::reader, proto::ws::close, proto::ws::frame, proto::ws::utf8

use super::peer::{Seen, Server};
use crate::support::frames::{is_closing, limits, output, read, transcript};
use crate::support::splits::splits;
use crate::support::tables::Case;

/// Up to this length a case is fed byte by byte, too.
const SHORT_BYTES: usize = 100_000;

struct Run {
    seen: Vec<Seen>,
    output: Vec<u8>,
    /// How much had come when an error was found.
    failed_at: usize,
}

fn run(case: &Case, input: &[u8], pieces: &[usize]) -> Run {
    let (mut server, mut rest, mut failed_at) = (Server::new(&limits(case)), input, 0);
    if is_closing(case) {
        server.close();
    }
    for piece in pieces {
        let (now, later) = rest.split_at(*piece);
        server.feed(now);
        rest = later;
        if failed_at == 0 && matches!(server.seen.last(), Some(Seen::Error(_))) {
            failed_at = input.len() - later.len();
        }
    }
    Run { output: server.output(), seen: server.seen, failed_at }
}

/// Where the connection fails, in bytes: where it does when they come one by one.
#[test]
fn every_case_gives_its_transcript_however_it_is_split() {
    let mut failures = Vec::new();
    for case in read() {
        let input = case.frame_input();
        let whole = run(&case, &input, &[input.len()]);
        let cuts: Vec<_> = match input.len() {
            ..SHORT_BYTES => splits(input.len(), 20).skip(1).collect(),
            len => vec![[vec![4_099; len / 4_099], vec![len % 4_099]].concat()],
        };
        let failed_at = run(&case, &input, &cuts[0]).failed_at;
        let lines = transcript(&whole.seen, &whole.output, failed_at);
        if lines != case.transcript {
            failures.push(format!("{}\n  {}\n  expected {:#?}\n  got {lines:#?}", case.name, case.clause, case.transcript));
            continue;
        }
        if whole.output != output(&case, &whole.seen) {
            failures.push(format!("{}\n  {}\n  output {:02X?}", case.name, case.clause, whole.output));
        }
        for pieces in cuts {
            let split = run(&case, &input, &pieces);
            if split.seen != whole.seen || split.output != whole.output {
                failures.push(format!("{} gives something else in pieces {:?}", case.name, &pieces[..pieces.len().min(20)]));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
