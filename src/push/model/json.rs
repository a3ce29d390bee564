//! Strings as JSON text.
//!
//! Owns the escaping of strings. What it writes is safe as JSON, as JavaScript and inside a script element: no text of a publisher can end
//! the string, the line or the block that it stands in. Leaves the fields of an envelope to `envelope`.

/// Appends a JSON string with its quotes (RFC 8259, section 7).
///
/// Beyond what JSON asks for it escapes U+2028 and U+2029, which end a line in JavaScript before ES2019, and the `<` of `</` and `<!`:
/// `</script` would end a script element, and after `<!--<script` its own end tag would not (WHATWG HTML, section 4.12.1.3).
///
/// ```
/// let mut out = String::new();
/// pushlab::push::append_json_string("a \"b\"\n</script>", &mut out);
/// assert_eq!(out, r#""a \"b\"\n<\/script>""#);
/// ```
pub fn append_json_string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    // What needs no escape is copied in runs.
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

/// What stands for the beginning of `rest`, and for how many bytes of it. No pattern begins in the middle of a character.
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
