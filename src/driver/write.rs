//! Writing from an outbox to a socket.
//!
//! Owns one write of as many pieces as the outbox has, up to a bound, and the time-out of a blocking
//! write. Leaves retrying and all other errors to the drivers.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::TcpStream;

use crate::proto::Outbox;
use crate::session::{Mode, Ready};

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
        return Err(ErrorKind::WriteZero.into());
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

/// Writes once to a socket of a thread. A thread that may wait waits no longer than the socket's
/// write time-out, whose end is [`ErrorKind::TimedOut`].
#[inline]
pub(crate) fn write(socket: &TcpStream, out: &mut Outbox, mode: Mode) -> io::Result<(usize, Ready)> {
    match write_once(socket, out) {
        Err(error) if mode == Mode::Waiting && is_timeout(&error) => write_after_time_out(socket, out),
        written => written.map(|(taken, _)| (taken, Ready::Perhaps)),
    }
}

/// The write time-out may have passed while the whole process was stopped, and the peer may have
/// taken output meanwhile. So one more write decides.
#[cold]
fn write_after_time_out(socket: &TcpStream, out: &mut Outbox) -> io::Result<(usize, Ready)> {
    let _ = socket.set_nonblocking(true);
    let written = write_once(socket, out);
    let _ = socket.set_nonblocking(false);
    match written {
        Err(error) if is_timeout(&error) => Err(ErrorKind::TimedOut.into()),
        written => written.map(|(taken, _)| (taken, Ready::Perhaps)),
    }
}

/// Whether a blocking call ended because of its time-out: `EAGAIN` on Unix, `TimedOut` elsewhere.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
