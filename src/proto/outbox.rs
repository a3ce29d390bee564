//! Ordered output on its way to a socket.
//!
//! Owns the order of bytes: small pieces are copied into one buffer, large ones ride along as they are, shared or owned.
//! Refuses to know what the bytes mean, to write them, and to bound them: the session asks [`Outbox::len`] and decides.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Pieces up to this size are copied: below it a copy is cheaper than one more element of a vectored write, counted references included.
const COPY_BYTES: usize = 2 * 1024;

/// Output bytes in order, waiting for a transport.
///
/// An empty outbox that was never written to owns no memory.
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
    /// All copied bytes, in order.
    copied: Vec<u8>,
    /// Bytes of `copied` that have been sent.
    copied_sent: usize,
    /// Large pieces, each at its place in `copied`.
    pieces: VecDeque<Piece>,
    /// All unsent bytes.
    len: usize,
}

#[derive(Debug)]
struct Piece {
    /// This piece comes after `copied[..at]`.
    at: usize,
    bytes: Bytes,
    unsent: Range<usize>,
}

#[derive(Debug)]
enum Bytes {
    Shared(Arc<[u8]>),
    Owned(Vec<u8>),
}

impl Piece {
    fn unsent(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Shared(bytes) => &bytes[self.unsent.clone()],
            Bytes::Owned(bytes) => &bytes[self.unsent.clone()],
        }
    }
}

impl Outbox {
    /// An empty outbox, without memory of its own.
    pub const fn new() -> Self {
        Self { copied: Vec::new(), copied_sent: 0, pieces: VecDeque::new(), len: 0 }
    }

    /// Unsent bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether every byte has been sent.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends what `write` appends to the buffer that it is given. `room` bytes of it are made room for at once, instead of piece by piece.
    #[inline]
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

    /// Appends `bytes` without a copy when they are large.
    pub fn push_owned(&mut self, bytes: Vec<u8>) {
        if bytes.len() <= COPY_BYTES {
            return self.extend(&bytes);
        }
        let unsent = 0..bytes.len();
        self.push_piece(Bytes::Owned(bytes), unsent);
    }

    /// Appends a part of shared bytes, counting a reference instead of copying when it is large.
    ///
    /// # Panics
    /// When `range` is not within `bytes`.
    #[inline]
    pub fn push_shared(&mut self, bytes: &Arc<[u8]>, range: Range<usize>) {
        if range.len() <= COPY_BYTES {
            return self.extend(&bytes[range]);
        }
        assert!(range.end <= bytes.len(), "the range ends within the shared bytes");
        self.push_piece(Bytes::Shared(Arc::clone(bytes)), range);
    }

    fn push_piece(&mut self, bytes: Bytes, unsent: Range<usize>) {
        self.len += unsent.len();
        self.pieces.push_back(Piece { at: self.copied.len(), bytes, unsent });
    }

    /// The unsent bytes in order, as slices, none of them empty.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = self.copied_sent;
        let pieces = self.pieces.iter().flat_map(move |piece| {
            let before = &self.copied[from..piece.at];
            from = piece.at;
            [before, piece.unsent()]
        });
        let last = self.pieces.back().map_or(self.copied_sent, |piece| piece.at);
        pieces.chain([&self.copied[last..]]).filter(|chunk| !chunk.is_empty())
    }

    /// The unsent bytes, where they are all copied ones: what is nearly always to be written.
    #[inline]
    pub fn as_single_chunk(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then(|| &self.copied[self.copied_sent..])
    }

    /// Forgets the first `sent` bytes.
    ///
    /// # Panics
    /// When `sent` exceeds [`len`](Self::len).
    #[inline]
    pub fn advance(&mut self, sent: usize) {
        assert!(sent <= self.len, "no more bytes can have been sent than were waiting");
        self.len -= sent;
        if self.len == 0 {
            self.clear();
        } else {
            self.advance_into(sent);
        }
    }

    fn advance_into(&mut self, mut sent: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let before = piece.at - self.copied_sent;
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

    /// Moves everything from `other` to the end of this outbox.
    pub fn append(&mut self, other: &mut Self) {
        if self.len == 0 {
            self.clear();
            std::mem::swap(self, other);
            return;
        }
        self.make_room(other.copied.len() - other.copied_sent);
        let (shift, skip) = (self.copied.len(), other.copied_sent);
        self.copied.extend_from_slice(&other.copied[skip..]);
        self.pieces.extend(other.pieces.drain(..).map(|piece| Piece { at: piece.at - skip + shift, ..piece }));
        self.len += other.len;
        other.clear();
    }

    /// Gives up the sent part of `copied` instead of growing. Without this, an outbox that never runs empty (a reader that is always a
    /// little behind) would keep all that it ever sent. At least half is given up each time, so that every byte moves about once.
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

    /// Forgets everything and keeps the copy buffer for the next use.
    #[inline]
    pub fn clear(&mut self) {
        self.copied.clear();
        self.copied_sent = 0;
        if !self.pieces.is_empty() {
            self.pieces.clear();
        }
        self.len = 0;
    }

    /// Bytes of memory that this outbox keeps for copies, used or not.
    pub const fn capacity(&self) -> usize {
        self.copied.capacity()
    }
}
