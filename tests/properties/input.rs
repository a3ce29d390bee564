//! The fuzzer's bytes, taken apart into decisions.

/// Reads decisions from the front; at the end of the bytes every decision is 0.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub(super) fn size(&mut self) -> usize {
        usize::from(self.byte())
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.size() % bound
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// At most `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind one that says how many.
    pub(super) fn some_bytes(&mut self) -> &'a [u8] {
        let len = self.size();
        self.bytes(len)
    }

    /// As [`some_bytes`](Self::some_bytes), made into text.
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.some_bytes()).into_owned()
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// A way to cut what follows: a count, and as many lengths of pieces, of which none stands for single bytes.
    pub(super) fn cuts(&mut self) -> Cuts<'a> {
        let count = self.below(8);
        Cuts { lengths: self.bytes(count), at: 0, unit: 1 }
    }
}

/// Lengths of pieces, over and over.
#[derive(Clone, Debug)]
pub(super) struct Cuts<'a> {
    lengths: &'a [u8],
    at: usize,
    /// Bytes that a length counts.
    unit: usize,
}

impl Cuts<'_> {
    /// Cuts at no place at all.
    pub(super) const WHOLE: Cuts<'static> = Cuts { lengths: &[255], at: usize::MAX, unit: 1 };

    /// The same for a long input, which single bytes would take long to go through.
    pub(super) fn for_len(self, len: usize) -> Self {
        Self { unit: if len > 4 * 1024 { 97 } else { 1 }, ..self }
    }

    /// Takes the next piece off the front. Pieces are not empty.
    pub(super) fn take<'b>(&mut self, rest: &mut &'b [u8]) -> Option<&'b [u8]> {
        let len = match self.at {
            usize::MAX => rest.len(),
            at => self.lengths.get(at % self.lengths.len().max(1)).map_or(1, |len| 1 + usize::from(*len)) * self.unit,
        };
        self.at = if self.at == usize::MAX { self.at } else { self.at + 1 };
        let (piece, after) = rest.split_at(len.min(rest.len()));
        *rest = after;
        (!piece.is_empty()).then_some(piece)
    }
}
