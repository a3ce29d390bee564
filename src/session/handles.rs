//! The handles by which other threads reach a connection.
//!
//! Owns [`Held`] and [`Pusher`], and how they join what they post to many connections. Leaves the
//! commands to `post`, and the session's side of a handle to `link`.

use std::fmt;
use std::sync::Arc;

use super::{Address, Command, LastWord, Post, Response};
use crate::proto::Frame;
use crate::proto::ws::close::NORMAL_CLOSURE;

/// A request that waits for its answer. [`release`](Self::release) consumes the handle, so that the
/// request is answered once.
///
/// If the time of the hold passes first, the connection answers with the fallback, and a later
/// release does nothing. A handle that is dropped without a release answers 500, because the
/// application forgot the request.
///
/// ```
/// use std::sync::Mutex;
/// use pushlab::{Held, Response};
/// /// The requests that wait for the next piece of news.
/// static WAITING: Mutex<Vec<Held>> = Mutex::new(Vec::new());
/// fn publish(news: &str) {
///     let waiting = std::mem::take(&mut *WAITING.lock().expect("no holder of the lock panics"));
///     for held in waiting {
///         held.release(Response::text(news.to_owned()));
///     }
/// }
/// # publish("rain");
/// ```
#[must_use = "a held request that is dropped is answered with 500"]
pub struct Held {
    target: Option<(Arc<dyn Post>, Address)>,
}

impl Held {
    pub(super) const fn new(post: Arc<dyn Post>, address: Address) -> Self {
        Self { target: Some((post, address)) }
    }

    /// Answers the request, from any thread. Many requests can be answered with one shared
    /// response.
    pub fn release(mut self, response: impl Into<Arc<Response>>) {
        if let Some((post, address)) = self.target.take() {
            post.post(address, Command::Release(Some(response.into())));
        }
    }

    /// Answers many requests. Consecutive requests of one driver are handed over together; on the
    /// event loop this takes one lock for all of them.
    pub fn release_all(answers: impl IntoIterator<Item = (Self, impl Into<Arc<Response>>)>) {
        let mut commands = Vec::new();
        let mut driver: Option<Arc<dyn Post>> = None;
        for (mut held, response) in answers {
            let Some((post, address)) = held.target.take() else { continue };
            if let Some(current) = driver.take_if(|current| !Arc::ptr_eq(current, &post)) {
                current.post_each(std::mem::take(&mut commands));
            }
            driver.get_or_insert(post);
            commands.push((address, Command::Release(Some(response.into()))));
        }
        if let Some(driver) = driver {
            driver.post_each(commands);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((post, address)) = self.target.take() {
            post.post(address, Command::Release(None));
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.target.as_ref().map(|(_, address)| address)).finish()
    }
}

/// Sends messages to one stream or WebSocket, from any thread and any number of times. Cloning a
/// pusher counts a reference.
///
/// Pushing never waits for the peer. Messages that a slow reader cannot take yet wait in the
/// connection's bounded queue, under the [`SlowConsumer`](super::SlowConsumer) policy. Pushing to a
/// connection that has ended does nothing. To learn of the end, let the connection carry a value
/// ([`Reply::carry`](super::Reply::carry)) and act in its `Drop`.
///
/// A stream ends when its last pusher is dropped, unless a [source](super::Stream::feed) feeds it
/// or it [stays open](super::Stream::stay_open). A WebSocket goes on without pushers, because its
/// handler can send.
///
/// ```
/// use pushlab::proto::sse::Event;
/// use pushlab::{Frame, Pusher};
/// fn tick(subscribers: &[Pusher], count: u64) {
///     let text = count.to_string();
///     let frame = Frame::event(&Event::data(&text).event("tick")).expect("a name without line breaks");
///     Pusher::push_all(subscribers, &frame);
/// }
/// # tick(&[], 1);
/// ```
#[derive(Clone)]
pub struct Pusher(Arc<PusherTarget>);

/// The destination that a pusher and its clones share.
struct PusherTarget {
    post: Arc<dyn Post>,
    address: Address,
    /// Whether the end of the last pusher ends the destination.
    is_stream: bool,
}

impl Drop for PusherTarget {
    fn drop(&mut self) {
        if self.is_stream {
            self.post.post(self.address, Command::Abandon);
        }
    }
}

impl Pusher {
    /// Sends one message. The frame is shared and not copied: encode a message once and push it to
    /// many.
    pub fn push(&self, frame: &Frame) {
        self.0.post.post(self.0.address, Command::Send(frame.clone()));
    }

    /// Sends one message to many. Consecutive pushers of one driver are handed over together; on
    /// the event loop this takes one lock for all of them.
    pub fn push_all<'a>(pushers: impl IntoIterator<Item = &'a Self>, frame: &Frame) {
        let mut addresses = Vec::new();
        let mut driver: Option<&Arc<dyn Post>> = None;
        for pusher in pushers {
            if let Some(current) = driver.filter(|current| !Arc::ptr_eq(current, &pusher.0.post)) {
                post_to_all(&**current, &mut addresses, frame);
            }
            driver = Some(&pusher.0.post);
            addresses.push(pusher.0.address);
        }
        if let Some(driver) = driver {
            post_to_all(&**driver, &mut addresses, frame);
        }
    }

