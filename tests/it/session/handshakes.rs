//! The table of handshakes, in every split.
//!
//! Covers: session::reply, proto::ws::handshake, proto::ws::lists

use pushlab::proto::CloseReason;
use pushlab::session::Settings;

use super::rig::Rig;
use crate::support::handshakes::{origins, probe, read, transcript};
use crate::support::splits::splits;
use crate::support::tables::Case;

fn run(case: &Case, pieces: &[usize]) -> Vec<u8> {
    let mut rig = Rig::with(Settings { allow_origins: origins(case), ..Settings::default() });
    let input = case.text_input();
    let mut rest = &input[..];
    for &piece in pieces {
        let (piece, after) = rest.split_at(piece);
        rest = after;
        rig.send(piece);
    }
    rig.send(probe(case));
    assert!(rig.ending().is_some(), "{}: the connection goes on", case.name);
    rig.close(CloseReason::Transport);
    rig.bytes()
}

#[test]
fn every_handshake_gives_its_transcript_however_it_is_split() {
    let mut failures = Vec::new();
    for case in read() {
        let input_len = case.text_input().len();
        let whole = run(&case, &[input_len]);
        let lines = transcript(&case, &whole);
        if lines != case.transcript {
            failures.push(format!("{}\n  {}\n  expected {:#?}\n  got {:#?}", case.name, case.clause, case.transcript, lines));
            continue;
        }
        if let Some(pieces) = splits(input_len, 10).find(|pieces| run(&case, pieces) != whole) {
            failures.push(format!("{} in pieces {pieces:?} gives something else", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
