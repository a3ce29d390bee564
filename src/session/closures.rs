//! A WebSocket's handler that is made of closures.
//!
//! Owns the builder that takes one closure for each call of a handler. Each closure is stored as its
//! own type, without a box, and a call without a closure takes no memory. Leaves the calls and
//! their meaning to the trait in `socket`.

use super::{Socket, WebSocketHandler};
use crate::proto::CloseReason;
use crate::proto::ws::Message;

/// Begins a [`WebSocketHandler`] that is made of closures, with the one that gets each whole
/// message. [`Reply::upgrade`](super::Reply::upgrade) takes the result, as it takes an
/// implementation of the trait. The methods of [`Closures`] add the other calls, each of them once
/// and in any order.
///
/// Every connection has closures of its own, which one thread calls at a time. What one closure has
/// captured is its state. Two closures of a connection, or two connections, share state by an
/// [`Arc`](std::sync::Arc). If the calls of one connection share much state, a type that implements
/// the trait is shorter, because all its methods get `&mut self`.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
/// use pushlab::{Reply, Request, on_message};
/// static ONLINE: AtomicUsize = AtomicUsize::new(0);
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     // Two closures of this connection share a count.
///     let heard = Arc::new(AtomicUsize::new(0));
///     let total = Arc::clone(&heard);
///     reply.upgrade(
///         on_message(move |message, socket| {
///             heard.fetch_add(1, Relaxed);
///             socket.send(message);
///         })
///         .on_open(|socket| {
///             let online = ONLINE.fetch_add(1, Relaxed) + 1;
///             socket.send_text(&format!("{online} online"));
///         })
///         .on_close(move |reason| {
///             ONLINE.fetch_sub(1, Relaxed);
///             println!("{reason:?} after {} messages", total.load(Relaxed));
///         }),
///     );
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
pub const fn on_message<M>(message: M) -> Closures<M>
where
    M: FnMut(Message<'_>, &mut Socket<'_>) + Send + 'static,
{
    Closures { message, open: Unset, drained: Unset, timer: Unset, close: Unset }
}

/// A [`WebSocketHandler`] that is made of closures. [`on_message`] begins one.
///
/// It is as large as what its closures have captured. A call of the trait for which no closure is
/// set does nothing. A closure that is set a second time does not compile:
///
/// ```compile_fail,E0599
/// pushlab::on_message(|_, _| {}).on_open(|_| {}).on_open(|_| {});
/// ```
#[derive(Clone, Copy)]
#[must_use = "closures are called once a reply is upgraded with them"]
pub struct Closures<M, O = Unset, D = Unset, T = Unset, C = Unset> {
    message: M,
    open: O,
    drained: D,
    timer: T,
    close: C,
}

/// In the type of [`Closures`], the place of a closure that is not set. It takes no memory.
#[derive(Clone, Copy, Debug)]
pub struct Unset;

impl<M, D, T, C> Closures<M, Unset, D, T, C> {
    /// Sets the closure that is called once the handshake is done
    /// ([`WebSocketHandler::open`]).
    pub fn on_open<O>(self, open: O) -> Closures<M, O, D, T, C>
    where
        O: FnMut(&mut Socket<'_>) + Send + 'static,
    {
        let Self { message, open: _, drained, timer, close } = self;
        Closures { message, open, drained, timer, close }
    }
}

impl<M, O, T, C> Closures<M, O, Unset, T, C> {
    /// Sets the closure that is called when the system has taken everything that waited for a slow
    /// reader, so that sending is free again ([`WebSocketHandler::drained`]).
    pub fn on_drained<D>(self, drained: D) -> Closures<M, O, D, T, C>
    where
        D: FnMut(&mut Socket<'_>) + Send + 'static,
    {
        let Self { message, open, drained: _, timer, close } = self;
        Closures { message, open, drained, timer, close }
    }
}

impl<M, O, D, C> Closures<M, O, D, Unset, C> {
    /// Sets the closure that is called once for each [`Socket::set_timer`], when its time has passed
    /// ([`WebSocketHandler::timer`]).
    pub fn on_timer<T>(self, timer: T) -> Closures<M, O, D, T, C>
    where
        T: FnMut(&mut Socket<'_>) + Send + 'static,
    {
        let Self { message, open, drained, timer: _, close } = self;
        Closures { message, open, drained, timer, close }
    }
}

impl<M, O, D, T> Closures<M, O, D, T, Unset> {
    /// Sets the closure that is called once, as the last call, when the connection is over
    /// ([`WebSocketHandler::closed`]).
    pub fn on_close<C>(self, close: C) -> Closures<M, O, D, T, C>
    where
        C: FnMut(CloseReason) + Send + 'static,
    {
        let Self { message, open, drained, timer, close: _ } = self;
        Closures { message, open, drained, timer, close }
    }
}

impl<M, O, D, T, C> WebSocketHandler for Closures<M, O, D, T, C>
where
    M: FnMut(Message<'_>, &mut Socket<'_>) + Send + 'static,
    O: OnSocket,
    D: OnSocket,
    T: OnSocket,
    C: OnClose,
{
    fn open(&mut self, socket: &mut Socket<'_>) {
        self.open.call(socket);
    }

    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        (self.message)(message, socket);
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        self.drained.call(socket);
    }

    fn timer(&mut self, socket: &mut Socket<'_>) {
        self.timer.call(socket);
    }

    fn closed(&mut self, reason: CloseReason) {
        self.close.call(reason);
    }
}

/// A closure that gets the socket, or [`Unset`].
trait OnSocket: Send + 'static {
    fn call(&mut self, socket: &mut Socket<'_>);
}

impl OnSocket for Unset {
    fn call(&mut self, _: &mut Socket<'_>) {}
}

impl<F: FnMut(&mut Socket<'_>) + Send + 'static> OnSocket for F {
    fn call(&mut self, socket: &mut Socket<'_>) {
        self(socket);
    }
}

/// A closure that gets the reason of the end, or [`Unset`].
trait OnClose: Send + 'static {
    fn call(&mut self, reason: CloseReason);
}

impl OnClose for Unset {
    fn call(&mut self, _: CloseReason) {}
}

impl<F: FnMut(CloseReason) + Send + 'static> OnClose for F {
    fn call(&mut self, reason: CloseReason) {
        self(reason);
    }
}
