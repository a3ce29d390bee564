//! JSON strings.
//!
//! Owns the escaping of strings. The text that it writes is safe as JSON, as JavaScript and inside
//! a script element: a publisher's text cannot end the string, the line or the script element.
//! Leaves JSON objects to `envelope` and the other users.

/// Appends a JSON string with its quotes (RFC 8259, section 7).
///
/// JSON does not require three of the escapes. U+2028 and U+2029 are escaped because they end a
/// line in JavaScript before ES2019. The `<` of `</` and `<!` is escaped because `</script` ends a
/// script element, and because after `<!--<script` the element's own end tag does not end it
/// (WHATWG HTML, section 4.12.1.3).
///
/// ```
/// let mut out = String::new();
/// pushlab::push::append_json_string("a \"b\"\n</script>", &mut out);
/// assert_eq!(out, r#""a \"b\"\n<\/script>""#);
/// ```
pub fn append_json_string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    // Runs of bytes without an escape are copied in one step.
    let (bytes, mut copied, mut at) = (text.as_bytes(), 0, 0);
    while at < bytes.len() {
        if let Some((escape, len)) = escape(&bytes[at..]) {
            out.push_str(&text[copied..at]);
            match escape {
                Escape::Short(letters) => out.push_str(letters),
                Escape::Control(byte) => {
                    out.push_str("\\u00");
                    out.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
                }
            }
            copied = at + len;
            at = copied;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

enum Escape {
    Short(&'static str),
    Control(u8),
}

/// The escape for the first bytes of `rest`, and how many bytes it replaces. No pattern begins
/// inside a UTF-8 character, so that `copied` is always a character boundary.
fn escape(rest: &[u8]) -> Option<(Escape, usize)> {
    let short = |letters, len| Some((Escape::Short(letters), len));
    match rest {
        [b'"', ..] => short("\\\"", 1),
        [b'\\', ..] => short("\\\\", 1),
        [b'\n', ..] => short("\\n", 1),
        [b'\r', ..] => short("\\r", 1),
        [b'\t', ..] => short("\\t", 1),
        [byte @ 0..0x20, ..] => Some((Escape::Control(*byte), 1)),
        [b'<', b'/', ..] => short("<\\/", 2),
        [b'<', b'!', ..] => short("\\u003c!", 2),
        [0xe2, 0x80, 0xa8, ..] => short("\\u2028", 3),
        [0xe2, 0x80, 0xa9, ..] => short("\\u2029", 3),
        _ => None,
    }
}
