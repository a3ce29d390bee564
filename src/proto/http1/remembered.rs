//! The memory of validated field lines.
//!
//! Owns the field lines of one head, what was concluded from them, and how often others came in their
//! place. Leaves the comparison with a head to `head`, and the interface for drivers to `known`.

use std::cell::Cell;

use super::facts::{Conclusions, Span};

/// The longest field lines that are remembered, in bytes. A browser sends 400 to 900 bytes.
const REMEMBERED_BYTES: usize = 1_024;

/// After so many heads in a row with other fields, nothing is remembered: such a client sends a
/// field that is new each time, and then a memory costs 250 instructions and saves none.
const MISSED_MAX: u8 = 4;

/// After so many heads in a row, the fields are remembered once more.
const MISSED_AGAIN: u8 = 64;

/// What is remembered. It is nothing if `section` is empty.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// The field lines and the blank line.
    section: Vec<u8>,
    /// The range of the host in `section`.
    host: Span,
    concluded: Option<Conclusions>,
    /// The number of heads in a row whose fields were others.
    missed: Cell<u8>,
}

impl Remembered {
    /// What was concluded from the fields, if `input` begins with them.
    #[inline(always)]
    pub(super) fn concluded_by(&self, input: &[u8]) -> Option<Conclusions> {
        if !input.starts_with(&self.section) {
            return None;
        }
        self.missed.set(0);
        self.concluded
    }

    /// The length of the field lines with the blank line.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.section.len()
    }

    /// The range of the host in a head whose fields begin at `fields_at`.
    #[inline]
    pub(super) fn host(&self, fields_at: usize) -> Span {
        self.host.moved(fields_at)
    }

    /// Another connection takes the memory.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.section.clear();
        self.missed.set(0);
    }

    /// Forgets the fields. The next ones count as others.
    #[inline]
    pub(super) fn miss(&mut self) {
        self.section.clear();
    }

    /// Takes other fields, unless they are too long, or were others each time. `section` gives the field
    /// lines, what was concluded from them, and the range of the host in them.
    pub(super) fn take<'a>(&mut self, section: impl FnOnce() -> Option<(&'a [u8], Conclusions, Span)>) {
        self.section.clear();
        let missed = self.missed.get() + 1;
        self.missed.set(if missed < MISSED_AGAIN { missed } else { MISSED_MAX });
        if MISSED_MAX < missed && missed < MISSED_AGAIN {
            return;
        }
        let Some((section, concluded, host)) = section().filter(|(section, ..)| section.len() <= REMEMBERED_BYTES) else { return };
        self.section.reserve_exact(section.len());
        self.section.extend_from_slice(section);
        (self.host, self.concluded) = (host, Some(concluded));
    }
}
