//! The fields of a head, read from its raw bytes.
//!
//! Owns the iteration over the fields and the list syntax of field values (RFC 9110, section
//! 5.6.1). Leaves the validation to [`Head`](super::Head), which validates a head once, when it
//! parses the head. Nothing but the bytes of the head is stored.

use super::scan::find_byte;
use super::syntax;

/// The fields of a head in order. Each item is the name as it was sent, and the value without
/// surrounding white space.
///
/// ```
/// use pushlab::proto::{ProtocolLimits, http1::Head};
/// let raw = b"GET / HTTP/1.1\r\nHost: a\r\nAccept:  */* \r\n\r\n";
/// let head = Head::parse(raw, &ProtocolLimits::default())?;
/// let fields: Vec<_> = head.fields().collect();
/// assert_eq!(fields, [("Host", &b"a"[..]), ("Accept", b"*/*")]);
/// # Ok::<(), pushlab::proto::RemoteError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    lines: Lines<'a>,
}

impl<'a> Fields<'a> {
    /// Makes the iterator. `section` contains validated field lines, each with its CRLF. A blank
    /// line may follow them.
    pub(super) fn new(section: &'a [u8]) -> Self {
        Self { lines: Lines { rest: section } }
    }

    /// The values of the fields of one name. It searches only for line ends, not for colons,
    /// because the name has a known length.
    pub(super) fn named(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.lines.filter_map(move |line| {
            let (start, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":")?;
            start.eq_ignore_ascii_case(name.as_bytes()).then(|| syntax::trim(value))
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        let colon = find_byte(line, b':')?;
        let name = std::str::from_utf8(&line[..colon]).ok()?;
        Some((name, syntax::trim(&line[colon + 1..])))
    }
}

/// The field lines without their CRLF, up to the blank line.
#[derive(Clone, Debug)]
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = find_byte(self.rest, b'\n')?;
        let line = self.rest[..end].strip_suffix(b"\r")?;
        self.rest = &self.rest[end + 1..];
        (!line.is_empty()).then_some(line)
    }
}

/// The elements of a comma-separated list, without surrounding white space. Empty elements are
/// ignored (RFC 9110, section 5.6.1.2).
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(syntax::trim).filter(|element| !element.is_empty())
}
