//! The input side of one connection: bytes in, frames out.
//!
//! Owns the grammar of frames ("Augmented BNF" of STOMP 1.2), the limits, and the bytes of a frame
//! that has not arrived completely. Leaves the input buffer to the caller. A body that is whole in
//! the input is borrowed from the input.

use super::command::{Command, Role};
use super::error::StompError;
use super::escape::Escapes;
use super::headers::{HeaderBuffer, Headers};
use super::limits::StompLimits;
use super::version::Version;

/// One frame. It borrows from the reader and from the input.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// The first line.
    pub command: Command,
    /// The headers, decoded.
    pub headers: Headers<'a>,
    /// The body. It may be empty, and may contain any bytes.
    pub body: &'a [u8],
}

/// Reads the frames of one peer.
///
/// The reader accepts what all versions accept: lines that end with LF or CR LF, and any number of
/// line ends between frames. These line ends are the peer's heart-beats. The reader consumes them
/// without a result: any byte shows that the peer is there.
///
/// Call [`next_frame`](Self::next_frame) until it returns no frame. Between frames, the reader then
/// owns no memory on the heap.
#[derive(Debug)]
pub struct Reader {
    role: Role,
    version: Version,
    position: Position,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    headers: HeaderBuffer,
    /// The beginning of a body whose end has not arrived.
    body: Vec<u8>,
}

/// ```text
///            command line          blank line
///  Command ----------------> Head ------------> Body
///   ^  ^ |                   |  ^                 |
///   |  +-+ blank line        +--+ header line     | NUL
///   +---------------------------------------------+
///  from all: --- an error ---> Failed
/// ```
#[derive(Clone, Copy, Debug)]
enum Position {
    Command,
    Head(Command),
    Body(Command, Length),
    Failed(StompError),
}

/// How a body ends.
#[derive(Clone, Copy, Debug)]
enum Length {
    /// After so many bytes, and a NUL.
    Announced(usize),
    /// At the first NUL.
    UntilNul,
}

/// The end of a frame: where its body is.
enum Body {
    /// The first bytes of what was left of the input.
    InInput(usize),
    Collected,
}

impl Reader {
    /// A reader at the first byte of a connection. Headers have the escapes of `version`, except in
    /// the frames that open the session, which have none.
    pub const fn new(role: Role, version: Version) -> Self {
        Self { role, version, position: Position::Command, line: Vec::new(), headers: HeaderBuffer::new(), body: Vec::new() }
    }

