//! From an outbox to a socket.
//!
//! Owns one write with as many pieces as the outbox has. Refuses to wait and to retry.

use std::io::{self, IoSlice, Write};

use crate::proto::Outbox;

/// Pieces in one vectored write. Linux takes 1,024 (`UIO_MAXIOV`), but hardly more than a few dozen fit a socket buffer.
const PIECES_MAX: usize = 64;

/// Writes once. Returns how many bytes the system took, all of which have left the outbox, and how many were offered.
#[inline]
pub(crate) fn write_once(mut socket: impl Write, out: &mut Outbox) -> io::Result<(usize, usize)> {
    let (taken, offered) = match out.as_single_chunk() {
        Some(bytes) => (socket.write(bytes)?, bytes.len()),
        None => write_pieces(socket, out)?,
    };
    if taken == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    out.advance(taken);
    Ok((taken, offered))
}

/// Apart, because the pieces would take a quarter of a page of every thread's stack.
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
