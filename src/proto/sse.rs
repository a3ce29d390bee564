//! Server-sent events (WHATWG HTML, section 9.2).

/// One event to encode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    /// The payload; it may have any number of lines.
    pub data: &'a str,
}

impl Event<'_> {
    /// Appends the wire form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.data.as_bytes());
    }
}