    /// Makes a pusher whose end does not end its destination.
    pub(super) fn new(post: Arc<dyn Post>, address: Address) -> Self {
        Self(Arc::new(PusherTarget { post, address, is_stream: false }))
    }

    /// Makes a pusher of a stream. The stream ends with the last clone of the pusher.
    pub(super) fn of_stream(post: Arc<dyn Post>, address: Address) -> Self {
        Self(Arc::new(PusherTarget { post, address, is_stream: true }))
    }

    /// The driver and the address of this pusher's connection.
    pub(super) fn target(&self) -> (&Arc<dyn Post>, Address) {
        (&self.0.post, self.0.address)
    }

    /// Ends a stream. Messages that were pushed before are sent first. A WebSocket is
    /// [closed](Self::close) with 1000, the normal closure.
    pub fn end(&self) {
        self.close(NORMAL_CLOSURE);
    }

    /// Starts the close handshake of a WebSocket with this code. Messages that were pushed before
    /// are sent first. If the code must not be sent (RFC 6455, section 7.4), the WebSocket is
    /// closed with 1000, and the server counts a mistake of the application. A stream has no code,
    /// and [ends](Self::end).
    pub fn close(&self, code: u16) {
        self.0.post.post(self.0.address, Command::Close(code));
    }

    /// Ends a stream or a WebSocket with a last word. Messages that were pushed before are sent
    /// first. A WebSocket closes with its code and its sentence, and a stream says it in the form
    /// of its [notices](super::Notices). [`LastWord`] has an example.
    pub fn end_with(&self, word: impl Into<Arc<LastWord>>) {
        self.0.post.post(self.0.address, Command::End(word.into()));
    }

    /// Ends many streams and `WebSockets` with the same last word.
    pub fn end_all<'a>(pushers: impl IntoIterator<Item = &'a Self>, word: impl Into<Arc<LastWord>>) {
        let word = word.into();
        for pusher in pushers {
            pusher.end_with(Arc::clone(&word));
        }
    }
}

impl Pusher {
    /// Lets the connection go on with what it sends at the pace of its reader: the source of a
    /// stream, or the [`drained`](super::WebSocketHandler::drained) of a WebSocket. Call it when
    /// something has arrived for which the source or the handler waits. Nothing happens while
    /// messages wait for a slow reader: the source and the handler are called after them.
    ///
    /// ```
    /// use std::sync::mpsc::{Receiver, channel};
    /// use pushlab::session::{Feed, Stream, StreamSource};
    /// use pushlab::{Reply, Request, Response};
    /// /// Sends a line that another thread finds.
    /// struct Line(Receiver<String>);
    /// impl StreamSource for Line {
    ///     fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
    ///         let Ok(line) = self.0.try_recv() else { return Feed::Continue };
    ///         stream.send(line.as_bytes());
    ///         Feed::End
    ///     }
    /// }
    /// fn app(_: &Request<'_>, reply: Reply<'_>) {
    ///     let mut stream = reply.stream(Response::text(""));
    ///     let (found, line) = channel();
    ///     let pusher = stream.pusher();
    ///     stream.feed(Line(line));
    ///     std::thread::spawn(move || {
    ///         let _ = found.send("found\n".to_owned());
    ///         pusher.wake();
    ///     });
    /// }
    /// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
    /// # serve_once(app, &["/"]);
    /// ```
    pub fn wake(&self) {
        self.0.post.post(self.0.address, Command::Wake);
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pusher").field(&self.0.address).finish()
    }
}

/// Where a stream or a WebSocket takes commands. It takes less memory than a [`Pusher`], and its
/// end ends nothing: for an application that keeps very many.
/// [`Stream::destination`](super::Stream::destination) and
/// [`Socket::destination`](super::Socket::destination) return one.
///
/// ```
/// use pushlab::session::{Command, Destination};
/// use pushlab::{Frame, Reply, Request, Response};
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     let mut stream = reply.stream(Response::text("begun\n"));
///     stream.stay_open();
///     let Some(Destination { post, address }) = stream.destination() else { return };
///     std::thread::spawn(move || {
///         post.post(address, Command::Send(Frame::chunk(b"went on in another thread\n")));
///         // Nothing else ends the stream.
///         post.post(address, Command::Close(1000));
///     });
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
#[derive(Clone)]
pub struct Destination {
    /// The driver of the connection.
    pub post: Arc<dyn Post>,
    /// The address of the stream or the WebSocket. Commands to one that is over do nothing.
    pub address: Address,
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Destination").field(&self.address).finish()
    }
}

/// Posts to these addresses and empties the list. With a thread per connection, the list has one
/// address each time.
fn post_to_all(driver: &dyn Post, addresses: &mut Vec<Address>, frame: &Frame) {
    match addresses[..] {
        [address] => driver.post(address, Command::Send(frame.clone())),
        _ => return driver.post_many(Arc::new(std::mem::take(addresses)), frame),
    }
    addresses.clear();
}
