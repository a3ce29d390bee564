//! hyper, with tokio's `broadcast` for the event streams. It joins the answers to pipelined requests.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};

use super::polls::Polls;
use super::{BODY, EVENTS, HELLO, HOLD, PAYLOAD, PUBLISH, number};

/// Messages that a subscriber may be behind.
const QUEUE: usize = 1_024;

type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

struct App {
    events: broadcast::Sender<Bytes>,
    published: AtomicU64,
    polls: Polls<oneshot::Sender<()>>,
}

pub(super) async fn serve(listener: TcpListener) -> io::Result<()> {
    let app = Arc::new(App { events: broadcast::channel(QUEUE).0, published: AtomicU64::new(0), polls: Polls::default() });
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let app = Arc::clone(&app);
        let service = service_fn(move |request| Arc::clone(&app).serve(request));
        tokio::spawn(async move {
            // An error ends this connection alone: its client has left.
            let _ = http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

impl App {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let number = number(request.uri().query());
        Ok(match request.uri().path() {
            HELLO => text(),
            HOLD => {
                let (release, released) = oneshot::channel();
                for held in self.polls.hold(release, number) {
                    // It fails if the client has left.
                    let _ = held.send(());
                }
                // It cannot fail, because no sender is dropped before it has sent.
                let _ = released.await;
                text()
            }
            EVENTS => self.stream(),
            PUBLISH => {
                for _ in 0..number {
                    let id = self.published.fetch_add(1, Relaxed);
                    // It fails if there are no subscribers.
                    let _ = self.events.send(Bytes::from(format!("id: {id}\ndata: {PAYLOAD}\n\n")));
                }
                text()
            }
            _ => with_type(Full::default(), "text/plain", StatusCode::NOT_FOUND),
        })
    }

    fn stream(&self) -> Response<Body> {
        let events = stream::unfold(self.events.subscribe(), |mut events| async move {
            let event = events.recv().await.ok()?;
            Some((Ok(Frame::data(event)), events))
        });
        let mut response = Response::new(Either::Right(StreamBody::new(events).boxed_unsync()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response
    }
}

fn text() -> Response<Body> {
    with_type(Full::new(Bytes::from_static(BODY.as_bytes())), "text/plain; charset=utf-8", StatusCode::OK)
}

fn with_type(body: Full<Bytes>, content_type: &'static str, status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
