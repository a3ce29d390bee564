//! Ordered output that waits for a socket.
//!
//! Owns the order of the bytes. Small pieces are copied into one buffer; large pieces are kept
//! without a copy. A large piece of the input that goes out again stays in the receive buffer, as
//! long as the driver leaves the buffer as it is. Leaves the ways to hold a piece to [`Bytes`], the
//! writing to the drivers, and the bound on the size to the callers, which read [`Outbox::len`].

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::bytes::Bytes;

/// Output bytes in order, until a transport takes them.
///
/// An outbox to which nothing was ever written owns no memory.
///
/// ```
/// use pushlab::proto::Outbox;
/// let mut out = Outbox::new();
/// out.extend(b"HTTP/1.1 200 OK\r\n");
/// assert_eq!(out.len(), 17);
/// out.advance(9);
/// assert_eq!(out.chunks().next(), Some(&b"200 OK\r\n"[..]));
/// ```
#[derive(Debug, Default)]
pub struct Outbox {
    /// The copied bytes, in order. The first `copied_sent` of them have been sent.
    copied: Vec<u8>,
    /// The number of bytes of `copied` that have been sent.
    copied_sent: usize,
    /// The large pieces, in order. Each one knows its position relative to `copied`.
    pieces: VecDeque<Piece>,
    /// The number of unsent bytes: copied, large and lent ones together.
    len: usize,
    /// The number of unsent bytes that are [lent](Self::lend).
    lent: usize,
    is_lent: bool,
    /// The addresses of the input from which a piece may be [referred to](Self::extend_or_refer).
    offered: Range<usize>,
    /// Some of the pieces may be [`Held::Received`].
    refers: bool,
    /// The receive buffer, while output is written that refers to it.
    received: Vec<u8>,
}

#[derive(Debug)]
struct Piece {
    /// This piece comes after `copied[..at]`.
    at: usize,
    bytes: Held,
    unsent: Range<usize>,
}

/// Where the bytes of a piece are.
#[derive(Debug)]
enum Held {
    Here(Bytes),
    /// In the receive buffer.
    Received,
}

impl Outbox {
    /// Pieces up to this size are copied. For them a copy is cheaper than one more slice in a
    /// vectored write plus the reference count.
    pub(crate) const COPY_BYTES: usize = 2 * 1024;

    /// An empty outbox. It owns no memory.
    pub const fn new() -> Self {
        Self {
            copied: Vec::new(),
            copied_sent: 0,
            pieces: VecDeque::new(),
            len: 0,
            lent: 0,
            is_lent: false,
            offered: 0..0,
            refers: false,
            received: Vec::new(),
        }
    }

    /// The number of unsent bytes, with those that are [lent](Self::lend).
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether every byte has been sent.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the bytes that `write` appends to the buffer. Reserves `room` bytes once, instead of
    /// growing the buffer several times during `write`.
    #[inline(always)]
    pub(crate) fn extend_with(&mut self, room: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.make_room(room);
        self.copied.reserve(room);
        let before = self.copied.len();
        write(&mut self.copied);
        self.len += self.copied.len() - before;
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.copied.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends `bytes`. Large ones are not copied.
    #[inline]
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() <= Self::COPY_BYTES {
            return self.extend(bytes.as_bytes());
        }
        let unsent = 0..bytes.len();
        self.push_piece(Held::Here(bytes), unsent);
    }

    /// Appends a range of shared bytes, such as the payload of a frame. A large range is not
    /// copied; the outbox holds a reference to it. A small range does not touch the reference
    /// count.
    ///
    /// # Panics
    /// If `range` is not within `bytes`.
    #[inline(always)]
    pub fn push_shared(&mut self, bytes: &Arc<[u8]>, range: Range<usize>) {
        if range.len() <= Self::COPY_BYTES {
            return self.extend(&bytes[range]);
        }
        assert!(range.end <= bytes.len(), "the range ends within the shared bytes");
        self.push_piece(Held::Here(Bytes::Shared(Arc::clone(bytes))), range);
    }

    fn push_piece(&mut self, bytes: Held, unsent: Range<usize>) {
        self.len += unsent.len();
        self.pieces.push_back(Piece { at: self.copied.len(), bytes, unsent });
    }

