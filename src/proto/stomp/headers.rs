//! The headers of one frame.
//!
//! Owns the decoded text of all headers in one buffer, and the rule that the first of repeated
//! headers counts. Leaves the lines to the [`Reader`](super::Reader).

use std::ops::Range;

use super::error::StompError;
use super::escape::Escapes;

/// The decoded headers of a frame, in their order. They borrow from the reader.
///
/// ```
/// use pushlab::proto::stomp::{Reader, Role, StompLimits, Version};
/// let mut reader = Reader::new(Role::Client, Version::V1_2);
/// let input = b"MESSAGE\nfoo:World\nfoo:Hello\nmessage-id:1\\c2\n\n\0";
/// let (_, frame) = reader.next_frame(input, &StompLimits::default())?;
/// let headers = frame.expect("a whole frame").headers;
/// assert_eq!((headers.get("foo"), headers.get("bar")), (Some("World"), None));
/// assert_eq!(headers.get("message-id"), Some("1:2"));
/// assert_eq!(headers.iter().count(), 3);
/// # Ok::<_, pushlab::proto::stomp::StompError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    text: &'a str,
    ranges: &'a [HeaderRanges],
}

impl<'a> Headers<'a> {
    /// The value of the first header with this name. Names are case-sensitive. STOMP 1.2, "Repeated
    /// Header Entries": "only the first header entry SHOULD be used".
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// All headers with name and value, in the order of the frame, repeated ones too.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let text = self.text;
        self.ranges.iter().map(move |header| (&text[header.name.clone()], &text[header.value.clone()]))
    }
}

/// Where a header is in the buffer.
#[derive(Clone, Debug)]
pub(super) struct HeaderRanges {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// The headers of the frame that is being read.
#[derive(Debug, Default)]
pub(super) struct HeaderBuffer {
    text: String,
    ranges: Vec<HeaderRanges>,
}

impl HeaderBuffer {
    pub(super) const fn new() -> Self {
        Self { text: String::new(), ranges: Vec::new() }
    }

    pub(super) fn view(&self) -> Headers<'_> {
        Headers { text: &self.text, ranges: &self.ranges }
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ranges.clear();
    }

    /// Decodes a header, and adds it.
    pub(super) fn add(&mut self, name: &str, value: &str, escapes: Escapes) -> Result<(), StompError> {
        let start = self.text.len();
        escapes.decode(name, &mut self.text)?;
        let middle = self.text.len();
        escapes.decode(value, &mut self.text)?;
        self.ranges.push(HeaderRanges { name: start..middle, value: middle..self.text.len() });
        Ok(())
    }

    /// The bytes of memory that this buffer owns.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity() + self.ranges.capacity() * size_of::<HeaderRanges>()
    }
}
