//! The secret that a program shows in a request (RFC 6750, section 2.1).
//!
//! Owns reading it. Leaves to the example which secret is the right one.

use pushlab::Request;

/// The token of `Authorization: Bearer TOKEN`. `None` without the field. A field that is repeated
/// or that has another form gives a token that is empty, which is nobody's.
pub(crate) fn token<'a>(request: &Request<'a>) -> Option<&'a [u8]> {
    let mut values = request.field_values("Authorization");
    let value = values.next()?;
    if values.next().is_some() {
        return Some(b"");
    }
    let (scheme, token) = value.split_at(value.iter().position(|&byte| byte == b' ').unwrap_or(value.len()));
    Some(if scheme.eq_ignore_ascii_case(b"Bearer") { token.trim_ascii() } else { b"" })
}
