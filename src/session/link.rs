//! The handles by which other threads reach a connection.
//!
//! Owns [`Held`] and [`Pusher`], the commands that they post, and [`Link`], which is the session's
//! side of the handles. Leaves delivery to the drivers, which implement [`Post`] and
//! [`RemoteSource`].

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::{Backlog, Context, Queued, Response};
use crate::proto::{Frame, Outbox};

/// Where a command goes: to one hold, stream or WebSocket of one connection. Each serial is given
/// out once. So a late command cannot reach a newer connection in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The connection's slot in its driver.
    pub slot: u32,
    /// The number of the hold, stream or WebSocket in that slot; 0 for none.
    pub serial: u64,
}

/// What a handle tells a connection to do.
#[derive(Debug)]
pub enum Command {
    /// Send a message on a stream or WebSocket.
    Push(Frame),
    /// Report that so many messages were dropped. They stood before all later commands.
    Lost(usize),
    /// Answer a held request. `None` means that the handle was dropped.
    Release(Option<Arc<Response>>),
    /// End a stream, or close a WebSocket with this code.
    Close(u16),
    /// The last pusher of a stream was dropped.
    Abandon,
}

/// A driver's way to take commands from any thread. Its methods never block on IO.
pub trait Post: Send + Sync {
    /// Takes one command.
    fn post(&self, address: Address, command: Command);

    /// Takes one message for many connections of the same driver. The list is shared until delivery
    /// and is not copied.
    fn post_many(&self, addresses: Arc<Vec<Address>>, frame: &Frame) {
        for address in &*addresses {
            self.post(*address, Command::Push(frame.clone()));
        }
    }

    /// Takes one command for each of many connections of the same driver.
    fn post_each(&self, commands: Vec<(Address, Command)>) {
        for (address, command) in commands {
            self.post(address, command);
        }
    }
}

/// A driver's way to give a connection an address. The session calls it for the first handle of
/// each hold, stream or WebSocket.
pub trait RemoteSource {
    /// Where commands for this connection are posted.
    fn post(&self) -> Arc<dyn Post>;
    /// The connection's slot.
    fn slot(&self) -> u32;
    /// Returns a serial that was never given out before for this slot. It is at least 1.
    fn issue_serial(&self) -> u64;
}

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
/// /// Everybody who waits for the next piece of news.
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
/// A stream ends when its last pusher is dropped, unless a [source](super::Stream::feed) feeds it.
/// A WebSocket goes on without pushers, because its handler can send.
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
        self.0.post.post(self.0.address, Command::Push(frame.clone()));
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

    /// The driver and the address of this pusher's connection.
    pub(super) fn target(&self) -> (&Arc<dyn Post>, Address) {
        (&self.0.post, self.0.address)
    }

    /// Ends a stream, or starts the close handshake of a WebSocket with this code. Messages that
    /// were pushed before are sent first. A stream ignores the code.
    pub fn close(&self, code: u16) {
        self.0.post.post(self.0.address, Command::Close(code));
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pusher").field(&self.0.address).finish()
    }
}

/// Posts to these addresses and empties the list. With a thread per connection, the list has one
/// address each time.
fn post_to_all(driver: &dyn Post, addresses: &mut Vec<Address>, frame: &Frame) {
    match addresses[..] {
        [address] => driver.post(address, Command::Push(frame.clone())),
        _ => return driver.post_many(Arc::new(std::mem::take(addresses)), frame),
    }
    addresses.clear();
}

/// The session's side of the handles: their address, the values that the connection carries, and
/// the messages that wait.
#[derive(Default)]
pub(super) struct Link {
    /// 0 until the first handle is given out.
    serial: u64,
    /// A pusher of a stream's own, kept while the view or the source can still make more pushers.
    own_pusher: Option<Pusher>,
    carried: Vec<Box<dyn Any + Send>>,
    backlog: Option<Box<Backlog>>,
    /// The close code of an end that was asked for. The end follows the backlog.
    closing: Option<u16>,
    on_drop: Option<Box<OnDrop>>,
}

/// The function that the application wants to be called for dropped messages.
type OnDrop = dyn FnMut(usize) -> Option<Frame> + Send;

/// The result of a push to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Sent,
    Waiting,
    Overflow,
}

impl Link {
    pub(super) fn new(carried: Vec<Box<dyn Any + Send>>) -> Self {
        Self { carried, ..Self::default() }
    }

    /// The address of this link. The first call issues the serial.
    pub(super) fn target(&mut self, cx: &Context<'_>) -> (Arc<dyn Post>, Address) {
        if self.serial == 0 {
            self.serial = cx.remote.issue_serial();
        }
        (cx.remote.post(), Address { slot: cx.remote.slot(), serial: self.serial })
    }

