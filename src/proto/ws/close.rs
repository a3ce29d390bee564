//! Close codes and the body of a close frame (RFC 6455, sections 5.5.1 and 7.4).
//!
//! Owns the rules for the contents of a close frame. Leaves the closing handshake to
//! [`Writer`](super::Writer).

use super::super::error::RemoteError;

/// The normal closure: "the purpose for which the connection was established has been fulfilled"
/// (RFC 6455, section 7.4.1).
pub const NORMAL_CLOSURE: u16 = 1000;

/// The code that stands for a close frame without a code. It is never sent: "1005 is a reserved
/// value [...] designated for use in applications expecting a status code to indicate that no
/// status code was actually present."
pub const NO_CODE: u16 = 1005;

/// The largest size of a close reason in bytes: the 125 bytes of a control frame without the two
/// bytes of the code (RFC 6455, section 5.5).
pub const REASON_BYTES: usize = 123;

/// Whether `code` may be sent in a close frame.
///
/// RFC 6455, section 7.4.1 defines 1000 to 1003 and 1007 to 1011. IANA registered 1012 to 1014
/// later (service restart, try again later, bad gateway). The codes 1004, 1005, 1006 and 1015 are
/// reserved and never sent. The other codes up to 2999 are unassigned. The codes 3000 to 3999 are
/// for libraries, and 4000 to 4999 are for private use (section 7.4.2).
///
/// ```
/// use pushlab::proto::ws::close;
/// assert!(close::is_sendable(1000) && close::is_sendable(4999));
/// assert!(!close::is_sendable(1006) && !close::is_sendable(5000));
/// ```
pub const fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Decodes the payload of a close frame into the code ([`NO_CODE`] if there is none) and the
/// reason.
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

/// Returns the longest prefix of `reason` that fits into a close frame. The cut is between two
/// characters.
pub(super) fn shorten(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
