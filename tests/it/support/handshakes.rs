//! The table of handshakes: what is sent behind a case's input to find out what the connection is good for, and the transcript of what came.

use super::tables::{self, Case};

/// A frame with a ping, and one that closes; their masking key is zero.
const PING_AND_CLOSE: &[u8] = b"\x89\x85\0\0\0\0probe\x88\x82\0\0\0\0\x03\xE8";
/// The answers to both.
const PONG_AND_CLOSE: &[u8] = b"\x8A\x05probe\x88\x02\x03\xE8";
const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// All cases.
pub fn read() -> Vec<Case> {
    let cases = tables::read(env!("CARGO_MANIFEST_DIR"), "ws/handshake.txt");
    assert!(cases.len() >= 80, "only {} cases", cases.len());
    cases
}

/// The origins that the server of a case allows.
pub fn origins(case: &Case) -> Vec<String> {
    case.setting("origin").map(str::to_owned).collect()
}

/// What the client sends at last. Whatever it is, the server ends the connection then.
pub fn probe(case: &Case) -> &'static [u8] {
    match case.transcript.last().map(String::as_str) {
        Some("then websocket") => PING_AND_CLOSE,
        Some("then http") => REQUEST,
        Some("then end") => b"",
        other => panic!("{}: a case does not end in {other:?}", case.name),
    }
}

/// What a server said to the case and to the probe.
pub fn transcript(case: &Case, mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let is_head = case.text_input().starts_with(b"HEAD ");
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head") + 4;
        let head = str::from_utf8(&bytes[..end]).expect("a head is ASCII");
        bytes = &bytes[end..];
        let status = head.strip_prefix("HTTP/1.1 ").expect("an answer begins with its version").split(' ').next().unwrap();
        let fields = || head.lines().skip(1).filter_map(|line| line.split_once(": "));
        if status == "101" {
            assert!(fields().all(|(name, _)| !name.starts_with("Content-")), "{}: a 101 has no content", case.name);
        } else if !is_head || !lines.is_empty() {
            let length = fields().find(|(name, _)| *name == "Content-Length").map_or(0, |(_, length)| length.parse().unwrap());
            bytes = &bytes[length..];
        }
        let told = fields().filter(|(name, _)| matches!(*name, "Connection" | "Upgrade") || name.starts_with("Sec-WebSocket-"));
        let told = told.map(|(name, value)| format!("{name}: {value}"));
        lines.push([status.to_owned()].into_iter().chain(told).collect::<Vec<_>>().join(" | "));
        if status == "101" {
            let then = frames(bytes, &mut lines);
            lines.push(format!("then {then}"));
            return lines;
        }
    }
    // The answer to the second request.
    let then = if probe(case) == REQUEST && lines.pop_if(|last| last == "200 | Connection: close").is_some() { "http" } else { "end" };
    lines.push(format!("then {then}"));
    lines
}

/// Says what the connection is good for behind these frames.
fn frames(mut bytes: &[u8], lines: &mut Vec<String>) -> &'static str {
    while !bytes.is_empty() {
        if bytes == PONG_AND_CLOSE {
            return "websocket";
        }
        let (payload, rest) = bytes[2..].split_at(bytes[1].into());
        lines.push(match (bytes[0], payload) {
            (0x88, [high, low, ..]) => format!("close {}", u16::from_be_bytes([*high, *low])),
            (first, payload) => format!("frame {first:02X} \"{}\"", payload.escape_ascii()),
        });
        bytes = rest;
    }
    "end"
}
