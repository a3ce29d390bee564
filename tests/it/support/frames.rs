//! The table of frames: its cases with their limits, and the transcript of what came of them.

use pushlab::proto::{ProtocolLimits, RemoteError};

use super::tables::{self, Case, bytes};
use crate::ws::peer::Seen;

/// All cases.
pub fn read() -> Vec<Case> {
    let cases = tables::read(env!("CARGO_MANIFEST_DIR"), "ws/frames.txt");
    assert!(cases.len() >= 80, "only {} cases", cases.len());
    cases
}

pub fn limits(case: &Case) -> ProtocolLimits {
    let number = |name, default| case.setting(name).last().map_or(default, |number| number.parse().unwrap());
    let default = ProtocolLimits::default();
    ProtocolLimits {
        message_bytes: number("message_bytes", default.message_bytes),
        message_fragments: number("message_fragments", default.message_fragments),
        ..default
    }
}

/// Whether the server has sent its close frame before.
pub fn is_closing(case: &Case) -> bool {
    case.settings.iter().any(|setting| setting == "closing")
}

/// The output that a case states, and nothing if it states none.
pub fn output(case: &Case, seen: &[Seen]) -> Vec<u8> {
    let mut output = Vec::new();
    for line in case.output.iter().flatten() {
        match (line.as_str(), seen.last()) {
            ("fail", Some(Seen::Error(error))) => {
                let code: u16 = case.transcript.last().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
                output.extend(close(code, *error));
            }
            _ => output.extend(bytes(line)),
        }
    }
    output
}

/// The close frame of an error, with its sentence for a reason.
pub fn close(code: u16, error: RemoteError) -> Vec<u8> {
    let reason = error.to_string();
    [&[0x88, 2 + reason.len() as u8], &code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// What the application heard. An error has the code that `output` ends in, and the number of the byte that broke the rule.
pub fn transcript(seen: &[Seen], output: &[u8], failed_at: usize) -> Vec<String> {
    let lines = seen.iter().map(|seen| match seen {
        Seen::Text(text) => format!("text {}", describe(text.as_bytes())),
        Seen::Binary(bytes) => format!("binary {}", describe(bytes)),
        Seen::Ping(payload) => format!("ping {}", describe(payload)),
        Seen::Pong(payload) => format!("pong {}", describe(payload)),
        Seen::Close(code, reason) => format!("close {code} {}", describe(reason.as_bytes())),
        Seen::Error(error) => {
            let at = output.windows(2).rposition(|head| head[0] == 0x88 && head[1] & 0x80 == 0).expect("an error is said") + 2;
            format!("fail {} {error:?} at {failed_at}", u16::from_be_bytes([output[at], output[at + 1]]))
        }
    });
    let mut runs: Vec<(usize, String)> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some((count, last)) if *last == line => *count += 1,
            _ => runs.push((1, line)),
        }
    }
    let lines = runs.into_iter().flat_map(|(count, line)| if count < 10 { vec![line; count] } else { vec![format!("{count} {line}")] });
    lines.collect()
}

fn describe(bytes: &[u8]) -> String {
    match bytes {
        [first, rest @ ..] if rest.len() > 16 && rest.iter().all(|byte| byte == first) => {
            format!("\"{}\"*{}", first.escape_ascii(), bytes.len())
        }
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}
