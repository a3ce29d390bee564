//! The escapes of header names and values (STOMP 1.2 and 1.1, "Value Encoding").
//!
//! Owns the table of each version, and both directions. Leaves the split of a header line at its
//! first colon to the [`Reader`](super::Reader).

use super::command::Command;
use super::error::StompError;
use super::version::Version;

/// The characters that the headers of a frame escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// STOMP 1.0, and the commands that open a session.
    None,
    /// STOMP 1.1: LF, colon and backslash.
    WithoutCr,
    /// STOMP 1.2: CR, too.
    All,
}

impl Escapes {
    pub(super) const fn of(command: Command, version: Version) -> Self {
        match version {
            _ if command.has_plain_headers() => Self::None,
            Version::V1_0 => Self::None,
            Version::V1_1 => Self::WithoutCr,
            Version::V1_2 => Self::All,
        }
    }

    /// Appends a decoded name or value.
    pub(super) fn decode(self, encoded: &str, out: &mut String) -> Result<(), StompError> {
        if self == Self::None {
            out.push_str(encoded);
            return Ok(());
        }
        let mut parts = encoded.split('\\');
        out.push_str(parts.next().unwrap_or_default());
        while let Some(part) = parts.next() {
            let mut characters = part.chars();
            match characters.next() {
                Some('n') => out.push('\n'),
                Some('c') => out.push(':'),
                Some('r') if self == Self::All => out.push('\r'),
                // Two backslashes have an empty part between them, and the text after them is the
                // next part.
                None => {
                    out.push('\\');
                    out.push_str(parts.next().ok_or(StompError::BadEscape)?);
                    continue;
                }
                Some(_) => return Err(StompError::BadEscape),
            }
            out.push_str(characters.as_str());
        }
        Ok(())
    }

    /// Appends an encoded name or value. Returns whether the escapes can carry it. NUL has no
    /// escape, and a line cannot carry what has none.
    pub(super) fn encode(self, text: &str, part: LinePart, out: &mut Vec<u8>) -> bool {
        for byte in text.bytes() {
            match (byte, self) {
                (0, _) | (b'\n' | b'\r', Self::None) | (b'\r', Self::WithoutCr) => return false,
                (b':', Self::None) if part == LinePart::Name => return false,
                (_, Self::None) => out.push(byte),
                (b'\n', _) => out.extend_from_slice(b"\\n"),
                (b'\r', _) => out.extend_from_slice(b"\\r"),
                (b':', _) => out.extend_from_slice(b"\\c"),
                (b'\\', _) => out.extend_from_slice(b"\\\\"),
                (byte, _) => out.push(byte),
            }
        }
        true
    }
}

/// A part of a header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinePart {
    Name,
    Value,
}
