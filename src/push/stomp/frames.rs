//! The frames of the server, except the messages of topics.
//!
//! Owns their headers. Leaves the grammar to `proto::stomp`, and the messages of topics to `model`.

use crate::proto::stomp::{Command, FrameWriter, HeartBeat, Version};
use crate::session::LastWord;

/// The text of a frame whose headers are this server's own, or come from a frame of the client in
/// the same version. Both can be written.
fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

pub(super) fn connected(version: Version, heart_beat: HeartBeat) -> String {
    text(|out| {
        let frame = FrameWriter::new(Command::Connected, version, out);
        let frame = frame.header("version", version.name()).header("heart-beat", &heart_beat.to_string());
        let written = frame.header("server", concat!("pushlab/", env!("CARGO_PKG_VERSION"))).end();
        written.expect("these values need no escapes");
    })
}

/// An empty text if the version cannot carry the id, which then did not come in a frame of it.
pub(super) fn receipt(version: Version, id: &str) -> String {
    text(|out| _ = FrameWriter::new(Command::Receipt, version, out).header("receipt-id", id).end())
}

/// The sentence stands in the header and in the body, because some clients show only one of them.
/// The headers `code` and `retry` are this server's own: the code with which the WebSocket closes,
/// and after how many milliseconds the client should come back.
pub(super) fn error(version: Version, word: &LastWord, receipt: Option<&str>) -> String {
    let (sentence, code) = (word.sentence(), word.code().to_string());
    let retry = word.come_back_ms().map(|ms| ms.to_string());
    let body = format!("{sentence}\n");
    let write = |out: &mut Vec<u8>, receipt: Option<&str>| {
        let mut frame = FrameWriter::new(Command::Error, version, out).header("message", sentence).header("code", &code);
        if let Some(ms) = &retry {
            frame = frame.header("retry", ms);
        }
        if let Some(id) = receipt {
            frame = frame.header("receipt-id", id);
        }
        frame.header("content-type", "text/plain; charset=utf-8").body(body.as_bytes())
    };
    text(|out| {
        // The receipt's id may come from a CONNECT frame, which has no escapes.
        if write(out, receipt).is_err() {
            write(out, None).expect("sentences need no escapes");
        }
    })
}