    /// Sets the version on which both sides have agreed. It holds from the next frame on.
    pub const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Consumes a prefix of `input`, up to the end of the next frame, and returns its length. If
    /// the frame does not end in `input`, all of `input` is consumed.
    ///
    /// # Errors
    /// The rule or the limit that the peer broke. All later calls return this error too.
    pub fn next_frame<'a>(&'a mut self, input: &'a [u8], limits: &StompLimits) -> Result<(usize, Option<Frame<'a>>), StompError> {
        if let Position::Command = self.position {
            // What is left of the frame that the last call returned.
            self.headers.clear();
            self.body.clear();
        }
        let (used, command, body) = match self.read(input, limits) {
            Ok(Some(end)) => end,
            Ok(None) => {
                self.free_if_idle();
                return Ok((input.len(), None));
            }
            Err(error) => {
                self.position = Position::Failed(error);
                self.headers.clear();
                self.free_if_idle();
                return Err(error);
            }
        };
        self.position = Position::Command;
        let body = match body {
            // The NUL is the last byte of the frame.
            Body::InInput(len) => &input[used - 1 - len..used - 1],
            Body::Collected => &self.body,
        };
        Ok((used, Some(Frame { command, headers: self.headers.view(), body })))
    }

    /// Whether the last frame is complete. If the connection ends while this is `false`, a frame
    /// was cut off.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.position, Position::Command) && self.line.is_empty()
    }

    /// The bytes of memory that this reader owns on the heap.
    pub fn capacity(&self) -> usize {
        self.line.capacity() + self.headers.capacity() + self.body.capacity()
    }

    fn free_if_idle(&mut self) {
        match self.position {
            Position::Command if self.line.is_empty() => {}
            Position::Failed(_) => {}
            _ => return,
        }
        (self.line, self.headers, self.body) = (Vec::new(), HeaderBuffer::new(), Vec::new());
    }

    /// Reads on to the end of the frame. Returns how much of the input it has consumed then.
    fn read(&mut self, input: &[u8], limits: &StompLimits) -> Result<Option<(usize, Command, Body)>, StompError> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.position {
                Position::Failed(error) => return Err(error),
                Position::Body(command, length) => {
                    let end = self.read_body(rest, command, length, limits)?;
                    return Ok(end.map(|(len, body)| (used + len, command, body)));
                }
                Position::Command | Position::Head(_) => {
                    let Some(len) = self.read_line(rest, limits)? else { return Ok(None) };
                    used += len;
                }
            }
        }
    }

    /// Reads a line of the head. Returns its length with its end, if it ends in `rest`.
    fn read_line(&mut self, rest: &[u8], limits: &StompLimits) -> Result<Option<usize>, StompError> {
        let end = rest.iter().position(|&byte| byte == b'\n');
        let arrived = &rest[..end.unwrap_or(rest.len())];
        let line_bytes = self.line.len() + arrived.len();
        match self.position {
            // No command is longer, and a CR may follow.
            Position::Command if line_bytes > Command::LONGEST + 1 => return Err(StompError::UnknownCommand),
            Position::Head(_) if line_bytes > limits.header_line_bytes => return Err(StompError::HeaderTooLong),
            _ => {}
        }
        if end.is_none() || !self.line.is_empty() {
            self.line.extend_from_slice(arrived);
        }
        let Some(end) = end else { return Ok(None) };
        if self.line.is_empty() {
            self.end_line(arrived, limits)?;
        } else {
            // The line moves out because `end_line` borrows all of `self`. It moves back to keep
            // its memory for the next line that arrives in parts.
            let mut line = std::mem::take(&mut self.line);
            self.end_line(&line, limits)?;
            line.clear();
            self.line = line;
        }
        Ok(Some(end + 1))
    }

    fn end_line(&mut self, line: &[u8], limits: &StompLimits) -> Result<(), StompError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.position = match self.position {
            Position::Command if line.is_empty() => Position::Command,
            Position::Command => Position::Head(Command::parse(line, self.role).ok_or(StompError::UnknownCommand)?),
            Position::Head(command) if line.is_empty() => Position::Body(command, self.length(command, limits)?),
            Position::Head(command) => {
                self.add_header(line, command, limits)?;
                Position::Head(command)
            }
            position => position,
        };
        Ok(())
    }

    fn add_header(&mut self, line: &[u8], command: Command, limits: &StompLimits) -> Result<(), StompError> {
        if self.headers.len() >= limits.header_lines {
            return Err(StompError::TooManyHeaders);
        }
        if line.contains(&0) || line.contains(&b'\r') {
            return Err(StompError::BadHeader);
        }
        let line = std::str::from_utf8(line).map_err(|_| StompError::InvalidUtf8)?;
        // STOMP 1.2 has no colon in a value, but there is only one way to read it.
        let (name, value) = line.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or(StompError::BadHeader)?;
        self.headers.add(name, value, Escapes::of(command, self.version))
    }

    /// How the body ends, at the end of the head.
    fn length(&self, command: Command, limits: &StompLimits) -> Result<Length, StompError> {
        let Some(value) = self.headers.view().get("content-length") else { return Ok(Length::UntilNul) };
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(StompError::BadContentLength);
        }
        // A number that does not fit is larger than any limit.
        let len = value.parse().unwrap_or(usize::MAX);
        match len {
            1.. if !command.may_have_body() => Err(StompError::BodyNotAllowed),
            len if len > limits.body_bytes => Err(StompError::BodyTooLarge),
            len => Ok(Length::Announced(len)),
        }
    }

    /// Reads a body. Returns the number of bytes with the NUL, if it ends in `rest`.
    fn read_body(
        &mut self,
        rest: &[u8],
        command: Command,
        length: Length,
        limits: &StompLimits,
    ) -> Result<Option<(usize, Body)>, StompError> {
        let end = match length {
            Length::Announced(len) => Some(len - self.body.len()).filter(|end| *end < rest.len()),
            Length::UntilNul => rest.iter().position(|&byte| byte == 0),
        };
        let arrived = match length {
            Length::Announced(len) => rest.len().min(len - self.body.len()),
            Length::UntilNul => end.unwrap_or(rest.len()),
        };
        if matches!(length, Length::UntilNul) && arrived > 0 {
            if !command.may_have_body() {
                return Err(StompError::BodyNotAllowed);
            }
            if self.body.len() + arrived > limits.body_bytes {
                return Err(StompError::BodyTooLarge);
            }
        }
        if end.is_none() || !self.body.is_empty() {
            self.body.extend_from_slice(&rest[..arrived]);
        }
        let Some(end) = end else { return Ok(None) };
        if rest[end] != 0 {
            return Err(StompError::MissingNul);
        }
        let body = if self.body.is_empty() { Body::InInput(end) } else { Body::Collected };
        Ok(Some((end + 1, body)))
    }
}
