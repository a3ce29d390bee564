//! Close codes and the body of a close frame (RFC 6455, sections 5.5.1 and 7.4).
//!
//! Owns what may stand in a close frame. Refuses the closing handshake: who answers whom is [`Conn`](super::Conn)'s.

use super::super::error::RemoteError;

/// "1005 is a reserved value [...] designated for use in applications expecting a status code to indicate that no status code was
/// actually present." Never on the wire.
pub const NO_CODE: u16 = 1005;

/// Bytes of reason that fit beside the code into a control frame's 125 bytes (RFC 6455, section 5.5).
pub const REASON_BYTES: usize = 123;

/// Whether `code` may stand in a close frame.
///
/// 1000 to 1003 and 1007 to 1011 are defined by RFC 6455, section 7.4.1; 1012 to 1014 are registered with IANA since (service restart, try
/// again later, bad gateway). 1004, 1005, 1006 and 1015 are reserved and never sent, the rest up to 2999 is unassigned; 3000 to 3999 are for
/// libraries, 4000 to 4999 for private use (section 7.4.2).
///
/// ```
/// use pushlab::proto::ws::close;
/// assert!(close::is_sendable(1000) && close::is_sendable(4999));
/// assert!(!close::is_sendable(1006) && !close::is_sendable(5000));
/// ```
pub const fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The code ([`NO_CODE`] if none) and the reason in a close frame's payload.
pub(super) fn decode(payload: &[u8]) -> Result<(u16, &str), RemoteError> {
    if payload.is_empty() {
        return Ok((NO_CODE, ""));
    }
    // "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
    let (code, reason) = payload.split_first_chunk().ok_or(RemoteError::BadCloseFrame)?;
    let code = u16::from_be_bytes(*code);
    if !is_sendable(code) {
        return Err(RemoteError::BadCloseFrame);
    }
    let reason = std::str::from_utf8(reason).map_err(|_| RemoteError::InvalidUtf8)?;
    Ok((code, reason))
}

/// As much of `reason` as fits into a close frame, cut between two characters.
pub(super) fn shorten(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
