//! Reading JSON strings and punctuation.
//!
//! Owns the white space, the strings and the single bytes of a JSON text (RFC 8259), and the
//! position at which a text stops being JSON. Leaves the shape of an object to the caller: values
//! other than strings are recognized by their first byte, and never read.

/// The text is not JSON from this byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson(pub(super) usize);

/// A JSON text, and how far it was read.
pub(super) struct JsonReader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonReader<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips white space: "Space, Horizontal tab, Line feed or New line, Carriage return" (RFC
    /// 8259, section 2).
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    /// Whether this byte is the next one behind white space.
    pub(super) fn is_at(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.byte() == Some(byte)
    }

    /// Takes this byte, if it is the next one behind white space.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_there = self.is_at(byte);
        self.at += usize::from(is_there);
        is_there
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.take(byte) { Ok(()) } else { Err(NotJson(self.at)) }
    }

    pub(super) fn expect_end(&mut self) -> Result<(), NotJson> {
        self.skip_space();
        if self.byte().is_none() { Ok(()) } else { Err(NotJson(self.at)) }
    }

    /// Reads a string, and decodes its escapes.
    pub(super) fn string(&mut self) -> Result<String, NotJson> {
        self.expect(b'"')?;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            // "All Unicode characters may be placed within the quotation marks, except for the
            // characters that MUST be escaped" (RFC 8259, section 7).
            let plain = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len());
            string.push_str(&rest[..plain]);
            self.at += plain;
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.at += 1;
                    string.push(self.escaped()?);
                }
                _ => return Err(NotJson(self.at)),
            }
        }
    }

    /// Reads what follows a backslash.
    fn escaped(&mut self) -> Result<char, NotJson> {
        let character = match self.byte() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.code_point();
            }
            _ => return Err(NotJson(self.at)),
        };
        self.at += 1;
        Ok(character)
    }

    /// Reads the digits behind `\u`, and those of a second half. A half alone is no character, and
    /// no topic and no cursor has one.
    fn code_point(&mut self) -> Result<char, NotJson> {
        let begin = self.at;
        let first = self.code_unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first).ok_or(NotJson(begin));
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Err(NotJson(self.at));
        }
        self.at += 2;
        let (second_at, second) = (self.at, self.code_unit()?);
        if !(0xDC00..0xE000).contains(&second) {
            return Err(NotJson(second_at));
        }
        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or(NotJson(begin))
    }

    fn code_unit(&mut self) -> Result<u32, NotJson> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16)).ok_or(NotJson(self.at))?;
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Checks that a value of some kind begins behind white space.
    pub(super) fn begins_value(&mut self) -> Result<(), NotJson> {
        self.skip_space();
        let rest = &self.text[self.at..];
        let begins = rest.starts_with(['{', '[', '"', '-'])
            || rest.starts_with(|first: char| first.is_ascii_digit())
            || ["true", "false", "null"].iter().any(|word| rest.starts_with(word));
        if begins { Ok(()) } else { Err(NotJson(self.at)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        for (text, expected) in [
            (r#""""#, ""),
            (r#" "a b" "#, "a b"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u20AC""#, "A\u{e9}\u{20ac}"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            ("\"\u{1f600}\u{7f}\"", "\u{1f600}\u{7f}"),
            (r#""\u0000""#, "\0"),
        ] {
            assert_eq!(JsonReader::new(text).string().as_deref(), Ok(expected), "{text}");
        }
        for (text, at) in [
            ("", 0),
            ("a", 0),
            (r#""a"#, 2),
            (r#""\"#, 2),
            (r#""\a""#, 2),
            (r#""\u12""#, 5),
            (r#""\u123g""#, 6),
            (r#""\u+123""#, 3),
            (r#""\ud800""#, 7),
            (r#""\ud800\n""#, 7),
            (r#""\ud800\ud800""#, 9),
            (r#""\udc00""#, 3),
            ("\"\u{1f}\"", 1),
            ("\"\t\"", 1),
        ] {
            assert_eq!(JsonReader::new(text).string(), Err(NotJson(at)), "{text}");
        }
    }
}
