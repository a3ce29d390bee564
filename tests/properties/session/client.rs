//! What a client sends.

use pushlab::proto::ws::Opcode;

use super::super::input::Input;
use super::super::ws::client_frame;

/// A request, nearly always in order.
pub(super) fn request(input: &mut Input<'_>) -> Vec<u8> {
    let path = char::from(input.byte() | 0x20).to_ascii_lowercase();
    let path = if path.is_ascii_alphabetic() { path } else { 'a' };
    let how = input.byte();
    let method = ["GET", "POST", "HEAD", "OPTIONS"][usize::from(how & 3)];
    let target = if how & 0xF3 == 0xF3 { "*".to_owned() } else { format!("/{path}") };
    let version = if how & 4 == 0 { "1.1" } else { "1.0" };
    let more = match how >> 3 & 3 {
        0 => "",
        1 => "Connection: close\r\n",
        2 => "Connection: keep-alive\r\n",
        _ => "Expect: 100-continue\r\n",
    };
    let mut wire = format!("{method} {target} HTTP/{version}\r\nHost: a\r\n{more}").into_bytes();
    match how >> 5 & 3 {
        0 => wire.extend(b"\r\n"),
        1 => {
            let body = input.some_bytes();
            wire.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            wire.extend(body);
        }
        2 => {
            wire.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for _ in 0..input.below(4) {
                let body = input.some_bytes();
                if !body.is_empty() {
                    wire.extend(format!("{:x}\r\n", body.len()).bytes());
                    wire.extend(body);
                    wire.extend(b"\r\n");
                }
            }
            wire.extend(b"0\r\n\r\n");
        }
        // The body comes later, or never.
        _ => wire.extend(b"Content-Length: 9\r\n\r\n"),
    }
    wire
}

/// A handshake, nearly always in order.
pub(super) fn handshake(input: &mut Input<'_>) -> Vec<u8> {
    let how = input.byte();
    let path = if how & 1 == 0 { "w" } else { "v" };
    let version = if how & 0x70 == 0x70 { "8" } else { "13" };
    let more = ["", "Sec-WebSocket-Protocol: x, two\r\n", "Origin: http://a\r\n", "Origin: http://b\r\n"][usize::from(how >> 1 & 3)];
    format!(
        "GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: {version}\r\n{more}\r\n"
    )
    .into_bytes()
}

/// A frame, in order by itself.
pub(super) fn frame(input: &mut Input<'_>) -> Vec<u8> {
    let how = input.byte();
    let opcodes = [Opcode::Text, Opcode::Binary, Opcode::Text, Opcode::Continuation, Opcode::Ping, Opcode::Pong, Opcode::Close];
    let opcode = opcodes[usize::from(how & 7) % opcodes.len()];
    let mut wire = Vec::new();
    let payload = match opcode {
        Opcode::Close => vec![0x03, 0xE8],
        Opcode::Text => input.text().into_bytes(),
        _ => input.some_bytes().to_vec(),
    };
    let payload = if opcode.is_control() { &payload[..payload.len().min(125)] } else { &payload[..] };
    client_frame(opcode.is_control() || how & 8 == 0, opcode, payload, [how, 2, 3, 4], &mut wire);
    wire
}
