//! Which bytes may stand where.
//!
//! Owns the character classes of RFC 9110, sections 5.5 and 5.6, and of RFC 3986, section 3.2. Refuses whole productions: their parsers
//! are in the files named after them.

const TOKEN: u8 = 1;
const VALUE: u8 = 2;
const HOST: u8 = 4;
const PATH: u8 = 8;

/// The classes of each byte, one bit a class.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let ascii = byte as u8;
        let alphanumeric = ascii.is_ascii_alphanumeric();
        // tchar: RFC 9110, section 5.6.2.
        if alphanumeric || matches!(ascii, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~') {
            classes[byte] |= TOKEN;
        }
        // field-vchar, SP and HTAB: RFC 9110, section 5.5.
        if is_value_byte_computed(ascii) {
            classes[byte] |= VALUE;
        }
        // unreserved and sub-delims: RFC 3986, sections 2.2 and 2.3.
        if alphanumeric || matches!(ascii, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=') {
            classes[byte] |= HOST;
        }
        // What does not end a path and begins no escape, in a target that has no white space or control characters: RFC 3986, section 3.3.
        if ascii.is_ascii() && !matches!(ascii, b'?' | b'#' | b'%') {
            classes[byte] |= PATH;
        }
        byte += 1;
    }
    classes
}

/// `tchar`: may stand in a method, a field name, a token.
#[inline]
pub(super) fn is_token_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// May stand in a field value: everything but control characters, which HTAB is not counted as here.
#[inline]
pub(super) fn is_value_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & VALUE != 0
}

/// May stand in a registered name as itself, that is without percent-encoding.
#[inline]
pub(super) fn is_host_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & HOST != 0
}

/// Whether this is percent-encoded: `"%" HEXDIG HEXDIG` (RFC 3986, section 2.1) at the front.
#[inline]
pub(super) fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// How many bytes at the front are of a class.
#[inline]
fn class_len(text: &[u8], class: u8) -> usize {
    text.iter().position(|&byte| CLASSES[usize::from(byte)] & class == 0).unwrap_or(text.len())
}

/// Bytes of a registered name at the front.
#[inline]
pub(super) fn host_len(text: &[u8]) -> usize {
    class_len(text, HOST)
}

/// Bytes of a path at the front, up to its first percent-encoded one.
#[inline]
pub(super) fn path_len(text: &[u8]) -> usize {
    class_len(text, PATH)
}

/// As [`is_value_byte`], without a table.
#[inline]
const fn is_value_byte_computed(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7F) || byte == b'\t'
}

/// Whether `text` can be a field value. Without an early exit, so that the loop compiles to vector instructions.
#[inline]
pub(super) fn is_value(text: &[u8]) -> bool {
    text.iter().fold(0, |seen, &byte| seen | u8::from(!is_value_byte_computed(byte))) == 0
}

/// Whether `text` is a token, which is not empty.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// `text` without optional white space (SP and HTAB) at both ends.
#[inline]
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
