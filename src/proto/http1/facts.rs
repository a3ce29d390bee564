//! What one pass over the fields of a head notes.
//!
//! Owns the facts in the fields that the protocol itself uses, and which names there may be. Leaves
//! the pass to [`Head`](super::Head), the framing of the body to `framing`, and searches through the
//! fields to `fields`.

use super::super::RemoteError;
use super::fields::elements;
use super::framing::Framing;
use super::target::is_authority;

/// A range of bytes in a head. Two bytes per bound are enough, because a head has at most
/// 65,535 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u16,
    pub(super) end: u16,
}

impl Span {
    #[inline]
    pub(super) fn new(start: usize, len: usize) -> Self {
        Self { start: start as u16, end: (start + len) as u16 }
    }

    #[inline]
    pub(super) fn range(self) -> std::ops::Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// The information in the fields that the protocol itself uses.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, not states")]
pub(super) struct Facts {
    pub(super) framing: Framing,
    pub(super) host: Option<Span>,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    expects_continue: bool,
    expects_unknown: bool,
}

impl Facts {
    /// Whether the length and the first letter are those of a name in [`note`](Self::note). This rules
    /// out nearly all fields of a browser, and makes its head 500 instructions cheaper.
    #[inline(always)]
    pub(super) fn may_need(name: &[u8]) -> bool {
        let first = name[0] | 0x20;
        match name.len() {
            4 => first == b'h',
            6 => first == b'e',
            10 | 14 => first == b'c',
            17 => first == b't',
            _ => false,
        }
    }

    #[inline]
    pub(super) fn note(&mut self, field: &httparse::Header<'_>, raw: &[u8]) -> Result<(), RemoteError> {
        let (name, value) = (field.name.as_bytes(), field.value);
        match name.len() {
            4 if name == b"Host" || name.eq_ignore_ascii_case(b"host") => {
                // An empty `Host` is valid: a client sends it if the target URI has no authority
                // (RFC 9112, section 3.2).
                if self.host.is_some() || !(value.is_empty() || is_authority(value)) {
                    return Err(RemoteError::BadHost);
                }
                self.host = Some(Span::new(value.as_ptr().addr() - raw.as_ptr().addr(), value.len()));
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                for expectation in elements(value) {
                    let known = expectation.eq_ignore_ascii_case(b"100-continue");
                    self.expects_continue |= known;
                    self.expects_unknown |= !known;
                }
            }
            10 if name == b"Connection" || name.eq_ignore_ascii_case(b"connection") => self.connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.framing.content_length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.framing.transfer_encoding(value),
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn connection(&mut self, value: &[u8]) {
        // What browsers send. As a list, it costs 200 instructions.
        if value == b"keep-alive" {
            self.keep_alive = true;
            return;
        }
        self.connection_list(value);
    }

    fn connection_list(&mut self, value: &[u8]) {
        for option in elements(value) {
            match option.len() {
                5 => self.close |= option.eq_ignore_ascii_case(b"close"),
                7 => self.upgrade |= option.eq_ignore_ascii_case(b"upgrade"),
                10 => self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive"),
                _ => {}
            }
        }
    }

    pub(super) fn expects(&self) -> Result<bool, RemoteError> {
        if self.expects_unknown { Err(RemoteError::UnknownExpectation) } else { Ok(self.expects_continue) }
    }
}

/// The names of the fields, so that a search for an absent name nearly always ends without a look at
/// the fields: such a search costs 100 instructions and more. A name has one bit, by its length and
/// its first letter, and some names share theirs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names(u64);

impl Names {
    #[inline(always)]
    pub(super) fn add(&mut self, name: &[u8]) {
        self.0 |= Self::bit(name);
    }

    #[inline(always)]
    pub(super) fn may_have(self, name: &str) -> bool {
        self.0 & Self::bit(name.as_bytes()) != 0
    }

    /// Letters of both cases have the same bit.
    #[inline(always)]
    fn bit(name: &[u8]) -> u64 {
        let first = name.first().map_or(0, |byte| byte | 0x20);
        1_u64.wrapping_shl(name.len() as u32 + 5 * u32::from(first))
    }
}
