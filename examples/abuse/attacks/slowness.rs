//! Peers that take their time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::scenario::{Arena, Late};
use crate::{Result, wire};

const STEP: Duration = Duration::from_millis(100);
/// The server's own time-outs are two seconds, and five between requests.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn heads(arena: &Arena<'_>) -> Result<String> {
    drip(arena, "GET / HTTP/1.1\r\nHost: abuse.test\r\nX: ")
}

pub(crate) fn bodies(arena: &Arena<'_>) -> Result<String> {
    drip(arena, "POST /upload HTTP/1.1\r\nHost: abuse.test\r\nContent-Length: 100000\r\n\r\n")
}

pub(crate) fn silent(arena: &Arena<'_>) -> Result<String> {
    let sockets = open(arena, "")?;
    let closed = sockets.iter().filter(|socket| wire::read_to_end(socket).is_empty()).count();
    let count = sockets.len();
    if closed < count {
        Err(Late(format!("only {closed} of {count} were closed in silence")).into())
    } else {
        Ok(format!("{count} connections, all closed"))
    }
}

fn open(arena: &Arena<'_>, opening: &str) -> Result<Vec<TcpStream>> {
    let one = |_| {
        let mut socket = wire::connect(arena.target.address)?;
        socket.write_all(opening.as_bytes())?;
        Ok(socket)
    };
    (0..arena.connections).map(one).collect()
}

/// Sends a byte on every connection, again and again, until the server has ended all of them.
fn drip(arena: &Arena<'_>, opening: &str) -> Result<String> {
    let mut sockets = open(arena, opening)?;
    for socket in &sockets {
        socket.set_nonblocking(true)?;
    }
    let (count, begun, mut told) = (sockets.len(), Instant::now(), 0);
    while !sockets.is_empty() {
        if begun.elapsed() > PATIENCE {
            return Err(Late(format!("{} of {count} connections are still served after {PATIENCE:?}", sockets.len())).into());
        }
        thread::sleep(STEP);
        sockets.retain_mut(|socket| {
            // Where the server has ended it, reading says so.
            let _ = socket.write(b"x");
            let mut bytes = [0; 512];
            match socket.read(&mut bytes) {
                Ok(len) => {
                    told += usize::from(bytes[..len].starts_with(b"HTTP/1.1 408 "));
                    false
                }
                Err(error) => wire::is_later(&error),
            }
        });
    }
    if told < count {
        Err(Late(format!("only {told} of {count} were answered with 408")).into())
    } else {
        Ok(format!("{count} connections, all answered with 408"))
    }
}
