//! What one pass over the fields of a head notes.
//!
//! Owns the facts in the fields that the protocol itself uses, and which names there may be. Leaves
//! the pass to [`Head`](super::Head), the framing of the body to `framing`, and searches through the
//! fields to `fields`.

use super::super::RemoteError;
use super::fields::elements;
use super::framing::{Content, Framing};
use super::method::Version;
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

    /// The same range, counted from an index that is `by` bytes before the old one. The range of a
    /// host that is absent ends at 0, and stays as it is.
    #[inline]
    pub(super) fn moved(self, by: usize) -> Self {
        if self.end == 0 { self } else { Self { start: self.start + by as u16, end: self.end + by as u16 } }
    }

    /// The same range, counted from an index that is `by` bytes behind the old one. The range of a
    /// host that is absent stays as it is.
    pub(super) fn moved_back(self, by: usize) -> Self {
        Self { start: self.start.saturating_sub(by as u16), end: self.end.saturating_sub(by as u16) }
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
    framing: Framing,
    pub(super) host: Option<Span>,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    expects_continue: bool,
    expects_unknown: bool,
}

impl Facts {
    /// The names that [`note`](Self::note) reads. Their bits rule out all other fields of a browser,
    /// which makes its head 500 instructions cheaper.
    pub(super) const NEEDED: Names = Names::of(&[b"host", b"expect", b"connection", b"content-length", b"transfer-encoding"]);

    /// Notes a field.
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

    /// Concludes what the fields mean in a head of this version.
    #[inline(always)]
    pub(super) fn conclude(&self, version: Version, names: Names) -> Result<Conclusions, RemoteError> {
        let content = self.framing.content(version)?;
        // RFC 9110, section 10.1.1: "A server that receives a 100-continue expectation in an
        // HTTP/1.0 request MUST ignore that expectation."
        let is_latest = version == Version::Http11;
        if is_latest && self.expects_unknown {
            return Err(RemoteError::UnknownExpectation);
        }
        // HTTP/1.1 requires `Host` even with the authority of an absolute target (RFC 9112, section
        // 3.2.2).
        if is_latest && self.host.is_none() {
            return Err(RemoteError::BadHost);
        }
        Ok(Conclusions {
            content,
            version,
            keep_alive: !self.close && (is_latest || self.keep_alive),
            expects_continue: is_latest && self.expects_continue,
            // RFC 9110, section 7.8: "A server MUST ignore an Upgrade header field that is received
            // in an HTTP/1.0 request."
            upgrade: self.upgrade && is_latest,
            names,
        })
    }
}

/// What the version and the fields of a head mean together.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, not states")]
pub(super) struct Conclusions {
    pub(super) content: Content,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) upgrade: bool,
    pub(super) names: Names,
}

/// The names of the fields, so that a search for an absent name nearly always ends without a look at
/// the fields: such a search costs 100 instructions and more. A name has one bit, by its length and
/// its first letter, and some names share theirs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names(u64);

impl Names {
    /// Letters of both cases have the same bit. The factor gives different bits to the names that
    /// browsers send and the names that this library looks for.
    #[inline(always)]
    pub(super) const fn one(name: &[u8]) -> Self {
        let first = if let [first, ..] = name { *first | 0x20 } else { 0 };
        Self(1_u64.wrapping_shl(name.len() as u32 + 5 * first as u32))
    }

    const fn of(names: &[&[u8]]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < names.len() {
            bits |= Self::one(names[at]).0;
            at += 1;
        }
        Self(bits)
    }

    #[inline(always)]
    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    #[inline(always)]
    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
