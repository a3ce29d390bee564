//! Attacks by slowness: heads and bodies that arrive one byte at a time, and connections that send
//! nothing.
//!
//! Owns these attacks. Leaves the server's short timeouts, which end them, to `server`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::scenario::{Arena, Late};
use crate::{Result, wire};

const STEP: Duration = Duration::from_millis(100);
/// An attack waits this long. The server's timeouts are two seconds in a request, and five seconds
/// between requests.
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
        Err(Late(format!("only {closed} of {count} connections were closed without an answer")).into())
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

/// Sends one byte on every connection every [`STEP`], until the server has closed all of them.
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
            // A failure to write is not judged here: the read below reports the end of the
            // connection.
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
        Err(Late(format!("only {told} of {count} connections were answered with 408")).into())
    } else {
        Ok(format!("{count} connections, all answered with 408"))
    }
}
