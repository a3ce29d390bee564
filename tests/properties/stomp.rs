//! STOMP: the reader against a naive one, and frames through the writer and back.

use pushlab::proto::LocalError;
use pushlab::proto::stomp::{Command, FrameWriter, Reader, Role, StompError, StompLimits, Version};

use super::input::{Cuts, Input};

/// A frame that outlives its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    command: Command,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came of an input: frames, and an error or whether the last frame is complete.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    frames: Vec<Seen>,
    end: Result<bool, StompError>,
}

fn read(mut input: &[u8], mut cuts: Cuts<'_>, role: Role, version: Version, limits: &StompLimits) -> Run {
    let (mut reader, mut frames, mut arrived) = (Reader::new(role, version), Vec::new(), 0);
    while let Some(mut piece) = cuts.take(&mut input) {
        arrived += piece.len();
        loop {
            match reader.next_frame(piece, limits) {
                Ok((used, Some(frame))) => {
                    assert!(0 < used && used <= piece.len());
                    assert!(frame.body.len() <= limits.body_bytes && frame.command.is_for(role));
                    assert!(frame.body.is_empty() || frame.command.may_have_body());
                    assert!(frame.headers.iter().count() <= limits.header_lines);
                    let headers = frame.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                    frames.push(Seen { command: frame.command, headers, body: frame.body.to_vec() });
                    piece = &piece[used..];
                }
                Ok((used, None)) => {
                    assert_eq!(used, piece.len(), "without a frame, all input is consumed");
                    break;
                }
                Err(error) => {
                    assert_eq!(reader.next_frame(b"DISCONNECT\n\n\0", limits).err(), Some(error), "an error is for good");
                    return Run { frames, end: Err(error) };
                }
            }
        }
        assert!(!reader.is_between_frames() || reader.capacity() == 0, "no memory between frames");
        assert!(reader.capacity() <= 256 + 40 * arrived, "{} bytes of memory for {arrived}", reader.capacity());
    }
    Run { frames, end: Ok(reader.is_between_frames()) }
}

/// The grammar of STOMP 1.2 over a whole input, with one allocation after the other.
fn read_naively(mut rest: &[u8], role: Role, version: Version, limits: &StompLimits) -> Run {
    let mut frames = Vec::new();
    let end = loop {
        match frame_naively(&mut rest, role, version, limits) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break Ok(rest.is_empty()),
            Err(error) => break Err(error),
        }
    };
    Run { frames, end }
}

/// Takes a line off the front. `None` if it has no end, and an error if it is too long before its end.
fn line_naively<'a>(rest: &mut &'a [u8], limit: usize, error: StompError) -> Result<Option<&'a [u8]>, StompError> {
    let end = rest.iter().position(|&byte| byte == b'\n');
    if end.unwrap_or(rest.len()) > limit {
        return Err(error);
    }
    let Some(end) = end else { return Ok(None) };
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
}

fn frame_naively(rest: &mut &[u8], role: Role, version: Version, limits: &StompLimits) -> Result<Option<Seen>, StompError> {
    let command = loop {
        match line_naively(rest, 12, StompError::UnknownCommand)? {
            Some(b"") => {}
            Some(line) => break Command::ALL.into_iter().find(|command| command.name().as_bytes() == line && command.is_for(role)),
            None => return Ok(None),
        }
    };
    let command = command.ok_or(StompError::UnknownCommand)?;
    // From here on, something is left if the frame has no end.
    let mut at = *rest;
    let mut headers = Vec::new();
    let cut_off = |rest: &mut &[u8]| {
        *rest = b"cut off";
        Ok(None)
    };
    loop {
        let Some(line) = line_naively(&mut at, limits.header_line_bytes, StompError::HeaderTooLong)? else { return cut_off(rest) };
        if line.is_empty() {
            break;
        }
        if headers.len() == limits.header_lines {
            return Err(StompError::TooManyHeaders);
        }
        if line.contains(&0) || line.contains(&b'\r') {
            return Err(StompError::BadHeader);
        }
        let line = String::from_utf8(line.to_vec()).map_err(|_| StompError::InvalidUtf8)?;
        let (name, value) = line.split_once(':').ok_or(StompError::BadHeader)?;
        if name.is_empty() {
            return Err(StompError::BadHeader);
        }
        headers.push((unescape_naively(name, command, version)?, unescape_naively(value, command, version)?));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value);
    let body = match length {
        Some(value) if value.is_empty() || value.chars().any(|c| !c.is_ascii_digit()) => return Err(StompError::BadContentLength),
        Some(value) => {
            let len = value.parse::<usize>().unwrap_or(usize::MAX);
            if len > 0 && !command.may_have_body() {
                return Err(StompError::BodyNotAllowed);
            }
            if len > limits.body_bytes {
                return Err(StompError::BodyTooLarge);
            }
            if at.len() <= len {
                return cut_off(rest);
            }
            if at[len] != 0 {
                return Err(StompError::MissingNul);
            }
            &at[..len]
        }
        None => {
            let end = at.iter().position(|&byte| byte == 0);
            let len = end.unwrap_or(at.len());
            if len > 0 && !command.may_have_body() {
                return Err(StompError::BodyNotAllowed);
            }
            if len > limits.body_bytes {
                return Err(StompError::BodyTooLarge);
            }
            if end.is_none() {
                return cut_off(rest);
            }
            &at[..len]
        }
    };
    *rest = &at[body.len() + 1..];
    Ok(Some(Seen { command, headers, body: body.to_vec() }))
}

