//! The character classes of heads.
//!
//! Owns the character classes of RFC 9110, sections 5.5 and 5.6, and of RFC 3986, sections 2 and 3.
//! Leaves the productions that are made of them to the files named after these productions.

const TOKEN: u8 = 1;
const VALUE: u8 = 2;
const HOST: u8 = 4;
const PATH: u8 = 8;

/// The classes of each byte. Each class is one bit.
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
        // The bytes of a path (RFC 3986, section 3.3) except the percent sign. White space and
        // control characters are also in this class: the head parser has already rejected a target
        // that has them.
        if ascii.is_ascii() && !matches!(ascii, b'?' | b'#' | b'%') {
            classes[byte] |= PATH;
        }
        byte += 1;
    }
    classes
}

/// Whether `byte` is a `tchar`, which methods, field names and tokens consist of.
#[inline]
pub(super) fn is_token_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// Whether a field value may contain `byte`: any byte except control characters. HTAB is allowed.
#[inline]
pub(super) fn is_value_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & VALUE != 0
}

/// Whether a registered name may contain `byte` without percent-encoding.
#[inline]
pub(super) fn is_host_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & HOST != 0
}

/// Whether `text` begins with a percent-encoded byte: `"%" HEXDIG HEXDIG` (RFC 3986, section 2.1).
#[inline]
pub(super) fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// The number of bytes at the front that are in this class.
#[inline]
fn class_len(text: &[u8], class: u8) -> usize {
    let mut len = 0;
    // Four bytes with one branch take half of the instructions of four bytes alone.
    while let Some(&[a, b, c, d]) = text[len..].first_chunk() {
        let of = |byte: u8| CLASSES[usize::from(byte)];
        if of(a) & of(b) & of(c) & of(d) & class == 0 {
            break;
        }
        len += 4;
    }
    while len < text.len() && CLASSES[usize::from(text[len])] & class != 0 {
        len += 1;
    }
    len
}

/// The number of bytes at the front that belong to a registered name.
#[inline]
pub(super) fn host_len(text: &[u8]) -> usize {
    class_len(text, HOST)
}

/// The number of bytes at the front that belong to a path, up to the first percent sign.
#[inline]
pub(super) fn path_len(text: &[u8]) -> usize {
    class_len(text, PATH)
}

/// Like [`is_value_byte`], but without the table.
#[inline]
const fn is_value_byte_computed(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7F) || byte == b'\t'
}

/// Whether `text` can be a field value. The loop has no early exit, so that it compiles to vector
/// instructions.
#[inline]
pub(super) fn is_value(text: &[u8]) -> bool {
    text.iter().fold(0, |seen, &byte| seen | u8::from(!is_value_byte_computed(byte))) == 0
}

/// Whether `text` is a token. A token is not empty.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// Removes optional white space (SP and HTAB) at both ends of `text`.
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
