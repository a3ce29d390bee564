//! A client that reads over one connection, by any technique, until it is cut.
//!
//! Owns the course of each technique: requests, the handshake, and what the ends of a connection
//! mean. Leaves the forms to `decode`, and what the client keeps to `account`.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use pushlab::push::Id;
use tungstenite::client::IntoClientRequest;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use super::decode::{self, Item, Stream};
use super::http::{Answer, Connection, Head, unexpected};
use super::technique::Technique;

/// The pause between two short polls.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The moment of the cut came, or the server or the network ended the connection.
    Cut,
    /// The server says: come again later, with the same cursor.
    Later,
    /// The caller has what it wants.
    Enough,
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    Stop,
}

/// Where a client reads.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) topic: &'a str,
}

/// Reads behind a cursor until a moment, and gives everything to `see`. An error is what no server
/// may do.
pub(crate) fn read(
    technique: Technique,
    place: Place<'_>,
    cursor: Id,
    until: Instant,
    see: &mut dyn FnMut(Item) -> Next,
) -> io::Result<End> {
    let Ok(connection) = Connection::open_until(place.address, until) else { return Ok(End::Cut) };
    let read = if technique.is_poll() {
        poll(technique, place, cursor, connection, see)
    } else if matches!(technique, Technique::WebSocket | Technique::Stomp) {
        web_socket(technique, place, cursor, connection, see)
    } else {
        stream(technique, place, cursor, connection, see)
    };
    match read {
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(unexpected(format!("{technique:?}: {error}"))),
        // All other errors are those of a connection that was cut.
        Err(_) => Ok(End::Cut),
        Ok(end) => Ok(end),
    }
}

/// The answer to a client whose cursor the server cannot serve now must say when to come again.
fn check(head: &Head, status: u16) -> io::Result<Option<End>> {
    match head.status {
        503 if head.field("Retry-After").is_some() => Ok(Some(End::Later)),
        other if other == status => Ok(None),
        other => Err(unexpected(format!("status {other} instead of {status}"))),
    }
}

fn poll(
    technique: Technique,
    place: Place<'_>,
    mut cursor: Id,
    mut connection: Connection,
    see: &mut dyn FnMut(Item) -> Next,
) -> io::Result<End> {
    loop {
        let Answer { head, body, .. } = connection.get(&technique.target(place.topic, cursor))?;
        if let Some(end) = check(&head, 200)? {
            return Ok(end);
        }
        let Some(items) = decode::poll(technique, &body)? else { return Ok(End::Later) };
        for item in items {
            if let Item::Cursor(last) = item {
                cursor = last;
            }
            if see(item) == Next::Stop {
                return Ok(End::Enough);
            }
        }
        if technique == Technique::Poll {
            let left = connection.until.saturating_duration_since(Instant::now());
            thread::sleep(POLL_EVERY.min(left));
        }
    }
}

fn stream(
    technique: Technique,
    place: Place<'_>,
    cursor: Id,
    mut connection: Connection,
    see: &mut dyn FnMut(Item) -> Next,
) -> io::Result<End> {
    connection.send_get(&technique.target(place.topic, cursor))?;
    let head = connection.head()?;
    if let Some(end) = check(&head, 200)? {
        return Ok(end);
    }
    let mut stream = Stream::new(technique);
    while let Some(chunk) = connection.chunk()? {
        for item in stream.take(&chunk)? {
            if see(item) == Next::Stop {
                return Ok(End::Enough);
            }
        }
    }
    Ok(End::Cut)
}

fn web_socket(
    technique: Technique,
    place: Place<'_>,
    cursor: Id,
    connection: Connection,
    see: &mut dyn FnMut(Item) -> Next,
) -> io::Result<End> {
    let Place { address, topic } = place;
    let is_stomp = technique == Technique::Stomp;
    let until = connection.until;
    let address = format!("ws://{address}{}", technique.target(topic, cursor));
    let mut request = address.into_client_request().map_err(|error| unexpected(error.to_string()))?;
    if is_stomp {
        let protocol = "v12.stomp".parse().map_err(|_| unexpected("the name of a protocol"))?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    }
    let stream = connection.into_socket();
    set_timeout(&stream, until)?;
    let mut socket = match tungstenite::client(request, stream) {
        Ok((socket, _)) => socket,
        Err(HandshakeError::Interrupted(_)) => return Ok(End::Cut),
        Err(HandshakeError::Failure(Error::Http(answer))) if answer.status() == 503 => return Ok(End::Later),
        Err(HandshakeError::Failure(error)) => return cut(error),
    };
    if is_stomp {
        let subscribe = format!("SUBSCRIBE\nid:0\ndestination:/topic/{topic}\nafter:{cursor}\n\n\0");
        for frame in ["CONNECT\naccept-version:1.2\nhost:localhost\n\n\0", &*subscribe] {
            if let Err(error) = socket.send(Message::text(frame)) {
                return cut(error);
            }
        }
    }
    read_frames(is_stomp, &mut socket, until, see)
}

fn read_frames(is_stomp: bool, socket: &mut WebSocket<TcpStream>, until: Instant, see: &mut dyn FnMut(Item) -> Next) -> io::Result<End> {
    loop {
        set_timeout(socket.get_ref(), until)?;
        let item = match socket.read() {
            // The close code says what an ERROR means.
            Ok(Message::Text(text)) if is_stomp => decode::stomp(&text)?,
            Ok(Message::Text(text)) => decode::text_envelope(&text)?,
            Ok(Message::Close(Some(close))) => return close_means(close.code),
            Ok(_) => None,
            Err(error) => return cut(error),
        };
        if item.is_some_and(|item| see(item) == Next::Stop) {
            return Ok(End::Enough);
        }
    }
}

fn close_means(code: CloseCode) -> io::Result<End> {
    match code {
        CloseCode::Away | CloseCode::Restart => Ok(End::Cut),
        CloseCode::Again => Ok(End::Later),
        other => Err(unexpected(format!("close code {other}"))),
    }
}

fn set_timeout(socket: &TcpStream, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    socket.set_read_timeout(Some(left))
}

/// An error of the connection is a cut. One of the protocol is a fault of the server.
fn cut(error: Error) -> io::Result<End> {
    match error {
        Error::Io(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete) => Ok(End::Cut),
        other => Err(unexpected(other.to_string())),
    }
}
