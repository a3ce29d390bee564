//! The session's side of the handles.
//!
//! Owns what a hold, a stream and a WebSocket have in common: their address. Owns what a stream and
//! a WebSocket have beyond that: the messages that wait, and an end that was asked for. Leaves the
//! handles to `handles`, the policy of a full queue to `backlog`, the words of an end to
//! `last_word`, and the values of the application to `carried`.

use std::sync::Arc;

use super::{Address, Backlog, Destination, LastWord, Notices, Outcome, Post, Pusher, Surroundings};
use crate::proto::{Frame, Outbox};

/// The number by which a hold, a stream or a WebSocket is addressed.
#[derive(Default)]
pub(super) struct Serial(
    /// 0 until the first handle is given out.
    u64,
);

impl Serial {
    /// The address. The first call issues the serial.
    pub(super) fn target(&mut self, cx: &Surroundings<'_>) -> (Arc<dyn Post>, Address) {
        if self.0 == 0 {
            self.0 = cx.remote.issue_serial();
        }
        (cx.remote.post(), Address { slot: cx.remote.slot(), serial: self.0 })
    }

    #[inline]
    pub(super) const fn is(&self, serial: u64) -> bool {
        serial != 0 && self.0 == serial
    }

    /// The serial, once it was issued.
    pub(super) fn get(&self) -> Option<u64> {
        (self.0 > 0).then_some(self.0)
    }
}

/// The session's side of the handles of a stream or a WebSocket.
///
/// `S` is the source of a stream. It stands beside what few links have, because a stream has none
/// for nearly all of its time.
pub(super) struct Link<S = ()> {
    serial: Serial,
    /// `None` while the link is calm: no message waits, the end was not asked for, and the link
    /// keeps no source and no pusher. So the link of an idle connection has 16 bytes less, and a
    /// delivery looks here alone.
    unrest: Option<Box<Unrest<S>>>,
}

/// What few links have at a time.
struct Unrest<S> {
    source: Option<S>,
    /// A pusher of a stream's own, kept while the view or the source can still make more pushers.
    own_pusher: Option<Pusher>,
    backlog: Option<Backlog>,
    /// Set when the end was asked for. The end follows the backlog.
    last_word: Option<Arc<LastWord>>,
}

impl<S> Default for Link<S> {
    fn default() -> Self {
        Self { serial: Serial::default(), unrest: None }
    }
}

impl<S> Default for Unrest<S> {
    fn default() -> Self {
        Self { source: None, own_pusher: None, backlog: None, last_word: None }
    }
}

impl<S> Unrest<S> {
    const fn is_over(&self) -> bool {
        self.source.is_none() && self.own_pusher.is_none() && self.backlog.is_none() && self.last_word.is_none()
    }
}

impl<S> Link<S> {
    /// Makes a pusher whose end does not end the destination.
    pub(super) fn pusher(&mut self, cx: &Surroundings<'_>) -> Pusher {
        let (post, address) = self.serial.target(cx);
        Pusher::new(post, address)
    }

    /// Makes a pusher of a stream. The stream ends with its last pusher.
    pub(super) fn stream_pusher(&mut self, cx: &Surroundings<'_>) -> Pusher {
        if let Some(pusher) = self.unrest.as_ref().and_then(|unrest| unrest.own_pusher.as_ref()) {
            return pusher.clone();
        }
        let (post, address) = self.serial.target(cx);
        self.unrest.get_or_insert_default().own_pusher.insert(Pusher::of_stream(post, address)).clone()
    }

    /// Where the connection takes commands.
    pub(super) fn destination(&mut self, cx: &Surroundings<'_>) -> Destination {
        let (post, address) = self.serial.target(cx);
        Destination { post, address }
    }

    /// Gives up the stream's own pusher. If it is the last clone, its drop posts `Abandon`.
    pub(super) fn drop_own_pusher(&mut self) {
        self.calm(|unrest| unrest.own_pusher = None);
    }

    /// Changes what makes the unrest, and frees its memory if nothing is left.
    fn calm(&mut self, change: impl FnOnce(&mut Unrest<S>)) {
        if let Some(unrest) = &mut self.unrest {
            change(unrest);
            self.unrest.take_if(|unrest| unrest.is_over());
        }
    }

    #[inline]
    pub(super) const fn is_addressed(&self, serial: u64) -> bool {
        self.serial.is(serial)
    }

    /// The serial, once it was issued.
    pub(super) fn serial(&self) -> Option<u64> {
        self.serial.get()
    }

    /// Whether the link keeps a source.
    #[inline]
    pub(super) const fn has_source(&self) -> bool {
        match &self.unrest {
            Some(unrest) => unrest.source.is_some(),
            None => false,
        }
    }

    pub(super) fn set_source(&mut self, source: S) {
        self.unrest.get_or_insert_default().source = Some(source);
    }

    pub(super) fn take_source(&mut self) -> Option<S> {
        let mut source = None;
        self.calm(|unrest| source = unrest.source.take());
        source
    }

