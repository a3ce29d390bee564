//! axum, with tokio's `broadcast` for event streams and `WebSockets`. Its `serve` cannot join the
//! answers to pipelined requests.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use futures_util::stream::{self, Stream};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, future};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};

use super::polls::Polls;
use super::{BODY, ECHO, EVENTS, HELLO, HOLD, PAYLOAD, PUBLISH, SOCKETS, number};

/// Messages that a subscriber may be behind.
const QUEUE: usize = 1_024;

struct App {
    events: broadcast::Sender<Event>,
    messages: broadcast::Sender<Utf8Bytes>,
    published: AtomicU64,
    polls: Polls<oneshot::Sender<()>>,
}

pub(super) async fn serve(listener: TcpListener) -> io::Result<()> {
    let (events, messages) = (broadcast::channel(QUEUE).0, broadcast::channel(QUEUE).0);
    let app = App { events, messages, published: AtomicU64::new(0), polls: Polls::default() };
    let router = Router::new()
        .route(HELLO, get(async || BODY))
        .route(HOLD, get(hold))
        .route(ECHO, get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)))
        .route(EVENTS, get(events_of))
        .route(SOCKETS, get(messages_of))
        .route(PUBLISH, get(publish))
        .with_state(Arc::new(app));
    // It fails for a socket whose client has left.
    let listener = listener.tap_io(|socket| _ = socket.set_nodelay(true));
    axum::serve(listener, router).await
}

async fn hold(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> &'static str {
    let (release, released) = oneshot::channel();
    for held in app.polls.hold(release, number(query.as_deref())) {
        // It fails if the client has left.
        let _ = held.send(());
    }
    // It cannot fail, because no sender is dropped before it has sent.
    let _ = released.await;
    BODY
}

async fn publish(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> &'static str {
    for _ in 0..number(query.as_deref()) {
        let id = app.published.fetch_add(1, Relaxed);
        // Each fails if it has no subscribers.
        let _ = app.events.send(Event::default().id(id.to_string()).data(PAYLOAD));
        let _ = app.messages.send(Utf8Bytes::from_static(PAYLOAD));
    }
    BODY
}

async fn events_of(State(app): State<Arc<App>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(app.events.subscribe(), |mut events| async move {
        let event = events.recv().await.ok()?;
        Some((Ok(event), events))
    }))
}

async fn messages_of(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    let messages = app.messages.subscribe();
    // An error ends this connection alone: its client has left.
    upgrade.on_upgrade(async |socket| _ = push(socket, messages).await)
}

/// Sends each message, and joins those that are there.
async fn push(mut socket: WebSocket, mut messages: broadcast::Receiver<Utf8Bytes>) -> Result<(), axum::Error> {
    loop {
        tokio::select! {
            message = messages.recv() => {
                let Ok(mut message) = message else { return Ok(()) };
                loop {
                    socket.feed(Message::Text(message)).await?;
                    let Ok(next) = messages.try_recv() else { break };
                    message = next;
                }
                socket.flush().await?;
            }
            read = socket.recv() => if read.is_none() { return Ok(()) },
        }
    }
}

/// `forward` flushes when no message is there to read, so it joins the echoes.
async fn echo(socket: WebSocket) {
    let (write, read) = socket.split();
    let messages = read.try_filter(|message| future::ready(matches!(message, Message::Text(_) | Message::Binary(_))));
    // An error ends this connection alone: its client has left.
    let _ = messages.forward(write).await;
}