fn unescape_naively(text: &str, command: Command, version: Version) -> Result<String, StompError> {
    if version == Version::V1_0 || matches!(command, Command::Connect | Command::Stomp | Command::Connected) {
        return Ok(text.to_owned());
    }
    let (mut decoded, mut characters) = (String::new(), text.chars());
    while let Some(character) = characters.next() {
        decoded.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('c') => ':',
                Some('\\') => '\\',
                Some('r') if version == Version::V1_2 => '\r',
                _ => return Err(StompError::BadEscape),
            },
            other => other,
        });
    }
    Ok(decoded)
}

fn role(input: &mut Input<'_>) -> Role {
    if input.flag() { Role::Client } else { Role::Server }
}

fn version(input: &mut Input<'_>) -> Version {
    Version::ALL[input.below(3)]
}

/// Bytes of any kind: the same frames whole, in pieces, and by the naive reader.
pub(super) fn reads_as_the_naive_reader(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let (role, version) = (role(&mut input), version(&mut input));
    let limits = if input.flag() {
        StompLimits { header_lines: input.below(8), header_line_bytes: input.size(), body_bytes: input.size() }
    } else {
        StompLimits::default()
    };
    let bytes = input.rest();
    let whole = read(bytes, Cuts::WHOLE, role, version, &limits);
    assert_eq!(read(bytes, cuts, role, version, &limits), whole);
    assert_eq!(read_naively(bytes, role, version, &limits), whole);
}

/// Frames with anything in them: what is accepted comes back equal.
pub(super) fn comes_back_as_it_went(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let (role, version) = (role(&mut input), version(&mut input));
    let commands: Vec<Command> = Command::ALL.into_iter().filter(|command| command.is_for(role)).collect();
    let (mut wire, mut expected) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let command = commands[input.below(commands.len())];
        let count = input.below(4);
        let mut headers: Vec<_> = (0..count).map(|_| (input.text(), input.text())).collect();
        let body = input.flag().then(|| input.some_bytes().to_vec());
        let before = wire.len();
        let mut writer = FrameWriter::new(command, version, &mut wire);
        for (name, value) in &headers {
            writer = writer.header(name, value);
        }
        let written = match &body {
            Some(body) => writer.body(body),
            None => writer.end(),
        };
        match written {
            Ok(()) => {
                headers.extend(body.as_ref().map(|body| ("content-length".to_owned(), body.len().to_string())));
                expected.push(Seen { command, headers, body: body.unwrap_or_default() });
            }
            Err(error) => {
                assert_eq!(wire.len(), before, "nothing of a refused frame is written");
                assert!(matches!(error, LocalError::BadHeader | LocalError::ReservedField | LocalError::BodyLength), "{error:?}");
            }
        }
        // Line ends between frames are heart-beats.
        wire.extend(std::iter::repeat_n(b'\n', input.below(3)));
    }
    let run = Run { frames: expected, end: Ok(true) };
    assert_eq!(read(&wire, Cuts::WHOLE, role, version, &StompLimits::default()), run);
    assert_eq!(read(&wire, cuts, role, version, &StompLimits::default()), run);
}