    /// Makes a pusher whose end does not end the destination.
    pub(super) fn pusher(&mut self, cx: &Context<'_>) -> Pusher {
        let (post, address) = self.target(cx);
        Pusher(Arc::new(PusherTarget { post, address, is_stream: false }))
    }

    /// Makes a pusher of a stream. The stream ends with its last pusher.
    pub(super) fn stream_pusher(&mut self, cx: &Context<'_>) -> Pusher {
        if let Some(pusher) = &self.own_pusher {
            return pusher.clone();
        }
        let (post, address) = self.target(cx);
        self.own_pusher.insert(Pusher(Arc::new(PusherTarget { post, address, is_stream: true }))).clone()
    }

    /// From now on, the stream lasts only as long as its pushers, because the handler and the
    /// source can send nothing more. If no pusher was given out, the stream ends after the messages
    /// that were sent.
    pub(super) fn leave_to_pushers(&mut self) {
        if self.serial == 0 {
            self.ask_close(0);
        }
        // If this is the last clone, its drop posts `Abandon`, which ends the stream.
        self.own_pusher = None;
    }

    pub(super) fn carry(&mut self, value: Box<dyn Any + Send>) {
        self.carried.push(value);
    }

    /// Ends the link and drops the carried values. A panic in one destructor does not prevent the
    /// others.
    pub(super) fn let_go(&mut self, cx: &Context<'_>) {
        for value in self.carried.drain(..) {
            cx.contain(|| drop(value));
        }
    }

    pub(super) const fn is_addressed(&self, serial: u64) -> bool {
        serial != 0 && self.serial == serial
    }

    /// The serial, once it was issued.
    pub(super) fn serial(&self) -> Option<u64> {
        (self.serial > 0).then_some(self.serial)
    }

    pub(super) const fn close_asked(&self) -> Option<u16> {
        self.closing
    }

    pub(super) fn ask_close(&mut self, code: u16) {
        self.closing.get_or_insert(code);
    }

    /// Whether the backlog is empty.
    pub(super) const fn is_free(&self) -> bool {
        self.backlog.is_none()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.bytes())
    }

    /// Sends a frame now if no frame waits and the output has room. Queues it otherwise.
    pub(super) fn push(&mut self, frame: &Frame, out: &mut Outbox, cx: &Context<'_>, put: impl FnOnce(&Frame, &mut Outbox)) -> Pushed {
        if self.backlog.is_none() && out.len() < cx.settings.limits.output_bytes {
            put(frame, out);
            return Pushed::Sent;
        }
        let backlog = self.backlog.get_or_insert_default();
        match backlog.push(frame.clone(), cx.settings.limits.queue_bytes, cx.settings.slow_consumer) {
            Queued::Overflow => Pushed::Overflow,
            Queued::Dropping(dropped) => {
                if dropped > 0 {
                    cx.stats.dropped.add(dropped as u64);
                }
                Pushed::Waiting
            }
        }
    }

    /// Sets the function that is called for dropped messages and can return a frame in their place.
    pub(super) fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        self.on_drop = Some(Box::new(call));
    }

    /// Reports messages that were dropped before they reached the session.
    pub(super) fn lost(&mut self, count: usize, out: &mut Outbox, cx: &Context<'_>, put: impl FnOnce(&Frame, &mut Outbox)) -> Pushed {
        match in_place_of(count, &mut self.on_drop, cx) {
            Some(frame) => self.push(&frame, out, cx, put),
            None => Pushed::Sent,
        }
    }

    /// Moves waiting frames to the output while it has room. Returns whether this emptied the
    /// backlog.
    pub(super) fn refill(&mut self, out: &mut Outbox, cx: &Context<'_>, mut put: impl FnMut(&Frame, &mut Outbox)) -> bool {
        let Some(backlog) = &mut self.backlog else { return false };
        // The report of dropped messages is sent in their place, which is before the oldest frame.
        while out.len() < cx.settings.limits.output_bytes {
            let lost = backlog.take_lost();
            if lost > 0
                && let Some(frame) = in_place_of(lost, &mut self.on_drop, cx)
            {
                put(&frame, out);
            }
            let Some(frame) = backlog.pop() else {
                self.backlog = None;
                return true;
            };
            put(&frame, out);
        }
        false
    }
}

/// Asks the application for a frame in place of dropped messages.
fn in_place_of(count: usize, on_drop: &mut Option<Box<OnDrop>>, cx: &Context<'_>) -> Option<Frame> {
    let mut frame = None;
    if let Some(call) = on_drop {
        cx.contain(|| frame = call(count));
    }
    frame
}