    /// The unsent bytes in order, as non-empty slices. Lent bytes are not among them.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = self.copied_sent;
        let pieces = self.pieces.iter().flat_map(move |piece| {
            let before = &self.copied[from..piece.at];
            from = piece.at;
            [before, self.unsent(piece)]
        });
        let last = self.pieces.back().map_or(self.copied_sent, |piece| piece.at);
        pieces.chain([&self.copied[last..]]).filter(|chunk| !chunk.is_empty())
    }

    fn unsent<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        let bytes = match &piece.bytes {
            Held::Here(bytes) => bytes.as_bytes(),
            // After a write that has failed, the buffer is elsewhere, and nobody sends the bytes.
            Held::Received => &self.received,
        };
        bytes.get(piece.unsent.clone()).unwrap_or_default()
    }

    /// The unsent bytes, if all of them are copied bytes. Nearly every write has this form, and the
    /// caller then needs no vectored write.
    #[inline]
    pub fn as_single_chunk(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then(|| &self.copied[self.copied_sent..])
    }

    /// Removes the first `sent` bytes.
    ///
    /// # Panics
    /// If `sent` is larger than [`len`](Self::len), or while bytes are [lent](Self::lend).
    #[inline]
    pub fn advance(&mut self, sent: usize) {
        assert!(sent <= self.len && self.lent == 0, "no more bytes can have been sent than were waiting here");
        self.len -= sent;
        if self.len == 0 {
            // When everything is sent, the buffer is reused from its start, and no byte moves.
            self.clear();
        } else {
            self.advance_into(sent);
        }
    }

    fn advance_into(&mut self, mut sent: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let before = piece.at - self.copied_sent;
            // The transport stopped inside the copied bytes before this piece.
            if sent < before {
                break;
            }
            sent -= before;
            self.copied_sent = piece.at;
            if sent < piece.unsent.len() {
                piece.unsent.start += sent;
                return;
            }
            sent -= piece.unsent.len();
            self.pieces.pop_front();
        }
        self.copied_sent += sent;
    }

    /// Moves the unsent bytes to `to`, which is empty, so that one thread can write them while
    /// others append. Until [`give_back`](Self::give_back), they still count as unsent. The two
    /// outboxes keep their buffers.
    ///
    /// ```
    /// use pushlab::proto::Outbox;
    /// let mut out = Outbox::new();
    /// out.extend(b"one two ");
    /// let mut lent = Outbox::new();
    /// out.lend(&mut lent);
    /// out.extend(b"three");
    /// lent.advance(4); // the system took `one `
    /// assert_eq!(out.len(), 13);
    /// out.give_back(&mut lent);
    /// assert_eq!(out.chunks().collect::<Vec<_>>().concat(), b"two three");
    /// ```
    ///
    /// # Panics
    /// If bytes are lent already, because two writers would mix their bytes, and if `to` is not
    /// empty.
    #[inline]
    pub fn lend(&mut self, to: &mut Self) {
        assert!(!self.is_lent() && to.len == 0, "one writer at a time, which has written everything that it was lent before");
        std::mem::swap(self, to);
        (self.len, self.lent, self.is_lent) = (to.len, to.len, true);
    }

    /// Takes back what is left of the bytes that were lent. It stands before the bytes that were
    /// appended meanwhile. `rest` is empty then.
    #[inline]
    pub fn give_back(&mut self, rest: &mut Self) {
        self.len -= self.lent;
        (self.lent, self.is_lent) = (0, false);
        if self.len > 0 {
            rest.append(self);
        }
        // `self` is empty, so a swap moves no byte.
        std::mem::swap(self, rest);
    }

    /// Whether output is lent. No bytes can be lent, too: a thread that writes only for a layer of
    /// the transport is the one writer all the same.
    #[inline]
    pub const fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// Moves all bytes from `other` to the end of this outbox.
    ///
    /// # Panics
    /// If bytes of `other` are lent.
    pub fn append(&mut self, other: &mut Self) {
        assert!(!other.is_lent(), "lent bytes are not here to be moved");
        debug_assert!(!other.refers, "the receive buffer of another outbox is elsewhere");
        if self.len == 0 {
            self.clear();
            // A swap copies nothing, and `other` keeps a buffer for its next use.
            std::mem::swap(self, other);
            return;
        }
        self.make_room(other.copied.len() - other.copied_sent);
        let (shift, skip) = (self.copied.len(), other.copied_sent);
        self.copied.extend_from_slice(&other.copied[skip..]);
        // Only unsent copied bytes move, so positions in `other` shift by the sent part and by our
        // length.
        self.pieces.extend(other.pieces.drain(..).map(|piece| Piece { at: piece.at - skip + shift, ..piece }));
        self.len += other.len;
        other.clear();
    }

    /// Removes the sent part of `copied` instead of growing the buffer. Otherwise an outbox that
    /// never becomes empty, because the reader is always slightly behind, would keep all bytes that
    /// it ever sent. The sent part is removed only if it is more than half of `copied`, so on
    /// average each byte moves at most once.
    #[inline]
    fn make_room(&mut self, additional: usize) {
        if self.copied.capacity() - self.copied.len() < additional && self.copied_sent > self.copied.len() / 2 {
            self.forget_sent();
        }
    }

    #[cold]
    fn forget_sent(&mut self) {
        self.copied.drain(..self.copied_sent);
        for piece in &mut self.pieces {
            piece.at -= self.copied_sent;
        }
        self.copied_sent = 0;
    }

    /// Removes all bytes that are not lent, and keeps the copy buffer for the next use.
    #[inline]
    pub fn clear(&mut self) {
        self.copied.clear();
        self.copied_sent = 0;
        if !self.pieces.is_empty() {
            self.pieces.clear();
        }
        self.refers = false;
        self.len = self.lent;
    }

    /// Offers the input: until [`withdraw`](Self::withdraw), a large piece of it that is appended
    /// may stay where it is. `input` is the front of the receive buffer. A driver that offers it
    ///
    /// 1. [attaches](Self::attach) the buffer for each write, and [detaches](Self::detach) it
    ///    after;
    /// 2. [settles](Self::settle) the output before it uses the buffer for anything else.
    #[inline]
    pub(crate) fn offer(&mut self, input: &[u8]) {
        let start = input.as_ptr().addr();
        self.offered = start..start + input.len();
    }

    /// The input is no longer offered.
    #[inline]
    pub(crate) const fn withdraw(&mut self) {
        self.offered = 0..0;
    }

    /// Appends `bytes`, which are not copied if they are a large piece of the input that is
    /// [offered](Self::offer). So an echo of 64 KiB is sent from where it was unmasked, which saves
    /// an eighth of its time.
    #[inline]
    pub(crate) fn extend_or_refer(&mut self, bytes: &[u8]) {
        // A slice within the addresses of the input can only be a part of the input, because the
        // input exists as long as it is offered.
        let start = bytes.as_ptr().addr();
        if bytes.len() <= Self::COPY_BYTES || start < self.offered.start || self.offered.end < start + bytes.len() {
            return self.extend(bytes);
        }
        let start = start - self.offered.start;
        self.refers = true;
        self.push_piece(Held::Received, start..start + bytes.len());
    }

    /// Whether the receive buffer must stay as it is.
    #[inline]
    pub(crate) const fn refers(&self) -> bool {
        self.refers
    }

    /// Takes the receive buffer for a write, if the output refers to it.
    #[inline]
    pub(crate) const fn attach(&mut self, buffer: &mut Vec<u8>) {
        if self.refers {
            std::mem::swap(&mut self.received, buffer);
        }
    }

    /// Gives the receive buffer back after a write.
    #[inline]
    pub(crate) const fn detach(&mut self, buffer: &mut Vec<u8>) {
        if self.received.capacity() > 0 {
            std::mem::swap(&mut self.received, buffer);
        }
    }

    /// Copies the pieces that the output refers to and that are still unsent. `buffer` is the
    /// receive buffer.
    #[cold]
    pub(crate) fn settle(&mut self, buffer: &[u8]) {
        for piece in self.pieces.iter_mut().filter(|piece| matches!(piece.bytes, Held::Received)) {
            let unsent = buffer[piece.unsent.clone()].to_vec();
            piece.unsent = 0..unsent.len();
            piece.bytes = Held::Here(Bytes::Owned(unsent));
        }
        self.refers = false;
    }

    /// The size of the copy buffer in bytes, used or not.
    pub const fn capacity(&self) -> usize {
        self.copied.capacity()
    }
}
