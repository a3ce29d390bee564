//! Writing from an outbox to a socket.
//!
//! Owns one write of as many pieces as the outbox has, up to a bound. Leaves waiting, retrying and
//! errors to the drivers.

use std::io::{self, IoSlice, Write};

use crate::proto::Outbox;

/// The most pieces in one vectored write. Linux takes 1,024 (`UIO_MAXIOV`), but a socket buffer
/// rarely has room for more than a few dozen.
const PIECES_MAX: usize = 64;

/// Writes once. Returns how many bytes the system took, which leave the outbox, and how many it was
/// offered.
#[inline]
pub(crate) fn write_once(mut socket: impl Write, out: &mut Outbox) -> io::Result<(usize, usize)> {
    let (taken, offered) = match out.as_single_chunk() {
        Some(bytes) => (socket.write(bytes)?, bytes.len()),
        None => write_pieces(socket, out)?,
    };
    // The outbox is not empty, so the call would be repeated without end.
    if taken == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    out.advance(taken);
    Ok((taken, offered))
}

/// A function of its own, never inlined: the array takes a quarter of a page of stack, and a thread
/// whose output is in one piece does not touch it.
#[inline(never)]
fn write_pieces(mut socket: impl Write, out: &Outbox) -> io::Result<(usize, usize)> {
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let mut count = 0;
    for (piece, chunk) in pieces.iter_mut().zip(out.chunks()) {
        *piece = IoSlice::new(chunk);
        count += 1;
    }
    let pieces = &pieces[..count];
    Ok((socket.write_vectored(pieces)?, pieces.iter().map(|piece| piece.len()).sum()))
}
