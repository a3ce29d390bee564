//! `fastwebsockets` with hyper, as its examples show it, and with tokio's `broadcast`. Its interface
//! writes each frame by itself.

use std::future::ready;
use std::io;

use bytes::Bytes;
use fastwebsockets::upgrade::{self, UpgradeFut};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocketError};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::{BODY, ECHO, HELLO, PAYLOAD, PUBLISH, SOCKETS, number};

/// Messages that a subscriber may be behind.
const QUEUE: usize = 1_024;

type Body = Either<Full<Bytes>, Empty<Bytes>>;
type Messages = broadcast::Sender<&'static str>;

pub(super) async fn serve(listener: TcpListener) -> io::Result<()> {
    let messages: Messages = broadcast::channel(QUEUE).0;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let messages = messages.clone();
        let service = service_fn(move |request| ready(answer(&messages, request)));
        tokio::spawn(async move {
            // An error ends this connection alone: its client has left.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).with_upgrades().await;
        });
    }
}

fn answer(messages: &Messages, mut request: Request<Incoming>) -> Result<Response<Body>, WebSocketError> {
    let subscription = match request.uri().path() {
        ECHO => None,
        SOCKETS => Some(messages.subscribe()),
        HELLO => return Ok(text()),
        PUBLISH => {
            for _ in 0..number(request.uri().query()) {
                // It fails if there are no subscribers.
                let _ = messages.send(PAYLOAD);
            }
            return Ok(text());
        }
        _ => {
            let mut response = text();
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    let (response, socket) = upgrade::upgrade(&mut request)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        // An error ends this connection alone: its client has left.
        let _ = match subscription {
            Some(messages) => push(socket, messages).await,
            None => echo(socket).await,
        };
    }));
    Ok(response.map(Either::Right))
}

fn text() -> Response<Body> {
    Response::new(Either::Left(Full::new(Bytes::from_static(BODY.as_bytes()))))
}

async fn echo(socket: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(socket.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn push(socket: UpgradeFut, mut messages: broadcast::Receiver<&'static str>) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(socket.await?);
    loop {
        tokio::select! {
            message = messages.recv() => {
                let Ok(message) = message else { return Ok(()) };
                socket.write_frame(Frame::text(Payload::Borrowed(message.as_bytes()))).await?;
            }
            // A subscriber sends nothing, so a read that is given up has lost nothing.
            frame = socket.read_frame() => if frame?.opcode == OpCode::Close { return Ok(()) },
        }
    }
}
