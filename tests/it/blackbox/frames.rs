//! The table of frames, over sockets: an application that echoes, right behind the handshake and in one go.

use std::collections::HashMap;

use pushlab::proto::ws::{FrameHead, Opcode};

use super::{Lab, both};
use crate::support::frames::{close, is_closing, limits, read};
use crate::support::tables::Case;
use crate::ws::peer::{Seen, Server};

const PING_AND_CLOSE: &[u8] = b"\x89\x85\0\0\0\0probe\x88\x82\0\0\0\0\x03\xE8";
const PONG_AND_CLOSE: &[u8] = b"\x8A\x05probe\x88\x02\x03\xE8";

/// What the server says to a case: that the events are right is what the same table says about the protocol alone.
fn expected(case: &Case) -> (Vec<u8>, bool) {
    let mut protocol = Server::new(&limits(case));
    protocol.feed(&case.frame_input());
    let frame = |opcode, payload: &[u8]| [&*FrameHead::server(opcode, payload.len() as u64).encode(), payload].concat();
    let mut wire = Vec::new();
    for seen in &protocol.seen {
        wire.extend(match seen {
            Seen::Text(text) => frame(Opcode::Text, text.as_bytes()),
            Seen::Binary(bytes) => frame(Opcode::Binary, bytes),
            Seen::Ping(payload) => frame(Opcode::Pong, payload),
            Seen::Pong(_) => Vec::new(),
            Seen::Close(1005, _) => frame(Opcode::Close, b""),
            Seen::Close(code, _) => frame(Opcode::Close, &code.to_be_bytes()),
            Seen::Error(error) => close(error.close_code(), *error),
        });
    }
    let is_over = matches!(protocol.seen.last(), Some(Seen::Close(..) | Seen::Error(_)));
    if !is_over {
        wire.extend_from_slice(PONG_AND_CLOSE);
    }
    (wire, is_over)
}

both! {
    fn every_case_is_answered(model) {
        let mut labs = HashMap::new();
        for case in read().into_iter().filter(|case| !is_closing(case)) {
            let lab = labs.entry(case.settings.clone()).or_insert_with(|| Lab::with(model, |config| config.settings.limits.protocol = limits(&case)));
            let (wire, is_over) = expected(&case);
            let mut client = lab.connect();
            client.upgrade("/ws");
            client.send([&case.frame_input()[..], if is_over { &b""[..] } else { PING_AND_CLOSE }].concat());
            let output = client.take_to_end();
            assert!(output == wire, "{} ({}): {}", case.name, case.clause, output[..output.len().min(200)].escape_ascii());
        }
    }
}
