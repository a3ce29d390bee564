//! The handles by which the rest of the program reaches a connection.
//!
//! Owns [`Held`] and [`Pusher`], the commands that they post, and the session's end of the link. Refuses delivery: a driver implements
//! [`Post`] and [`RemoteSource`].

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::{Backlog, Context, Queued, Response};
use crate::proto::{Frame, Outbox};

/// Where a command goes: one hold, stream or WebSocket of one connection. A serial is given out once, so that a command that comes too late
/// never reaches whatever took the slot over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The connection's slot in its driver.
    pub slot: u32,
    /// Which hold, stream or WebSocket of that slot; 0 is none.
    pub serial: u64,
}

/// What a handle asks of a connection.
#[derive(Debug)]
pub enum Command {
    /// Send a message on a stream or WebSocket.
    Push(Frame),
    /// Say that so many messages were dropped, which stood here.
    Lost(usize),
    /// Answer a held request; `None` where its handle was dropped.
    Release(Option<Arc<Response>>),
    /// End a stream, or close a WebSocket with this code.
    Close(u16),
    /// The last pusher of a stream is gone.
    Abandon,
}

/// A driver's way to take commands from any thread. Never blocks on IO.
pub trait Post: Send + Sync {
    /// Takes one command.
    fn post(&self, address: Address, command: Command);

    /// Takes one message for many connections of the same driver. The list is shared, not copied, by whoever keeps it until delivery: with
    /// an audience, or with nobody.
    fn post_many(&self, addresses: Arc<Vec<Address>>, frame: &Frame) {
        for address in &*addresses {
            self.post(*address, Command::Push(frame.clone()));
        }
    }

    /// Takes a command for each of many connections of the same driver.
    fn post_each(&self, commands: Vec<(Address, Command)>) {
        for (address, command) in commands {
            self.post(address, command);
        }
    }
}

/// A driver's way to give one connection an address. Called at the first handle of a hold, stream or WebSocket.
pub trait RemoteSource {
    /// Where commands for this connection are posted.
    fn post(&self) -> Arc<dyn Post>;
    /// The connection's slot.
    fn slot(&self) -> u32;
    /// A serial, at least 1, that was never given out before for this slot.
    fn issue_serial(&self) -> u64;
    /// What had this serial is over: commands for it need not be kept any more.
    fn retire_serial(&self, serial: u64) {
        let _ = serial;
    }
}

/// A request that waits for its answer. Consumed by [`release`](Self::release), so that it is answered once.
///
/// When its time runs out before, the connection answers by itself, and a later release does nothing. Dropping it unreleased
/// answers 500: somebody forgot the request.
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

    /// Answers the request, from any thread. Many requests can be answered with one shared response.
    pub fn release(mut self, response: impl Into<Arc<Response>>) {
        if let Some((post, address)) = self.target.take() {
            post.post(address, Command::Release(Some(response.into())));
        }
    }

    /// Answers many requests, handing them over once to each driver in a row of them: on the event loop one lock for all.
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

/// Sends messages to one stream or WebSocket, from any thread, as often as wanted. Cloning it counts a reference.
///
/// Pushing never blocks on the peer: what a slow reader cannot take waits in its bounded queue, under the
/// [`SlowConsumer`](super::SlowConsumer) policy. Pushing to a connection that has ended does nothing; to learn of the end, let the connection
/// carry a value ([`Reply::carry`](super::Reply::carry)) and act in its `Drop`.
///
/// A stream ends when its last pusher is dropped, unless a [source](super::Stream::feed) feeds it. A
/// WebSocket goes on without pushers, because its handler can send.
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

/// Where the messages of a pusher and its clones go.
struct PusherTarget {
    post: Arc<dyn Post>,
    address: Address,
    /// Whether the target ends with its last pusher.
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
    /// Sends one message. The frame is shared, not copied: encode once, push to many.
    pub fn push(&self, frame: &Frame) {
        self.0.post.post(self.0.address, Command::Push(frame.clone()));
    }

    /// Sends one message to many, handing it over once to each driver in a row of pushers: on the event loop one lock for all.
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

    /// Where its messages go.
    pub(super) fn target(&self) -> (&Arc<dyn Post>, Address) {
        (&self.0.post, self.0.address)
    }

    /// Ends a stream in an orderly way, or starts the close handshake of a WebSocket with this code, after everything pushed before.
    pub fn close(&self, code: u16) {
        self.0.post.post(self.0.address, Command::Close(code));
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pusher").field(&self.0.address).finish()
    }
}