    /// Whether no message waits, the end was not asked for, and the link keeps no source and no
    /// pusher.
    #[inline]
    pub(super) const fn is_calm(&self) -> bool {
        self.unrest.is_none()
    }

    /// Whether no message waits and the end was not asked for.
    #[inline]
    pub(super) const fn is_at_rest(&self) -> bool {
        match &self.unrest {
            None => true,
            Some(unrest) => unrest.backlog.is_none() && unrest.last_word.is_none(),
        }
    }

    /// Whether the end was asked for.
    pub(super) const fn is_ending(&self) -> bool {
        self.last_word().is_some()
    }

    /// The last word, if the end was asked for.
    pub(super) const fn last_word(&self) -> Option<&Arc<LastWord>> {
        match &self.unrest {
            Some(unrest) => unrest.last_word.as_ref(),
            None => None,
        }
    }

    /// Asks for the end with this last word. The first one counts.
    pub(super) fn ask_end_with(&mut self, word: impl FnOnce() -> Arc<LastWord>) {
        self.unrest.get_or_insert_default().last_word.get_or_insert_with(word);
    }

    /// Asks for the end of a stream that has said everything.
    pub(super) fn ask_end(&mut self) {
        self.ask_end_with(LastWord::normal);
    }

    /// Drops the messages that wait: the policy ends the connection, and its client comes back with
    /// its cursor. The memory is needed for others now.
    pub(super) fn drop_backlog(&mut self) {
        self.calm(|unrest| unrest.backlog = None);
    }

    /// Whether the backlog is empty.
    pub(super) const fn is_free(&self) -> bool {
        self.backlog().is_none()
    }

    const fn backlog(&self) -> Option<&Backlog> {
        match &self.unrest {
            Some(unrest) => unrest.backlog.as_ref(),
            None => None,
        }
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.backlog().map_or(0, Backlog::bytes)
    }

    /// Sends a frame now if no frame waits and the output has room. Queues it otherwise.
    pub(super) fn send_or_queue(
        &mut self,
        frame: &Frame,
        out: &mut Outbox,
        cx: &Surroundings<'_>,
        send: impl FnOnce(&Frame, &mut Outbox),
    ) -> Outcome {
        if self.is_free() && out.len() < cx.settings.limits.output_bytes {
            send(frame, out);
            return Outcome::Sent;
        }
        let backlog = self.unrest.get_or_insert_default().backlog.get_or_insert_default();
        let outcome = backlog.enqueue(frame.clone(), cx.settings.limits.queue_bytes, cx.settings.slow_consumer);
        if let Outcome::Queued { dropped: dropped @ 1.. } = outcome {
            cx.stats.dropped.add(dropped as u64);
        }
        outcome
    }

    /// Reports messages that were dropped before they reached the session.
    pub(super) fn report_lost(
        &mut self,
        count: usize,
        notices: Option<&mut dyn Notices>,
        out: &mut Outbox,
        cx: &Surroundings<'_>,
        send: impl FnOnce(&Frame, &mut Outbox),
    ) -> Outcome {
        match in_place_of(count, notices, cx) {
            Some(frame) => self.send_or_queue(&frame, out, cx, send),
            None => Outcome::Sent,
        }
    }

    /// Sends the frames that wait while the output has room. Returns whether this emptied the
    /// backlog.
    pub(super) fn send_queued<'n>(
        &mut self,
        notices: impl FnOnce() -> Option<&'n mut dyn Notices>,
        out: &mut Outbox,
        cx: &Surroundings<'_>,
        mut send: impl FnMut(&Frame, &mut Outbox),
    ) -> bool {
        let Some(backlog) = self.unrest.as_mut().and_then(|unrest| unrest.backlog.as_mut()) else { return false };
        // The report of dropped messages is sent in their place, which is before the oldest frame.
        if out.len() < cx.settings.limits.output_bytes {
            let lost = backlog.take_lost();
            if lost > 0
                && let Some(frame) = in_place_of(lost, notices(), cx)
            {
                send(&frame, out);
            }
        }
        while out.len() < cx.settings.limits.output_bytes {
            let Some(frame) = backlog.dequeue() else {
                self.drop_backlog();
                return true;
            };
            send(&frame, out);
        }
        false
    }
}

/// Asks the application for a frame in place of dropped messages.
fn in_place_of(count: usize, notices: Option<&mut dyn Notices>, cx: &Surroundings<'_>) -> Option<Frame> {
    let mut frame = None;
    if let Some(notices) = notices {
        cx.contain(|| frame = notices.dropped(count));
    }
    frame
}

/// The last word in the form of the application. `None` if the application has no form for it, or
/// if the end has no words.
pub(super) fn encode_last_word(word: &LastWord, notices: Option<&mut dyn Notices>, cx: &Surroundings<'_>) -> Option<Frame> {
    let notices = notices.filter(|_| word.has_words())?;
    let mut frame = None;
    cx.contain(|| frame = notices.last_word(word));
    frame
}
