//! The session's side of the handles.
//!
//! Owns what a hold, a stream and a WebSocket have in common: their address, the values that the
//! connection carries, the messages that wait, and an end that was asked for. Leaves the handles to
//! `handles`, and the policy of a full queue to `backlog`.

use std::any::Any;
use std::sync::Arc;

use super::{Address, Backlog, Post, Pusher, Queued, Surroundings};
use crate::proto::{Frame, Outbox};

/// The result of sending a message to a WebSocket or a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The message is in the connection's output.
    Accepted,
    /// The message waits because the peer reads slowly. Stop sending until the next call of
    /// [`WebSocketHandler::drained`] or [`StreamSource::feed`](super::StreamSource::feed).
    Waiting,
    /// The message was dropped, for one of these reasons: the WebSocket is closing, the stream has
    /// ended or has no body, or the slow-consumer policy ends the connection.
    Dropped,
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
    pub(super) fn target(&mut self, cx: &Surroundings<'_>) -> (Arc<dyn Post>, Address) {
        if self.serial == 0 {
            self.serial = cx.remote.issue_serial();
        }
        (cx.remote.post(), Address { slot: cx.remote.slot(), serial: self.serial })
    }

    /// Makes a pusher whose end does not end the destination.
    pub(super) fn pusher(&mut self, cx: &Surroundings<'_>) -> Pusher {
        let (post, address) = self.target(cx);
        Pusher::new(post, address)
    }

    /// Makes a pusher of a stream. The stream ends with its last pusher.
    pub(super) fn stream_pusher(&mut self, cx: &Surroundings<'_>) -> Pusher {
        if let Some(pusher) = &self.own_pusher {
            return pusher.clone();
        }
        let (post, address) = self.target(cx);
        self.own_pusher.insert(Pusher::of_stream(post, address)).clone()
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
    pub(super) fn let_go(&mut self, cx: &Surroundings<'_>) {
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
    pub(super) fn push(&mut self, frame: &Frame, out: &mut Outbox, cx: &Surroundings<'_>, put: impl FnOnce(&Frame, &mut Outbox)) -> Pushed {
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
    pub(super) fn lost(&mut self, count: usize, out: &mut Outbox, cx: &Surroundings<'_>, put: impl FnOnce(&Frame, &mut Outbox)) -> Pushed {
        match in_place_of(count, &mut self.on_drop, cx) {
            Some(frame) => self.push(&frame, out, cx, put),
            None => Pushed::Sent,
        }
    }

    /// Moves waiting frames to the output while it has room. Returns whether this emptied the
    /// backlog.
    pub(super) fn refill(&mut self, out: &mut Outbox, cx: &Surroundings<'_>, mut put: impl FnMut(&Frame, &mut Outbox)) -> bool {
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
fn in_place_of(count: usize, on_drop: &mut Option<Box<OnDrop>>, cx: &Surroundings<'_>) -> Option<Frame> {
    let mut frame = None;
    if let Some(call) = on_drop {
        cx.contain(|| frame = call(count));
    }
    frame
}