/// Posts to these addresses, and leaves none. With a thread per connection there is just one each time.
fn post_to_all(driver: &dyn Post, addresses: &mut Vec<Address>, frame: &Frame) {
    match addresses[..] {
        [address] => driver.post(address, Command::Push(frame.clone())),
        _ => return driver.post_many(Arc::new(std::mem::take(addresses)), frame),
    }
    addresses.clear();
}

/// A connection's end of the link: what its handles are addressed to, what it carries, what waits for it.
#[derive(Default)]
pub(super) struct Link {
    /// 0 while no handle has been given out.
    serial: u64,
    /// A stream's own pusher, while its view or its source can make more of them.
    own_pusher: Option<Pusher>,
    carried: Vec<Box<dyn Any + Send>>,
    backlog: Option<Box<Backlog>>,
    /// The end was asked for; it comes after the backlog.
    closing: Option<u16>,
    on_drop: Option<Box<OnDrop>>,
}

/// The application's answer to dropped messages.
type OnDrop = dyn FnMut(usize) -> Option<Frame> + Send;

/// What became of a message.
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

    /// The address of this link, issued at the first call.
    pub(super) fn target(&mut self, cx: &Context<'_>) -> (Arc<dyn Post>, Address) {
        if self.serial == 0 {
            self.serial = cx.remote.issue_serial();
        }
        (cx.remote.post(), Address { slot: cx.remote.slot(), serial: self.serial })
    }

    /// A pusher that does not matter for how long its target lasts.
    pub(super) fn pusher(&mut self, cx: &Context<'_>) -> Pusher {
        let (post, address) = self.target(cx);
        Pusher(Arc::new(PusherTarget { post, address, is_stream: false }))
    }

    /// A pusher of a stream, which ends with the last of them.
    pub(super) fn stream_pusher(&mut self, cx: &Context<'_>) -> Pusher {
        if let Some(pusher) = &self.own_pusher {
            return pusher.clone();
        }
        let (post, address) = self.target(cx);
        self.own_pusher.insert(Pusher(Arc::new(PusherTarget { post, address, is_stream: true }))).clone()
    }

    /// From now on a stream lasts only for as long as its pushers: neither the handler nor a source
    /// can send any more. Where there is none, it ends behind what was sent.
    pub(super) fn leave_to_pushers(&mut self) {
        if self.serial == 0 {
            self.ask_close(0);
        }
        // The last one posts that it is gone.
        self.own_pusher = None;
    }

    pub(super) fn carry(&mut self, value: Box<dyn Any + Send>) {
        self.carried.push(value);
    }

    /// Ends the link, and drops what is carried. One value's panic does not keep the others.
    pub(super) fn let_go(&mut self, cx: &Context<'_>) {
        if self.serial > 0 {
            cx.remote.retire_serial(self.serial);
        }
        for value in self.carried.drain(..) {
            cx.contain(|| drop(value));
        }
    }

    pub(super) const fn is_addressed(&self, serial: u64) -> bool {
        serial != 0 && self.serial == serial
    }

    pub(super) const fn close_asked(&self) -> Option<u16> {
        self.closing
    }

    pub(super) fn ask_close(&mut self, code: u16) {
        self.closing.get_or_insert(code);
    }

    /// Whether nothing waits.
    pub(super) const fn is_free(&self) -> bool {
        self.backlog.is_none()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.bytes())
    }

    /// Sends a frame now if nothing waits before it and there is room, and queues it otherwise.
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

    /// Lets the application know of dropped messages, and say something in their place.
    pub(super) fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        self.on_drop = Some(Box::new(call));
    }

    /// Messages were dropped before they came here.
    pub(super) fn lost(&mut self, count: usize, out: &mut Outbox, cx: &Context<'_>, put: impl FnOnce(&Frame, &mut Outbox)) -> Pushed {
        match in_place_of(count, &mut self.on_drop, cx) {
            Some(frame) => self.push(&frame, out, cx, put),
            None => Pushed::Sent,
        }
    }

    /// Moves waiting frames to the output while there is room. Returns whether the backlog became empty by it.
    pub(super) fn refill(&mut self, out: &mut Outbox, cx: &Context<'_>, mut put: impl FnMut(&Frame, &mut Outbox)) -> bool {
        let Some(backlog) = &mut self.backlog else { return false };
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

/// What the application says in the place of dropped messages.
fn in_place_of(count: usize, on_drop: &mut Option<Box<OnDrop>>, cx: &Context<'_>) -> Option<Frame> {
    let mut frame = None;
    if let Some(call) = on_drop {
        cx.contain(|| frame = call(count));
    }
    frame
}
