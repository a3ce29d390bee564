//! The table of frames, in every split.
//!
//! Covers: proto::stomp::reader, proto::stomp::command, proto::stomp::headers, proto::stomp::limits, proto::stomp::error, proto::stomp::escape

use std::collections::HashSet;
use std::fmt::Write;

use pushlab::proto::stomp::{Command, Frame, Reader, Role, StompError, StompLimits, Version};

use crate::support::splits::splits;
use crate::support::tables::{self, Case};

fn limits(case: &Case) -> StompLimits {
    let mut limits = StompLimits::default();
    for setting in case.setting("limit") {
        let (name, value) = setting.split_once(' ').unwrap();
        let value = value.parse().unwrap();
        match name {
            "header_lines" => limits.header_lines = value,
            "header_line_bytes" => limits.header_line_bytes = value,
            "body_bytes" => limits.body_bytes = value,
            _ => panic!("{}: {name} is no limit", case.name),
        }
    }
    limits
}

fn reader(case: &Case) -> Reader {
    let role = match case.setting("role").next() {
        Some("client") => Role::Client,
        None => Role::Server,
        other => panic!("{}: {other:?} is no role", case.name),
    };
    Reader::new(role, case.setting("version").next().map_or(Version::V1_2, |name| Version::from_name(name).unwrap()))
}

fn line(frame: &Frame<'_>) -> String {
    let mut line = frame.command.name().to_owned();
    for (name, value) in frame.headers.iter() {
        let _ = write!(line, " {name:?}={value:?}");
    }
    if !frame.body.is_empty() {
        let _ = write!(line, " body \"{}\"", frame.body.escape_ascii());
    }
    line
}

/// The transcript of an input in pieces.
fn read(mut reader: Reader, limits: &StompLimits, input: &[u8], pieces: &[usize]) -> Vec<String> {
    let (mut transcript, mut rest) = (Vec::new(), input);
    let mut arrived = 0;
    for piece in pieces {
        let (mut now, later) = rest.split_at(*piece);
        rest = later;
        arrived += piece;
        loop {
            match reader.next_frame(now, limits) {
                Ok((used, Some(frame))) => {
                    transcript.push(line(&frame));
                    now = &now[used..];
                }
                Ok((used, None)) => {
                    assert_eq!(used, now.len(), "without a frame, all input is consumed");
                    break;
                }
                Err(error) => {
                    assert_eq!(reader.next_frame(b"DISCONNECT\n\n\0", limits).err(), Some(error), "an error is for good");
                    assert_eq!(reader.capacity(), 0, "no memory after an error");
                    transcript.push(format!("error {error:?}"));
                    return transcript;
                }
            }
        }
        // A header has two ranges of 16 bytes, and buffers double.
        assert!(reader.capacity() <= 256 + 40 * arrived, "{} bytes of memory for {arrived} that have arrived", reader.capacity());
        assert!(!reader.is_between_frames() || reader.capacity() == 0, "no memory between frames");
    }
    if transcript.is_empty() {
        transcript.push("(nothing)".to_owned());
    }
    transcript
}

#[test]
fn every_case_gives_its_transcript_however_it_is_split() {
    let cases = tables::read(env!("CARGO_MANIFEST_DIR"), "stomp/frames.txt");
    assert!(cases.len() > 50);
    for case in &cases {
        let input = case.text_input();
        for pieces in splits(input.len(), 30) {
            assert_eq!(read(reader(case), &limits(case), &input, &pieces), case.transcript, "{}, in pieces {pieces:?}", case.name);
        }
    }
    // The two that the negotiations find have tests of their own.
    let seen: HashSet<&str> = cases.iter().filter_map(|case| case.transcript.last()?.strip_prefix("error ")).collect();
    for error in StompError::ALL {
        let is_of_a_frame = !matches!(error, StompError::UnsupportedVersion | StompError::BadHeartBeat);
        assert_eq!(seen.contains(&*format!("{error:?}")), is_of_a_frame, "{error:?} has a case");
    }
}

#[test]
fn every_error_has_a_sentence_of_its_own() {
    let sentences: HashSet<String> = StompError::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), StompError::ALL.len());
    assert_eq!(size_of::<StompError>(), 1);
}

/// A body that is whole in the input is not copied.
#[test]
fn a_whole_body_is_borrowed() {
    let input = b"SEND\n\nhello\0";
    let mut reader = Reader::new(Role::Server, Version::V1_2);
    let (used, frame) = reader.next_frame(input, &StompLimits::default()).unwrap();
    let body = frame.unwrap().body;
    assert_eq!((used, body, body.as_ptr()), (input.len(), &b"hello"[..], input[6..].as_ptr()));
}

/// Memory grows with what arrives, not with what `content-length` announces.
#[test]
fn an_announced_body_takes_no_memory_before_it_arrives() {
    let mut reader = Reader::new(Role::Server, Version::V1_2);
    reader.next_frame(b"SEND\ncontent-length:1000000\n\n", &StompLimits::default()).unwrap();
    assert!(reader.capacity() < 256, "{} bytes", reader.capacity());
    assert!(!reader.is_between_frames());
}

#[test]
fn the_version_changes_between_frames() {
    let mut reader = Reader::new(Role::Server, Version::V1_2);
    let input = b"CONNECT\naccept-version:1.1\n\n\0SEND\na:\\r\n\n\0";
    let (used, frame) = reader.next_frame(input, &StompLimits::default()).unwrap();
    let version = Version::negotiate(frame.unwrap().headers.get("accept-version"), Version::V1_2).unwrap();
    reader.set_version(version);
    assert_eq!(reader.next_frame(&input[used..], &StompLimits::default()).err(), Some(StompError::BadEscape));
}

#[test]
fn a_command_is_of_one_side() {
    for command in Command::ALL {
        assert_ne!(command.is_for(Role::Server), command.is_for(Role::Client), "{command:?}");
    }
    assert_eq!(Command::ALL.into_iter().filter(|command| command.is_for(Role::Client)).count(), 4);
}
