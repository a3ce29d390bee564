//! The session's side of the handles.
//!
//! Owns what a hold, a stream and a WebSocket have in common: their address, the values that the
//! connection carries, the messages that wait, and an end that was asked for. Leaves the handles to
//! `handles`, and the policy of a full queue to `backlog`.

use std::any::Any;
use std::sync::Arc;

use super::{Address, Backlog, Outcome, Post, Pusher, Surroundings};
use crate::proto::ws::close::NORMAL_CLOSURE;
use crate::proto::{Frame, Outbox};

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
    /// Set when the end was asked for: the code with which a WebSocket closes. A stream ends
    /// without a code. The end follows the backlog.
    close_code: Option<u16>,
    on_drop: Option<Box<OnDrop>>,
}

/// The function that the application wants to be called for dropped messages.
type OnDrop = dyn FnMut(usize) -> Option<Frame> + Send;

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
            self.ask_end();
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

    /// Whether the end was asked for.
    pub(super) const fn is_ending(&self) -> bool {
        self.close_code.is_some()
    }

    /// The code with which a WebSocket closes, if its end was asked for.
    pub(super) const fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Asks for the end, and for a WebSocket with this code. The first code counts.
    pub(super) fn ask_close(&mut self, code: u16) {
        self.close_code.get_or_insert(code);
    }

    /// Asks for the end of a stream.
    pub(super) fn ask_end(&mut self) {
        self.ask_close(NORMAL_CLOSURE);
    }

    /// Whether the backlog is empty.
    pub(super) const fn is_free(&self) -> bool {
        self.backlog.is_none()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.bytes())
    }

    /// Sends a frame now if no frame waits and the output has room. Queues it otherwise.
    pub(super) fn send_or_queue(
        &mut self,
        frame: &Frame,
        out: &mut Outbox,
        cx: &Surroundings<'_>,
        send: impl FnOnce(&Frame, &mut Outbox),
    ) -> Outcome {
        if self.backlog.is_none() && out.len() < cx.settings.limits.output_bytes {
            send(frame, out);
            return Outcome::Sent;
        }
        let backlog = self.backlog.get_or_insert_default();
        let outcome = backlog.enqueue(frame.clone(), cx.settings.limits.queue_bytes, cx.settings.slow_consumer);
        if let Outcome::Queued { dropped: dropped @ 1.. } = outcome {
            cx.stats.dropped.add(dropped as u64);
        }
        outcome
    }

    /// Sets the function that is called for dropped messages and can return a frame in their place.
    pub(super) fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        self.on_drop = Some(Box::new(call));
    }

    /// Reports messages that were dropped before they reached the session.
    pub(super) fn report_lost(
        &mut self,
        count: usize,
        out: &mut Outbox,
        cx: &Surroundings<'_>,
        send: impl FnOnce(&Frame, &mut Outbox),
    ) -> Outcome {
        match in_place_of(count, &mut self.on_drop, cx) {
            Some(frame) => self.send_or_queue(&frame, out, cx, send),
            None => Outcome::Sent,
        }
    }

    /// Sends the frames that wait while the output has room. Returns whether this emptied the
    /// backlog.
    pub(super) fn send_queued(&mut self, out: &mut Outbox, cx: &Surroundings<'_>, mut send: impl FnMut(&Frame, &mut Outbox)) -> bool {
        let Some(backlog) = &mut self.backlog else { return false };
        // The report of dropped messages is sent in their place, which is before the oldest frame.
        while out.len() < cx.settings.limits.output_bytes {
            let lost = backlog.take_lost();
            if lost > 0
                && let Some(frame) = in_place_of(lost, &mut self.on_drop, cx)
            {
                send(&frame, out);
            }
            let Some(frame) = backlog.dequeue() else {
                self.backlog = None;
                return true;
            };
            send(&frame, out);
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
