//! The protocol core alone: HTTP/1.1 over blocking sockets, one after the other, without a driver,
//! a session or threads. Try: `curl -i --data 'five!' http://127.0.0.1:8080/any/path`

#[path = "common/small.rs"]
mod small;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use pushlab::proto::http1::{Conn, Content, Event, Next, ResponseHead};
use pushlab::proto::{Now, Outbox, ProtocolLimits, RemoteError};

fn main() -> ExitCode {
    let what = "The protocol core alone: answers hello at any path, to one client after the other.";
    small::run(&small::Program { what, takes_io: false }, |address, _| {
        let refused = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let listener = TcpListener::bind(address).map_err(refused)?;
        small::say(&format!("listening on http://{}/", listener.local_addr()?))?;
        listener.incoming().try_for_each(|socket| serve(socket?).or_else(|error| writeln!(io::stderr(), "{error}")))
    })
}

fn serve(mut socket: TcpStream) -> io::Result<()> {
    let (limits, hello, mut input, mut out) = (ProtocolLimits::default(), ResponseHead::new(200, "text/plain"), Vec::new(), Outbox::new());
    let (mut conn, mut is_hungry) = (Conn::new(Instant::now(), &limits), true);
    while !conn.is_closing() {
        let waited = if is_hungry { wait(&mut conn, &mut socket, &mut input)? } else { Ok(()) };
        let now = Now::new(Instant::now(), SystemTime::now());
        // The rule for a driver of the core: first give one input and run the commands that follow
        // from its event. Unused bytes are given again, with those that arrive next.
        match waited.and_then(|()| conn.next_event(now.instant(), &input, &mut out, &limits)) {
            Ok((used, next)) => {
                is_hungry = matches!(next, Next::NeedData | Next::Paused);
                let is_whole = match next {
                    Next::Event(Event::Head(head)) => head.content() == Content::None,
                    next => matches!(next, Next::Event(Event::End)),
                };
                input.drain(..used);
                if is_whole {
                    conn.send_response(&now, &hello, b"hello\n", &mut out).expect("a response is owed");
                }
            }
            Err(error) => conn.send_error(&now, error, &mut out),
        }
        // Then write all output. Then read the deadline again, which `wait` does: each input may
        // move it.
        out.chunks().try_for_each(|chunk| socket.write_all(chunk))?;
        out.advance(out.len());
    }
    Ok(())
}

/// Waits for input, for its end, or for the deadline, and tells the connection which of them came
/// first.
fn wait(conn: &mut Conn, socket: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<Result<(), RemoteError>> {
    let mut scratch = [0; 4096];
    let time_left = conn.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
    socket.set_read_timeout(time_left.map(|left| left.max(Duration::from_millis(1))))?;
    match socket.read(&mut scratch) {
        Ok(0) => Ok(conn.handle_eof()),
        Ok(taken) => input.write_all(&scratch[..taken]).map(Ok),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(conn.handle_timeout(Instant::now()).map(drop))
        }
        Err(error) => Err(error),
    }
}
