//! The bearer token of a request (RFC 6750, section 2.1).
//!
//! Owns reading the token. Leaves to the example which token is right.

use pushlab::Request;

/// The token of `Authorization: Bearer TOKEN`. `None` without the field. A repeated field, or one
/// with another syntax, gives an empty token, which is never right.
pub(crate) fn token<'a>(request: &Request<'a>) -> Option<&'a [u8]> {
    let mut values = request.field_values("Authorization");
    let value = values.next()?;
    if values.next().is_some() {
        return Some(b"");
    }
    let (scheme, token) = value.split_at(value.iter().position(|&byte| byte == b' ').unwrap_or(value.len()));
    Some(if scheme.eq_ignore_ascii_case(b"Bearer") { token.trim_ascii() } else { b"" })
}
