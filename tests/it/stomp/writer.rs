//! Frames to bytes, and back.
//!
//! Covers: proto::stomp::writer, proto::stomp::escape

use pushlab::proto::LocalError;
use pushlab::proto::stomp::{Command, FrameWriter, Reader, Role, StompLimits, Version};

/// Writes a frame with one header and no body, after other bytes.
fn written(command: Command, version: Version, name: &str, value: &str) -> Result<Vec<u8>, LocalError> {
    let mut out = b"before".to_vec();
    let result = FrameWriter::new(command, version, &mut out).header("first", "1").header(name, value).header("last", "2").end();
    assert!(result.is_ok() || out == b"before", "nothing of a refused frame stays");
    result.map(|()| out)
}

#[test]
fn a_header_comes_back_or_is_refused() {
    let bad = Err(LocalError::BadHeader);
    let texts = ["", "a", "a:b", "a\\b", "a\nb", "a\rb", "a\r", "\\", "\\n", "€ ß", " a ", "a\0b"];
    for version in Version::ALL {
        for command in Command::ALL {
            let has_escapes = version > Version::V1_0 && !matches!(command, Command::Connect | Command::Stomp | Command::Connected);
            let carries = |text: &str| match () {
                () if text.contains('\0') => false,
                () if text.contains('\r') => has_escapes && version == Version::V1_2,
                () if text.contains('\n') => has_escapes,
                () => true,
            };
            let carries_name = |name: &str| !name.is_empty() && carries(name) && (has_escapes || !name.contains(':'));
            for (name, value) in texts.into_iter().flat_map(|name| texts.map(|value| (name, value))) {
                let wire = written(command, version, name, value);
                if !(carries_name(name) && carries(value)) {
                    assert_eq!(wire, bad, "{command:?} {version:?} {name:?} {value:?}");
                    continue;
                }
                let wire = wire.unwrap();
                let role = if command.is_for(Role::Server) { Role::Server } else { Role::Client };
                let mut reader = Reader::new(role, version);
                let (used, frame) = reader.next_frame(&wire[6..], &StompLimits::default()).unwrap();
                let frame = frame.unwrap();
                assert_eq!(used, wire.len() - 6);
                assert_eq!(
                    frame.headers.iter().collect::<Vec<_>>(),
                    [("first", "1"), (name, value), ("last", "2")],
                    "{command:?} {version:?}"
                );
            }
        }
    }
}

#[test]
fn a_body_gets_its_length() {
    let mut out = Vec::new();
    for body in [&b""[..], b"a\0b", &[0xFF; 1000]] {
        FrameWriter::new(Command::Message, Version::V1_2, &mut out).body(body).unwrap();
    }
    let mut reader = Reader::new(Role::Client, Version::V1_2);
    let mut rest = &out[..];
    for body in [&b""[..], b"a\0b", &[0xFF; 1000]] {
        let (used, frame) = reader.next_frame(rest, &StompLimits::default()).unwrap();
        let frame = frame.unwrap();
        assert_eq!((frame.body, frame.headers.get("content-length")), (body, Some(&*body.len().to_string())));
        rest = &rest[used..];
    }
    assert!(rest.is_empty());
}

#[test]
fn a_frame_that_must_not_have_a_body_gets_none() {
    for command in Command::ALL {
        let mut out = b"before".to_vec();
        let result = FrameWriter::new(command, Version::V1_2, &mut out).body(b"x");
        let may = matches!(command, Command::Send | Command::Message | Command::Error);
        assert_eq!(result.is_ok(), may, "{command:?}");
        assert!(may || (result == Err(LocalError::BodyLength) && out == b"before"));
    }
}

#[test]
fn content_length_is_the_writers_own() {
    assert_eq!(written(Command::Send, Version::V1_2, "content-length", "1"), Err(LocalError::ReservedField));
}

/// Both parts in one, as a subscriber receives them; a refused part leaves its buffer as it was.
#[test]
fn a_frame_is_written_in_two_parts() {
    let (mut first, mut second) = (b"x".to_vec(), b"y".to_vec());
    FrameWriter::new(Command::Message, Version::V1_1, &mut first).header("subscription", "a:b").pause().unwrap();
    FrameWriter::go_on(Command::Message, Version::V1_1, &mut second).header("destination", "/topic/a:b").body(b"hi").unwrap();
    assert_eq!([&first[1..], &second[1..]].concat(), b"MESSAGE\nsubscription:a\\cb\ndestination:/topic/a\\cb\ncontent-length:2\n\nhi\0");
    let lengths = (first.len(), second.len());
    assert_eq!(FrameWriter::new(Command::Message, Version::V1_1, &mut first).header("a", "\r").pause(), Err(LocalError::BadHeader));
    assert_eq!(FrameWriter::go_on(Command::Message, Version::V1_1, &mut second).header("", "").body(b""), Err(LocalError::BadHeader));
    assert_eq!((first.len(), second.len()), lengths);
}
