//! The table of handshakes, over sockets: each case at once, and in three pieces.

use std::collections::HashMap;

use super::{Client, Lab, both_plain};
use crate::support::handshakes::{origins, probe, read, transcript};
use crate::support::splits::Seeded;
use crate::support::tables::Case;

/// Everything that the server says to a case, up to the end of the connection.
fn run(mut client: Client, case: &Case, cuts: [usize; 2]) -> Vec<String> {
    let input = case.text_input();
    let (first, rest) = input.split_at(cuts[0].min(cuts[1]));
    let (second, third) = rest.split_at(cuts[0].abs_diff(cuts[1]));
    for piece in [first, second, third, probe(case)].into_iter().filter(|piece| !piece.is_empty()) {
        client.send(piece);
    }
    transcript(case, &client.take_to_end())
}

both_plain! {
    fn every_handshake_gives_its_transcript(model) {
        let (mut labs, mut numbers) = (HashMap::new(), Seeded::new(1));
        for case in read() {
            let origins = origins(&case);
            let lab = labs.entry(origins.clone()).or_insert_with(|| Lab::with(model, |config| config.settings.allow_origins = origins));
            let len = case.text_input().len();
            for cuts in [[0, len], [numbers.below(len), numbers.below(len)]] {
                assert_eq!(run(lab.connect(), &case, cuts), case.transcript, "{} ({}), cut at {cuts:?}", case.name, case.clause);
            }
        }
    }
}
